//! A folder that an instance has for itself: made before it starts, gone with it.

use crate::host::account::Account;
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Longest path of a Unix socket, in bytes.
const SOCKET_BYTES_MAX: usize = 107;

/// The folder. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder `name` in `all`, which is made if it isn't there. Nobody else may look into it.
    pub(super) fn make(all: &Path, name: &str, account: Option<&Account>) -> io::Result<Self> {
        // Whoever has a folder in it must be able to go through it; what is in it can't be listed.
        DirBuilder::new().recursive(true).mode(0o711).create(all)?;
        let path = all.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        let made = Self(path);
        if let Some(account) = account {
            account.own(&made.0)?;
        }
        Ok(made)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a Unix socket may be made.
    pub(super) fn socket(&self) -> io::Result<PathBuf> {
        let path = self.0.join("fn.sock");
        match path.as_os_str().len() <= SOCKET_BYTES_MAX {
            true => Ok(path),
            false => {
                let words = format!("`{}` is too long for a Unix socket: set TMPDIR to a shorter path", path.display());
                Err(io::Error::new(io::ErrorKind::InvalidFilename, words))
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a function's own folder can't be removed");
        }
    }
}
