//! `bundle`: what is in force, and putting another signed bundle in force.

use super::{Interface, asker::Asker, change, error, json_answer, read_body};
use crate::{approvals::Approvals, reload, server::Gateway};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use policy::{
    bundle::manifest::{BUNDLE_BYTES_MAX, Bundle, Digest},
    question::Approval,
};
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
    interface: &Interface,
    asker: &Asker<'_>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if let Err(refused) = change(&request) {
        return refused;
    }
    let text = match text(asker, &["bundle.activate", "bundle.rollback"], request).await {
        Ok(text) => text,
        Err(refused) => return refused,
    };
    // What is no bundle is found out below, by whoever would have been let publish one.
    let opened = Bundle::open(&text).ok();
    let verb = opened.as_ref().map_or("bundle.activate", |(_, manifest)| reload::publish::verb(manifest));
    let approval = opened.as_ref().and_then(|(bundle, _)| approval(asker, &bundle.digest()));
    let who = match asker.may(verb, approval).await {
        Ok(who) => who,
        Err(refused) => return refused,
    };
    match interface.reloads.publish(text, who.clone()).await {
        None => error(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
        Some(Ok(published)) => json_answer(StatusCode::OK, &json!(published)),
        Some(Err(findings)) => {
            let why = findings.first().map(|finding| finding.message.as_str()).unwrap_or_default();
            asker.not_done(verb, &who, why).await;
            let refused = json!({"published": false, "findings": findings});
            json_answer(StatusCode::UNPROCESSABLE_ENTITY, &refused)
        }
    }
}

/// Who approved a bundle. What can't be read is no approval, and stops nobody who needs none.
fn approval(asker: &Asker<'_>, digest: &Digest) -> Option<Approval> {
    match Approvals::read(&asker.generation().config) {
        Ok(approvals) => approvals.of(digest),
        Err(finding) => {
            tracing::error!("nobody has approved: {finding}");
            None
        }
    }
}

/// The bundle in the body, if whoever sends it could be let do any of the verbs: a bundle may be large.
pub(super) async fn text(
    asker: &Asker<'_>,
    verbs: &[&'static str],
    request: Request<Incoming>,
) -> Result<String, Response<Full<Bytes>>> {
    if !asker.could(verbs)
        && let Some(first) = verbs.first()
    {
        asker.may(first, None).await?;
    }
    let body = read_body(request, BUNDLE_BYTES_MAX).await?;
    String::from_utf8(body.to_vec()).map_err(|_| error(StatusCode::BAD_REQUEST, "a bundle is text"))
}
