//! What an incarnation finds of the one before it, and what it does with a torn end.

use super::{
    query,
    record::{Head, Predecessor, RECORD_BYTES_MAX},
    segment::{self, LOCK, TORN},
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

/// Looks at the newest incarnation of a node other than `own`, and repairs its end unless it still runs.
pub(crate) fn predecessor(folder: &Path, own: Uuid) -> io::Result<Option<Predecessor>> {
    let Some((incarnation, directory)) = query::incarnations(folder)?.into_iter().rfind(|(id, _)| *id != own) else {
        return Ok(None);
    };
    let mut found = Predecessor { incarnation, last_seq: None, torn_bytes: 0, running: false };
    let lock = match File::open(directory.join(LOCK)) {
        Ok(lock) => Some(lock),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match lock.as_ref().map(File::try_lock) {
        None | Some(Ok(())) => {}
        Some(Err(fs::TryLockError::WouldBlock)) => {
            found.running = true;
            return Ok(Some(found));
        }
        Some(Err(fs::TryLockError::Error(error))) => return Err(error),
    }
    for (_, path) in segment::list(&directory)?.into_iter().rev() {
        let (last, torn) = mend(&path, incarnation)?;
        found.torn_bytes += torn;
        if last.is_some() {
            found.last_seq = last;
            break;
        }
    }
    Ok(Some(found))
}

/// Moves what follows the last good record into a side file; returns that record's number and the bytes moved.
fn mend(path: &Path, incarnation: Uuid) -> io::Result<(Option<u64>, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let (mut start, mut end, mut last, mut kept) = (length, Vec::new(), None, 0);
    for bytes in [END_BYTES, END_BYTES_MAX] {
        if last.is_none() && start > 0 {
            start = length.saturating_sub(bytes);
            end.clear();
            file.seek(SeekFrom::Start(start))?;
            Read::by_ref(&mut file).take(bytes).read_to_end(&mut end)?;
            (last, kept) = good(&end, incarnation);
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
fn good(end: &[u8], incarnation: Uuid) -> (Option<u64>, usize) {
    let mut good = end.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    while good > 0 {
        let lines = end.get(..good - 1).unwrap_or_default();
        let start = lines.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let line = lines.get(start..).unwrap_or_default();
        if line.len() <= RECORD_BYTES_MAX
            && let Ok(head) = serde_json::from_slice::<Head>(line)
            && head.incarnation == incarnation
        {
            return (Some(head.seq), good);
        }
        good = start;
    }
    (None, 0)
}
