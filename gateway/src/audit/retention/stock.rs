//! What is there: the segments of a node, in its log's folder and in the archive, oldest first.

use super::plan::Place;
use crate::audit::{
    archive, packed,
    query::{self, Reader, Source},
    record::{Head, RECORD_BYTES_MAX},
    segment::{self, Name},
    tombstone,
};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// What the name of a file that is being written ends in.
pub(super) const UNFINISHED: &str = "new";

/// A closed segment.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) incarnation: Uuid,
    /// The folder of its incarnation.
    pub(crate) home: PathBuf,
    pub(crate) name: Name,
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    pub(crate) bytes: u64,
    /// When its newest record was written.
    pub(crate) newest: Timestamp,
    /// A tombstone stands for it already.
    pub(crate) retired: bool,
}

impl Stored {
    /// Which records it has.
    pub(crate) fn records(&self) -> Range<u64> {
        self.name.first..self.name.last.unwrap_or(self.name.first).saturating_add(1)
    }

    pub(crate) fn source(&self) -> Source {
        let Name { first, again, last, .. } = self.name;
        Source {
            incarnation: self.incarnation,
            path: self.path.clone(),
            first,
            again,
            last,
            void_from: None,
            after_retired: true,
            home: self.home.as_path().into(),
        }
    }
}

/// What is read once, because it does not change.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    began: HashMap<Uuid, Timestamp>,
    newest: HashMap<(Uuid, u64), Timestamp>,
}

/// See the file's first line.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) segments: Vec<Stored>,
    /// Bytes of segments that are written.
    pub(crate) open_bytes: u64,
}

impl Stock {
    /// Looks at all of a node's segments. What was being packed or moved when a keeper was killed is cleared away.
    pub(crate) fn take(node: &Path, memory: &mut Memory, clear: bool) -> io::Result<Self> {
        let mut stock = Self::default();
        let mut incarnations = Vec::new();
        for (id, home) in query::folders(node)? {
            let began = *memory.began.entry(id).or_insert_with(|| query::began(id, &home));
            incarnations.push((began, id, home));
        }
        incarnations.sort_unstable();
        for (_, id, home) in incarnations {
            stock.incarnation(id, &home, memory, clear)?;
        }
        Ok(stock)
    }

    fn incarnation(&mut self, id: Uuid, home: &Path, memory: &mut Memory, clear: bool) -> io::Result<()> {
        let elsewhere = archive::of(home);
        if clear {
            clear_away(home)?;
            elsewhere.as_deref().map_or(Ok(()), clear_away)?;
        }
        let retired: HashSet<_> = tombstone::list(home)?.into_iter().map(|(first, last, _)| (first, last)).collect();
        for (name, path) in segment::list_all(home, elsewhere.as_slice())? {
            let bytes = match path.metadata() {
                Ok(found) => found.len(),
                // The writer closed it meanwhile; it is there under its last name next time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let Some(last) = name.last else {
                self.open_bytes += bytes;
                continue;
            };
            let newest = match memory.newest.get(&(id, name.first)) {
                Some(newest) => *newest,
                None => {
                    let found = newest(&path)?;
                    memory.newest.insert((id, name.first), found);
                    found
                }
            };
            let place = if path.starts_with(home) { Place::Log } else { Place::Archive };
            let (home, retired) = (home.to_owned(), retired.contains(&(name.first, last)));
            self.segments.push(Stored { incarnation: id, home, name, path, place, bytes, newest, retired });
        }
        Ok(())
    }

    pub(crate) fn segment(&self, at: usize) -> io::Result<&Stored> {
        self.segments.get(at).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Bytes that segments take in a place.
    pub(crate) fn bytes(&self, place: Place) -> u64 {
        let closed = self.segments.iter().filter(|segment| segment.place == place).map(|segment| segment.bytes);
        closed.sum::<u64>() + if place == Place::Log { self.open_bytes } else { 0 }
    }
}

/// Removes what was not finished: a file that was being written, and a packed segment beside the one that it is of.
fn clear_away(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let unfinished = name.strip_suffix(UNFINISHED).and_then(|name| name.strip_suffix('.')).and_then(Name::parse);
        let twice = Name::parse(name)
            .is_some_and(|name| name.packed && folder.join(Name { packed: false, ..name }.file()).exists());
        if twice || unfinished.is_some_and(|name| name.packed) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// When the last record of a closed segment was written; where it has none that can be read, when its file was.
fn newest(path: &Path) -> io::Result<Timestamp> {
    let source = Source {
        incarnation: Uuid::nil(),
        path: path.to_owned(),
        first: 0,
        again: 0,
        last: None,
        void_from: None,
        after_retired: true,
        home: path.parent().unwrap_or(path).into(),
    };
    let end = match path.extension() {
        Some(extension) if extension == packed::EXTENSION => packed::Table::read(&mut fs::File::open(path)?)?.last(),
        _ => path.metadata()?.len().saturating_sub(2 * RECORD_BYTES_MAX as u64),
    };
    let mut reader = Reader::open(source)?;
    reader.seek(end, 1)?;
    let mut last = None;
    while let Some(read) = reader.next() {
        // The first of them may be the end of a record.
        last = read.ok().and_then(|bytes| serde_json::from_slice::<Head>(&bytes).ok()).or(last);
    }
    match last {
        Some(head) => Ok(head.at),
        None => Timestamp::try_from(path.metadata()?.modified()?).map_err(io::Error::other),
    }
}
