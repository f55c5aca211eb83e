//! The proof that one record is in a log (C2SP tlog-proof), with the record itself in its `extra` line: it is verified
//! alone, offline, with nothing but the log's public key.

use super::{
    checkpoint::{Checkpoint, Untrusted},
    note::{NOTE_BYTES_MAX, Note, VerifierKey},
    record::{self, RECORD_BYTES_MAX},
    tree::{Hash, PROOF_HASHES_MAX, includes},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::fmt;

#[cfg(test)]
mod tests;

/// The first line of a proof.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Longest proof, in bytes: a record in base64, its hashes, a checkpoint.
pub const PROOF_BYTES_MAX: usize = RECORD_BYTES_MAX.div_ceil(3) * 4 + PROOF_HASHES_MAX * 45 + NOTE_BYTES_MAX + 256;

/// See the file's first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The record, without its newline.
    pub record: Vec<u8>,
    /// Its place in the log, from 0.
    pub index: u64,
    /// From the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// What the log's key signed.
    pub checkpoint: Note,
}

/// Why a proof proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// Not a proof.
    #[error("this is no proof: {0}")]
    Malformed(&'static str),
    /// The checkpoint does not count.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The record is not in the tree of the checkpoint.
    #[error("the record is not at index {index} of the {size} records that were signed")]
    NotIncluded {
        /// Where it should be.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// The record says that it is elsewhere.
    #[error("the record is of another log, or at another place of it, than the proof says")]
    Elsewhere,
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`Unproved::Malformed`].
    pub fn parse(text: &str) -> Result<Self, Unproved> {
        let bad = Unproved::Malformed;
        if text.len() > PROOF_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let (proof, checkpoint) = text.split_once("\n\n").ok_or(bad("no checkpoint follows"))?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(bad("its first line is another"));
        }
        let record = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(bad("it has no record"))?;
        let record = BASE64_STANDARD.decode(record).map_err(|_| bad("its record is not base64"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(bad("it has no index"))?;
        let canonical = index.bytes().all(|b| b.is_ascii_digit()) && (index == "0" || !index.starts_with('0'));
        let index = index.parse().ok().filter(|_| canonical).ok_or(bad("its index is no number"))?;
        let hashes: Vec<_> = lines.map(Hash::parse).collect::<Option<_>>().ok_or(bad("a line is no hash"))?;
        if hashes.len() > PROOF_HASHES_MAX {
            return Err(bad("it has too many hashes"));
        }
        let checkpoint = Note::parse(checkpoint).ok_or(bad("its checkpoint is no signed note"))?;
        Ok(Self { record, index, hashes, checkpoint })
    }

    /// Checks everything that it says.
    ///
    /// # Errors
    /// [`Unproved`].
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(Checkpoint, record::Head), Unproved> {
        let checkpoint = Checkpoint::open(&self.checkpoint, keys)?;
        let (index, size) = (self.index, checkpoint.head.size);
        if !includes(&Hash::of_leaf(&self.record), index, size, &self.hashes, &checkpoint.head.root) {
            return Err(Unproved::NotIncluded { index, size });
        }
        let head: record::Head =
            serde_json::from_slice(&self.record).map_err(|_| Unproved::Malformed("what it proves is no record"))?;
        let names = checkpoint.head.names() == Some((head.node.as_str(), head.incarnation));
        if names && head.seq == index { Ok((checkpoint, head)) } else { Err(Unproved::Elsewhere) }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nextra {}\nindex {}", BASE64_STANDARD.encode(&self.record), self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Takes a file of several proofs apart.
#[must_use]
pub fn split(text: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = text
        .match_indices(HEADER)
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || text.get(..*at).is_some_and(|t| t.ends_with('\n')))
        .collect();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| text.get(*start..end)).collect()
}
