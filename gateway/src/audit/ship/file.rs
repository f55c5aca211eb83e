//! Records in a file: appended and synced, whole lines only, set aside when it is large.

use super::{feed::Batch, sink::Trouble};
use crate::config::FileSink;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// How far back from a file's end its last newline is looked for at once.
const TAIL_BYTES: u64 = 64 * 1024;

/// See the file's first line.
#[derive(Debug)]
pub(super) struct Appended {
    settings: FileSink,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Length up to the last record that was acknowledged.
    bytes: u64,
}

impl Appended {
    /// Opens nothing yet.
    pub(super) fn new(settings: FileSink) -> Self {
        Self { settings, open: None }
    }

    pub(super) fn take(&mut self, batch: &Batch) -> Result<u64, Trouble> {
        let taken = self.append(batch).map_err(Trouble::at(&self.settings.path));
        if taken.is_err() {
            // After a failed sync the kernel may hold for clean what never reached the disk.
            self.open = None;
        }
        taken.map(|()| batch.next)
    }

    fn append(&mut self, batch: &Batch) -> io::Result<()> {
        let mut lines = Vec::new();
        for line in &batch.records {
            lines.extend_from_slice(&line.bytes);
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let open = match self.open.take() {
            // Somebody else may set it aside, too.
            Some(open) if is_at(&open.file, &self.settings.path) => open,
            _ => Open::at(&self.settings.path)?,
        };
        let full = open.bytes > 0 && open.bytes + lines.len() as u64 > self.settings.rotate_bytes;
        let open = if full {
            drop(open);
            set_aside(&self.settings)?;
            Open::at(&self.settings.path)?
        } else {
            open
        };
        self.open.insert(open).write(&lines)
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(io::Error::other("another process ships to this file"));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        let bytes = whole(&mut file)?;
        // What was written in part is given again.
        file.set_len(bytes)?;
        Ok(Self { file, bytes })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // If it can't be cut off now, it is when the file is opened again.
            let _ = self.file.set_len(self.bytes);
        } else {
            self.bytes += lines.len() as u64;
        }
        written
    }
}

/// The length of a file up to its last newline.
fn whole(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(TAIL_BYTES);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut tail)?;
        if let Some(newline) = tail.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Whether an open file is still the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata().map(id), fs::metadata(path).map(id)), (Ok(ours), Ok(there)) if ours == there)
}

/// Gives the file the next number, and removes the oldest ones that are too many.
fn set_aside(settings: &FileSink) -> io::Result<()> {
    let mut numbers = numbers(&settings.path)?;
    let next = numbers.last().map_or(1, |last| last.saturating_add(1));
    fs::rename(&settings.path, numbered(&settings.path, next))?;
    numbers.push(next);
    let kept = settings.files_max.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    for number in numbers.iter().take(numbers.len().saturating_sub(kept)) {
        fs::remove_file(numbered(&settings.path, *number))?;
    }
    File::open(folder(&settings.path))?.sync_all()
}

/// The numbers under which files were set aside, in order.
fn numbers(path: &Path) -> io::Result<Vec<u64>> {
    let Some(name) = path.file_name() else { return Ok(Vec::new()) };
    let mut prefix = name.to_owned();
    prefix.push(".");
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let file = entry?.file_name();
        let number = |(file, prefix): (&str, &str)| file.strip_prefix(prefix)?.parse::<u64>().ok();
        numbers.extend(file.to_str().zip(prefix.to_str()).and_then(number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
