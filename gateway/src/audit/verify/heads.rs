//! The sizes at which a tree is compared: its own checkpoints, read as they are needed, and what else is known of it.

use super::{
    Expected, From,
    report::{Report, Trouble, What},
};
use crate::audit::{
    checkpoint::{ALL, COSIGNED, Checkpoint, Head, NEWEST, Notes, Untrusted},
    note::VerifierKey,
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Take},
    path::{Path, PathBuf},
};

/// See the file's first line.
pub(super) struct Heads<'a> {
    keys: &'a [VerifierKey],
    origin: String,
    files: Vec<(PathBuf, Notes<BufReader<Take<File>>>)>,
    /// The next of each file.
    own: Vec<Option<Expected>>,
    /// In order of size.
    others: std::iter::Peekable<std::vec::IntoIter<Expected>>,
    /// The first so many records are signed by a witness, too.
    pub(super) witnessed: u64,
}

impl<'a> Heads<'a> {
    pub(super) fn open(
        directory: &Path,
        origin: String,
        keys: &'a [VerifierKey],
        mut others: Vec<Expected>,
        report: &mut Report,
    ) -> Self {
        others.sort_by_key(|expected| expected.size);
        let mut files = Vec::new();
        for name in [ALL, COSIGNED, NEWEST] {
            let path = directory.join(name);
            match File::open(&path) {
                Ok(file) => {
                    // What is signed meanwhile may be of records that are not read any more.
                    let bytes = file.metadata().map_or(0, |file| file.len());
                    files.push((path, Notes::new(BufReader::new(file.take(bytes)))));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => report.problem(Trouble::of_file(&path, What::Unreadable(error.to_string()))),
            }
        }
        let own = vec![None; files.len()];
        let others = others.into_iter().peekable();
        let mut heads = Self { keys, origin, files, own, others, witnessed: 0 };
        for file in 0..heads.own.len() {
            heads.advance(file, report);
        }
        heads
    }

    /// The next that is compared at a size up to this.
    pub(super) fn next(&mut self, size: u64, report: &mut Report) -> Option<Expected> {
        for file in 0..self.own.len() {
            let due = self.own.get(file).is_some_and(|next| next.as_ref().is_some_and(|next| next.size <= size));
            if due {
                return self.advance(file, report);
            }
        }
        self.others.next_if(|next| next.size <= size)
    }

    /// Takes the next of a file and reads on.
    fn advance(&mut self, file: usize, report: &mut Report) -> Option<Expected> {
        let slot = self.own.get_mut(file)?;
        let taken = slot.take();
        let before = taken.as_ref().map_or(0, |taken| taken.size);
        let (path, notes) = self.files.get_mut(file)?;
        for found in notes.by_ref() {
            let line = found.as_ref().map_or(1, |found| found.line);
            let checked = found.map_err(|error| What::Unreadable(error.to_string())).and_then(|found| {
                if found.torn {
                    return Ok(None);
                }
                let note = found.note.ok_or_else(|| What::Checkpoint(Untrusted::Malformed.to_string()))?;
                let checked =
                    Checkpoint::open(&note, self.keys).map_err(|error| What::Checkpoint(error.to_string()))?;
                if checked.head.origin != self.origin {
                    return Err(What::Foreign(checked.head.origin));
                }
                if checked.head.size < before {
                    return Err(What::CheckpointOrder { before, found: checked.head.size });
                }
                Ok(Some(checked))
            });
            match checked {
                Ok(Some(Checkpoint { head: Head { size, root, .. }, witnesses })) => {
                    if !witnesses.is_empty() {
                        self.witnessed = self.witnessed.max(size);
                    }
                    *slot = Some(Expected { size, root, from: From::Own });
                    break;
                }
                Ok(None) => {}
                Err(what) => report.problem(Trouble { line: Some(line), ..Trouble::of_file(path, what) }),
            }
        }
        taken
    }
}
