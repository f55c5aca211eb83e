//! `audit`: erasing what is encrypted of a subject, legal hold, and revealing a call to its auditor.

use super::{asker::Asker, change, error, json_answer, read_body};
use crate::audit::{
    record::Actor,
    subject::{
        Subjects, act,
        act::NotDone,
        hold::{Change, Hold, REASON_BYTES_MAX},
        store::SUBJECT_BYTES_MAX,
    },
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    subject: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    action: Action,
    /// Absent: everything.
    subject: Option<String>,
    reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Set,
    Lift,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reveal {
    call: Uuid,
    reason: String,
}

type Answer = Response<Full<Bytes>>;

/// Answers for `audit/erasures`, `audit/holds` and `audit/reveals`.
pub(super) async fn answer(asker: &Asker<'_>, name: &str, request: Request<Incoming>) -> Answer {
    let done = match (request.method(), name) {
        (&Method::POST, "erasures") => erase(asker, request).await,
        (&Method::POST, "holds") => hold(asker, request).await,
        (&Method::GET | &Method::HEAD, "holds") => holds(asker).await,
        (&Method::POST, "reveals") => reveal(asker, request).await,
        (_, "erasures" | "holds" | "reveals" | "query") => {
            Err(error(StatusCode::METHOD_NOT_ALLOWED, "the method is not supported here"))
        }
        _ => Err(error(StatusCode::NOT_FOUND, "there is audit/query, audit/erasures, audit/holds and audit/reveals")),
    };
    done.unwrap_or_else(|refused| refused)
}

async fn erase(asker: &Asker<'_>, request: Request<Incoming>) -> Result<Answer, Answer> {
    let (who, Erase { subject, reason }) = permitted(asker, request, |_| act::ERASE).await?;
    let (subject, reason) = (subject_of(subject)?, reason_of(reason)?);
    match act::erase((asker.log(), subjects(asker)?), &who, subject, &reason).await {
        Ok(erased) => Ok(json_answer(StatusCode::OK, &json!(erased))),
        Err(not_done) => Err(refused(asker, act::ERASE, &who, &not_done).await),
    }
}

async fn hold(asker: &Asker<'_>, request: Request<Incoming>) -> Result<Answer, Answer> {
    let verb = |held: Option<&Held>| match held.map(|held| held.action) {
        Some(Action::Lift) => act::LIFT,
        Some(Action::Set) | None => act::HOLD,
    };
    let (who, held) = permitted(asker, request, verb).await?;
    let (verb, subjects) = (verb(Some(&held)), subjects(asker)?);
    let (subject, reason) = (held.subject.map(subject_of).transpose()?, reason_of(held.reason)?);
    let change = match held.action {
        Action::Set => {
            Change::Set(subject, Hold { who: who.who.clone(), at: Timestamp::now(), reason: reason.clone() })
        }
        Action::Lift => Change::Lift(subject),
    };
    match act::hold((asker.log(), subjects), &who, change, &reason).await {
        Ok(()) => Ok(json_answer(StatusCode::OK, &json!(subjects.holds()))),
        Err(not_done) => Err(refused(asker, verb, &who, &not_done).await),
    }
}

/// Who sees to holds sees them.
async fn holds(asker: &Asker<'_>) -> Result<Answer, Answer> {
    if !asker.sees(act::LIFT) {
        asker.may(act::HOLD, None).await?;
    }
    Ok(json_answer(StatusCode::OK, &json!(subjects(asker)?.holds())))
}

async fn reveal(asker: &Asker<'_>, request: Request<Incoming>) -> Result<Answer, Answer> {
    let (who, Reveal { call, reason }) = permitted(asker, request, |_| act::REVEAL).await?;
    match act::reveal((asker.log(), subjects(asker)?), &who, call, &reason_of(reason)?).await {
        Ok(revealed) => Ok(json_answer(StatusCode::OK, &json!(revealed))),
        Err(not_done) => Err(refused(asker, act::REVEAL, &who, &not_done).await),
    }
}

/// Who asks and what for, if they may. Whoever may not is told nothing else.
async fn permitted<T: DeserializeOwned>(
    asker: &Asker<'_>,
    request: Request<Incoming>,
    verb: impl Fn(Option<&T>) -> &'static str,
) -> Result<(Actor, T), Answer> {
    change(&request)?;
    let body = read_body(request, BODY_BYTES_MAX).await?;
    let wanted = serde_json::from_slice(&body);
    let who = asker.may(verb(wanted.as_ref().ok()), None).await?;
    let wrong = |wrong| error(StatusCode::BAD_REQUEST, &format!("the body is not understood: {wrong}"));
    Ok((who, wanted.map_err(wrong)?))
}

#[expect(clippy::result_large_err, reason = "it is the answer, moved once and then sent")]
fn subjects<'a>(asker: &'a Asker<'_>) -> Result<&'a Arc<Subjects>, Answer> {
    asker.log().subjects().ok_or_else(|| error(StatusCode::NOT_FOUND, "this log keeps no subjects"))
}

#[expect(clippy::result_large_err, reason = "it is the answer, moved once and then sent")]
fn subject_of(subject: String) -> Result<String, Answer> {
    match (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) {
        true => Ok(subject),
        false => {
            let title = format!("a subject has 1 to {SUBJECT_BYTES_MAX} bytes");
            Err(error(StatusCode::UNPROCESSABLE_ENTITY, &title))
        }
    }
}

#[expect(clippy::result_large_err, reason = "it is the answer, moved once and then sent")]
fn reason_of(reason: String) -> Result<String, Answer> {
    let reason = reason.trim().to_owned();
    match (1..=REASON_BYTES_MAX).contains(&reason.len()) && !reason.contains(char::is_control) {
        true => Ok(reason),
        false => {
            let title = format!("a reason is one line of 1 to {REASON_BYTES_MAX} bytes");
            Err(error(StatusCode::UNPROCESSABLE_ENTITY, &title))
        }
    }
}

async fn refused(asker: &Asker<'_>, verb: &'static str, who: &Actor, not_done: &NotDone) -> Answer {
    if !matches!(not_done, NotDone::HeldMeanwhile { .. }) {
        asker.not_done(verb, who, &not_done.to_string()).await;
    }
    let status = match not_done {
        NotDone::Held { .. } | NotDone::HeldMeanwhile { .. } => StatusCode::CONFLICT,
        NotDone::Unchanged(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotDone::Unknown(_) => StatusCode::NOT_FOUND,
        NotDone::Unrecorded(_) | NotDone::Disk(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    error(status, &not_done.to_string())
}
