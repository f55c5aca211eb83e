//! Who may not know of a function learns nothing of it.

use crate::world::World;
use serde_json::Value;
use tests::{
    client::{Answer, Request},
    oidc::CLIENT,
    records,
};

#[tokio::test]
async fn without_a_credential_known_and_unknown_functions_answer_alike() {
    let Some(world) = World::start(NOBODY).await else { return };
    let client = world.gateway.client();
    let known = client.send(Request::get("/stock/7")).await;
    assert_eq!(known.status, 401);
    assert!(known.header("www-authenticate").starts_with("Bearer"), "{:?}", known.headers);
    assert!(!known.header("www-authenticate").contains("error"), "RFC 6750: no error code without a credential");
    let others = [
        Request::get("/no/such/function"),
        Request::post("/stock/7", "x"),
        Request::post("/orders", "{}"),
        Request::get("/"),
    ];
    for request in others {
        let path = request.path.clone();
        for client in [client.clone(), client.http2()] {
            let other = client.send(request.clone()).await;
            assert_eq!(visible(&other), visible(&known), "`{path}` differs from a known function");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_denied_function_is_unknown_to_callers_who_may_not_describe_it() {
    let Some(world) = World::start(NOBODY).await else { return };
    let token = world.issuer.token(None).await;
    let denied = world.get("/stock/7", &token).await;
    let unknown = world.get("/no/such/function", &token).await;
    assert_eq!((denied.status, unknown.status), (404, 404), "{}", denied.text());
    assert_eq!(visible(&denied), visible(&unknown));
    let audit = world.project.audit();
    let (denied, unknown) = (records::of_call(&audit, &denied.call_id()), records::of_call(&audit, &unknown.call_id()));
    assert_eq!((&denied[0]["refusal"], &unknown[0]["refusal"]), (&"denied_unseen".into(), &"not_found".into()));
    assert_eq!(denied[0]["function"], "stock.level", "the record knows what the caller may not");
    assert_eq!(unknown[0]["principal"]["id"], format!("corp/{CLIENT}"), "who looked for what is not there is known");
    assert_eq!(world.origin.seen().len(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_denied_function_that_may_be_described_says_so() {
    let policy = format!(
        "@id(\"may-know\")\npermit (principal == Client::\"corp/{CLIENT}\", action == Action::\"describe\", resource);"
    );
    let Some(world) = World::start(&policy).await else { return };
    let token = world.issuer.token(None).await;
    let denied = world.get("/stock/7", &token).await;
    assert_eq!(denied.status, 403, "{}", denied.text());
    let problem = denied.json();
    assert_eq!((&problem["status"], &problem["call_id"]), (&403.into(), &denied.call_id().into()));
    assert!(problem["title"].as_str().unwrap().to_lowercase().contains("policy denied"), "{problem}");
    for inside in ["may-know", "stock.level", "permit", &world.origin.url] {
        assert!(!denied.text().contains(inside), "`{inside}` reached the caller: {}", denied.text());
    }
    assert_eq!(world.get("/no/such/function", &token).await.status, 404);
    world.stop().await;
}

/// No permit at all besides `run-on.default`.
const NOBODY: &str = "";

/// All that a caller can see, without what differs between any two calls.
fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let own = ["date", "latchwork-call-id", "traceparent"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let mut headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect();
    headers.sort();
    let mut body = answer.json();
    assert!(body["call_id"].is_string(), "{body}");
    body["call_id"] = Value::Null;
    // The id has always the same length, so the lengths may be compared.
    (answer.status, headers, body)
}
