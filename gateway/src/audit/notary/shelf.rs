//! Where checkpoints are kept: beside the log, which must work, and in other places, which should.

use crate::audit::{
    checkpoint::{ALL, NEWEST},
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
    all: Option<File>,
    /// Length of `all` up to its last whole checkpoint.
    bytes: u64,
    /// It did not work the last time.
    failed: bool,
}

impl Shelf {
    pub(crate) fn new(log: PathBuf, copies: Vec<PathBuf>) -> Self {
        let place = |folder| Place { folder, all: None, bytes: 0, failed: false };
        Self { log: place(log), copies: copies.into_iter().map(place).collect(), newest: 0 }
    }

    /// Keeps a checkpoint of this size, and the tree that it signs unless that is kept already.
    ///
    /// # Errors
    /// When it can't be kept beside the log.
    pub(crate) fn keep(&mut self, note: &Note, size: u64, tree: Option<&Frontier>) -> io::Result<()> {
        let is_newest = size >= self.newest;
        let text = note.to_string();
        self.log.keep(&text, is_newest)?;
        if let Some(tree) = tree {
            replace(&self.log.folder, TREE, written(tree).as_bytes())?;
        }
        self.newest = self.newest.max(size);
        for copy in &mut self.copies {
            let kept = segment::create_folder(&copy.folder).and_then(|()| copy.keep(&text, is_newest));
            match &kept {
                Err(error) if !copy.failed => {
                    let folder = copy.folder.display();
                    tracing::warn!(%error, %folder, "a checkpoint of the audit log can't be copied there");
                }
                _ => {}
            }
            copy.failed = kept.is_err();
        }
        Ok(())
    }
}

impl Place {
    fn keep(&mut self, text: &str, is_newest: bool) -> io::Result<()> {
        let mut all = match self.all.take() {
            Some(all) => all,
            None => {
                let path = self.folder.join(ALL);
                let all = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
                self.bytes = all.metadata()?.len();
                all
            }
        };
        // What was written in part the last time goes first.
        all.set_len(self.bytes)?;
        let written = all.write_all(text.as_bytes()).and_then(|()| all.sync_data());
        self.all = Some(all);
        written?;
        self.bytes += text.len() as u64;
        if is_newest { replace(&self.folder, NEWEST, text.as_bytes()) } else { Ok(()) }
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
