//! Secrets by reference: `env:NAME` and `file:PATH`.

use crate::config::{
    raw::At,
    text::read_bounded,
    value::{Desk, shorten},
};
use std::{env, os::unix::fs::PermissionsExt};

/// What a reference like `env:NAME` or `file:PATH` means.
pub(crate) fn referred(reference: &At<String>, desk: &mut Desk<'_>) -> Option<String> {
    let text = &reference.value;
    if let Some(name) = text.strip_prefix("env:") {
        let found = env::var(name).ok().filter(|value| !value.is_empty());
        if found.is_none() {
            let message = format!("the environment variable `{}` is not set", shorten(name));
            desk.error("missing_variable", &reference.span, message);
        }
        return found;
    }
    let Some(written) = text.strip_prefix("file:") else {
        let message = "a secret is given by reference";
        // What was written may be the secret itself, so it is not shown.
        let mut finding = desk.text.error("bad_reference", &reference.span, message).help("`env:NAME` or `file:PATH`");
        finding.text = None;
        desk.report.push(finding);
        return None;
    };
    let path = desk.path(written);
    let read = read_bounded(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(read) = read else {
        let message = format!("`{}` can't be read as text", shorten(written));
        desk.error("unreadable_file", &reference.span, message);
        return None;
    };
    let mode = std::fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o007 != 0 {
        let message = format!("everybody on this machine may use the secret (mode {:03o})", mode & 0o777);
        desk.warn("exposed_key", &reference.span, message, format!("chmod 600 {}", path.display()));
    }
    Some(read.trim_end_matches(['\n', '\r']).to_owned())
}
