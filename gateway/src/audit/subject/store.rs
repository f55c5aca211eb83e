//! Where the wrapped keys of subjects are kept: beside the log and never in it, one small file each.

use super::{
    Auditor,
    hold::{Change, Hold, Holds, Unchanged},
    seal::{SubjectKey, Wrapped},
};
use crate::{audit::segment, state::State};
use aws_lc_rs::digest;
use quick_cache::sync::Cache;
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The folder beside the incarnations of a node.
pub const FOLDER: &str = "subjects";
/// Most keys that are in use at once; a subject whose key was put away gets another one.
const KEYS_MAX: usize = 65_536;
/// Longest file of a wrapped key, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// Longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 4 * 1024;
const KEYS: &str = "keys";
const ERASING: &str = "erasing";
const HOLDS: &str = "holds.json";
const KEY_SUFFIX: &str = ".key";

/// The keys of all subjects of a node, what is on hold, and what is being erased.
#[derive(Debug)]
pub struct Subjects {
    folder: PathBuf,
    auditor: Option<Auditor>,
    used: Cache<Arc<str>, Arc<SubjectKey>>,
    holds: Mutex<Holds>,
    /// Held while keys are made or destroyed, so that none is made behind an erasure's back.
    changing: Mutex<()>,
}

impl Subjects {
    /// The subjects of a node whose log is in this folder. Nothing is written until there is something to keep.
    ///
    /// # Errors
    /// When what is kept can't be read.
    pub fn open(node: &Path, auditor: Option<Auditor>) -> io::Result<Self> {
        let folder = node.join(FOLDER);
        let holds = State::at(&folder).read(HOLDS)?.unwrap_or_default();
        let (used, changing) = (Cache::new(KEYS_MAX), Mutex::new(()));
        Ok(Self { folder, auditor, used, holds: Mutex::new(holds), changing })
    }

    /// The folder of the node's log.
    pub(super) fn node(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// Whether anything can be encrypted.
    #[must_use]
    pub fn encrypts(&self) -> bool {
        self.auditor.is_some()
    }

    /// A subject's key, if it is in use already.
    pub(crate) fn used(&self, subject: &str) -> Option<Arc<SubjectKey>> {
        self.used.get(subject)
    }

    /// A subject's key; one is made and kept durably where there is none in use. Blocks.
    pub(crate) fn key(&self, subject: &str) -> io::Result<Arc<SubjectKey>> {
        let auditor = self.auditor.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let _changing = lock(&self.changing);
        if let Some(key) = self.used.get(subject) {
            return Ok(key);
        }
        let (key, wrapped) = SubjectKey::generate(subject, auditor).map_err(io::Error::other)?;
        let (shard, name) = self.place(subject);
        self.make(&shard)?;
        let path = shard.join(format!("{name}-{}{KEY_SUFFIX}", wrapped.id));
        let mut file = segment::create_file(&path)?;
        file.write_all(&serde_json::to_vec(&wrapped)?)?;
        file.sync_all()?;
        segment::sync_folder(&shard)?;
        let key = Arc::new(key);
        self.used.insert(subject.into(), key.clone());
        Ok(key)
    }

    /// The wrapped keys of a subject. Blocks.
    ///
    /// # Errors
    /// When the disk refuses, or a file is no key.
    pub fn wrapped(&self, subject: &str) -> io::Result<Vec<Wrapped>> {
        let mut found = Vec::new();
        for path in self.files(subject)? {
            let bytes = match fs::metadata(&path)?.len() {
                0..=FILE_BYTES_MAX => fs::read(&path)?,
                _ => return Err(io::ErrorKind::FileTooLarge.into()),
            };
            // A key that was being made when the gateway was killed: nothing was encrypted with it.
            if let Ok(wrapped) = serde_json::from_slice(&bytes) {
                found.push(wrapped);
            }
        }
        Ok(found)
    }

    /// Notes durably that a subject is to be erased, so that it is finished even after a crash. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin_erasing(&self, subject: &str) -> io::Result<()> {
        let folder = self.folder.join(ERASING);
        self.make(&folder)?;
        crate::state::replace(&folder.join(digest_of(subject)), subject.as_bytes(), 0o600)?;
        segment::sync_folder(&folder)
    }

