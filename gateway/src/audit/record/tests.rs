//! The format: one record of each kind as it must stand in the log, and what is cut from records that are too large.

use super::*;
use crate::audit::{
    conceal::Redaction,
    detect::{
        finding::{Detector, Unit},
        sight::Place,
    },
};
use policy::{
    permit::{DenialReason, PolicyName},
    question::{FunctionName, Token},
};
use serde_json::json;

const CALL: Uuid = Uuid::from_u128(0x0191_e0a4_7b1c_7e52_b3ce_0c6c_1b7c_9a50);
const INCARNATION: Uuid = Uuid::from_u128(0x0191_e0a4_0000_7000_8000_0000_0000_0001);

fn known() -> Known {
    Known {
        listener: Some("public".into()),
        source: Some("2001:db8::1".parse().unwrap()),
        request: Some(Request { method: "POST".into(), path: "/greet".into(), version: "HTTP/2".into() }),
        trace: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        function: Some(FunctionName::parse("hello.greet").unwrap()),
        tenant: Some("acme".into()),
        principal: None,
    }
}

fn intent(input: serde_json::Value) -> Intent {
    let mut question = crate::audit::tests::question(Some(input));
    question.path = [("id".into(), "7".into())].into();
    question.query = [("tag".into(), vec!["a".into(), "b".into()])].into();
    question.principal.attributes.clearance = Some(2);
    question.facts.token = Some(Token {
        scopes: Arc::new(["greet".into()]),
        audiences: Arc::new(["latchwork".into()]),
        issued: Some("2026-11-23T21:00:00Z".parse().unwrap()),
        authenticated: None,
        acr: Some("1".into()),
        amr: Some(Arc::new(["pwd".into()])),
        sender_bound: false,
    });
    Intent {
        question: Arc::new(question),
        looks: policy::engine::looks::Looks::everything(),
        bundle: BundleId("sha256:00".into()),
        determining: Arc::new([PolicyName("staff-may-greet".into())]),
        targets: Arc::new([TargetIndex(0), TargetIndex(1)]),
        target: TargetIndex(0),
        chosen: None,
        resting: Vec::new(),
        observed: None,
    }
}

fn denied() -> Refused {
    Refused {
        refusal: "denied_unseen".into(),
        status: 404,
        stage: Stage::Authorize,
        bytes_in: 12,
        question: Some(intent(json!({"name": "x"})).question),
        looks: policy::engine::looks::Looks::everything(),
        bundle: Some(BundleId("sha256:00".into())),
        reason: Some(DenialReason::Forbidden),
        determining: Arc::new([PolicyName("no-nights".into())]),
        errors: vec!["policy `a`: overflow".into()],
        may_describe: Some(false),
    }
}

fn started(predecessor: Predecessor) -> System {
    System::Started { version: "0.1.0".into(), predecessor: Some(predecessor), others: Vec::new() }
}

