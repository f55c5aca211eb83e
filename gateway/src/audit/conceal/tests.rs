//! What is recorded in each mode, and that a reader is never told more, or something else.

use super::{DROPPED, Redaction, place};
use crate::audit::{
    field::{Fields, Mode},
    hash::HashKey,
    record::{Actor, Admin, Authority, Body, Intent, Known, Refused, Request, Ruling, Stage, kept::Kept, tail},
    subject::{
        AuditorKey, Subjects,
        seal::{Wrapped, reveal},
    },
    tests::{intent, question},
};
use policy::{
    engine::looks::Looks,
    question::{Approval, Clock, Facts, Principal, Token, Via},
    replay::Why,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

const CALL: Uuid = Uuid::from_u128(0x0191_e0a4_7b1c_7e52_b3ce_0c6c_1b7c_9a50);

struct Office {
    folder: TempDir,
    redaction: Redaction,
    hash: HashKey,
    auditor: AuditorKey,
}

fn office(modes: &[(&str, Mode)]) -> Office {
    let folder = tempfile::tempdir().unwrap();
    let auditor = AuditorKey::create(&folder.path().join("auditor")).unwrap();
    let file = folder.path().join("hash");
    HashKey::create(&file).unwrap();
    let subjects = Arc::new(Subjects::open(folder.path(), Some(auditor.public().clone())).unwrap());
    subjects.key("dev/alice").unwrap();
    subjects.key("anonymous").unwrap();
    let fields = Fields::new(modes.iter().copied()).unwrap();
    let redaction = Redaction::new(fields, Some(HashKey::read(&file).unwrap()), subjects);
    Office { folder, redaction, hash: HashKey::read(&file).unwrap(), auditor }
}

impl Office {
    fn line(&self, intent: &Intent, known: &Known) -> String {
        let tail = tail::intent(CALL, known, intent, &self.redaction, false);
        let mut line = Vec::new();
        let kind = crate::audit::record::Kind::Intent;
        tail::line(&mut line, kind, 1, jiff::Timestamp::UNIX_EPOCH, &tail::identity("gw", CALL), &tail);
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    fn refused(&self, known: &Known) -> Value {
        let refused = Refused::worded("unauthenticated", 401, Stage::Identify);
        let tail = tail::refused(CALL, known, &refused, 1, &self.redaction, false);
        serde_json::from_str(&format!("{{{}", String::from_utf8(tail).unwrap())).unwrap()
    }

    fn opened(&self, subject: &str, place: &str, value: &str) -> String {
        let wrapped: Vec<Wrapped> = Subjects::open(self.folder.path(), None).unwrap().wrapped(subject).unwrap();
        let keys: Vec<_> = wrapped.iter().map(|wrapped| wrapped.unwrapped(&self.auditor).unwrap()).collect();
        reveal(value, (CALL, place), &keys).unwrap()
    }
}

fn of(input: Value) -> Intent {
    intent(Some(input))
}

fn read(line: &str) -> Box<crate::audit::record::IntentBody> {
    match Body::parse(crate::audit::record::Kind::Intent, line.as_bytes()).unwrap() {
        Body::Intent(intent) => intent,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_mode_keeps_an_input_as_it_says() {
    let office = office(&[
        ("/input/iban", Mode::Hmac),
        ("/input/note", Mode::Drop),
        ("/input/address", Mode::Encrypted),
        ("/input/people/*/name", Mode::Hmac),
        ("/input/tags/1", Mode::Drop),
        ("/input/pin", Mode::Hmac),
        ("/input/secret", Mode::Plain),
    ]);
    let input = json!({
        "iban": "DE89", "note": "canary", "address": {"street": "canary"}, "amount": 7, "tags": ["a", "canary"],
        "people": [{"name": "canary-1", "age": 3}, {"name": "DE89"}], "pin": "canary", "secret": "canary", "token": "canary",
    });
    let line = office.line(&of(input), &Known::default());
    assert!(!line.contains("canary") && !line.contains("DE89"), "{line}");
    let json: Value = serde_json::from_str(&line).unwrap();
    let shown = json!({
        "amount": 7, "tags": ["a", null], "people": [{"age": 3}, {}], "secret": "[redacted]", "token": "[redacted]",
    });
    assert_eq!(json["input"], shown);
    let protected = &json["protected"];
    assert_eq!(protected["/input/iban"], office.hash.hash("DE89"));
    assert_eq!(protected["/input/people/1/name"], protected["/input/iban"], "equal values can be matched");
    assert_ne!(protected["/input/people/0/name"], protected["/input/iban"]);
    assert_eq!(
        protected["/input/pin"],
        office.hash.hash("canary"),
        "who asks for it by name gets the hash of a secret"
    );
    assert_eq!((&protected["/input/note"], &protected["/input/tags/1"]), (&json!(DROPPED), &json!(DROPPED)));
    let address = protected["/input/address"].as_str().unwrap();
    assert_eq!(office.opened("dev/alice", "/input/address", address), "{\"street\":\"canary\"}");
    assert_eq!(protected.as_object().unwrap().len(), 7);
    let lost = Kept::of_intent(&read(&line)).lost;
    let of = |place: &[&str]| lost.iter().find(|(lost, _)| lost == place).map(|(_, why)| *why);
    assert_eq!(of(&["input", "iban"]), Some(Why::Hashed));
    assert_eq!(of(&["input", "note"]), Some(Why::Dropped));
    assert_eq!(of(&["input", "address"]), Some(Why::Encrypted));
    assert_eq!(of(&["input", "token"]), Some(Why::Redacted));
    assert_eq!(of(&["input", "amount"]), None);
}

#[test]
fn an_input_that_is_concealed_as_a_whole_shows_not_even_its_names() {
    for (mode, why) in [(Mode::Encrypted, Why::Encrypted), (Mode::Drop, Why::Dropped)] {
        let office = office(&[("/input", mode)]);
        let line = office.line(&of(json!({"canary": ["canary"]})), &Known::default());
        assert!(!line.contains("canary"), "{line}");
        let kept = Kept::of_intent(&read(&line));
        assert_eq!(kept.lost, [(vec!["input".to_owned()], why)]);
        assert!(kept.question.input.is_some(), "it was there");
    }
    let office = office(&[("/input", Mode::Drop), ("/input/a", Mode::Plain)]);
    let line = office.line(&of(json!({"a": 1, "b": {"c": "canary"}})), &Known::default());
    assert!(!line.contains("canary") && line.contains("\"input\":{\"a\":1}"), "{line}");
}

#[test]
fn only_what_policy_looked_at_is_recorded() {
    let office = office(&[("/input/who", Mode::Hmac)]);
    let looks = Looks::at([vec!["input", "amount"], vec!["input", "customer", "tier"], vec!["input", "who"]]);
    let input = json!({"amount": 1, "customer": {"tier": "a", "name": "canary"}, "who": "x", "more": ["canary"]});
    let intent = Intent { looks, ..of(input) };
    let line = office.line(&intent, &Known::default());
    assert!(!line.contains("canary"), "{line}");
    let body = read(&line);
    assert_eq!(body.input, Some(json!({"amount": 1, "customer": {"tier": "a"}})));
    let kept = Kept::of_intent(&body);
    let recorded = kept.recorded.unwrap();
    assert!(recorded.covers(&["input", "customer", "tier"]) && !recorded.touches(&["input", "more"]));
    // A part that was not there stays known as not there.
    let intent = Intent { question: of(json!({"customer": {}})).question, ..intent };
    assert_eq!(read(&office.line(&intent, &Known::default())).input, Some(json!({"customer": {}})));
    let whole = of(json!({"a": 1}));
    assert!(Kept::of_intent(&read(&office.line(&whole, &Known::default()))).recorded.is_none());
}

/// Every member of the facts that is no object of others; a caller is one field.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value.as_object().filter(|members| !members.contains_key("kind") && at != "approval") {
        Some(members) => members.iter().for_each(|(name, value)| {
            let at = if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
            leaves(value, &at, found);
        }),
        None => found.push(at.to_owned()),
    }
}

#[test]
fn no_fact_is_recorded_that_has_no_mode() {
    let caller = || Some(Arc::new(Principal::anonymous()));
    let Facts { call, network, transport, clock, .. } = question(None).facts;
    let Clock { now, weekday, minute, .. } = clock;
    let words = || Arc::from([Arc::from("x")]);
    // Every member by name: a new one does not compile here until it has a value, and then needs its mode.
    let facts = Facts {
        call,
        network,
        transport,
        token: Some(Token {
            scopes: words(),
            audiences: words(),
            issued: Some(now),
            authenticated: Some(now),
            acr: Some("x".into()),
            amr: Some(words()),
            sender_bound: false,
        }),
        clock: Clock { now, weekday, minute, business_day: Some(true), frozen: Some(true) },
        via: Via { workload: caller(), client: caller(), depth: 2 },
        approval: Some(Approval { by: words(), oldest: now }),
    };
    let mut found = Vec::new();
    leaves(&serde_json::to_value(&facts).unwrap(), "", &mut found);
    found.sort_unstable();
    let mut known = crate::audit::field::FACTS.map(str::to_owned).to_vec();
    known.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn every_fact_can_be_concealed_and_is_then_not_known() {
    let mut facts = question(None).facts;
    facts.clock.business_day = Some(true);
    facts.token = Some(Token { acr: Some("canary".into()), scopes: Arc::new(["canary".into()]), ..Token::blank() });
    facts.via.client = Some(Arc::new(Principal { id: "canary".into(), ..Principal::anonymous() }));
    let plain = serde_json::to_value(&facts).unwrap();
    for mode in [Mode::Hmac, Mode::Encrypted, Mode::Drop] {
        for fact in crate::audit::field::FACTS {
            let pointer = format!("/facts/{fact}");
            let office = office(&[(&pointer, mode)]);
            let mut intent = of(json!(null));
            let mut asked = (*intent.question).clone();
            asked.facts = facts.clone();
            intent.question = Arc::new(asked);
            let line = office.line(&intent, &Known::default());
            let kept = Kept::of_intent(&read(&line));
            let there = plain.pointer(&format!("/{fact}"));
            assert_eq!(kept.lost.len(), usize::from(there.is_some()), "{fact}: {line}");
            let json: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(json.pointer(&pointer), None, "{fact}");
        }
    }
    let office = office(&[("/facts", Mode::Hmac), ("/facts/call", Mode::Plain)]);
    let mut intent = of(json!(null));
    let mut asked = (*intent.question).clone();
    asked.facts = facts;
    intent.question = Arc::new(asked);
    let line = office.line(&intent, &Known::default());
    assert!(!line.contains("canary") && !line.contains("127.0.0.1"), "{line}");
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["protected"]["/facts/network/source"], office.hash.hash("127.0.0.1"));
    assert_eq!(json["protected"]["/facts/via/client"], office.hash.hash("canary"));
    assert_eq!(json["facts"]["call"], "sync");
    assert_eq!(&*read(&line).facts.network.zone, "[concealed]");
}

#[test]
fn parameters_and_the_path_that_has_them_are_concealed() {
    let office = office(&[("/path/iban", Mode::Hmac), ("/query", Mode::Drop), ("/query/limit", Mode::Plain)]);
    let mut intent = of(json!(null));
    let mut asked = (*intent.question).clone();
    asked.path = [("iban".into(), "DE89".into()), ("sku".into(), "7".into())].into();
    asked.query = [("q".into(), vec!["canary".into()]), ("limit".into(), vec!["3".into()])].into();
    intent.question = Arc::new(asked);
    let request = Request { method: "GET".into(), path: "/of/DE89/7".into(), version: "HTTP/1.1".into() };
    let known = Known { request: Some(request), source: "192.0.2.1".parse().ok(), ..Known::default() };
    let line = office.line(&intent, &known);
    assert!(!line.contains("canary") && !line.contains("DE89"), "{line}");
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&json["path"], &json["query"]), (&json!({"sku": "7"}), &json!({"limit": ["3"]})));
    assert_eq!(json["protected"]["/path/iban"], office.hash.hash("DE89"));
    // Before a route is known nobody can tell what of the path it is.
    assert_eq!(office.refused(&known)["request"]["path"], "[redacted]");
    assert_eq!(office.refused(&known)["source"], "192.0.2.1");
}

