//! `address = "unix:PATH"` and `socket = { mode, owner, group }`.

use crate::{
    address::{Address, PATH_BYTES_MAX, UNIX},
    config::{
        Access, raw,
        raw::At,
        text::read_bounded,
        value::{Desk, shorten},
    },
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// The permissions of a listener's socket unless told otherwise: the gateway's user and group.
pub(crate) const LISTENER_MODE: u32 = 0o660;
/// The permissions of the administrative interface's: the gateway's user alone.
pub(crate) const ADMIN_MODE: u32 = 0o600;

/// The address of a listener or of the administrative interface.
pub(crate) fn address(written: &At<String>, desk: &mut Desk<'_>) -> Option<Address> {
    let Some(path) = written.value.strip_prefix(UNIX) else { return desk.address(written).map(Address::Tcp) };
    self::path(path, &written.span, desk).map(Address::Unix)
}

/// The absolute path of a Unix socket.
pub(crate) fn path(written: &str, span: &Range<usize>, desk: &mut Desk<'_>) -> Option<PathBuf> {
    if written.is_empty() || written.ends_with('/') || written.contains('\0') {
        let message = format!("`{}` is no path of a Unix socket", shorten(written));
        desk.error_help("bad_address", span, message, "such as `/run/latchwork/app.sock`, or a path from here");
        return None;
    }
    let path = desk.path(written);
    // Whoever connects may be in another folder.
    let path = std::path::absolute(&path).unwrap_or(path);
    let bytes = path.as_os_str().len();
    if bytes > PATH_BYTES_MAX {
        let message = format!("the path of a Unix socket has at most {PATH_BYTES_MAX} bytes, and this one has {bytes}");
        desk.error_help("path_too_long", span, message, "a shorter folder, such as `/run/latchwork`");
        return None;
    }
    Some(path)
}

/// Who may connect.
pub(crate) fn access(
    written: Option<&At<raw::Socket>>,
    address: Option<&Address>,
    mode: u32,
    desk: &mut Desk<'_>,
) -> Access {
    let default = Access { mode, owner: None, group: None };
    let Some(At { value: written, span }) = written else { return default };
    if matches!(address, Some(Address::Tcp(_))) {
        let message = "only a Unix socket has a mode and an owner";
        desk.error_help("unused_key", span, message, "`address = \"unix:PATH\"`, or remove it");
        return default;
    }
    Access {
        mode: written.mode.as_ref().and_then(|written| self::mode(written, desk)).unwrap_or(mode),
        owner: written.owner.as_ref().and_then(|written| id("user", written, "/etc/passwd", desk)),
        group: written.group.as_ref().and_then(|written| id("group", written, "/etc/group", desk)),
    }
}

fn mode(written: &At<String>, desk: &mut Desk<'_>) -> Option<u32> {
    let digits = written.value.as_str();
    let octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let mode = octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten().filter(|mode| *mode <= 0o777);
    // The gateway itself need not connect, but a socket that nobody may write to is a slip.
    if mode.is_none_or(|mode| mode & 0o222 == 0) {
        let message = format!("`{}` is no mode that lets anybody connect", shorten(digits));
        desk.error_help("bad_mode", &written.span, message, "octal digits, such as `\"0660\"`");
        return None;
    }
    mode
}

/// An id, or the id of a name: the third field of its line.
fn id(what: &str, written: &At<String>, file: &str, desk: &mut Desk<'_>) -> Option<u32> {
    let name = written.value.as_str();
    if let Ok(id) = name.parse() {
        return Some(id);
    }
    let text = read_bounded(Path::new(file)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let names: Vec<Vec<&str>> = text.lines().map(|line| line.split(':').collect()).collect();
    let found = names.iter().find(|fields| fields.first() == Some(&name) && !name.is_empty());
    let id = found.and_then(|fields| fields.get(2)).and_then(|id| id.parse().ok());
    if id.is_none() {
        desk.unknown("unknown_account", what, written, names.iter().filter_map(|fields| fields.first().copied()));
    }
    id
}
