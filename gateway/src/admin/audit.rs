//! `audit`: erasing what is encrypted of a subject, legal hold, and revealing a call to its auditor.

use super::{change, error, json_answer, peer::Peer, read};
use crate::{
    audit::subject::{
        Subjects, act,
        act::NotDone,
        hold::{Change, Hold, REASON_BYTES_MAX},
        store::SUBJECT_BYTES_MAX,
    },
    server::Gateway,
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
pub(super) async fn answer(gateway: &Gateway, name: &str, peer: &Peer, request: Request<Incoming>) -> Answer {
    let Some(subjects) = gateway.log.subjects() else {
        return error(StatusCode::NOT_FOUND, "this log keeps no subjects");
    };
    let done = match (request.method(), name) {
        (&Method::POST, "erasures") => erase(gateway, subjects, peer, request).await,
        (&Method::POST, "holds") => hold(gateway, subjects, peer, request).await,
        (&Method::GET | &Method::HEAD, "holds") => {
            permitted(peer, act::HOLD).map(|_| json_answer(StatusCode::OK, &json!(subjects.holds())))
        }
        (&Method::POST, "reveals") => reveal(gateway, subjects, peer, request).await,
        (_, "erasures" | "holds" | "reveals") => {
            Err(error(StatusCode::METHOD_NOT_ALLOWED, "the method is not supported here"))
        }
        _ => Err(error(StatusCode::NOT_FOUND, "there is audit/erasures, audit/holds and audit/reveals")),
    };
    done.unwrap_or_else(|refused| refused)
}

async fn erase(
    gateway: &Gateway,
    subjects: &Arc<Subjects>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Answer, Answer> {
    let Erase { subject, reason } = wanted(request).await?;
    let who = permitted(peer, act::ERASE)?;
    let (subject, reason) = (subject_of(subject)?, reason_of(reason)?);
    let erased = act::erase((&gateway.log, subjects), who, subject, &reason).await.map_err(|not| refused(&not))?;
    Ok(json_answer(StatusCode::OK, &json!(erased)))
}

async fn hold(
    gateway: &Gateway,
    subjects: &Arc<Subjects>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Answer, Answer> {
    let Held { action, subject, reason } = wanted(request).await?;
    let who = permitted(peer, if action == Action::Set { act::HOLD } else { act::LIFT })?;
    let (subject, reason) = (subject.map(subject_of).transpose()?, reason_of(reason)?);
    let change = match action {
        Action::Set => Change::Set(subject, Hold { who: who.clone(), at: Timestamp::now(), reason: reason.clone() }),
        Action::Lift => Change::Lift(subject),
    };
    act::hold((&gateway.log, subjects), who, change, &reason).await.map_err(|not| refused(&not))?;
    Ok(json_answer(StatusCode::OK, &json!(subjects.holds())))
}

async fn reveal(
    gateway: &Gateway,
    subjects: &Arc<Subjects>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Answer, Answer> {
    let Reveal { call, reason } = wanted(request).await?;
    let who = permitted(peer, act::REVEAL)?;
    let revealed = act::reveal((&gateway.log, subjects), who, call, &reason_of(reason)?).await;
    Ok(json_answer(StatusCode::OK, &json!(revealed.map_err(|not| refused(&not))?)))
}

/// Who asks, if they may: whoever reaches the interface may use it. This is the one place that says so here.
#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "it is the answer, moved once and then sent")]
fn permitted(peer: &Peer, _verb: &'static str) -> Result<String, Answer> {
    Ok(peer.who())
}

async fn wanted<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Answer> {
    change(&request)?;
    let body = read(request, BODY_BYTES_MAX).await?;
    serde_json::from_slice(&body)
        .map_err(|wrong| error(StatusCode::BAD_REQUEST, &format!("the body is not understood: {wrong}")))
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

fn refused(not_done: &NotDone) -> Answer {
    let status = match not_done {
        NotDone::Held { .. } => StatusCode::CONFLICT,
        NotDone::Unchanged(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotDone::Unknown(_) => StatusCode::NOT_FOUND,
        NotDone::Unrecorded(_) | NotDone::Disk(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    error(status, &not_done.to_string())
}
