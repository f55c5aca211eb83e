//! `[identity.webhook.ALIAS]` and the secrets that it refers to.

use super::reference;
use crate::config::{Form, Secret, Webhook, raw, raw::At, value::Desk};
use base64::{Engine, alphabet, engine};
use std::sync::Arc;

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
    let text = reference::referred(reference, desk)?;
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