fn every() -> Vec<(Kind, Vec<u8>)> {
    let redaction = Redaction::default();
    let at = "2026-11-23T21:04:05.123456Z".parse().unwrap();
    let attempt = Attempt {
        target: TargetIndex(1),
        failed: "connect_failed".into(),
        error: Some("refused\u{1b}[2J".into()),
        run: None,
    };
    let closed =
        Closed { outcome: Outcome::TimedOut, status: Some(504), bytes_in: 2, bytes_out: 0, error: None, run: None };
    let tree = |size| Some(Tree { size, root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned() });
    let predecessor = Predecessor {
        incarnation: INCARNATION,
        last_seq: Some(41),
        torn_bytes: 17,
        running: false,
        tree: tree(42),
        checkpoint: tree(40),
        problem: None,
    };
    let unauthenticated = Refused::worded("unauthenticated", 401, Stage::Identify);
    let admin = Admin {
        verb: "publish".into(),
        who: "corp/bob".into(),
        bundle_before: Some(BundleId("sha256:00".into())),
        bundle_after: Some(BundleId("sha256:01".into())),
        detail: None,
        authority: None,
    };
    let summary = Summary {
        network: "2001:db8::/64".into(),
        from: at,
        to: at,
        counts: [("unauthenticated".into(), 512), ("malformed".into(), 3)].into(),
    };
    let recovered =
        System::LogRecovered { since: at, error: "no space left on device".into(), refused: 9, ran: 4, lost: 1 };
    let retired = System::Retired {
        log: CALL,
        first: 0,
        last: 4711,
        rule: "age: older than 31536000 s".into(),
        tombstone: "sha256:00".into(),
    };
    let counted = System::FindingsCounted(Counted { detector: Detector::Denials, count: 70, from: at, to: at });
    let warming = System::Warming(Warming {
        function: FunctionName::parse("orders.create").unwrap(),
        target: TargetIndex(1),
        verdict: Verdict::Stopped,
        every_ms: 300_000,
        warmed: Tally { pauses: 24, cold: 23 },
        alone: Tally { pauses: 26, cold: 25 },
    });
    let not_judged = Shadow {
        shadow: policy::shadow::Kind::Bundle,
        enforced: "deny".into(),
        enforced_reason: Some(DenialReason::NotPermitted),
        would: None,
        reason: None,
        determining: Vec::new(),
        errors: Vec::new(),
        not_judged: Some("input".into()),
        ..in_shadow()
    };
    vec![
        (Kind::System, tail::plain(&started(predecessor))),
        (Kind::Intent, tail::intent(CALL, &known(), &intent(json!({"name": "x", "token": 1})), &redaction, true)),
        (Kind::Attempt, tail::attempt(CALL, &attempt)),
        (Kind::Answered, tail::of_call(CALL, &Answered { status: 200, target: TargetIndex(1) })),
        (Kind::Closed, tail::closed(CALL, &closed, 1234)),
        (Kind::Refused, tail::refused(CALL, &known(), &denied(), 99, &redaction, false)),
        (Kind::Refused, tail::refused(CALL, &known(), &unauthenticated, 99, &redaction, false)),
        (Kind::Summary, tail::plain(&summary)),
        (Kind::Admin, tail::admin(&admin, &Redaction::default())),
        (Kind::System, tail::plain(&recovered)),
        (Kind::System, tail::plain(&System::Stopped { calls_open: 0 })),
        (Kind::System, tail::plain(&System::ClockSetBack { by_ms: 3_600_000 })),
        (Kind::Shadow, tail::of_call(CALL, &in_shadow())),
        (Kind::Shadow, tail::of_call(CALL, &not_judged)),
        (Kind::System, tail::plain(&retired)),
        (Kind::System, tail::plain(&found())),
        (Kind::System, tail::plain(&counted)),
        (Kind::System, tail::plain(&warming)),
    ]
}

fn found() -> System {
    System::Finding(Box::new(Finding {
        detector: Detector::PolicyChange,
        caller: Some("corp/bob".to_owned()),
        function: Some("hello.greet".to_owned()),
        network: Some("192.0.0.0/16".to_owned()),
        bundle: Some("sha256:01".to_owned()),
        by: Some("corp/bob".to_owned()),
        count: 12,
        threshold: 1800,
        unit: Unit::Seconds,
        since: "2026-11-23T21:04:05.1Z".parse().unwrap(),
        of_call: Some(CALL),
        record: Place { incarnation: INCARNATION, seq: 1 },
    }))
}

fn in_shadow() -> Shadow {
    Shadow {
        function: "hello.greet".parse().unwrap(),
        shadow: policy::shadow::Kind::Policies,
        bundle: BundleId("sha256:00".into()),
        enforced: "allow".into(),
        enforced_reason: None,
        would: Some(policy::shadow::Would::Deny),
        reason: Some(DenialReason::PolicyError),
        determining: vec![PolicyName("hello.far".into())],
        errors: vec!["integer overflow".to_owned()],
        not_judged: None,
    }
}

