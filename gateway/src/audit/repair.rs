//! What an incarnation finds of those before it: torn ends are set aside, segments closed, and their trees cited.

use super::{
    checkpoint::{self, Checkpoint},
    notary::shelf,
    note::{Note, VerifierKey},
    query::{self, Part, Parts},
    record::{Head, Predecessor, RECORD_BYTES_MAX, Tree},
    segment::{self, LOCK, Name, TORN},
    tombstone,
    tree::Frontier,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use uuid::Uuid;

/// How much of a segment's end is looked at first.
const END_BYTES: u64 = 1024 * 1024;
/// How much is looked at if that holds no good record; a torn end is shorter than one batch of records.
const END_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Closes every incarnation of a node, other than `own`, that nobody closed and nobody writes. Returns the newest of
/// all, and the others that were closed here.
pub(crate) fn all(
    folder: &Path,
    node: &str,
    own: Uuid,
    keys: &[VerifierKey],
) -> io::Result<(Option<Predecessor>, Vec<Predecessor>)> {
    let mut incarnations = query::incarnations(folder)?;
    incarnations.retain(|(incarnation, _)| *incarnation != own);
    let Some((newest, directory)) = incarnations.pop() else { return Ok((None, Vec::new())) };
    let mut others = Vec::new();
    for (incarnation, directory) in incarnations {
        let is_open = segment::list(&directory)?.iter().any(|(name, _)| name.last.is_none());
        if is_open {
            others.push(close(&directory, node, incarnation, keys)?);
        }
    }
    others.retain(|other| !other.running);
    Ok((Some(close(&directory, node, newest, keys)?), others))
}

/// Closes an incarnation unless it still runs, and says what is there.
fn close(directory: &Path, node: &str, incarnation: Uuid, keys: &[VerifierKey]) -> io::Result<Predecessor> {
    let newest = newest(directory, keys).filter(|c| c.head.origin == checkpoint::origin(node, incarnation));
    let checkpoint = newest.as_ref().map(|c| Tree { size: c.head.size, root: c.head.root.to_string() });
    let mut found = Predecessor {
        incarnation,
        last_seq: None,
        torn_bytes: 0,
        running: false,
        tree: None,
        checkpoint,
        problem: None,
    };
    let lock = match File::open(directory.join(LOCK)) {
        Ok(lock) => Some(lock),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match lock.as_ref().map(File::try_lock) {
        None | Some(Ok(())) => {}
        Some(Err(fs::TryLockError::WouldBlock)) => {
            found.running = true;
            return Ok(found);
        }
        Some(Err(fs::TryLockError::Error(error))) => return Err(error),
    }
    let mut next = None;
    for (name, path) in segment::list(directory)?.into_iter().rev() {
        let last = match name.last {
            Some(last) => Some(last),
            None => {
                let (last, torn) = mend(&path, incarnation, next)?;
                found.torn_bytes += torn;
                settle(&path, name, last)?;
                last
            }
        };
        if last.is_some() {
            found.last_seq = found.last_seq.or(last);
            next = Some(name.first);
        }
    }
    segment::sync_folder(directory)?;
    let elsewhere = query::segments(incarnation, directory)?.into_iter().filter_map(|source| source.last);
    let retired = tombstone::list(directory)?.into_iter().map(|(_, last, _)| last);
    found.last_seq = elsewhere.chain(retired).chain(found.last_seq).max();
    let size = found.last_seq.map_or(0, |last| last + 1);
    match tree(directory, incarnation, size, newest.as_ref()) {
        Ok(tree) => found.tree = Some(Tree { size, root: tree.root().to_string() }),
        Err(problem) => {
            tracing::error!(problem, %incarnation, "the audit log before this one is not as it was signed");
            found.problem = Some(problem);
        }
    }
    Ok(found)
}

/// Gives a segment its last name; one without a record goes.
fn settle(path: &Path, name: Name, last: Option<u64>) -> io::Result<()> {
    match last {
        None => fs::remove_file(path),
        Some(_) => fs::rename(path, path.with_file_name(Name { last, ..name }.file())),
    }
}

/// The newest checkpoint of an incarnation, if its signature is good.
fn newest(directory: &Path, keys: &[VerifierKey]) -> Option<Checkpoint> {
    let path = directory.join(checkpoint::NEWEST);
    let small = fs::metadata(&path).ok()?.len() <= super::note::NOTE_BYTES_MAX as u64;
    let note = Note::parse(&small.then(|| fs::read_to_string(path))?.ok()?)?;
    Checkpoint::open(&note, keys).ok()
}

/// The tree over the records of an incarnation, which must be as the checkpoint says. What the checkpoint covers is not
/// read again if the tree of that size was kept.
fn tree(directory: &Path, incarnation: Uuid, size: u64, signed: Option<&Checkpoint>) -> Result<Frontier, String> {
    let signed = signed.map(|signed| &signed.head);
    if let Some(head) = signed.filter(|head| head.size > size) {
        return Err(format!("a checkpoint covers {} records, and {size} are there", head.size));
    }
    let is_signed = |tree: &Frontier| signed.is_none_or(|head| head.size != tree.size() || head.root == tree.root());
    let kept = shelf::tree(directory).filter(|kept| signed.is_some_and(|s| s.size == kept.size()) && is_signed(kept));
    let mut tree = kept.unwrap_or_default();
    let unreadable = |error: io::Error| error.to_string();
    let mut sources = query::segments(incarnation, directory).map_err(unreadable)?;
    sources.retain(|source| source.last.is_none_or(|last| last >= tree.size()));
    let mut retired = tombstone::all(directory).map_err(unreadable)?;
    retired.retain(|tombstone| tombstone.first >= tree.size());
    for part in Parts::new(sources, retired, tree.size()) {
        let Part { leaves, hash, .. } = part.map_err(|problem| problem.to_string())?;
        if leaves.end <= tree.size() {
            continue;
        }
        if leaves.start != tree.size() || !tree.push_subtree(leaves.end - leaves.start, hash) {
            return Err(format!("record {} is missing", tree.size()));
        }
        if !is_signed(&tree) {
            return Err(format!("the first {} records are not those that were signed", tree.size()));
        }
    }
    if tree.size() == size { Ok(tree) } else { Err(format!("record {} is missing", tree.size())) }
}

/// Moves what follows the last good record below `next` into a side file; returns that record's number and the bytes
/// moved.
fn mend(path: &Path, incarnation: Uuid, next: Option<u64>) -> io::Result<(Option<u64>, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let (mut start, mut end, mut last, mut kept) = (length, Vec::new(), None, 0);
    for bytes in [END_BYTES, END_BYTES_MAX] {
        if last.is_none() && start > 0 {
            start = length.saturating_sub(bytes);
            end.clear();
            file.seek(SeekFrom::Start(start))?;
            Read::by_ref(&mut file).take(bytes).read_to_end(&mut end)?;
            (last, kept) = good(&end, incarnation, next);
        }
    }
    let torn = end.get(kept..).unwrap_or_default();
    if !torn.is_empty() {
        let mut side = path.as_os_str().to_owned();
        side.push(".");
        side.push(TORN);
        let mut side = OpenOptions::new().append(true).create(true).mode(0o600).open(side)?;
        side.write_all(torn)?;
        side.sync_all()?;
    }
    // This gives room that was reserved beyond the end back, too.
    file.set_len(start + kept as u64)?;
    file.sync_all()?;
    Ok((last, torn.len() as u64))
}

/// The number of the last good record, and where it ends.
fn good(end: &[u8], incarnation: Uuid, next: Option<u64>) -> (Option<u64>, usize) {
    let mut good = end.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    while good > 0 {
        let lines = end.get(..good - 1).unwrap_or_default();
        let start = lines.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let line = lines.get(start..).unwrap_or_default();
        if line.len() <= RECORD_BYTES_MAX
            && let Ok(head) = serde_json::from_slice::<Head>(line)
            && head.incarnation == incarnation
            && next.is_none_or(|next| head.seq < next)
        {
            return (Some(head.seq), good);
        }
        good = start;
    }
    (None, 0)
}
