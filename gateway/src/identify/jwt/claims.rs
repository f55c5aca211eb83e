//! The claims that say whether a token counts now and here: `exp`, `nbf`, `iat`, `aud`, `cnf`.

use super::super::fault::Fault;
use crate::config;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// Longest text of a claim that is kept, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 255;
/// Most values of a claim that is a list, groups aside.
pub(crate) const VALUES_MAX: usize = 200;

/// What admission learnt.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// When it no longer counts, leeway included.
    pub(crate) expires: Timestamp,
    /// `aud`
    pub(crate) audiences: Vec<Arc<str>>,
    /// `iat`
    pub(crate) issued: Option<Timestamp>,
}

/// The dates of a token that is in force.
#[derive(Debug)]
pub(crate) struct Dates {
    /// When it no longer counts, leeway included.
    pub(crate) expires: Timestamp,
    /// `iat`
    pub(crate) issued: Option<Timestamp>,
}

/// Checks dates, audience and binding. `iss` is the caller's choice of issuer.
pub(crate) fn admit(claims: &Map<String, Value>, issuer: &config::Issuer, now: Timestamp) -> Result<Admitted, Fault> {
    if claims.contains_key("cnf") {
        return Err(Fault::SenderBound);
    }
    let Dates { expires, issued } = in_force(claims, issuer, now)?;
    let audiences = audiences(claims)?;
    if !accepts_audience(issuer, &audiences) {
        return Err(Fault::Audience);
    }
    Ok(Admitted { expires, audiences, issued })
}

/// Checks `exp`, `nbf` and `iat`.
pub(crate) fn in_force(claims: &Map<String, Value>, issuer: &config::Issuer, now: Timestamp) -> Result<Dates, Fault> {
    let leeway = SignedDuration::try_from(issuer.leeway).unwrap_or(SignedDuration::MAX);
    let latest = now.saturating_add(leeway).unwrap_or(Timestamp::MAX);
    let exp = date(claims, "exp")?.ok_or(Fault::ExpiryMissing)?;
    let expires = exp.saturating_add(leeway).unwrap_or(Timestamp::MAX);
    if expires <= now {
        return Err(Fault::Expired);
    }
    if date(claims, "nbf")?.is_some_and(|nbf| nbf > latest) {
        return Err(Fault::NotYet);
    }
    let issued = date(claims, "iat")?;
    if issued.is_some_and(|iat| iat > latest) {
        return Err(Fault::IssuedLater);
    }
    Ok(Dates { expires, issued })
}

/// Whether one of `audiences` is the issuer's.
pub(crate) fn accepts_audience(issuer: &config::Issuer, audiences: &[Arc<str>]) -> bool {
    audiences.iter().any(|a| issuer.audiences.contains(a))
}

/// `aud`: one text or a list of texts.
pub(crate) fn audiences(claims: &Map<String, Value>) -> Result<Vec<Arc<str>>, Fault> {
    let found = match claims.get("aud") {
        Some(Value::String(one)) => vec![Arc::from(one.as_str())],
        Some(list) => texts(list).ok_or(Fault::Audience)?,
        None => return Err(Fault::Audience),
    };
    if found.is_empty() { Err(Fault::Audience) } else { Ok(found) }
}

/// A list of texts, bounded.
pub(crate) fn texts(value: &Value) -> Option<Vec<Arc<str>>> {
    let items = value.as_array().filter(|items| items.len() <= VALUES_MAX)?;
    items.iter().map(|item| item.as_str().map(Arc::from)).collect()
}

/// A NumericDate: seconds, perhaps with a fraction, from 1970 to the end of the calendar.
pub(crate) fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Fault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let number = value.as_number().ok_or(Fault::Date)?;
    if let Some(seconds) = number.as_i64() {
        let date = Timestamp::from_second(seconds).ok().filter(|_| seconds >= 0);
        return date.map(Some).ok_or(Fault::Date);
    }
    let seconds = number.as_f64().filter(|s| s.is_finite() && *s >= 0.0).ok_or(Fault::Date)?;
    let since = Duration::try_from_secs_f64(seconds).map_err(|_| Fault::Date)?;
    let since = SignedDuration::try_from(since).map_err(|_| Fault::Date)?;
    Timestamp::UNIX_EPOCH.checked_add(since).map(Some).map_err(|_| Fault::Date)
}
