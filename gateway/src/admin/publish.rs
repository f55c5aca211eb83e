//! `bundle`: what is in force, and putting another signed bundle in force.

use super::{change, error, json_answer, peer::Peer, read};
use crate::{reload, server::Gateway};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use policy::bundle::manifest::BUNDLE_BYTES_MAX;
use serde_json::{Value, json};

/// What is in force.
pub(super) fn bundle(gateway: &Gateway) -> Value {
    let generation = gateway.generation();
    let policies: Vec<Value> = generation
        .policy
        .policies()
        .map(|p| json!({"id": p.name, "effect": p.effect, "owner": p.owner, "file": p.file, "line": p.line}))
        .collect();
    let signed = generation.signed.as_ref().map(|signed| {
        json!({
            "version": signed.manifest.version,
            "digest": signed.digest,
            "not_after": signed.manifest.not_after,
            "signed_by": signed.people,
        })
    });
    json!({
        "bundle": generation.policy.id(),
        "generation": generation.number,
        "signed": signed,
        "policies": policies,
    })
}

/// Puts the bundle in the body in force.
pub(super) async fn publish(
    reloads: &reload::Handle,
    peer: &Peer,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if let Err(refused) = change(&request) {
        return refused;
    }
    let body = match read(request, BUNDLE_BYTES_MAX).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let Ok(text) = String::from_utf8(body.to_vec()) else {
        return error(StatusCode::BAD_REQUEST, "a bundle is text");
    };
    match reloads.publish(text, peer.who()).await {
        None => error(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
        Some(Ok(published)) => json_answer(StatusCode::OK, &json!(published)),
        Some(Err(findings)) => {
            let refused = json!({"published": false, "findings": findings});
            json_answer(StatusCode::UNPROCESSABLE_ENTITY, &refused)
        }
    }
}
