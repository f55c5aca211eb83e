//! What the gateway keeps besides its log and must know again after a restart: small files, replaced as a whole.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Largest file of state, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The folder of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(PathBuf);

impl State {
    /// State in this folder, which is made when something is written.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The path of a file.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What a file says; `None` when there is none.
    ///
    /// # Errors
    /// When it can't be read or does not say it.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.file(name);
        let bytes = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(found) if found.len() > FILE_BYTES_MAX => return Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => fs::read(&path)?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from)
    }

    /// Replaces a file: after a crash there is the old one or the new one.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let mut bytes = serde_json::to_vec_pretty(value)?;
        bytes.push(b'\n');
        replace(&self.file(name), &bytes, 0o600)?;
        File::open(&self.0)?.sync_all()
    }
}

/// Replaces a file by one of these bytes and this mode, which are on disk before the old one goes.
///
/// # Errors
/// When it can't be written.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    // What a killed run left behind may have other rights.
    let _ = fs::remove_file(&fresh);
    let written = || {
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().inspect_err(|_| drop(fs::remove_file(&fresh)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(&folder.path().join("state"));
        assert_eq!(state.read::<Vec<u64>>("a.json").unwrap(), None);
        state.write("a.json", &[1, 2]).unwrap();
        state.write("a.json", &[3]).unwrap();
        assert_eq!(state.read::<Vec<u64>>("a.json").unwrap(), Some(vec![3]));
        let mode = fs::metadata(state.file("a.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1);
        fs::write(state.file("a.json"), "[").unwrap();
        assert!(state.read::<Vec<u64>>("a.json").is_err());
    }
}
