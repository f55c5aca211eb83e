//! The peers themselves, without a gateway: a failure here is the harness's, not the product's.

use serde_json::json;
use std::{process::Command, time::Duration};
use tests::{
    child::Child,
    client::{Client, Request},
    functions_framework::Framework,
    oidc::{AUDIENCE, CLIENT, Issuer},
    processes, wait,
};

#[tokio::test]
async fn a_guard_ends_its_whole_group() {
    let logs = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "tail -f /dev/null & echo $!; wait"]).current_dir(logs.path());
    let mut child = Child::start("parent", &command, logs.path());
    let grandchild: i32 = child.line(wait::LONG, |line| line.parse().ok()).await;
    let started = processes::descendants(child.id());
    assert_eq!(started.iter().map(|p| p.id).collect::<Vec<_>>(), [grandchild]);
    assert_eq!(processes::at(logs.path()).len(), 2);
    drop(child);
    assert_eq!(processes::alive(&started), []);
}

#[tokio::test]
async fn a_process_that_ends_too_early_says_why() {
    let logs = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo reason >&2; exit 7"]);
    let mut child = Child::start("short", &command, logs.path());
    let why = child.try_line(wait::LONG, |line| Some(line.len())).await.unwrap_err();
    assert!(why.contains("exit status: 7") && why.contains("reason"), "{why}");
    assert_eq!(child.exit(Duration::ZERO).await.code(), Some(7));
}

#[tokio::test]
async fn the_issuer_issues_and_rotates() {
    let logs = tempfile::tempdir().unwrap();
    let Some(issuer) = Issuer::start(logs.path()).await else { return };
    let token = issuer.token(None).await;
    let header = part(&token, 0);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("RS256"), Some("at+jwt")));
    let claims = part(&token, 1);
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(issuer.url.as_str()), Some(CLIENT)));
    assert_eq!(claims["aud"], AUDIENCE);

    let kid = issuer.rotate("ES256", false).await;
    let header = part(&issuer.token(None).await, 0);
    assert_eq!((header["alg"].as_str(), header["kid"].as_str()), (Some("ES256"), Some(kid.as_str())));
    assert_eq!(issuer.keys().await["keys"].as_array().unwrap().len(), 1);
    issuer.rotate("RS256", true).await;
    assert_eq!(issuer.keys().await["keys"].as_array().unwrap().len(), 2);
    assert_eq!(issuer.keys_requests().await, 2);

    let other = issuer.token(Some("https://other.example")).await;
    assert_eq!(part(&other, 1)["aud"], "https://other.example");
    let own = issuer.signed(json!({}), json!({ "sub": "somebody" })).await;
    assert_eq!(part(&own, 1), json!({ "sub": "somebody" }));
    issuer.outage(true).await;
    assert_eq!(Client::new(&issuer.url, None).send(Request::get("/jwks")).await.status, 503);
}

#[tokio::test]
async fn the_framework_answers() {
    let logs = tempfile::tempdir().unwrap();
    let Some(framework) = Framework::start(logs.path()).await else { return };
    let answer = Client::new(&framework.url, None).send(Request::json("/a/b?c=d", &json!({ "e": 1 }))).await;
    assert_eq!((answer.status, &answer.json()["body"]), (200, &json!({ "e": 1 })));
}

fn part(token: &str, index: usize) -> serde_json::Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
