//! Segments: the files of a log, what they are called, and what the writer does with a disk.

use super::packed;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Digits of the first sequence number in a segment's name, so that names sort.
const DIGITS: usize = 12;
/// What segments end in.
const EXTENSION: &str = "jsonl";
/// What the lock of an incarnation's folder is called.
pub(crate) const LOCK: &str = "lock";
/// Where a torn tail goes, besides the segment's name.
pub(crate) const TORN: &str = "torn";

/// What the writer needs of a disk. The tests have one that is slow, full or broken.
pub(crate) trait Disk: Send {
    /// Creates an empty segment, durably if the log is.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Segment>>;
    /// Takes a segment without a record away again.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Gives a segment its last name.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Whether what is written still has a name on the disk.
    fn is_there(&mut self, name: &str) -> bool;
}

/// An open segment.
pub(crate) trait Segment: Send {
    /// Writes all of it at the end; after an error any part may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the end off, and gives room beyond it back.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
    /// Returns once what was written survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// Takes room from `from` on, without changing the length.
    fn reserve(&mut self, from: u64, bytes: u64) -> io::Result<()>;
    /// Another handle, to sync from another thread.
    fn twin(&self) -> io::Result<Box<dyn Segment>>;
}

/// Which segment: its first sequence number, which try it is to begin there, its last number once it is closed, and
/// whether it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) first: u64,
    pub(crate) again: u32,
    pub(crate) last: Option<u64>,
    pub(crate) packed: bool,
}

impl Name {
    /// A segment that is being written.
    pub(crate) fn open(first: u64, again: u32) -> Self {
        Self { first, again, last: None, packed: false }
    }

    /// `000000000042-000000000099.jsonl` once it is closed, with `.zst` once it is packed, `000000000042.jsonl` before;
    /// `000000000042.1.jsonl` when the latter had to be abandoned before its first record.
    pub(crate) fn file(self) -> String {
        let Self { first, again, last, packed } = self;
        match (last, again) {
            (Some(last), _) if packed => {
                format!("{first:0DIGITS$}-{last:0DIGITS$}.{EXTENSION}.{}", packed::EXTENSION)
            }
            (Some(last), _) => format!("{first:0DIGITS$}-{last:0DIGITS$}.{EXTENSION}"),
            (None, 0) => format!("{first:0DIGITS$}.{EXTENSION}"),
            (None, again) => format!("{first:0DIGITS$}.{again}.{EXTENSION}"),
        }
    }

    pub(crate) fn parse(file: &str) -> Option<Self> {
        let plain = file.strip_suffix(packed::EXTENSION).and_then(|plain| plain.strip_suffix('.'));
        let stem = plain.unwrap_or(file).strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let name = match (stem.split_once('-'), stem.split_once('.')) {
            (Some((first, last)), None) => {
                let (last, packed) = (Some(last.parse().ok()?), plain.is_some());
                Self { last, packed, ..Self::open(first.parse().ok()?, 0) }
            }
            (None, Some((first, again))) => Self::open(first.parse().ok()?, again.parse().ok()?),
            (None, None) => Self::open(stem.parse().ok()?, 0),
            (Some(_), Some(_)) => return None,
        };
        // One spelling each: what is spelled otherwise was not named by the writer.
        let sound = name.last.is_none_or(|last| last >= name.first);
        (sound && name.file() == file).then_some(name)
    }
}

/// The segments of an incarnation's folder, in order: files only, so that no link leads elsewhere.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<(Name, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().and_then(Name::parse)
            && entry.file_type()?.is_file()
        {
            segments.push((name, entry.path()));
        }
    }
    segments.sort_unstable();
    // While a segment is packed it is there twice, and one that is read goes before the other.
    segments.dedup_by_key(|(name, _)| Name { packed: false, ..*name });
    Ok(segments)
}

/// The segments of an incarnation's folder and of others that have some of it, in order. One that is in several, because
/// it was being moved, counts where it is first.
pub(crate) fn list_all(directory: &Path, others: &[PathBuf]) -> io::Result<Vec<(Name, PathBuf)>> {
    let mut segments = list(directory)?;
    for other in others {
        match list(other) {
            Ok(more) => segments.extend(more),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let same = |name: &Name| Name { packed: false, ..*name };
    segments.sort_by_key(|(name, _)| same(name));
    segments.dedup_by_key(|(name, _)| same(name));
    Ok(segments)
}

/// Creates a folder that only its owner may enter, and those above it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes names in a folder survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates a file that only its owner may read; it is an error if it exists.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).read(true).create_new(true).mode(0o600).open(path)
}

/// The folder of an incarnation.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    durable: bool,
}

impl Folder {
    pub(crate) fn new(path: PathBuf, durable: bool) -> Self {
        Self { path, durable }
    }
}

impl Disk for Folder {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Segment>> {
        let path = self.path.join(name);
        let file = create_file(&path)?;
        if self.durable
            && let Err(error) = sync_folder(&self.path)
        {
            fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(Box::new(file))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))?;
        if self.durable { sync_folder(&self.path) } else { Ok(()) }
    }

    fn is_there(&mut self, name: &str) -> bool {
        self.path.join(name).symlink_metadata().is_ok()
    }
}

impl Segment for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn reserve(&mut self, from: u64, bytes: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&*self, rustix::fs::FallocateFlags::KEEP_SIZE, from, bytes)?)
    }

    fn twin(&self) -> io::Result<Box<dyn Segment>> {
        Ok(Box::new(self.try_clone()?))
    }
}