#[test]
fn every_kind_stands_as_in_the_contract() {
    let mut text = Vec::new();
    let identity = tail::identity("gw-1", INCARNATION);
    let at = "2026-11-23T21:04:05.1Z".parse().unwrap();
    for (seq, (kind, tail)) in every().into_iter().enumerate() {
        tail::line(&mut text, kind, seq as u64, at, &identity, &tail);
    }
    let text = String::from_utf8(text).unwrap();
    let golden = include_str!("golden.jsonl");
    for (now, then) in text.lines().zip(golden.lines()) {
        assert_eq!(now, then, "the audit record is a contract");
    }
    assert_eq!(text.len(), golden.len());
}

#[test]
fn what_is_written_is_read_back() {
    for (line, (kind, _)) in include_bytes!("golden.jsonl").split(|b| *b == b'\n').zip(every()) {
        let head: Head = serde_json::from_slice(line).unwrap();
        assert_eq!((head.v, head.kind, head.incarnation), (VERSION, kind, INCARNATION));
        match Body::parse(kind, line).unwrap() {
            Body::Intent(body) => {
                let wrote = intent(json!({"name": "x", "token": "[redacted]"}));
                assert_eq!(body.facts, wrote.question.facts);
                assert_eq!(body.principal, wrote.question.principal);
                assert_eq!(body.input.as_ref(), wrote.question.input.as_deref());
                assert_eq!(body.targets, &*wrote.targets);
                assert_eq!((body.path["id"].as_str(), body.query["tag"].len()), ("7", 2));
            }
            Body::Refused(body) if body.reason.is_some() => {
                assert_eq!(body.facts.as_ref(), Some(&denied().question.unwrap().facts));
                assert_eq!((body.may_describe, body.determining.len()), (Some(false), 1));
            }
            Body::Summary(summary) => assert_eq!(summary.counts["unauthenticated"], 512),
            Body::Shadow(shadow) if shadow.would.is_some() => assert_eq!(*shadow, in_shadow()),
            Body::Shadow(shadow) => assert_eq!(shadow.not_judged.as_deref(), Some("input")),
            Body::System(System::Finding(finding)) => assert_eq!(System::Finding(finding), found()),
            Body::System(_) | Body::Attempt(_) | Body::Answered(_) => {}
            Body::Closed(closed) => assert_eq!(closed.outcome, Outcome::TimedOut),
            Body::Refused(body) => assert_eq!(body.function.unwrap().as_str(), "hello.greet"),
            Body::Admin(admin) => assert_eq!(admin.who, "corp/bob"),
        }
    }
}

/// A large text that looks like no secret.
fn large(bytes: usize) -> Arc<str> {
    "ä\u{1}".repeat(bytes / 3).into()
}

#[test]
fn a_record_that_is_too_large_is_cut_in_defined_places() {
    let small = json!({"a": 1});
    let groups = ["input", "path", "query", "facts.token", "facts.via", "principal.groups"];
    let all = [groups.as_slice(), &["principal.id", "principal.attributes"]].concat();
    let mut cases = vec![(intent(json!({"a": large(100_000)})), &groups[..1])];
    let with = |change: &dyn Fn(&mut policy::question::Question)| {
        let mut intent = intent(small.clone());
        let mut question = (*intent.question).clone();
        change(&mut question);
        intent.question = Arc::new(question);
        intent
    };
    cases.push((with(&|q| q.path = [("id".into(), large(100_000))].into()), &groups[..3]));
    cases.push((with(&|q| q.query = [("id".into(), vec![large(100_000)])].into()), &groups[..3]));
    cases.push((with(&|q| q.facts.token.as_mut().unwrap().scopes = Arc::new([large(100_000)])), &groups[..5]));
    cases.push((with(&|q| q.principal.groups = vec![large(40); 5000].into()), &groups));
    cases.push((with(&|q| q.principal.id = large(100_000)), &all));
    for (intent, truncated) in cases {
        let tail = tail::intent(CALL, &known(), &intent, &Redaction::default(), false);
        assert!(tail.len() <= tail::TAIL_BYTES_MAX);
        let mut line = Vec::new();
        tail::line(&mut line, Kind::Intent, u64::MAX, Timestamp::MAX, &tail::identity(&"n".repeat(128), CALL), &tail);
        assert!(line.len() <= RECORD_BYTES_MAX, "{}", line.len());
        let Body::Intent(body) = Body::parse(Kind::Intent, &line).unwrap() else { panic!() };
        assert_eq!(body.truncated, truncated);
        assert_eq!(body.input.as_ref().unwrap()["truncated"], true);
    }
}

