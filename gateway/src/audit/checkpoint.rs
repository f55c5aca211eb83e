//! Checkpoints (C2SP tlog-checkpoint): what a log's key says its tree is, as a signed note, and files of them.

use super::{
    note::{Forged, NOTE_BYTES_MAX, Note, Role, VerifierKey},
    tree::Hash,
};
use std::{
    fmt,
    io::{self, BufRead},
};
use uuid::Uuid;

/// The file of an incarnation's newest checkpoint.
pub const NEWEST: &str = "checkpoint";
/// The file of all its checkpoints, one after another.
pub const ALL: &str = "checkpoints";
/// The file of those that a witness signed, too.
pub const COSIGNED: &str = "cosigned";
/// The file beside a node's incarnations that says what checks their signatures.
pub const VKEY: &str = "vkey";

/// The identity of an incarnation's log: which node and which incarnation, so that no two trees share it.
#[must_use]
pub fn origin(node: &str, incarnation: Uuid) -> String {
    format!("latchwork/{node}/{incarnation}")
}

/// A tree, as a checkpoint states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Head {
    /// Reads the text of a checkpoint.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let digits = !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit());
        let canonical = digits && (size == "0" || !size.starts_with('0'));
        let sound = !origin.is_empty() && canonical && lines.all(|line| !line.is_empty());
        let head = Self { origin: origin.to_owned(), size: size.parse().ok()?, root: Hash::parse(root)? };
        sound.then_some(head)
    }

    /// The node and incarnation that its origin names.
    #[must_use]
    pub fn names(&self) -> Option<(&str, Uuid)> {
        let (node, incarnation) = self.origin.strip_prefix("latchwork/")?.split_once('/')?;
        Some((node, Uuid::try_parse(incarnation).ok()?))
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

/// A checkpoint whose signatures were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What it states.
    pub head: Head,
    /// Names of the witnesses that signed it, too, and when (seconds since 1970).
    pub witnesses: Vec<(String, u64)>,
}

/// Why a checkpoint does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Not a checkpoint.
    #[error("this is no checkpoint")]
    Malformed,
    /// A signature is forged.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// No key that is trusted signed it.
    #[error("the checkpoint of size {0} is signed by no key that was given")]
    Unsigned(u64),
}

impl Checkpoint {
    /// Reads a checkpoint and checks who signed it.
    ///
    /// # Errors
    /// [`Untrusted`].
    pub fn open(note: &Note, keys: &[VerifierKey]) -> Result<Self, Untrusted> {
        let head = Head::parse(&note.text).ok_or(Untrusted::Malformed)?;
        let signed = note.signed_by(keys)?;
        if !signed.iter().any(|(key, _)| key.role() == Role::Note) {
            return Err(Untrusted::Unsigned(head.size));
        }
        let witnesses = signed.into_iter().filter_map(|(key, time)| Some((key.name().to_owned(), time?))).collect();
        Ok(Self { head, witnesses })
    }
}

/// Reads the notes of a file, one after another, in bounded memory.
#[derive(Debug)]
pub struct Notes<R> {
    reader: R,
    /// A line that was read and belongs to the next note.
    ahead: Vec<u8>,
    line: u64,
    over: bool,
}

/// A note of a file.
#[derive(Debug)]
pub struct Found {
    /// Where it begins, from 1.
    pub line: u64,
    /// The note; `None` if it is none.
    pub note: Option<Note>,
    /// Nothing comes after it, and it does not end in a whole line: its writer was stopped.
    pub torn: bool,
}

impl<R: BufRead> Notes<R> {
    /// Reads from here.
    pub fn new(reader: R) -> Self {
        Self { reader, ahead: Vec::new(), line: 0, over: false }
    }

    fn read(&mut self) -> io::Result<Found> {
        let mut bytes = std::mem::take(&mut self.ahead);
        let first = if bytes.is_empty() { self.line + 1 } else { self.line };
        let mut signed = false;
        loop {
            let mut line = Vec::new();
            let left = (NOTE_BYTES_MAX + 1).saturating_sub(bytes.len()) as u64;
            io::Read::take(&mut self.reader, left).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                self.over = true;
                break;
            }
            self.line += 1;
            let signature = line.starts_with("\u{2014}".as_bytes());
            if signed && !signature {
                self.ahead = line;
                break;
            }
            signed |= signature;
            bytes.extend_from_slice(&line);
            if bytes.len() > NOTE_BYTES_MAX {
                self.over = true;
                break;
            }
        }
        let torn = self.over && bytes.len() <= NOTE_BYTES_MAX && (!signed || !bytes.ends_with(b"\n"));
        let note = std::str::from_utf8(&bytes).ok().and_then(Note::parse);
        Ok(Found { line: first, note, torn })
    }
}

impl<R: BufRead> Iterator for Notes<R> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        if self.ahead.is_empty() {
            match self.reader.fill_buf() {
                Ok([]) => return None,
                Ok(_) => {}
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        Some(self.read().inspect_err(|_| self.over = true))
    }
}
