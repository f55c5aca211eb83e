//! Unchanged Lambda functions under the process host: AWS's own Python runtime, and the crate `lambda_runtime`.

use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tests::{
    client::{Answer, Request},
    lambda,
    latchwork::{self, Running},
    processes,
    project::Project,
    raw::Raw,
    wait,
};

/// More than the idle time-out of these functions, with room for a slow machine.
const STOPPED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_python_function_runs_unchanged() {
    let Some(gateway) = python("event = \"body\"").await else { return };
    assert_eq!(instances(&gateway.0), 0, "a process is started on demand");
    let answer = call(&gateway.0, json!({ "count": 1 })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.json();
    assert_eq!(said["event"], json!({ "count": 1 }));
    assert!(said["request"].as_str().is_some_and(|id| id.len() >= 32), "{said}");
    let left_ms = said["remaining_ms"].as_i64().expect("a number");
    assert!((1..=30_000).contains(&left_ms), "{left_ms} ms");
    assert_eq!(said["secrets"], json!([]), "the gateway's own environment is not passed on");
    let again = call(&gateway.0, json!({})).await.json();
    assert_eq!(again["process"], said["process"], "an instance serves more than one call");
    wait::until("the function's log", wait::LONG, || async {
        gateway.0.stderr().contains("a line in the function's log").then_some(())
    })
    .await;
    gateway.0.stop().await;
}

#[tokio::test]
async fn failures_of_a_function_are_answered_and_survived() {
    let Some(gateway) = python("event = \"body\"").await else { return };
    for told in ["raise", "exit"] {
        let failed = call(&gateway.0, json!({ "tell": told })).await;
        assert_eq!(failed.status, 502, "{told}: {}", failed.text());
        assert!(!failed.text().contains("told to fail"), "the caller sees none of the function's inside");
        assert_eq!(call(&gateway.0, json!({})).await.status, 200, "after {told}");
    }
    let late = call(&gateway.0, json!({ "tell": "sleep", "seconds": 60 })).await;
    assert_eq!(late.status, 504, "{}", late.text());
    assert_eq!(call(&gateway.0, json!({})).await.status, 200, "after a time-out");
    let running = instances(&gateway.0);
    assert!(running <= 1, "{running} processes: the one that timed out is still there");
    gateway.0.stop().await;
}

#[tokio::test]
async fn instances_follow_the_load_up_to_a_limit() {
    let more = "event = \"body\", instances_max = 3, idle_timeout = \"2s\"";
    let Some(gateway) = python(more).await else { return };
    let calls = (0..9).map(|_| call(&gateway.0, json!({ "tell": "sleep", "seconds": 0.4 })));
    let answers = together(calls).await;
    let used: BTreeSet<i64> = answers.iter().filter_map(|a| a.json()["process"].as_i64()).collect();
    assert!(answers.iter().all(|a| a.status == 200), "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    assert!((2..=3).contains(&used.len()), "{} instances served 9 calls at once", used.len());
    wait::until("idle instances are stopped", STOPPED, || async { (instances(&gateway.0) == 0).then_some(()) }).await;
    assert_eq!(call(&gateway.0, json!({})).await.status, 200, "and started again");
    gateway.0.stop().await;
}

#[tokio::test]
async fn no_instance_outlives_a_killed_gateway() {
    let Some(gateway) = python("event = \"body\"").await else { return };
    assert_eq!(call(&gateway.0, json!({})).await.status, 200);
    assert_eq!(instances(&gateway.0), 1);
    gateway.0.kill().await;
}

#[tokio::test]
async fn a_python_function_gets_http_as_an_event() {
    let Some(gateway) = python("").await else { return };
    let answer = gateway.0.client().send(Request::json("/run?tag=a", &json!({ "count": 1 }))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let event = &answer.json()["event"];
    assert_eq!((&event["version"], &event["rawPath"]), (&json!("2.0"), &json!("/run")), "{event}");
    assert_eq!(event["requestContext"]["http"]["method"], "POST", "{event}");
    assert_eq!(event["rawQueryString"], "tag=a", "{event}");
    let body = event["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok());
    assert_eq!(body, Some(json!({ "count": 1 })), "{event}");
    gateway.0.stop().await;
}

#[tokio::test]
async fn a_rust_function_runs_unchanged() {
    let Some(function) = lambda::rust() else { return };
    let project = project(&function, "event = \"body\"");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let said = call(&gateway, json!({ "count": 1 })).await;
    assert_eq!((said.status, &said.json()["event"]), (200, &json!({ "count": 1 })), "{}", said.text());
    assert_eq!(call(&gateway, json!({ "tell": "fail" })).await.status, 502);
    assert_eq!(call(&gateway, json!({})).await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_rust_function_answers_as_it_goes() {
    let Some(function) = lambda::rust() else { return };
    let project = project(&function, "event = \"function_url\"");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for (breaks, end) in [(false, &b"\0\xff\r\n0\r\n\r\n"[..]), (true, &b"first, \r\n"[..])] {
        let gate = project.folder().join(format!("gate-{breaks}"));
        let told = json!({ "tell": "stream", "gate": gate, "break": breaks }).to_string();
        let mut raw = Raw::connect(&gateway.client()).await.expect("a connection");
        let head = format!("POST /run HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{told}", told.len());
        raw.send(head.as_bytes()).await;
        let first = raw.hear(|bytes| bytes.ends_with(b"first, \r\n")).await;
        assert_eq!(first.status(), Some(200), "{}\n{}", first.text(), gateway.stderr());
        project.write(&format!("gate-{breaks}"), "");
        let rest = raw.hear(|bytes| bytes.ends_with(b"0\r\n\r\n")).await;
        let all = [first.bytes, rest.bytes].concat();
        let shown = String::from_utf8_lossy(&all);
        assert!(all.ends_with(end), "{breaks}: nobody may take half of it for whole: {shown}\n{}", gateway.stderr());
        assert!(!shown.contains("Function-Error"), "{shown}");
        assert_eq!(rest.closed, breaks, "{shown}");
    }
    assert_eq!(call(&gateway, json!({ "body": "{}" })).await.status, 200, "and goes on");
    gateway.stop().await;
}

async fn python(more: &str) -> Option<(Running, Project)> {
    let function = lambda::python()?;
    let project = project(&function, more);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    Some((gateway, project))
}

fn project(function: &lambda::Function, more: &str) -> Project {
    Project::new().anonymous().process("shop.run", "POST /run", function, more, "timeout = \"5s\"").permit_all()
}

/// How many processes of the function there are; the host's own watchers are not counted.
fn instances(gateway: &Running) -> usize {
    processes::descendants(gateway.id()).iter().filter(|p| p.command.contains("awslambdaric")).count()
}

async fn call(gateway: &Running, event: Value) -> Answer {
    gateway.client().send(Request::json("/run", &event)).await
}

async fn together(calls: impl IntoIterator<Item = impl Future<Output = Answer>>) -> Vec<Answer> {
    // The same task polls all of them: each has a connection of its own.
    let mut waiting: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        waiting.retain_mut(|call| match call.as_mut().poll(cx) {
            std::task::Poll::Ready(answer) => {
                done.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}