#[test]
fn an_address_is_concealed_wherever_it_stands() {
    let known = Known { source: "192.0.2.1".parse().ok(), ..Known::default() };
    for mode in [Mode::Hmac, Mode::Encrypted, Mode::Drop] {
        let office = office(&[("/facts/network/source", mode)]);
        let refused = office.refused(&known);
        assert!(!refused.to_string().contains("192.0.2.1"), "{refused}");
        let stands = refused["protected"]["/source"].as_str().unwrap();
        let network = office.redaction.network("192.0.2.0".to_owned());
        match mode {
            Mode::Hmac => assert_eq!(stands, office.hash.hash("192.0.2.1")),
            Mode::Encrypted => assert_eq!(office.opened("anonymous", "/source", stands), "\"192.0.2.1\""),
            _ => assert_eq!(stands, DROPPED),
        }
        assert!(!network.contains("192.0.2.0"));
    }
}

#[test]
fn what_has_no_key_is_dropped_and_never_shown() {
    let modes = [("/input/a", Mode::Hmac), ("/input/b", Mode::Encrypted)];
    let subjects = Arc::new(Subjects::open(std::path::Path::new("/nonexistent"), None).unwrap());
    let redaction = Redaction::new(Fields::new(modes).unwrap(), None, subjects);
    let tail = tail::intent(CALL, &Known::default(), &of(json!({"a": "canary", "b": "canary"})), &redaction, false);
    let text = String::from_utf8(tail).unwrap();
    assert!(!text.contains("canary") && text.matches(DROPPED).count() == 2, "{text}");
}

