//! Where checkpoints are kept: beside the log, which must work, and in other places, which should.

use crate::audit::{
    checkpoint::{ALL, COSIGNED, NEWEST},
    note::Note,
    segment,
    tree::{Frontier, Hash},
};
use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The file of the tree that the newest checkpoint signs, so that nobody has to hash the whole log for it.
const TREE: &str = "tree";
/// Longest such file, in bytes: a size and 64 hashes.
const TREE_BYTES_MAX: u64 = 4096;

/// See the file's first line.
#[derive(Debug)]
pub(crate) struct Shelf {
    log: Place,
    copies: Vec<Place>,
    newest: u64,
}

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    signed: History,
    cosigned: History,
    /// It did not work the last time.
    failed: bool,
}

/// A file of checkpoints, one after another, of sizes that only grow.
#[derive(Debug)]
struct History {
    name: &'static str,
    file: Option<File>,
    /// Length up to its last whole checkpoint.
    bytes: u64,
}

impl Shelf {
    pub(crate) fn new(log: PathBuf, copies: Vec<PathBuf>) -> Self {
        Self { log: Place::new(log), copies: copies.into_iter().map(Place::new).collect(), newest: 0 }
    }

    /// Keeps a checkpoint and the tree that it signs.
    ///
    /// # Errors
    /// When it can't be kept beside the log.
    pub(crate) fn keep(&mut self, note: &Note, tree: &Frontier) -> io::Result<()> {
        self.each(tree.size(), |place, newest| place.keep(|place| &mut place.signed, note, newest))?;
        replace(&self.log.folder, TREE, written(tree).as_bytes())
    }

    /// Keeps a checkpoint that a witness signed, too.
    ///
    /// # Errors
    /// When it can't be kept beside the log.
    pub(crate) fn keep_cosigned(&mut self, note: &Note, size: u64) -> io::Result<()> {
        self.each(size, |place, newest| place.keep(|place| &mut place.cosigned, note, newest))
    }

    fn each(&mut self, size: u64, keep: impl Fn(&mut Place, bool) -> io::Result<()>) -> io::Result<()> {
        let is_newest = size >= self.newest;
        keep(&mut self.log, is_newest)?;
        self.newest = self.newest.max(size);
        for copy in &mut self.copies {
            let kept = segment::create_folder(&copy.folder).and_then(|()| keep(copy, is_newest));
            if let Err(error) = &kept
                && !copy.failed
            {
                let folder = copy.folder.display();
                tracing::warn!(%error, %folder, "a checkpoint of the audit log can't be copied there");
            }
            copy.failed = kept.is_err();
        }
        Ok(())
    }
}

impl Place {
    fn new(folder: PathBuf) -> Self {
        let history = |name| History { name, file: None, bytes: 0 };
        Self { folder, signed: history(ALL), cosigned: history(COSIGNED), failed: false }
    }

    fn keep(&mut self, which: fn(&mut Self) -> &mut History, note: &Note, is_newest: bool) -> io::Result<()> {
        let (text, folder) = (note.to_string(), self.folder.clone());
        which(self).append(&folder, text.as_bytes())?;
        if is_newest { replace(&folder, NEWEST, text.as_bytes()) } else { Ok(()) }
    }
}

impl History {
    fn append(&mut self, folder: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(self.name))?;
                self.bytes = file.metadata()?.len();
                file
            }
        };
        // What was written in part the last time goes first.
        file.set_len(self.bytes)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        self.file = Some(file);
        written?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Writes a file whole or not at all.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(new, folder.join(name))
}

fn written(tree: &Frontier) -> String {
    let mut text = format!("{}\n", tree.size());
    for root in tree.roots() {
        // Writing to memory can't fail.
        let _ = writeln!(text, "{root}");
    }
    text
}

/// The tree that was kept in an incarnation's folder, if it is one. Nothing vouches for it but a checkpoint.
pub(crate) fn tree(folder: &Path) -> Option<Frontier> {
    let path = folder.join(TREE);
    let small = fs::metadata(&path).ok()?.len() <= TREE_BYTES_MAX;
    let text = small.then(|| fs::read_to_string(path))?.ok()?;
    let mut lines = text.lines();
    let size = lines.next()?.parse().ok()?;
    Frontier::resume(size, lines.map(Hash::parse).collect::<Option<_>>()?)
}
