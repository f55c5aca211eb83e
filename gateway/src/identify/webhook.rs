//! Signed webhooks: Standard Webhooks (HMAC-SHA256 over id, timestamp and body) and GitHub's form (over the body).

mod replays;

pub(crate) use replays::Replays;

use super::{CredentialError, Fault, Identify, Identity};
use crate::config::{Credential, Form, Webhook};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use jiff::{SignedDuration, Timestamp};
use policy::question::{Principal, PrincipalAttributes, PrincipalKind};
use std::sync::Arc;

/// How far the sender's clock may be from ours, and how long a delivery without a timestamp is remembered.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// Longest field of signatures, in bytes.
const SIGNATURES_BYTES_MAX: usize = 4096;
/// Longest id of a message, in bytes.
const ID_BYTES_MAX: usize = 255;
/// Most digits of a timestamp.
const TIMESTAMP_DIGITS_MAX: usize = 12;

const STANDARD_ID: HeaderName = HeaderName::from_static("webhook-id");
const STANDARD_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const STANDARD_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const GITHUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// A tag of HMAC-SHA256.
type Tag = [u8; 32];

/// A signature that is well-formed and in time; the body will show whether it is right.
#[derive(Debug)]
pub(crate) struct Delivery {
    senders: Vec<Webhook>,
    /// What is signed before the body.
    begin: String,
    tags: Vec<Tag>,
    /// Until when it could be delivered again.
    until: Timestamp,
}

impl Identify {
    /// The signature that came; `None` when none did. The body has not been read yet.
    pub(crate) fn delivery(
        &self,
        accepted: &[Credential],
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Delivery>, Fault> {
        let (mut standard, mut github): (Vec<Webhook>, Vec<Webhook>) = (Vec::new(), Vec::new());
        for part in accepted.iter().flat_map(Credential::parts) {
            let Credential::Webhook(alias) = part else { continue };
            let Some(webhook) = self.others.webhooks.iter().find(|webhook| webhook.alias == *alias) else { continue };
            let (senders, header) = match webhook.form {
                Form::Standard => (&mut standard, &STANDARD_SIGNATURE),
                Form::Github => (&mut github, &GITHUB_SIGNATURE),
            };
            if headers.contains_key(header) && !senders.contains(webhook) {
                senders.push(webhook.clone());
            }
        }
        match (standard.is_empty(), github.is_empty()) {
            (true, true) => Ok(None),
            (false, true) => by_standard(standard, headers, now).map(Some),
            (true, false) => by_github(github, headers, now).map(Some),
            (false, false) => Err(Fault::SeveralCallers),
        }
    }

    /// Who signed the body.
    pub(crate) fn delivered(
        &self,
        delivery: &Delivery,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Arc<Identity>, CredentialError> {
        let (sender, tag) = delivery.signed(body).ok_or(Fault::WebhookSignature)?;
        // INVARIANT: only what was signed is remembered, so that nobody else can fill the memory.
        match self.replays.first(tag, delivery.until, now) {
            Some(true) => {}
            Some(false) => return Err(Fault::WebhookReplayed.into()),
            None => return Err(CredentialError::TooManyDeliveries),
        }
        let principal = Principal {
            kind: PrincipalKind::Client,
            id: format!("{}/{}", sender.alias, sender.client).into(),
            issuer: Some(sender.alias.clone()),
            groups: Arc::new([]),
            attributes: PrincipalAttributes::default(),
        };
        Ok(Arc::new(Identity::of(principal, None)))
    }
}

impl Delivery {
    /// The sender whose secret signed it, and the signature.
    fn signed(&self, body: &[u8]) -> Option<(&Webhook, Tag)> {
        self.senders.iter().find_map(|sender| {
            sender.secrets.iter().find_map(|secret| {
                let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()));
                context.update(self.begin.as_bytes());
                context.update(body);
                let made = context.sign();
                let found = self.tags.iter().find(|tag| verify_slices_are_equal(made.as_ref(), &tag[..]).is_ok());
                found.map(|tag| (sender, *tag))
            })
        })
    }
}

fn by_standard(senders: Vec<Webhook>, headers: &HeaderMap, now: Timestamp) -> Result<Delivery, Fault> {
    let id = single(headers, &STANDARD_ID)?;
    let timestamp = single(headers, &STANDARD_TIMESTAMP)?;
    let signatures = single(headers, &STANDARD_SIGNATURE)?;
    // A dot in the id would let the same signed bytes be cut in another place.
    let sound = |b: u8| b.is_ascii_graphic() && b != b'.';
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(sound) {
        return Err(Fault::WebhookForm);
    }
    if timestamp.len() > TIMESTAMP_DIGITS_MAX || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::WebhookForm);
    }
    let sent = timestamp.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
    let sent = sent.ok_or(Fault::WebhookForm)?;
    if now.duration_since(sent).abs() > WINDOW {
        return Err(Fault::WebhookStale);
    }
    // Other versions, such as `v1a`, are signatures of other kinds.
    let tags: Vec<Tag> = signatures
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok()?.try_into().ok())
        .collect();
    if tags.is_empty() {
        return Err(Fault::WebhookForm);
    }
    Ok(Delivery { senders, begin: format!("{id}.{timestamp}."), tags, until: after(sent) })
}

fn by_github(senders: Vec<Webhook>, headers: &HeaderMap, now: Timestamp) -> Result<Delivery, Fault> {
    let written = single(headers, &GITHUB_SIGNATURE)?;
    let hex = written.strip_prefix("sha256=").and_then(|hex| {
        let written = format!("sha256:{hex}");
        super::api_key::text::hash_of(&written)
    });
    let tags = vec![hex.ok_or(Fault::WebhookForm)?];
    Ok(Delivery { senders, begin: String::new(), tags, until: after(now) })
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Fault> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Fault::WebhookForm) };
    value.to_str().ok().filter(|text| text.len() <= SIGNATURES_BYTES_MAX).ok_or(Fault::WebhookForm)
}

fn after(at: Timestamp) -> Timestamp {
    at.saturating_add(WINDOW).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
