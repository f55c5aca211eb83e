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

/// How far ahead a packed segment is read on rather than opened anew, in bytes.
const NEAR_BYTES_MAX: i64 = 256 * 1024;

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
pub(crate) fn plain_bytes(path: &Path) -> io::Result<u64> {
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

    /// Where the next line begins, in the segment's plain bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The file that is read.
    pub(crate) fn path(&self) -> Arc<Path> {
        Arc::clone(&self.path)
    }

    /// Goes to the byte of the segment's plain bytes at which a line begins. Near by, what was read already is read on.
    pub(crate) fn seek(&mut self, offset: u64, line: u64) -> io::Result<()> {
        let by = i64::try_from(i128::from(offset) - i128::from(self.offset)).ok().filter(|_| !self.torn);
        match (&mut self.file, by) {
            (Bytes::Plain(file), Some(by)) => file.seek_relative(by)?,
            (Bytes::Plain(file), None) => drop(file.seek(SeekFrom::Start(offset))?),
            (Bytes::Packed(file), Some(by @ 0..=NEAR_BYTES_MAX)) => pass_over(file, by.unsigned_abs())?,
            (Bytes::Packed(_), _) => self.file = Bytes::at(&self.path, File::open(&self.path)?, offset)?,
        }
        (self.offset, self.line, self.torn) = (offset, line.saturating_sub(1), false);
        Ok(())
    }

    /// Goes to the first line that begins after a byte.
    pub(super) fn skip_to(&mut self, byte: u64) -> io::Result<()> {
        self.seek(byte, 0)?;
        let _ = self.next();
        let begin = self.offset;
        // A record says which it is, and so on which line, if no other was damaged.
        let head = self.next().and_then(Result::ok).and_then(|line| serde_json::from_slice::<Head>(&line).ok());
        let number = head.map_or(0, |head| head.seq.saturating_sub(self.source.first));
        self.seek(begin, number + 1)
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
            self.seek(self.offset, self.line)?;
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
            let (part, ends) = match memchr::memchr(b'\n', found) {
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

/// Reads so many bytes and forgets them.
fn pass_over(file: &mut Unpacked, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let here = u64::try_from(file.fill_buf()?.len()).unwrap_or(bytes).min(bytes);
        if here == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.consume(usize::try_from(here).unwrap_or_default());
        bytes -= here;
    }
    Ok(())
}

/// A segment that was closed, and so renamed, since it was listed.
fn renamed(source: &Source) -> Option<(PathBuf, File)> {
    let listed = segment::list_all(&source.home, archive::of(&source.home).as_slice()).ok()?;
    let (_, path) = listed.into_iter().find(|(name, _)| name.first == source.first && name.last.is_some())?;
    let file = File::open(&path).ok()?;
    Some((path, file))
}
