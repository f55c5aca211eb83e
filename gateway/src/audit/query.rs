//! Reading a log: its records in order, one at a time, whatever state its files are in.

use super::{
    archive,
    record::{Body, Head, RECORD_BYTES_MAX, VERSION},
    segment::{self, Name},
    tombstone,
};
use jiff::Timestamp;
use memchr::memmem;
use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

mod parts;
mod reader;
mod seek;

pub(crate) use parts::{Part, Parts};
pub(crate) use reader::{Reader, plain_bytes};

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
    let dated = |(id, path): (Uuid, PathBuf)| (began(id, &path), id, path);
    let mut found: Vec<_> = folders(folder)?.into_iter().map(dated).collect();
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, id, path)| (id, path)).collect())
}

/// The same in no particular order.
pub(crate) fn folders(folder: &Path) -> io::Result<Vec<(Uuid, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok()) else { continue };
        // One spelling each, so that no two folders are of one incarnation.
        if entry.file_type()?.is_dir() && entry.file_name() == *id.to_string() {
            found.push((id, entry.path()));
        }
    }
    Ok(found)
}

/// When an incarnation began: its first record says so, or else its id.
pub(crate) fn began(id: Uuid, directory: &Path) -> Timestamp {
    if let Some((head, _)) = beginning(id, directory, archive::of(directory).as_slice()) {
        return head.at;
    }
    let (seconds, nanoseconds) = id.get_timestamp().map_or((0, 0), |stamp| stamp.to_unix());
    Timestamp::new(i64::try_from(seconds).unwrap_or(0), i32::try_from(nanoseconds).unwrap_or(0)).unwrap_or_default()
}

/// The first record of an incarnation whose segments are in these folders; if it was retired, its tombstone has it.
pub(crate) fn beginning(id: Uuid, directory: &Path, others: &[PathBuf]) -> Option<(Head, Vec<u8>)> {
    let mut sources = segments_in(id, directory, others).ok()?;
    sources.truncate(1);
    let first = Records::of_sources(sources).next().and_then(Result::ok);
    if first.as_ref().is_none_or(|line| line.head.seq != 0)
        && let Some((first, last, path)) = tombstone::list(directory).ok()?.into_iter().next()
        && let Some(record) = tombstone::claimed(&path, first, last)?.beginning
    {
        return Some((serde_json::from_str(&record).ok()?, record.into_bytes()));
    }
    first.map(|line| (line.head, line.bytes))
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
    /// What came directly before it was retired: tombstones say so.
    pub after_retired: bool,
    /// The folder of its incarnation, wherever it is itself.
    pub home: Arc<Path>,
}

impl Source {
    /// How many bytes of records it has, packed or not.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn bytes(&self) -> io::Result<u64> {
        plain_bytes(&self.path)
    }

    /// The file of the tombstone that would stand for it.
    fn tombstone(&self) -> Option<PathBuf> {
        Some(self.home.join(tombstone::file(self.first, self.last?)))
    }
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
                let (path, retired): (Arc<Path>, _) = (source.path.as_path().into(), source.tombstone());
                if source.first == 0 || source.after_retired {
                    self.expected = None;
                }
                match Reader::open(source) {
                    Ok(reader) => self.reader = Some(reader),
                    // It was retired since it was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound && retired.is_some_and(|t| t.exists()) => {
                        self.expected = None;
                    }
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
    segments_in(incarnation, directory, archive::of(directory).as_slice())
}

/// The segments of an incarnation that are in its folder or in one of the others.
pub(crate) fn segments_in(incarnation: Uuid, directory: &Path, others: &[PathBuf]) -> io::Result<Vec<Source>> {
    let listed = segment::list_all(directory, others)?;
    let next = listed.iter().skip(1).map(|(Name { first, .. }, _)| Some(*first)).chain([None]);
    let retired = tombstone::list(directory)?;
    let home: Arc<Path> = directory.into();
    let source = |((name, path), next): (&(Name, PathBuf), Option<u64>)| {
        let end = name.last.map(|last| last.saturating_add(1));
        let void_from = next.into_iter().chain(end).min();
        let Name { first, again, last, packed: _ } = *name;
        let after_retired = retired.iter().any(|(_, last, _)| last.checked_add(1) == Some(first));
        let home = Arc::clone(&home);
        Source { incarnation, path: path.clone(), first, again, last, void_from, after_retired, home }
    };
    Ok(listed.iter().zip(next).map(source).collect())
}

/// Where segments are missing among these, which are in order: neither they are there, nor anything that stands for them.
pub(crate) fn missing(sources: &[Source]) -> impl Iterator<Item = Problem> {
    let before = std::iter::once(None).chain(sources.iter().map(Some));
    sources.iter().zip(before).filter_map(|(source, before)| {
        let before = before.filter(|before| before.incarnation == source.incarnation);
        // What was not closed ends where the next one begins.
        let expected = before.map_or(Some(0), |before| before.last?.checked_add(1))?;
        let is_missing = source.first > expected && !source.after_retired;
        let what = What::Order { expected, found: source.first };
        is_missing.then(|| Problem { file: source.path.as_path().into(), line: None, what })
    })
}
