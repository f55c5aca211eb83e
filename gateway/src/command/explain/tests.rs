//! `explain` over calls that were really recorded.

use super::{Explain, Given, explain};
use crate::{
    audit::{
        log::Log,
        record::{Answered, Attempt, Known, Refused, Request, Stage},
        tests::{completed, config, intent},
    },
    command::{Exit, Format},
    config::Durability,
    refusal::Refusal,
};
use jiff::Timestamp;
use policy::permit::{BundleId, Denial, DenialReason, PolicyName, TargetIndex};
use std::{path::Path, sync::Arc};
use uuid::Uuid;

fn explained(call: Option<Uuid>, format: Format, path: &Path) -> (Exit, String, String) {
    let args = Explain {
        call: call.map(|call| call.to_string()),
        last: call.is_none(),
        given: Given::default(),
        config: "latchwork.toml".into(),
        format,
    };
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let exit = explain(&args, (path, "gw"), None, (&mut out, &mut talk));
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap())
}

fn open(path: &Path) -> Log {
    Log::open(&config(path, Durability::Write), &"gw".into(), Uuid::now_v7()).unwrap()
}

async fn denied(log: &Log, reason: DenialReason, may_describe: bool) -> Uuid {
    let call = Uuid::now_v7();
    let guard = log.open_call(call, Timestamp::now()).unwrap();
    let denial = Denial {
        input_looks: policy::engine::looks::Looks::everything(),
        question: intent(Some(serde_json::json!({"amount": 7}))).question,
        bundle: BundleId("sha256:00".into()),
        reason,
        determining: Arc::new([PolicyName("no-nights".into())]),
        errors: vec!["policy `x`: overflow\u{7}".into()],
        may_describe,
    };
    let refusal = if may_describe { Refusal::Denied } else { Refusal::DeniedUnseen };
    guard.refused(&Refused::new(&refusal, Stage::Authorize).denied(&denial)).await.unwrap();
    call
}

#[tokio::test]
async fn an_allowed_call_is_told_from_intent_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let call = Uuid::now_v7();
    let mut guard = log.open_call(call, Timestamp::now()).unwrap();
    *guard.known() = Known {
        request: Some(Request { method: "POST".into(), path: "/greet".into(), version: "HTTP/1.1".into() }),
        ..Known::default()
    };
    guard.intent(&intent(None)).await.unwrap();
    let (_, out, _) = explained(Some(call), Format::Human, folder.path());
    assert!(out.contains("outcome    not known: the call is running"), "{out}");
    let attempt =
        Attempt { target: TargetIndex(1), failed: "connect_failed".into(), error: Some("refused".into()), run: None };
    guard.attempt(&attempt).await.unwrap();
    guard.answered(Answered { status: 200, target: TargetIndex(1) }).await.unwrap();
    guard.closed(&completed()).await.unwrap();
    let (exit, out, talk) = explained(Some(call), Format::Human, folder.path());
    assert_eq!((exit, talk.as_str()), (Exit::Ok, ""));
    for part in [
        format!("call {call}: allowed").as_str(),
        "who        User dev/alice, in dev/staff",
        "function   hello.greet",
        "request    POST /greet HTTP/1.1",
        "from       127.0.0.1, zone other, in clear text",
        "clock      day 1 of the week, 21:04 for the app",
        "decision   allowed",
        "permits    staff-may-greet",
        "attempt    target 1",
        "answered   200 from target 1",
        "outcome    completed, status 200",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (_, json, _) = explained(Some(call), Format::Json, folder.path());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["verdict"], &json["told"]), (&"allowed".into(), &200.into()));
    assert_eq!(json["records"].as_array().unwrap().len(), 4);
    assert_eq!(json["determining"][0], "staff-may-greet");
}

