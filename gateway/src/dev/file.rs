//! Reads and writes the files of the development folder; secrets are for their owner only.

use super::DevError;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Only its owner.
    Owner,
    /// Anyone.
    All,
}

/// The content; `None` when there is no such file. A secret that others may read is refused.
pub(super) fn read(path: &Path, readers: Readers) -> Result<Option<String>, DevError> {
    let failed = |source| DevError::File { what: "read", path: path.to_owned(), source };
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    if readers == Readers::Owner && mode & 0o077 != 0 {
        return Err(DevError::Exposed { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map(Some).map_err(failed)
}

/// Writes a file whole or not at all.
pub(super) fn write(path: &Path, content: &str, readers: Readers) -> Result<(), DevError> {
    let failed = |source| DevError::File { what: "write", path: path.to_owned(), source };
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // What a killed run left behind may have other rights.
    let _ = fs::remove_file(&new);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    written.inspect_err(|_| drop(fs::remove_file(&new))).map_err(failed)
}

/// Makes the folder if it is not there.
pub(super) fn create_folder(path: &Path) -> Result<(), DevError> {
    fs::create_dir_all(path).map_err(|source| DevError::File { what: "create", path: path.to_owned(), source })
}
