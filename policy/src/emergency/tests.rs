//! What emergency forbids forbid, and what they leave alone.

use super::*;
use crate::{
    bundle::load,
    engine::Snapshot,
    fixture::{alice, checkout, declared, name, now, question, sources},
    permit::DenialReason,
    question::{Principal, Via},
};

const OPEN: &str = "@id(\"open\") permit(principal, action, resource);";

fn emergency(subject: Subject) -> Emergency {
    Emergency { id: 7, subject, reason: "it \"leaks\" ü".into(), by: "uid 0".into(), since: now(), until: None }
}

fn declared_with_mesh() -> Declared {
    let mut declared = declared();
    let mesh = crate::declared::Issuer { alias: "mtls".into(), groups: Default::default(), external_groups: false };
    declared.issuers.retain(|issuer| issuer.alias.as_ref() != "mtls");
    declared.issuers.push(mesh);
    declared
}

fn shop(emergencies: &[Emergency]) -> Snapshot {
    let declared = declared_with_mesh();
    let (source, _) = source(emergencies, &declared, now());
    let sources = [sources(OPEN), source.into_iter().collect()].concat();
    match load(&sources, Arc::new(declared), now()) {
        Ok((snapshot, _)) => snapshot,
        Err(findings) => panic!("{findings:#?}"),
    }
}

/// Which policies forbid a caller's call, if any.
fn forbidden(shop: &Snapshot, principal: Principal, via: Via, function: &str) -> Option<String> {
    let mut question = question(principal, function);
    question.facts.via = via;
    let denial = shop.decide(question).err()?;
    assert_eq!(denial.reason, DenialReason::Forbidden, "{:?}", denial.errors);
    Some(denial.determining.iter().map(|name| name.0.as_ref()).collect::<Vec<_>>().join(" "))
}

fn check(subject: Subject, expected: [Option<&str>; 4]) {
    let shop = shop(&[emergency(subject.clone())]);
    let via = Via { workload: Some(Arc::new(checkout())), depth: 1, ..Via::default() };
    let found = [
        forbidden(&shop, alice(), Via::default(), "orders.create"),
        forbidden(&shop, alice(), Via::default(), "stock.level"),
        forbidden(&shop, checkout(), Via::default(), "stock.level"),
        forbidden(&shop, alice(), via, "stock.level"),
    ];
    assert_eq!(found, expected.map(|ids| ids.map(str::to_owned)), "{subject}");
}

#[test]
fn each_subject_is_forbidden_and_nothing_else() {
    check(Subject::Function(name("orders.create")), [Some("emergency.7"), None, None, None]);
    let alice = Some("emergency.7.user");
    check(Subject::Caller("corp/alice".into()), [alice, alice, None, alice]);
    check(Subject::Caller("corp/bob".into()), [None; 4]);
    let spiffe = Subject::Caller(checkout().id);
    check(spiffe, [None, None, Some("emergency.7.workload"), Some("emergency.7.via-workload")]);
    check(Subject::Issuer("corp".into()), [alice, alice, None, alice]);
    let mesh = Subject::Issuer("mtls".into());
    check(mesh, [None, None, Some("emergency.7.workload"), Some("emergency.7.via-workload")]);
    check(Subject::Caller("anonymous".into()), [None; 4]);
}

#[test]
fn it_ends_by_itself_where_it_was_told_to() {
    let until = now() + jiff::SignedDuration::from_secs(60);
    let ending = Emergency { until: Some(until), ..emergency(Subject::Function(name("stock.level"))) };
    let shop = shop(&[ending]);
    let at = |at: Timestamp| {
        let mut question = question(alice(), "stock.level");
        question.facts.clock.now = at;
        shop.decide(question).is_ok()
    };
    assert!(!at(until - jiff::SignedDuration::from_secs(1)));
    assert!(at(until));
}

#[test]
fn what_can_not_be_forbidden_is_said() {
    let check = |subject, expected| assert_eq!(emergency(subject).check(&declared(), now()), Err(expected));
    let nobody: Arc<str> = "nobody".into();
    check(Subject::Function(name("orders.crate")), EmergencyError::UnknownFunction(name("orders.crate")));
    check(Subject::Issuer(nobody.clone()), EmergencyError::UnknownIssuer(nobody.clone()));
    check(Subject::Caller("nobody/x".into()), EmergencyError::UnknownIssuer(nobody.clone()));
    check(Subject::Caller(nobody.clone()), EmergencyError::InvalidCaller(nobody));
    let function = || emergency(Subject::Function(name("stock.level")));
    for reason in ["", " ", "a\nb", &"x".repeat(501)] {
        let emergency = Emergency { reason: reason.into(), ..function() };
        assert_eq!(emergency.check(&declared(), now()), Err(EmergencyError::InvalidReason), "{reason:?}");
    }
    let over = Emergency { until: Some(now()), ..function() };
    assert_eq!(over.check(&declared(), now()), Err(EmergencyError::Over));
}

#[test]
fn a_function_that_is_gone_does_not_stop_the_load() {
    let (source, findings) = source(&[emergency(Subject::Function(name("gone.away")))], &declared(), now());
    assert!(source.is_none());
    assert_eq!(findings.iter().map(|f| f.code).collect::<Vec<_>>(), ["emergency_moot"]);
}

#[test]
fn it_is_kept_as_it_is_shown() {
    let one = emergency(Subject::Caller("corp/alice".into()));
    let text = serde_json::to_string(&one).unwrap();
    assert!(text.starts_with("{\"id\":7,\"caller\":\"corp/alice\",\"reason\":"), "{text}");
    assert_eq!(serde_json::from_str::<Emergency>(&text).unwrap(), one);
}

#[test]
fn an_emergency_never_ends_before_its_time() {
    let until: Timestamp = "2026-11-27T12:00:00.4005Z".parse().unwrap();
    let ending = Emergency { until: Some(until), ..emergency(Subject::Function(name("stock.level"))) };
    let shop = shop(&[ending]);
    let is_forbidden_at = |now: &str| {
        let mut question = question(alice(), "stock.level");
        question.facts.clock.now = now.parse().unwrap();
        shop.decide(question).is_err()
    };
    assert!(is_forbidden_at("2026-11-27T12:00:00.2Z"), "within the second that it ends in");
    assert!(is_forbidden_at("2026-11-27T12:00:00.4004Z"), "within the millisecond that it ends in");
    assert!(!is_forbidden_at("2026-11-27T12:00:00.401Z"));
}
