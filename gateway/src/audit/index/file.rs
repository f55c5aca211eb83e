//! The file of an index: bound to its segment, versioned and checksummed, so that a stale or damaged one is never believed.
//!
//! `MAGIC`, the length of the head (4 bytes, little-endian), the head, the digest of all that, the parts, the whole calls.
//! The head has the digests of the other two.

use super::{Index, Reach, block::Block, is_ours};
use crate::audit::{
    query::{self, Source},
    segment,
};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// The folder of indexes, beside the segments.
pub(crate) const FOLDER: &str = "index";
/// What an index file ends in, after its segment's name.
const EXTENSION: &str = "index";
/// Another meaning of any byte, or of what is indexed, needs another last letter.
const MAGIC: &[u8; 16] = b"latchwork index1";
/// Longest head, in bytes.
const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// Room on the disk, in bytes, that is left to the log itself: below it no index is kept.
const ROOM_LEFT_MIN: u64 = 64 << 20;

type Digest = [u8; 32];

/// Which segment an index is of: another file, or another content, is another segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    incarnation: [u8; 16],
    first: u64,
    last: u64,
    bytes: u64,
    inode: u64,
    /// When its content changed last, and when anything of it did: the second can't be set back by who edits it.
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    bound: Bound,
    reach: Reach,
    parts: Part,
    whole: Part,
}

/// A part of the file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Part {
    bytes: u64,
    digest: Digest,
}

impl Bound {
    /// Of a closed segment as it lies there.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        let found = source.path.symlink_metadata().ok().filter(fs::Metadata::is_file)?;
        Some(Self {
            incarnation: source.incarnation.into_bytes(),
            first: source.first,
            last: source.last?,
            bytes: found.len(),
            inode: found.ino(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// Where the index of a segment is.
pub(crate) fn path(source: &Source) -> Option<PathBuf> {
    let mut name = OsString::from(source.path.file_name()?);
    name.push(".");
    name.push(EXTENSION);
    Some(source.path.parent()?.join(FOLDER).join(name))
}

/// The index of a segment without its whole calls, if there is one that is of what lies there.
pub(crate) fn read(source: &Source) -> Option<Index> {
    let (mut file, head, at) = open(source)?;
    let parts = part(&mut file, at, head.parts, source)?;
    Some(Index { reach: head.reach, parts, whole: None, problems: Vec::new() })
}

/// What a segment spans, likewise.
pub(crate) fn reach(source: &Source) -> Option<Reach> {
    open(source).map(|(_, head, _)| head.reach)
}

/// The whole calls of a segment, likewise.
pub(crate) fn whole(source: &Source) -> Option<Block> {
    let (mut file, head, at) = open(source)?;
    part(&mut file, at.checked_add(head.parts.bytes)?, head.whole, source)
}

/// The head of an index, and where it ends.
fn open(source: &Source) -> Option<(File, Head, u64)> {
    // A segment that the next one overlaps is read as it stands.
    if source.last?.checked_add(1) != source.void_from {
        return None;
    }
    let path = path(source)?;
    // What lies there as a link or a pipe was not left by us.
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut start = [0; MAGIC.len() + 4];
    file.read_exact(&mut start).ok()?;
    let (magic, length) = start.split_first_chunk::<{ MAGIC.len() }>()?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    if magic != MAGIC || length > HEAD_BYTES_MAX {
        return None;
    }
    let mut bytes = vec![0; length as usize];
    let mut said: Digest = [0; 32];
    file.read_exact(&mut bytes).ok()?;
    file.read_exact(&mut said).ok()?;
    if digest_of(&[&start, &bytes]) != said {
        return None;
    }
    let head: Head = postcard::from_bytes(&bytes).ok()?;
    let at = (start.len() + bytes.len() + said.len()) as u64;
    (Bound::of(source)? == head.bound).then_some((file, head, at))
}

fn part<T: DeserializeOwned + Sound>(file: &mut File, at: u64, part: Part, source: &Source) -> Option<T> {
    let length = file.metadata().ok()?.len();
    // It says less than the records themselves, and is no reason to take more memory than they would.
    if at.checked_add(part.bytes)? > length
        || length > query::plain_bytes(&source.path).ok()?.saturating_mul(2).max(1 << 20)
    {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(part.bytes).ok()?];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    if digest_of(&[&bytes]) != part.digest {
        return None;
    }
    postcard::from_bytes::<T>(&bytes).ok().filter(Sound::is_sound)
}

/// What was read must not refer to what is not there.
trait Sound {
    fn is_sound(&self) -> bool;
}

impl Sound for Block {
    fn is_sound(&self) -> bool {
        Self::is_sound(self)
    }
}

/// Keeps an index, whole or not at all.
///
/// # Errors
/// When it can't be kept: the folder is another user's, or the disk refuses or has no room to spare.
pub(crate) fn write(source: &Source, bound: &Bound, index: &Index) -> io::Result<()> {
    let none = || io::Error::from(io::ErrorKind::InvalidInput);
    let (path, whole) = (path(source).ok_or_else(none)?, index.whole.as_ref().ok_or_else(none)?);
    let (folder, directory) = (path.parent().ok_or_else(none)?, source.path.parent().ok_or_else(none)?);
    if !is_ours(directory) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let encoded = |block: &Block| postcard::to_stdvec(block).map_err(io::Error::other);
    let (parts, whole) = (encoded(&index.parts)?, encoded(whole)?);
    let head = Head { bound: bound.clone(), reach: index.reach, parts: Part::of(&parts), whole: Part::of(&whole) };
    let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
    let mut start = MAGIC.to_vec();
    start.extend(u32::try_from(head.len()).map_err(io::Error::other)?.to_le_bytes());
    let digest = digest_of(&[&start, &head]);
    let wanted = (start.len() + head.len() + digest.len() + parts.len() + whole.len()) as u64;
    if room(directory)? < ROOM_LEFT_MIN.saturating_add(wanted) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    segment::create_folder(folder)?;
    let beside = beside(&path);
    let done = save(&beside, &[&start, &head, &digest, &parts, &whole]).and_then(|()| fs::rename(&beside, &path));
    if done.is_err() {
        // If it can't be taken away either, it is one file of a name that nobody reads.
        let _ = fs::remove_file(&beside);
    }
    done
}

fn save(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// A name for a file that is being written, of this process and moment alone.
fn beside(path: &Path) -> PathBuf {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{number}.new", std::process::id()))
}

/// Takes away indexes of segments that are not there any more, and what a killed process left of one.
pub(crate) fn sweep(sources: &[Source], directory: &Path) -> io::Result<()> {
    let kept: Vec<PathBuf> = sources.iter().filter_map(path).collect();
    for entry in fs::read_dir(directory.join(FOLDER))? {
        let path = entry?.path();
        if !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Bytes that may still be written to the disk of a folder.
fn room(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl Part {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, digest: digest_of(&[bytes]) }
    }
}

fn digest_of(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; 32];
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    digest
}