#[tokio::test]
async fn every_denial_says_why_and_what_the_caller_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for (reason, words) in [
        (DenialReason::NotPermitted, "denied, not permitted: no permit was satisfied"),
        (DenialReason::Forbidden, "denied, forbidden: a forbid was satisfied"),
        (DenialReason::PolicyError, "denied, policy error: a policy could not be evaluated"),
        (DenialReason::AbsentEntity, "denied, absent entity: it names something that nobody vouches for"),
        (DenialReason::NoTarget, "denied, no target: it is permitted, but on none of the function's targets"),
        (DenialReason::BundleExpired, "denied, bundle expired: the time of its policies is over"),
    ] {
        for (may_describe, told) in [(true, "told       403, that policy denied"), (false, "told       404, as if")] {
            let call = denied(&log, reason, may_describe).await;
            let (exit, out, _) = explained(None, Format::Human, folder.path());
            assert_eq!(exit, Exit::Ok);
            assert!(out.starts_with(&format!("call {call}: denied\n")), "{out}");
            for part in [words, told, "no-nights", "policy `x`: overflow\\u{7}", "sha256:00", "{\"amount\":7}"] {
                assert!(out.contains(part), "{part}: {out}");
            }
            let (_, json, _) = explained(Some(call), Format::Json, folder.path());
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["reason"], serde_json::to_value(reason).unwrap());
        }
    }
}

#[tokio::test]
async fn the_last_call_is_found_across_incarnations() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(explained(None, Format::Human, folder.path()).0, Exit::Failed);
    let log = open(folder.path());
    assert!(explained(None, Format::Human, folder.path()).2.contains("no call yet"));
    let first = denied(&log, DenialReason::Forbidden, true).await;
    let last = denied(&log, DenialReason::Forbidden, true).await;
    log.shutdown().await;
    open(folder.path()).shutdown().await;
    let (_, out, _) = explained(None, Format::Human, folder.path());
    assert!(out.contains(&last.to_string()), "{out}");
    assert!(explained(Some(first), Format::Human, folder.path()).1.contains(&first.to_string()));
    let (exit, out, talk) = explained(Some(Uuid::now_v7()), Format::Human, folder.path());
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(talk.contains("no record of call"), "{talk}");
}

#[test]
fn what_is_no_call_id_is_invalid() {
    let args = Explain {
        call: Some("hello".into()),
        last: false,
        given: Given::default(),
        config: "x".into(),
        format: Format::Human,
    };
    let mut talk = Vec::new();
    assert_eq!(explain(&args, (Path::new("/nowhere"), "gw"), None, (&mut Vec::new(), &mut talk)), Exit::Invalid);
    assert!(String::from_utf8(talk).unwrap().starts_with("error: `hello` is not a call id"));
}

#[tokio::test]
async fn what_several_nodes_recorded_is_one_story() {
    let folder = tempfile::tempdir().unwrap();
    let log = |node: &str| Log::open(&config(folder.path(), Durability::Write), &node.into(), Uuid::now_v7()).unwrap();
    let (one, other) = (log("gw"), log("gw-2"));
    let call = Uuid::now_v7();
    let mut first = one.open_call(call, Timestamp::now()).unwrap();
    first.intent(&intent(None)).await.unwrap();
    let mut second = other.open_call(call, Timestamp::now()).unwrap();
    second.intent(&intent(None)).await.unwrap();
    second.closed(&completed()).await.unwrap();
    first.closed(&completed()).await.unwrap();
    let (exit, out, talk) = explained(Some(call), Format::Human, folder.path());
    assert_eq!((exit, talk.as_str()), (Exit::Ok, ""));
    let nodes: Vec<_> = out.lines().map(str::trim_start).filter(|line| line.starts_with("node")).collect();
    let nodes: Vec<_> = nodes.iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(nodes, ["gw", "gw-2", "gw"], "{out}");
    assert_eq!(out.lines().filter(|line| line.trim_start().starts_with("outcome")).count(), 2, "{out}");
    let (_, json, _) = explained(Some(call), Format::Json, folder.path());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["records"].as_array().unwrap().len(), 4);
    one.shutdown().await;
    other.shutdown().await;
}
