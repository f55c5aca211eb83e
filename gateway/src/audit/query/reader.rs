//! Reads the lines of one segment, whether it is written, closed, or closed meanwhile.

use super::{Line, Problem, Source, What};
use crate::audit::{
    archive,
    packed::{self, Table, Unpacked},
    record::{Head, RECORD_BYTES_MAX},
    segment,
};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a segment's bytes come from.
#[derive(Debug)]
enum Bytes {
    Plain(BufReader<File>),
    Packed(Unpacked),
}

impl Bytes {
    /// From this offset of the plain bytes on.
    fn at(path: &Path, mut file: File, offset: u64) -> io::Result<Self> {
        if is_packed(path) {
            let unpacked = if offset == 0 { Unpacked::new(file) } else { Unpacked::at(file, offset) };
            return unpacked.map(Self::Packed);
        }
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self::Plain(BufReader::with_capacity(RECORD_BYTES_MAX, file)))
    }

    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain(file) => file.fill_buf(),
            Self::Packed(file) => file.fill_buf(),
        }
    }

    fn consume(&mut self, bytes: usize) {
        match self {
            Self::Plain(file) => file.consume(bytes),
            Self::Packed(file) => file.consume(bytes),
        }
    }
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == packed::EXTENSION)
}

/// How many bytes of records a segment has, packed or not.
pub(super) fn plain_bytes(path: &Path) -> io::Result<u64> {
    if !is_packed(path) {
        return Ok(path.metadata()?.len());
    }
    Ok(Table::read(&mut File::open(path)?)?.plain_bytes)
}

/// Reads the lines of one segment; can go on when it has grown.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) source: Source,
    pub(super) path: Arc<Path>,
    file: Bytes,
    offset: u64,
    pub(super) line: u64,
    torn: bool,
}

impl Reader {
    pub(crate) fn open(source: Source) -> io::Result<Self> {
        let (path, file) = match File::open(&source.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => renamed(&source).ok_or(error)?,
            opened => (source.path.clone(), opened?),
        };
        let file = Bytes::at(&path, file, 0)?;
        Ok(Self { source, path: path.as_path().into(), file, offset: 0, line: 0, torn: false })
    }

    /// The line that was read last, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Goes on at this offset of the segment's plain bytes, where the line after `line` begins.
    pub(crate) fn seek(&mut self, offset: u64, line: u64) -> io::Result<()> {
        match &mut self.file {
            Bytes::Plain(file) => drop(file.seek(SeekFrom::Start(offset))?),
            Bytes::Packed(_) => self.file = Bytes::at(&self.path, File::open(&self.path)?, offset)?,
        }
        (self.offset, self.line, self.torn) = (offset, line, false);
        Ok(())
    }

    /// Forgets what was read ahead: the writer may take back what it was not able to write whole.
    pub(crate) fn forget_ahead(&mut self) -> io::Result<()> {
        match &mut self.file {
            Bytes::Plain(file) => file.seek(SeekFrom::Start(self.offset)).map(drop),
            // Nobody writes to a packed one.
            Bytes::Packed(_) => Ok(()),
        }
    }

    /// The next record, if it has come meanwhile and is whole.
    pub(crate) fn grown(&mut self) -> io::Result<Option<Result<Line, Problem>>> {
        if self.torn {
            self.seek(self.offset, self.line - 1)?;
        }
        let found = match self.next() {
            None | Some(Err(What::Torn(_))) => return Ok(None),
            Some(Err(What::Io(error))) => return Err(error),
            Some(found) => found,
        };
        let (file, line) = (Arc::clone(&self.path), self.line);
        let head = found.and_then(|bytes| match serde_json::from_slice::<Head>(&bytes) {
            Ok(head) => Ok((head, bytes)),
            Err(error) => Err(What::Malformed(error.to_string())),
        });
        Ok(Some(match head {
            Ok((head, bytes)) => Ok(Line { head, bytes, file, line }),
            Err(what) => Err(Problem { file, line: Some(line), what }),
        }))
    }

    /// The next whole line, without its newline.
    pub(crate) fn next(&mut self) -> Option<Result<Vec<u8>, What>> {
        if self.torn {
            return None;
        }
        let mut bytes = Vec::new();
        let mut length = 0;
        loop {
            let found = match self.file.fill_buf() {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.torn = true;
                    self.line += 1;
                    return Some(Err(What::Io(error)));
                }
            };
            if found.is_empty() {
                if length == 0 {
                    return None;
                }
                self.torn = true;
                self.line += 1;
                return Some(Err(What::Torn(length)));
            }
            let (part, ends) = match found.iter().position(|b| *b == b'\n') {
                Some(newline) => (found.get(..newline).unwrap_or_default(), true),
                None => (found, false),
            };
            let taken = part.len() + usize::from(ends);
            if bytes.len() <= RECORD_BYTES_MAX {
                bytes.extend_from_slice(part);
            }
            length += taken as u64;
            self.file.consume(taken);
            if ends {
                self.offset += length;
                self.line += 1;
                return Some(if bytes.len() < RECORD_BYTES_MAX { Ok(bytes) } else { Err(What::TooLong) });
            }
        }
    }
}

/// A segment that was closed, and so renamed, since it was listed.
fn renamed(source: &Source) -> Option<(PathBuf, File)> {
    let listed = segment::list_all(&source.home, archive::of(&source.home).as_slice()).ok()?;
    let (_, path) = listed.into_iter().find(|(name, _)| name.first == source.first && name.last.is_some())?;
    let file = File::open(&path).ok()?;
    Some((path, file))
}