#[test]
fn an_error_that_quotes_what_is_not_recorded_is_left_out() {
    let office = office(&[("/input/a", Mode::Hmac), ("/path/id", Mode::Drop)]);
    let mut asked = question(Some(json!({"a": 123_456, "b": "open", "password": "canary-1", "unread": "canary-2"})));
    asked.path = [("id".into(), "canary-3".into())].into();
    let looks = Looks::at([["input", "a"], ["input", "b"], ["input", "password"]]);
    for (error, shown) in [
        ("overflow of `123456` and `2`", false),
        ("`canary-1` is no decimal", false),
        ("`canary-2` is no decimal", false),
        ("`canary-3` is no decimal", false),
        ("`open` is no decimal", true),
    ] {
        let errors = [error.to_owned()];
        let said = office.redaction.errors(&errors, Some(&asked), &looks);
        assert_eq!(said, [if shown { error } else { "[redacted]" }]);
        // What only the shadow read is in no record at all.
        let said = office.redaction.errors(&errors, Some(&asked), &Looks::default());
        assert_eq!(said, ["[redacted]"]);
    }
}

#[test]
fn an_administrator_has_no_facts_in_a_record_where_some_are_concealed() {
    let said = |modes: &[(&str, Mode)]| {
        let mut authority = Authority::new("audit.hold", Ruling::Denied);
        authority.facts = Some(question(None).facts);
        authority.errors = vec!["`127.0.0.1` is no range".to_owned()];
        let actor = Actor { who: "User::\"corp/rita\"".to_owned(), authority: Some(Box::new(authority)) };
        let tail = tail::admin(&Admin::by(&actor, "audit.hold"), &office(modes).redaction);
        String::from_utf8(tail).unwrap()
    };
    let (open, concealed) = (said(&[("/input", Mode::Drop)]), said(&[("/facts/approval", Mode::Drop)]));
    assert!(open.contains("\"facts\"") && open.matches("127.0.0.1").count() == 2, "{open}");
    assert!(!concealed.contains("\"facts\"") && !concealed.contains("127.0.0.1"), "{concealed}");
    assert!(concealed.contains("[redacted]") && concealed.contains("denied"), "{concealed}");
}

