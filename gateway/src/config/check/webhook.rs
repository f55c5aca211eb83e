//! `[identity.webhook.ALIAS]` and the secrets that it refers to.

use crate::config::{
    Form, Secret, Webhook, raw,
    raw::At,
    text::read_bounded,
    value::{Desk, shorten},
};
use base64::{Engine, alphabet, engine};
use std::{env, os::unix::fs::PermissionsExt, sync::Arc};

/// Shortest secret, in bytes: 128 bits.
const SECRET_BYTES_MIN: usize = 16;
/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 1024;
/// Senders hand secrets out with and without padding.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new().with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

pub(crate) fn webhook(
    alias: Option<Arc<str>>,
    written: &At<String>,
    table: &raw::Webhook,
    desk: &mut Desk<'_>,
) -> Option<Webhook> {
    let form = desk.required("form", &table.form, &written.span).map(|form| match form.value {
        raw::Form::Standard => Form::Standard,
        raw::Form::Github => Form::Github,
    });
    let client = desk.required("client", &table.client, &written.span).cloned();
    let client = client.and_then(|client| desk.word("name of a client", &client));
    let secret = desk.required("secret", &table.secret, &written.span);
    let form = form?;
    let mut secrets = Vec::new();
    for reference in secret.into_iter().chain(&table.former_secret) {
        secrets.extend(self::secret(form, reference, desk));
    }
    secret?;
    Some(Webhook { alias: alias?, client: client?, form, secrets })
}

fn secret(form: Form, reference: &At<String>, desk: &mut Desk<'_>) -> Option<Secret> {
    let text = referred(reference, desk)?;
    let bytes = match form {
        Form::Github => Some(text.into_bytes()),
        Form::Standard => BASE64.decode(text.strip_prefix("whsec_").unwrap_or(&text)).ok(),
    };
    let Some(bytes) = bytes else {
        let message = "the secret is not base64, with or without `whsec_` before it";
        desk.error("bad_secret", &reference.span, message);
        return None;
    };
    if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
        let message = format!("the secret has {} bytes", bytes.len());
        let help = format!("between {SECRET_BYTES_MIN} and {SECRET_BYTES_MAX}, at random");
        desk.error_help("bad_secret", &reference.span, message, help);
        return None;
    }
    Some(Secret::new(bytes))
}

/// What a reference like `env:NAME` or `file:PATH` means.
fn referred(reference: &At<String>, desk: &mut Desk<'_>) -> Option<String> {
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
