//! Reading a log: its records in order, one at a time, whatever state its files are in.

use super::{
    record::{Body, Head, RECORD_BYTES_MAX, VERSION},
    segment::{self, Name},
};
use jiff::Timestamp;
use memchr::memmem;
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

mod seek;

/// One record, as it was found.
#[derive(Clone, Debug)]
pub struct Line {
    /// What every record has.
    pub head: Head,
    /// Its bytes, without the newline.
    pub bytes: Vec<u8>,
    /// File.
    pub file: Arc<Path>,
    /// Line, from 1.
    pub line: u64,
}

impl Line {
    /// What it says.
    ///
    /// # Errors
    /// When a member is missing or malformed.
    pub fn body(&self) -> Result<Body, Problem> {
        Body::parse(self.head.kind, &self.bytes).map_err(|error| Problem {
            file: Arc::clone(&self.file),
            line: Some(self.line),
            what: What::Malformed(error.to_string()),
        })
    }
}

/// Something in a log that is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", self.place())]
pub struct Problem {
    /// File or folder.
    pub file: Arc<Path>,
    /// Line, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: What,
}

impl Problem {
    fn place(&self) -> String {
        let file = self.file.display();
        self.line.map_or_else(|| file.to_string(), |line| format!("{file}:{line}"))
    }
}

/// What can be wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum What {
    /// The last line has no end: a writer was stopped in the middle, or is about to go on.
    #[error("the last record is torn: {0} bytes")]
    Torn(u64),
    /// Not a record.
    #[error("this is not a record: {0}")]
    Malformed(String),
    /// A longer line than any record.
    #[error("this is not a record: it is longer than {RECORD_BYTES_MAX} bytes")]
    TooLong,
    /// A format that is not known here.
    #[error("the record has version {0}; only {VERSION} is known")]
    Version(u8),
    /// A record of another incarnation.
    #[error("the record belongs to incarnation {0}")]
    Foreign(Uuid),
    /// The numbers have a gap or go back.
    #[error("record {found} is where record {expected} should be")]
    Order {
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The file can't be read.
    #[error("it can't be read: {0}")]
    Io(io::Error),
}

/// The incarnations of a node, oldest first, with their folders.
///
/// # Errors
/// When the folder can't be read.
pub fn incarnations(folder: &Path) -> io::Result<Vec<(Uuid, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok()) else { continue };
        // One spelling each, so that no two folders are of one incarnation.
        if entry.file_type()?.is_dir() && entry.file_name() == *id.to_string() {
            let path = entry.path();
            found.push((began(id, &path), id, path));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, id, path)| (id, path)).collect())
}

/// When an incarnation began: its first record says so, or else its id.
pub(crate) fn began(id: Uuid, directory: &Path) -> Timestamp {
    let first = Records::of_incarnation(id, directory).ok().and_then(|mut records| records.next());
    if let Some(Ok(line)) = first {
        return line.head.at;
    }
    let (seconds, nanoseconds) = id.get_timestamp().map_or((0, 0), |stamp| stamp.to_unix());
    Timestamp::new(i64::try_from(seconds).unwrap_or(0), i32::try_from(nanoseconds).unwrap_or(0)).unwrap_or_default()
}

/// The records of some segments, one at a time.
#[derive(Debug)]
pub struct Records {
    segments: VecDeque<Source>,
    reader: Option<Reader>,
    needle: Option<Vec<u8>>,
    expected: Option<u64>,
    /// A good record whose number was reported first.
    held: Option<Line>,
}

/// A segment that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whose it is.
    pub incarnation: Uuid,
    /// Where.
    pub path: PathBuf,
    /// Number of its first record.
    pub first: u64,
    /// Which try it is to begin there.
    pub again: u32,
    /// Number of its last record, once it is closed.
    pub last: Option<u64>,
    /// From this number on its records are void: the next segment has them.
    pub void_from: Option<u64>,
}

impl Records {
    /// Of all incarnations of a node, oldest first.
    ///
    /// # Errors
    /// When a folder can't be read.
    pub fn of_node(folder: &Path) -> io::Result<Self> {
        Ok(Self::of_sources(sources(folder)?))
    }

    /// Of one incarnation.
    ///
    /// # Errors
    /// When its folder can't be read.
    pub fn of_incarnation(incarnation: Uuid, directory: &Path) -> io::Result<Self> {
        Ok(Self::of_sources(segments(incarnation, directory)?))
    }

    /// Of these segments, in this order.
    #[must_use]
    pub fn of_sources(segments: Vec<Source>) -> Self {
        Self { segments: segments.into(), reader: None, needle: None, expected: None, held: None }
    }