#[tokio::test]
async fn without_a_place_for_keys_nothing_is_encrypted_and_it_recovers() {
    let office = office(&[("/input", Mode::Encrypted)]);
    assert!(office.redaction.ready("dev/alice").await.is_ok());
    let (keys, away) = (office.folder.path().join("subjects/keys"), office.folder.path().join("away"));
    std::fs::rename(&keys, &away).unwrap();
    std::fs::write(&keys, "").unwrap();
    assert!(office.redaction.ready("dev/bob").await.is_err(), "the call is refused, as when the log can't be written");
    assert!(office.redaction.ready("dev/alice").await.is_ok(), "its key is in use");
    std::fs::remove_file(&keys).unwrap();
    std::fs::rename(&away, &keys).unwrap();
    assert!(office.redaction.ready("dev/bob").await.is_ok());
}

#[test]
fn a_caller_can_not_pass_off_a_value_as_concealed() {
    let office = office(&[]);
    let line = office.line(&of(json!({"a": "hmac:x:y", "protected": {"/facts/call": DROPPED}})), &Known::default());
    assert!(Kept::of_intent(&read(&line)).lost.is_empty(), "{line}");
}

#[test]
fn a_record_that_is_cut_conceals_all_the_same() {
    let office = office(&[("/input", Mode::Encrypted), ("/path", Mode::Hmac)]);
    let mut intent = of(json!({"a": "canary ".repeat(20_000)}));
    let mut asked = (*intent.question).clone();
    asked.path = [("id".into(), "canary".into())].into();
    intent.question = Arc::new(asked);
    let line = office.line(&intent, &Known::default());
    assert!(!line.contains("canary"));
    assert_eq!(read(&line).truncated, ["input"]);
}

#[test]
fn places_are_checked_by_name() {
    for good in ["/facts", "/facts/token", "/facts/via/client", "/input", "/input/a/*/b", "/path/sku", "/query"] {
        assert_eq!(place(good), Ok(()), "{good}");
    }
    for (bad, near) in [
        ("/fact", Some("/facts")),
        ("/facts/tokens", None),
        ("/path/a/b", None),
        ("input", None),
        ("/facts/network/zon", Some("/facts/network/zone")),
    ] {
        assert_eq!(place(bad).unwrap_err().1.as_deref(), near, "{bad}");
    }
}
