//! How what callers hand to the log becomes the tail of a line: redacted, bounded, in fixed order.

use super::{
    Admin, Attempt, Kind, Outcome, RECORD_BYTES_MAX, Request, Run, Stage, VERSION,
    cut::{CUTS, LISTED_MAX, bounded, cut, first, looks},
    write::{Closed, Intent, Known, Refused},
};
use crate::audit::{
    conceal::{Kept, Redaction, Said},
    redact,
};
use jiff::Timestamp;
use policy::{
    engine::looks::Looks,
    permit::{BundleId, DenialReason, PolicyName, TargetIndex},
    question::{FunctionName, Principal, Verb},
};
use serde::{Serialize, Serializer};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
    net::IpAddr,
};
use uuid::Uuid;

/// Longest head, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 512;
/// Longest tail, in bytes.
pub(crate) const TAIL_BYTES_MAX: usize = RECORD_BYTES_MAX - HEAD_BYTES_MAX;
/// Longest free text, in bytes; what is longer ends in `…`.
const TEXT_BYTES_MAX: usize = 512;
/// Longest word, in bytes: what names a cause. It is short, so that a call's last records fit what was promised.
const WORD_BYTES_MAX: usize = 64;
/// Longest request path, in bytes.
const PATH_BYTES_MAX: usize = 2048;
/// What most tails need.
const TAIL_BYTES_USUAL: usize = 1024;

#[derive(Serialize)]
struct IntentTail<'a> {
    call: Uuid,
    function: &'a FunctionName,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Cow<'a, str>>,
    principal: &'a Principal,
    verb: &'a Verb,
    facts: Said<'a>,
    path: redact::Parameters<'a>,
    query: redact::Parameters<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<redact::Input<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_read: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    protected: BTreeMap<String, String>,
    bundle: &'a BundleId,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<DenialReason>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    determining: &'a [PolicyName],
    targets: &'a [TargetIndex],
    target: TargetIndex,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    resting: &'a [TargetIndex],
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestTail<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    truncated: &'a [&'static str],
}

#[derive(Serialize)]
struct RefusedTail<'a> {
    call: Uuid,
    refusal: Cow<'a, str>,
    status: u16,
    stage: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a FunctionName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a Principal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'a Verb>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<redact::Parameters<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<redact::Parameters<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<redact::Input<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_read: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    protected: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<&'a BundleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<DenialReason>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    determining: &'a [PolicyName],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_describe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestTail<'a>>,
    duration_us: u64,
    bytes_in: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    truncated: &'a [&'static str],
}

#[derive(Serialize)]
struct ClosedTail<'a> {
    call: Uuid,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    bytes_in: u64,
    bytes_out: u64,
    duration_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a Run>,
}

#[derive(Serialize)]
struct OfCall<'a, T> {
    call: Uuid,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct RequestTail<'a> {
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    version: Cow<'a, str>,
}

/// The members of every head of an incarnation that never change.
pub(crate) fn identity(node: &str, incarnation: Uuid) -> String {
    format!("\"node\":\"{node}\",\"incarnation\":\"{incarnation}\"")
}

/// Appends a whole line: head and tail.
pub(crate) fn line(buffer: &mut Vec<u8>, kind: Kind, seq: u64, at: Timestamp, identity: &str, tail: &[u8]) {
    let kind = kind.as_str();
    // Writing to memory can't fail.
    let _ = write!(buffer, "{{\"v\":{VERSION},\"kind\":\"{kind}\",\"seq\":{seq},\"at\":\"{at:.6}\",{identity},");
    buffer.extend_from_slice(tail);
    buffer.push(b'\n');
}

/// The tail of an `intent`.
pub(crate) fn intent(call: Uuid, known: &Known, intent: &Intent, redaction: &Redaction, late: bool) -> Vec<u8> {
    let everything = Looks::everything();
    smallest(call, |level| {
        let (question, mut truncated) = cut(&intent.question, level);
        let kept = redaction.keep(call, &question, looks(&truncated, &intent.looks, &everything));
        let determining = first(&intent.determining, "determining", &mut truncated);
        let targets = first(&intent.targets, "targets", &mut truncated);
        let resting = first(&intent.resting, "resting", &mut truncated);
        tail(&IntentTail {
            call,
            function: &question.function,
            tenant: known.tenant.as_deref().map(text),
            principal: &question.principal,
            verb: &question.verb,
            facts: kept.facts,
            path: kept.path,
            query: kept.query,
            input: kept.input,
            input_read: kept.input_read,
            protected: kept.protected,
            bundle: &intent.bundle,
            decision: if intent.observed.is_some() { "deny" } else { "allow" },
            observed: intent.observed,
            late,
            determining,
            targets,
            target: intent.target,
            chosen: intent.chosen,
            resting,
            listener: known.listener.as_deref().map(text),
            trace: known.trace.as_deref().map(text),
            request: known.request.as_ref().map(|r| request(r, redaction)),
            truncated: &truncated,
        })
    })
}