    /// Takes back what [`Subjects::begin_erasing`] noted. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn abandon_erasing(&self, subject: &str) -> io::Result<()> {
        let folder = self.folder.join(ERASING);
        gone(fs::remove_file(folder.join(digest_of(subject))))?;
        segment::sync_folder(&folder)
    }

    /// Destroys the keys of a subject, durably, and says how many there were; or that it is on hold. Blocks.
    ///
    /// # Errors
    /// When the disk refuses: some may be left, and it can be done again.
    pub fn erase(&self, subject: &str) -> io::Result<Result<usize, Hold>> {
        // Until it is over nothing is put on hold: a hold that is answered for has come in time.
        let holds = lock(&self.holds);
        if let Some(hold) = holds.on(subject) {
            let hold = hold.clone();
            drop(holds);
            self.abandon_erasing(subject)?;
            return Ok(Err(hold));
        }
        let changing = lock(&self.changing);
        self.used.remove(subject);
        let files = self.files(subject)?;
        for path in &files {
            gone(fs::remove_file(path))?;
        }
        if !files.is_empty() {
            segment::sync_folder(&self.place(subject).0)?;
        }
        drop((changing, holds));
        self.abandon_erasing(subject)?;
        Ok(Ok(files.len()))
    }

    /// The subjects whose erasure was noted and is not finished. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn erasing(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.folder.join(ERASING)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut subjects = Vec::new();
        for entry in entries {
            let entry = entry?;
            // What a killed writer left beside it is not the note itself.
            let subject = fs::read_to_string(entry.path()).unwrap_or_default();
            if entry.file_name().to_str() == Some(&digest_of(&subject)) {
                subjects.push(subject);
            }
        }
        Ok(subjects)
    }

    /// What is on hold.
    #[must_use]
    pub fn holds(&self) -> Holds {
        lock(&self.holds).clone()
    }

    /// What would be on hold after a change.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn would_hold(&self, change: &Change) -> Result<Holds, Unchanged> {
        lock(&self.holds).changed(change)
    }

    /// Keeps a change of what is on hold, durably. Blocks.
    ///
    /// # Errors
    /// When the disk refuses; then nothing has changed.
    pub fn hold(&self, change: &Change) -> io::Result<()> {
        let mut holds = lock(&self.holds);
        let next = holds.changed(change).map_err(io::Error::other)?;
        self.make(&self.folder)?;
        State::at(&self.folder).write(HOLDS, &next)?;
        *holds = next;
        Ok(())
    }

    /// Does something if exactly this is on hold; until it is done nothing is put on hold. `None` if something else is.
    pub(crate) fn unless_changed<T>(&self, expected: &Holds, act: impl FnOnce() -> T) -> Option<T> {
        let holds = lock(&self.holds);
        (*holds == *expected).then(act)
    }

    fn files(&self, subject: &str) -> io::Result<Vec<PathBuf>> {
        let (shard, name) = self.place(subject);
        let entries = match fs::read_dir(shard) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let file = path.file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_suffix(KEY_SUFFIX));
            if file.and_then(|file| file.strip_prefix(&name)).is_some_and(|rest| rest.starts_with('-')) {
                files.push(path);
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// The folder of a subject's keys and how their names begin.
    fn place(&self, subject: &str) -> (PathBuf, String) {
        let name = digest_of(subject);
        let shard = name.get(..2).unwrap_or_default();
        (self.folder.join(KEYS).join(shard), name)
    }

    /// Makes a folder and those above it, durably.
    fn make(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        segment::create_folder(folder)?;
        let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.folder));
        for above in above.chain(self.folder.parent()) {
            segment::sync_folder(above)?;
        }
        Ok(())
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

pub(super) fn digest_of(subject: &str) -> String {
    let digest = digest::digest(&digest::SHA256, subject.as_bytes());
    digest.as_ref().iter().fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds a lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
