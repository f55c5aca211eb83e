//! `emergency`: what is forbidden at once, by whom and why.

use super::{Interface, asker::Asker, change, error, json_answer, read_body};
use crate::{
    emergency::{Change, ChangeError, Wanted},
    reload::emergency::Refused,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use policy::emergency::REASON_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lift {
    reason: Arc<str>,
}

/// Answers for `emergency`, or for one of them.
pub(super) async fn answer(
    interface: &Interface,
    id: Option<String>,
    asker: &Asker<'_>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (method, id) = (request.method().clone(), id.map(|id| id.parse::<u64>()));
    let wanted = match (method, id) {
        (Method::GET | Method::HEAD, None) => {
            if let Err(refused) = asker.may("gateway.read", None).await {
                return refused;
            }
            let generation = asker.generation();
            let emergencies = json!({"emergencies": generation.emergencies.list(), "bundle": generation.policy.id()});
            return json_answer(StatusCode::OK, &emergencies);
        }
        (Method::POST, None) => change(&request).map(|()| None),
        (Method::DELETE, Some(Ok(id))) => change(&request).map(|()| Some(id)),
        (_, Some(Err(_))) => return error(StatusCode::NOT_FOUND, "an emergency forbid is named by its number"),
        _ => return error(StatusCode::METHOD_NOT_ALLOWED, "the method is not supported here"),
    };
    let lift = match wanted {
        Ok(lift) => lift,
        Err(refused) => return refused,
    };
    let verb = if lift.is_some() { "emergency.lift" } else { "emergency.forbid" };
    let who = match asker.may(verb, None).await {
        Ok(who) => who,
        Err(refused) => return refused,
    };
    let body = match read_body(request, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let change = match lift {
        None => serde_json::from_slice::<Wanted>(&body).map(Change::Forbid),
        Some(id) => serde_json::from_slice::<Lift>(&body).map(|lift| Change::Lift(id, lift.reason)),
    };
    let change = match change {
        Ok(change) => change,
        Err(wrong) => return error(StatusCode::BAD_REQUEST, &format!("the body is not understood: {wrong}")),
    };
    if let Change::Lift(_, reason) = &change
        && !(1..=REASON_BYTES_MAX).contains(&reason.trim().len())
    {
        let title = format!("a reason is one line of 1 to {REASON_BYTES_MAX} bytes");
        return error(StatusCode::UNPROCESSABLE_ENTITY, &title);
    }
    match interface.reloads.emergency(change, who.clone()).await {
        None => error(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
        Some(Ok(changed)) => json_answer(StatusCode::OK, &json!(changed)),
        Some(Err(refused)) => {
            asker.not_done(verb, &who, &refused.to_string()).await;
            let status = match &refused {
                Refused::Change(ChangeError::Unknown(_)) => StatusCode::NOT_FOUND,
                Refused::Change(_) => StatusCode::UNPROCESSABLE_ENTITY,
                Refused::Unbuildable(_) => StatusCode::INTERNAL_SERVER_ERROR,
                Refused::NotKept(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            error(status, &refused.to_string())
        }
    }
}
