//! Tombstones: what stands for a segment that was removed, as a note that the log's key signed.
//!
//! A tombstone says which records were removed, when and by which rule, and has the hashes of the complete subtrees over
//! them (RFC 9162 §2.1), so that the root of every tree that has all of them can still be computed. A record that began
//! an incarnation stays in it, because it is what ties that incarnation to the one before.

use super::{
    note::{Forged, NOTE_BYTES_MAX, Note, Role, VerifierKey},
    signer::Signer,
    tree::{Hash, subtrees},
};
use jiff::Timestamp;
use std::{
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

/// The first line of a tombstone; no checkpoint begins so and goes on like one.
const HEADER: &str = "latchwork-tombstone/v1";
/// What tombstones' names end in.
const EXTENSION: &str = "tombstone";
/// Digits of a sequence number in a name, as in segments' names.
const DIGITS: usize = 12;
/// Longest record of a beginning that a tombstone keeps; an incarnation with a longer one keeps its first segment.
pub(crate) const BEGINNING_BYTES_MAX: usize = 32 * 1024;
/// Largest sequence number that there can be.
const SEQ_MAX: u64 = 1 << 62;

/// See the file's first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Whose records they were, as checkpoints name it.
    pub origin: String,
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// When the first and the last of them were written.
    pub times: (Timestamp, Timestamp),
    /// When they were removed.
    pub at: Timestamp,
    /// By which rule.
    pub rule: String,
    /// The first record of the incarnation, if it is one of them.
    pub beginning: Option<String>,
    /// The hashes of the subtrees over the others.
    pub hashes: Vec<Hash>,
}

/// Why a tombstone does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// Not a tombstone.
    #[error("this is no tombstone")]
    Malformed,
    /// A signature is forged.
    #[error("the tombstone does not count: {0}")]
    Forged(#[from] Forged),
    /// No key that is trusted signed it.
    #[error("the tombstone does not count: it is signed by no key that was given")]
    Unsigned,
    /// It is of another log.
    #[error("the tombstone is of `{0}`, another log")]
    Foreign(String),
    /// Its name says other records.
    #[error("the tombstone is of records {first} to {last}, and its name says others")]
    Misnamed {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}

/// Over which runs of leaves a tombstone of these records has hashes.
pub(crate) fn runs(first: u64, last: u64) -> Vec<Range<u64>> {
    subtrees(first.max(1)..last.saturating_add(1))
}

impl Tombstone {
    /// Reads the text of a tombstone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next().filter(|header| *header == HEADER).and_then(|_| lines.next())?.to_owned();
        let (first, last) = lines.next()?.strip_prefix("records ")?.split_once('-')?;
        let (from, to) = lines.next()?.strip_prefix("times ")?.split_once(' ')?;
        let at = lines.next()?.strip_prefix("at ")?.parse().ok()?;
        let rule = lines.next()?.strip_prefix("rule ")?.to_owned();
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let beginning = if first == 0 { Some(lines.next()?.strip_prefix("beginning ")?.to_owned()) } else { None };
        let hashes: Vec<_> = lines.map(Hash::parse).collect::<Option<_>>()?;
        let times = (from.parse().ok()?, to.parse().ok()?);
        let read = Self { origin, first, last, times, at, rule, beginning, hashes };
        let sound = first <= last && last < SEQ_MAX && read.hashes.len() == runs(first, last).len();
        // One spelling each.
        (sound && read.to_string() == text).then_some(read)
    }

    /// Reads a note and checks who signed it.
    ///
    /// # Errors
    /// [`Void`].
    pub fn open(note: &Note, keys: &[VerifierKey]) -> Result<Self, Void> {
        let read = Self::parse(&note.text).ok_or(Void::Malformed)?;
        let signed = note.signed_by(keys)?;
        if signed.iter().any(|(key, _)| key.role() == Role::Note) { Ok(read) } else { Err(Void::Unsigned) }
    }

    /// Signs it.
    ///
    /// # Errors
    /// When the key can't be used now, or it is too long for a note.
    pub(crate) fn signed(&self, signer: &dyn Signer) -> io::Result<Note> {
        let text = self.to_string();
        let note = Note { signatures: vec![signer.sign(text.as_bytes())?], text };
        if Note::parse(&note.to_string()).as_ref() == Some(&note) {
            Ok(note)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// The number after the last.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.last.saturating_add(1)
    }

    /// The subtrees that it stands for, in order, with their hashes.
    #[must_use]
    pub fn subtrees(&self) -> Vec<(Range<u64>, Hash)> {
        let beginning = self.beginning.as_ref().map(|record| (0..1, Hash::of_leaf(record.as_bytes())));
        let others = runs(self.first, self.last).into_iter().zip(self.hashes.iter().copied());
        beginning.into_iter().chain(others).collect()
    }

    /// What its file is called.
    #[must_use]
    pub fn file(&self) -> String {
        file(self.first, self.last)
    }
}

impl fmt::Display for Tombstone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, first, last, times: (from, to), at, rule, .. } = self;
        writeln!(f, "{HEADER}\n{origin}\nrecords {first}-{last}\ntimes {from:.6} {to:.6}\nat {at:.6}\nrule {rule}")?;
        if let Some(beginning) = &self.beginning {
            writeln!(f, "beginning {beginning}")?;
        }
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))
    }
}

pub(crate) fn file(first: u64, last: u64) -> String {
    format!("{first:0DIGITS$}-{last:0DIGITS$}.{EXTENSION}")
}

/// The tombstones of an incarnation's folder by their names, in order: the first and the last record, and the file.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<(u64, u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.'));
        let numbers = stem.and_then(|stem| stem.split_once('-'));
        let numbers = numbers.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        if let Some((first, last)) = numbers
            && name == *file(first, last)
            && entry.file_type()?.is_file()
        {
            found.push((first, last, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The note in a file, if it is one.
///
/// # Errors
/// When it can't be read.
pub(crate) fn note(path: &Path) -> io::Result<Option<Note>> {
    if path.metadata()?.len() > NOTE_BYTES_MAX as u64 {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    Ok(std::str::from_utf8(&bytes).ok().and_then(Note::parse))
}

/// The tombstone in a file of this name, signed by whomever: for readers, who are not told what to trust.
pub(crate) fn claimed(path: &Path, first: u64, last: u64) -> Option<Tombstone> {
    let found = Tombstone::parse(&note(path).ok()??.text)?;
    (found.first == first && found.last == last).then_some(found)
}

/// All that an incarnation's folder has, likewise.
pub(crate) fn all(directory: &Path) -> io::Result<Vec<Tombstone>> {
    let listed = list(directory)?;
    Ok(listed.iter().filter_map(|(first, last, path)| claimed(path, *first, *last)).collect())
}
