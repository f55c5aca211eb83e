//! Where an export goes: to a stream, or to a file that has its name only once it is whole.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A file that is being written beside the place where it will be. Unless it is kept it is removed.
#[derive(Debug)]
pub struct Unfinished {
    file: BufWriter<File>,
    at: PathBuf,
    name: PathBuf,
    kept: bool,
}

impl Unfinished {
    /// Begins a file that only its owner may read.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin(name: &Path) -> io::Result<Self> {
        let file = name.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut beside = file.to_owned();
        beside.push(format!(".{}.unfinished", std::process::id()));
        let at = name.with_file_name(beside);
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&at)?;
        Ok(Self { file: BufWriter::new(file), at, name: name.to_owned(), kept: false })
    }

    /// Gives it its name, once it is on the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.at, &self.name)?;
        self.kept = true;
        Ok(())
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.kept {
            // What can't be removed has a name that says what it is.
            let _ = fs::remove_file(&self.at);
        }
    }
}
