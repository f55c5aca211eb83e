//! Writing a project: all of it or nothing, and never over what somebody else wrote.

use super::{File, ScaffoldError};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Entries that may be in a folder that counts as empty.
const HARMLESS: [&str; 1] = [".git"];

/// Writes the files; those that were written.
pub(crate) fn project(directory: &Path, files: &[File], marker: &str) -> Result<Vec<PathBuf>, ScaffoldError> {
    let exists = match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => return Err(ScaffoldError::NotAFolder(directory.to_owned())),
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(source) => return Err(failed(directory, source)),
    };
    if exists && directory.join(marker).is_file() {
        return renew(directory, files);
    }
    if exists && !is_empty(directory)? {
        return Err(ScaffoldError::NotEmpty(directory.to_owned()));
    }
    let stage = stage_of(directory, exists);
    let written = fill(&stage, files).and_then(|()| {
        if exists {
            move_in(&stage, directory)
        } else {
            fs::rename(&stage, directory).map_err(|e| failed(directory, e))
        }
    });
    if exists || written.is_err() {
        // Only what this call made is under this name.
        let _ = fs::remove_dir_all(&stage);
    }
    written.map(|()| files.iter().map(|file| directory.join(file.path)).collect())
}

/// A folder that is there may be somebody's working directory, so it is filled, not replaced.
fn stage_of(directory: &Path, exists: bool) -> PathBuf {
    let name = format!(".latchwork-new-{}", uuid::Uuid::now_v7());
    if exists {
        return directory.join(name);
    }
    directory.parent().unwrap_or(Path::new("")).join(name)
}

fn is_empty(directory: &Path) -> Result<bool, ScaffoldError> {
    let entries = fs::read_dir(directory).map_err(|e| failed(directory, e))?;
    let mut names = entries.flatten().map(|entry| entry.file_name());
    Ok(names.all(|name| HARMLESS.iter().any(|harmless| name == *harmless)))
}

fn fill(stage: &Path, files: &[File]) -> Result<(), ScaffoldError> {
    fs::create_dir_all(stage).map_err(|e| failed(stage, e))?;
    files.iter().try_for_each(|file| write(&stage.join(file.path), file))
}

/// Moves every entry up; takes back what was moved when one can't be.
fn move_in(stage: &Path, directory: &Path) -> Result<(), ScaffoldError> {
    let entries = fs::read_dir(stage).map_err(|e| failed(stage, e))?;
    let mut moved: Vec<PathBuf> = Vec::new();
    for entry in entries.flatten() {
        let target = directory.join(entry.file_name());
        if let Err(source) = fs::rename(entry.path(), &target) {
            for done in moved {
                let _ = if done.is_dir() { fs::remove_dir_all(&done) } else { fs::remove_file(&done) };
            }
            return Err(failed(&target, source));
        }
        moved.push(target);
    }
    Ok(())
}

/// Writes what is missing.
fn renew(directory: &Path, files: &[File]) -> Result<Vec<PathBuf>, ScaffoldError> {
    let mut written = Vec::new();
    for file in files {
        let path = directory.join(file.path);
        if path.exists() {
            continue;
        }
        let name = format!(".latchwork-new-{}", uuid::Uuid::now_v7());
        let fresh = path.parent().unwrap_or(directory).join(name);
        let replaced = write(&fresh, file).and_then(|()| fs::rename(&fresh, &path).map_err(|e| failed(&path, e)));
        if replaced.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        replaced?;
        written.push(path);
    }
    Ok(written)
}

fn write(path: &Path, file: &File) -> Result<(), ScaffoldError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    }
    fs::write(path, &file.content).map_err(|e| failed(path, e))?;
    if file.executable {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|e| failed(path, e))?;
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> ScaffoldError {
    ScaffoldError::Io { path: path.to_owned(), source }
}
