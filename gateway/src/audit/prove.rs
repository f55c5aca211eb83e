//! Makes proofs of records: one pass over a log hashes every run of records that they need.

use super::{
    checkpoint::{self, Head},
    index::look,
    note::{NOTE_BYTES_MAX, Note},
    proof::Proof,
    query::{self, Line, Part, Parts, Problem},
    tree::{self, Frontier, Hash},
};
use std::{fs, io, ops::Range, path::Path};
use uuid::Uuid;

/// Why a record can't be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The log can't be read.
    #[error("the audit log can't be read: {0}")]
    Io(#[from] io::Error),
    /// The log is not as it should be.
    #[error("the audit log is damaged: {0}")]
    Damaged(#[from] Problem),
    /// The log ends before the records that are wanted.
    #[error("the log has {found} records, and {wanted} are needed")]
    Short {
        /// What is needed.
        wanted: u64,
        /// What is there.
        found: u64,
    },
    /// What is wanted lies within records that were retired.
    #[error("records {0} to {1} were retired, and what is wanted lies among them")]
    Retired(u64, u64),
    /// No such call.
    #[error("the audit log has no record of call {0}")]
    NoCall(Uuid),
    /// No checkpoint covers the record.
    #[error("record {seq} of incarnation {incarnation} is under no checkpoint yet")]
    Unsigned {
        /// Whose.
        incarnation: Uuid,
        /// Which.
        seq: u64,
    },
    /// The checkpoint is of another tree.
    #[error(
        "the records of incarnation {0} are not those that its checkpoint covers; `latchwork audit verify` says more"
    )]
    Changed(Uuid),
}

/// Hashes these runs of the first `size` records of an incarnation. Returns their hashes, and the whole tree.
///
/// # Errors
/// When the records are not all there, nor what stands for those that were retired.
pub(crate) fn hash(
    parts: Parts,
    size: u64,
    wanted: &[Vec<Range<u64>>],
) -> Result<(Vec<Vec<Hash>>, Frontier), ProveError> {
    let mut runs: Vec<Vec<Frontier>> = wanted.iter().map(|ranges| vec![Frontier::default(); ranges.len()]).collect();
    let mut tree = Frontier::default();
    for part in parts {
        if tree.size() == size {
            break;
        }
        let Part { leaves, hash, .. } = part?;
        let length = leaves.end - leaves.start;
        if leaves.start != tree.size() {
            return Err(ProveError::Short { wanted: size, found: tree.size() });
        }
        let mut fits = leaves.end <= size && tree.push_subtree(length, hash);
        for (range, run) in wanted.iter().flatten().zip(runs.iter_mut().flatten()) {
            if range.start <= leaves.start && leaves.end <= range.end {
                fits &= run.push_subtree(length, hash);
            } else if leaves.start < range.end && range.start < leaves.end {
                fits = false;
            }
        }
        if !fits {
            return Err(ProveError::Retired(leaves.start, leaves.end - 1));
        }
    }
    if tree.size() < size {
        return Err(ProveError::Short { wanted: size, found: tree.size() });
    }
    Ok((runs.iter().map(|runs| runs.iter().map(Frontier::root).collect()).collect(), tree))
}

/// Proves every record of a call, in the logs of one node.
///
/// # Errors
/// [`ProveError`].
pub fn call(folder: &Path, call: Uuid) -> Result<Vec<Proof>, ProveError> {
    let node = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut proofs = Vec::new();
    for (incarnation, directory) in query::incarnations(folder)? {
        let mut found = Vec::new();
        // A damaged line is no record of the call; whether the others are as they were, the checkpoint says.
        found.extend(look::records(&query::segments(incarnation, &directory)?, call)?.into_iter().flatten());
        if !found.is_empty() {
            proofs.extend(records(&node, incarnation, &directory, &found)?);
        }
    }
    if proofs.is_empty() { Err(ProveError::NoCall(call)) } else { Ok(proofs) }
}

fn records(node: &str, incarnation: Uuid, directory: &Path, found: &[Line]) -> Result<Vec<Proof>, ProveError> {
    let last = found.iter().map(|line| line.head.seq).max().unwrap_or(0);
    let unsigned = ProveError::Unsigned { incarnation, seq: last };
    let Some((note, head)) = newest(directory)?.filter(|(_, head)| head.size > last) else { return Err(unsigned) };
    if head.origin != checkpoint::origin(node, incarnation) {
        return Err(ProveError::Changed(incarnation));
    }
    let wanted: Vec<_> = found.iter().filter_map(|line| tree::inclusion(line.head.seq, head.size)).collect();
    let (hashes, tree) = hash(Parts::of_incarnation(incarnation, directory)?, head.size, &wanted)?;
    if tree.root() != head.root {
        return Err(ProveError::Changed(incarnation));
    }
    let proof = |(line, hashes): (&Line, Vec<Hash>)| Proof {
        record: line.bytes.clone(),
        index: line.head.seq,
        hashes,
        checkpoint: note.clone(),
    };
    Ok(found.iter().zip(hashes).map(proof).collect())
}

fn newest(directory: &Path) -> Result<Option<(Note, Head)>, ProveError> {
    let path = directory.join(checkpoint::NEWEST);
    let text = match fs::metadata(&path) {
        Ok(found) if found.len() <= NOTE_BYTES_MAX as u64 => fs::read_to_string(path)?,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let note = Note::parse(&text);
    Ok(note.and_then(|note| Head::parse(&note.text).map(|head| (note, head))))
}