#[test]
fn lists_and_texts_are_bounded() {
    let mut huge = intent(json!(null));
    huge.targets = (0..5000).map(TargetIndex).collect();
    huge.determining = (0..5000).map(|i| PolicyName(format!("p{i}").into())).collect();
    let mut known = known();
    known.trace = Some(large(100_000));
    known.listener = Some(large(100_000));
    known.request = Some(Request { method: large(9000), path: large(9000), version: "x".into() });
    let tail = tail::intent(CALL, &known, &huge, &Redaction::default(), false);
    let line = [b"{", tail.as_slice()].concat();
    let Body::Intent(body) = Body::parse(Kind::Intent, &line).unwrap() else { panic!() };
    assert_eq!((body.targets.len(), body.determining.len()), (64, 64));
    assert_eq!(body.truncated, ["determining", "targets"]);
    assert!(body.trace.unwrap().ends_with('…'));
    let refused = (0..500).fold(denied(), |refused, _| refused.error(large(5000).to_string()));
    let tail = tail::refused(CALL, &known, &refused, 1, &Redaction::default(), false);
    assert!(tail.len() <= tail::TAIL_BYTES_MAX);
    let small = tail::refused(CALL, &known, &refused, 1, &Redaction::default(), true);
    assert!(small.len() < 1024, "{}", small.len());
}

#[test]
fn the_last_records_of_a_call_always_fit_what_was_promised() {
    let evil = || "\u{1}".repeat(10_000);
    let closed = Closed {
        outcome: Outcome::Abandoned,
        status: Some(u16::MAX),
        bytes_in: u64::MAX,
        bytes_out: u64::MAX,
        error: Some(evil().into()),
        run: Some(Run {
            target: TargetIndex(u16::MAX),
            provider: "oracle_functions".into(),
            start: Some("cold".into()),
            init_us: Some(u64::MAX),
            ran_us: Some(u64::MAX),
            billed_us: Some(u64::MAX),
            memory_mib: Some(u32::MAX),
            cost: Some(Spent { pico: u64::MAX, currency: "USD".into() }),
        }),
    };
    let mut lines = Vec::new();
    let identity = tail::identity(&"n".repeat(128), INCARNATION);
    let answered = Answered { status: u16::MAX, target: TargetIndex(u16::MAX) };
    for tail in [tail::closed(CALL, &closed, u64::MAX), tail::of_call(CALL, &answered)] {
        tail::line(&mut lines, Kind::Answered, u64::MAX, Timestamp::MAX, &identity, &tail);
    }
    assert!(lines.len() <= crate::audit::queue::CALL_BYTES, "{}", lines.len());
    let refused = denied().error(evil());
    let refused = Refused { refusal: evil().into(), bytes_in: u64::MAX, ..refused };
    let tail = tail::refused(CALL, &known(), &refused, u64::MAX, &Redaction::default(), true);
    assert!(tail.len() + tail::HEAD_BYTES_MAX <= crate::audit::queue::CALL_BYTES, "{}", tail.len());
}
