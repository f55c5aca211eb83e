//! `bundle/approval`: one person's word for a bundle, before somebody puts it in force.

use super::{asker::Asker, change, error, json_answer, publish};
use crate::{approvals::Approvals, audit::record::Admin};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use policy::bundle::manifest::Bundle;
use serde_json::json;

const VERB: &str = "bundle.approve";

/// Keeps an approval of the bundle in the body: of these very bytes, by whoever sends them.
pub(super) async fn approve(asker: &Asker<'_>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if let Err(refused) = change(&request) {
        return refused;
    }
    let config = &asker.generation().config;
    if config.admin.identify.is_none() {
        let title = "nobody is known here, so nobody can approve: set `identify` in `[admin]`";
        return error(StatusCode::CONFLICT, title);
    }
    let text = match publish::text(asker, &[VERB], request).await {
        Ok(text) => text,
        Err(refused) => return refused,
    };
    let (bundle, manifest) = match Bundle::open(&text) {
        Ok(opened) => opened,
        Err(wrong) => return error(StatusCode::UNPROCESSABLE_ENTITY, &wrong.to_string()),
    };
    let digest = bundle.digest();
    let who = match asker.may(VERB, None).await {
        Ok(who) => who,
        Err(refused) => return refused,
    };
    let Some(user) = asker.user() else {
        return error(StatusCode::FORBIDDEN, "only a user approves: what a machine says is no second opinion");
    };
    // Recorded before it counts.
    let detail = Some(format!("version {} {digest}", manifest.version));
    if let Err(unrecorded) = asker.log().admin(&Admin { detail, ..Admin::by(&who, VERB) }).await {
        return error(StatusCode::SERVICE_UNAVAILABLE, &unrecorded.to_string());
    }
    match Approvals::add(config, &digest, &manifest, user) {
        Ok(approval) => {
            let (version, by) = (manifest.version, approval.by);
            json_answer(StatusCode::OK, &json!({"approved": digest, "version": version, "by": by}))
        }
        Err(finding) => {
            asker.not_done(VERB, &who, &finding.message).await;
            error(StatusCode::UNPROCESSABLE_ENTITY, &finding.message)
        }
    }
}