/// The tail of a `refused`. `small` leaves out whatever may be large, so that it fits the room that was reserved.
pub(crate) fn refused(
    call: Uuid,
    known: &Known,
    refused: &Refused,
    duration_us: u64,
    redaction: &Redaction,
    small: bool,
) -> Vec<u8> {
    let asked = refused.question.as_ref().filter(|_| !small);
    let everything = Looks::everything();
    smallest(call, |level| {
        let cut = asked.map(|question| cut(question, level));
        let mut truncated = cut.as_ref().map(|(_, names)| names.clone()).unwrap_or_default();
        let question = cut.as_ref().map(|(question, _)| question);
        let looks = looks(&truncated, &refused.looks, &everything);
        let errors = redaction.errors(&refused.errors, refused.question.as_deref(), &refused.looks);
        let kept = question.map(|question| redaction.keep(call, question, looks));
        let (facts, path, query, input, input_read, mut protected) = match kept {
            Some(kept) => {
                let Kept { facts, path, query, input, input_read, protected } = kept;
                (Some(facts), Some(path), Some(query), input, input_read, protected)
            }
            None => Default::default(),
        };
        let source = known.source.or_else(|| question.and_then(|q| q.facts.network.source));
        let (source, concealed) = redaction.source(call, source);
        let concealed = concealed.filter(|_| !small);
        protected.extend(concealed.map(|concealed| ("/source".to_owned(), concealed)));
        let known_principal = known.principal.as_deref().filter(|_| !small && level < CUTS);
        if small {
            truncated.push("all");
        }
        let determining = first(&refused.determining, "determining", &mut truncated);
        let listed = if small { 0 } else { LISTED_MAX };
        tail(&RefusedTail {
            call,
            refusal: word(&refused.refusal),
            status: refused.status,
            stage: refused.stage,
            listener: known.listener.as_deref().map(text).filter(|_| !small),
            source,
            function: refused.question.as_ref().map(|q| &q.function).or(known.function.as_ref()),
            tenant: known.tenant.as_deref().map(text).filter(|_| !small),
            principal: question.map(|q| &q.principal).or(known_principal),
            verb: question.map(|q| &q.verb),
            facts,
            path,
            query,
            input,
            input_read,
            protected,
            bundle: refused.bundle.as_ref(),
            reason: refused.reason,
            determining: if small { &[] } else { determining },
            errors: errors.iter().take(listed).map(|e| text(e)).collect(),
            may_describe: refused.may_describe,
            trace: known.trace.as_deref().map(text).filter(|_| !small),
            request: known.request.as_ref().filter(|_| !small).map(|r| request(r, redaction)),
            duration_us,
            bytes_in: refused.bytes_in,
            truncated: &truncated,
        })
    })
}

/// The tail of a `closed`.
pub(crate) fn closed(call: Uuid, closed: &Closed, duration_us: u64) -> Vec<u8> {
    smallest(call, |_| {
        tail(&ClosedTail {
            call,
            outcome: closed.outcome,
            status: closed.status,
            bytes_in: closed.bytes_in,
            bytes_out: closed.bytes_out,
            duration_us,
            error: closed.error.as_deref().map(word),
            run: closed.run.as_ref(),
        })
    })
}

/// The tail of an `attempt`.
pub(crate) fn attempt(call: Uuid, attempt: &Attempt) -> Vec<u8> {
    let error = attempt.error.as_deref().map(|error| text(error).into_owned());
    let failed = word(&attempt.failed).into_owned().into();
    let bounded = Attempt { target: attempt.target, failed, error, run: attempt.run.clone() };
    smallest(call, |_| tail(&OfCall { call, body: &bounded }))
}

/// The tail of an `answered` or a `shadow`: of a body that is short by itself.
pub(crate) fn of_call<T: Serialize>(call: Uuid, body: &T) -> Vec<u8> {
    smallest(call, |_| tail(&OfCall { call, body }))
}

/// The tail of an `admin`.
pub(crate) fn admin(admin: &Admin, redaction: &Redaction) -> Vec<u8> {
    let mut bounded = admin.bounded(text);
    bounded.authority.iter_mut().for_each(|authority| redaction.authority(authority));
    // Too long is the word of a token with very many scopes; who it was is in `who`.
    tail(&bounded).unwrap_or_else(|_| plain(&Admin { authority: None, ..bounded }))
}

/// The tail of a record that is of no call.
pub(crate) fn plain<T: Serialize>(body: &T) -> Vec<u8> {
    tail(body).unwrap_or_else(|_| b"\"truncated\":[\"all\"]}".to_vec())
}

/// A free text, bounded.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    bounded(text, TEXT_BYTES_MAX)
}

/// A word, bounded.
fn word(word: &str) -> Cow<'_, str> {
    bounded(word, WORD_BYTES_MAX)
}

/// An instant with microseconds, so that every `at` is of the same length.
pub(crate) fn micros<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.6}"))
}

fn request<'a>(request: &'a Request, redaction: &Redaction) -> RequestTail<'a> {
    RequestTail {
        method: bounded(&request.method, 32),
        path: redaction.request_path(bounded(&request.path, PATH_BYTES_MAX)),
        version: bounded(&request.version, 32),
    }
}

/// The first attempt that fits; each level cuts more.
fn smallest(call: Uuid, mut attempt: impl FnMut(u8) -> Result<Vec<u8>, serde_json::Error>) -> Vec<u8> {
    (0..=CUTS)
        .find_map(|level| attempt(level).ok())
        .unwrap_or_else(|| format!("\"call\":\"{call}\",\"truncated\":[\"all\"]}}").into_bytes())
}

/// Serialises without the opening brace; an error means that it does not fit.
fn tail<T: Serialize>(body: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Bounded(Vec::with_capacity(TAIL_BYTES_USUAL));
    serde_json::to_writer(&mut bytes, body)?;
    let bytes = redact::scrub(bytes.0);
    if bytes.len() > TAIL_BYTES_MAX {
        return Err(serde_json::Error::io(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

/// Takes as much as a tail may have, and skips the opening brace.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let kept = if self.0.is_empty() { bytes.strip_prefix(b"{").unwrap_or(bytes) } else { bytes };
        if self.0.len() + kept.len() > TAIL_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(kept);
        Ok(bytes.len())
    }

    /// At once: a tail is written in hundreds of pieces.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