    /// Only of lines that contain this text.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.needle = Some(text.as_bytes().to_vec());
        self
    }

    /// Where reading goes on once the segments have grown: what is read now, if anything is.
    pub(crate) fn into_reader(self) -> Option<Reader> {
        self.reader
    }

    fn check(&mut self, incarnation: Uuid, head: &Head) -> Result<(), What> {
        let expected = self.expected.replace(head.seq.saturating_add(1));
        if head.v != VERSION {
            return Err(What::Version(head.v));
        }
        if head.incarnation != incarnation {
            return Err(What::Foreign(head.incarnation));
        }
        match expected {
            Some(expected) if self.needle.is_none() && expected != head.seq => {
                Err(What::Order { expected, found: head.seq })
            }
            _ => Ok(()),
        }
    }
}

impl Iterator for Records {
    type Item = Result<Line, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(line) = self.held.take() {
            return Some(Ok(line));
        }
        loop {
            let Some(reader) = &mut self.reader else {
                let source = self.segments.pop_front()?;
                let path: Arc<Path> = source.path.as_path().into();
                if source.first == 0 {
                    self.expected = None;
                }
                match Reader::open(source) {
                    Ok(reader) => self.reader = Some(reader),
                    Err(error) => return Some(Err(Problem { file: path, line: None, what: What::Io(error) })),
                }
                continue;
            };
            let Some(read) = reader.next() else {
                if self.segments.is_empty() {
                    return None;
                }
                self.reader = None;
                continue;
            };
            let (file, line, void_from, incarnation) =
                (Arc::clone(&reader.path), reader.line, reader.source.void_from, reader.source.incarnation);
            let problem = |what| Some(Err(Problem { file: Arc::clone(&file), line: Some(line), what }));
            let bytes = match read {
                Ok(bytes) => bytes,
                Err(what) => {
                    self.expected = None;
                    return problem(what);
                }
            };
            if self.needle.as_ref().is_some_and(|needle| memmem::find(&bytes, needle).is_none()) {
                continue;
            }
            let head = match serde_json::from_slice::<Head>(&bytes) {
                Ok(head) => head,
                Err(error) => {
                    self.expected = None;
                    return problem(What::Malformed(error.to_string()));
                }
            };
            if void_from.is_some_and(|void_from| head.seq >= void_from) {
                continue;
            }
            return match self.check(incarnation, &head) {
                Ok(()) => Some(Ok(Line { head, bytes, file, line })),
                Err(what @ What::Order { .. }) => {
                    self.held = Some(Line { head, bytes, file: Arc::clone(&file), line });
                    problem(what)
                }
                Err(what) => problem(what),
            };
        }
    }
}

/// The segments of all incarnations of a node, oldest first.
///
/// # Errors
/// When a folder can't be read.
pub fn sources(folder: &Path) -> io::Result<Vec<Source>> {
    let mut all = Vec::new();
    for (incarnation, directory) in incarnations(folder)? {
        all.extend(segments(incarnation, &directory)?);
    }
    Ok(all)
}

/// The segments of an incarnation, in order.
///
/// # Errors
/// When its folder can't be read.
pub fn segments(incarnation: Uuid, directory: &Path) -> io::Result<Vec<Source>> {
    let listed = segment::list(directory)?;
    let next = listed.iter().skip(1).map(|(Name { first, .. }, _)| Some(*first)).chain([None]);
    let source = |((name, path), next): (&(Name, PathBuf), Option<u64>)| {
        let end = name.last.map(|last| last.saturating_add(1));
        let void_from = next.into_iter().chain(end).min();
        let Name { first, again, last } = *name;
        Source { incarnation, path: path.clone(), first, again, last, void_from }
    };
    Ok(listed.iter().zip(next).map(source).collect())
}

/// Reads the lines of one segment; can go on when it has grown.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) source: Source,
    path: Arc<Path>,
    file: BufReader<File>,
    offset: u64,
    line: u64,
    torn: bool,
}

impl Reader {
    pub(crate) fn open(source: Source) -> io::Result<Self> {
        let (path, file) = match File::open(&source.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => renamed(&source).ok_or(error)?,
            opened => (source.path.clone(), opened?),
        };
        let file = BufReader::with_capacity(RECORD_BYTES_MAX, file);
        Ok(Self { source, path: path.as_path().into(), file, offset: 0, line: 0, torn: false })
    }

    /// The line that was read last, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Forgets what was read ahead: the writer may take back what it was not able to write whole.
    pub(crate) fn forget_ahead(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.offset)).map(drop)
    }

    /// The next record, if it has come meanwhile and is whole.
    pub(crate) fn grown(&mut self) -> io::Result<Option<Result<Line, Problem>>> {
        if self.torn {
            self.torn = false;
            self.line -= 1;
            self.file.seek(SeekFrom::Start(self.offset))?;
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

/// A segment that was closed, and so renamed, since it was listed.
fn renamed(source: &Source) -> Option<(PathBuf, File)> {
    let listed = segment::list(source.path.parent()?).ok()?;
    let (_, path) = listed.into_iter().find(|(name, _)| name.first == source.first && name.last.is_some())?;
    File::open(&path).ok().map(|file| (path, file))
}
