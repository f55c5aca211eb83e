//! The archive: another folder to which older segments are moved. The node's folder says where it is, so that whoever
//! reads a log finds all of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file beside a node's incarnations that says where the archive of that node is.
pub(crate) const POINTER: &str = "archive";
/// Longest such file, in bytes.
const POINTER_BYTES_MAX: u64 = 8 * 1024;

/// Where older segments of the incarnation with this folder are, if they are elsewhere.
pub(crate) fn of(directory: &Path) -> Option<PathBuf> {
    let pointer = directory.parent()?.join(POINTER);
    let small = fs::metadata(&pointer).ok()?.len() <= POINTER_BYTES_MAX;
    let text = small.then(|| fs::read_to_string(pointer))?.ok()?;
    let node = Path::new(text.trim_end_matches('\n'));
    node.is_absolute().then_some(node.join(directory.file_name()?))
}

/// Says durably in a node's folder where its archive is.
pub(crate) fn point(node: &Path, archive: &Path) -> io::Result<()> {
    let text = archive.to_str().ok_or_else(|| io::Error::other("the archive's path is no text"))?;
    let pointer = node.join(POINTER);
    if let Ok(before) = fs::read_to_string(&pointer) {
        let before = before.trim_end_matches('\n');
        if before == text {
            return Ok(());
        }
        if Path::new(before).is_dir() {
            let message =
                format!("the archive is at `{before}`, and part of the log is there; move that to `{text}` first");
            return Err(io::Error::other(message));
        }
    }
    crate::state::replace(&pointer, format!("{text}\n").as_bytes(), 0o600)?;
    super::segment::sync_folder(node)
}
