//! What turns and what does not, and what can't be asked again.

use super::*;
use crate::fixture::{RUN_ON, alice, checkout, now, question, snapshot};

const STAFF: &str = r#"@id("staff") permit (principal in Group::"corp/staff", action in Action::"call", resource);"#;

fn recorded(call: &str, function: &str, allowed: bool) -> Recorded {
    let determining = if allowed { vec![PolicyName("staff".into())] } else { Vec::new() };
    let question = Ok(question(alice(), function));
    Recorded { call: call.into(), at: now(), question, lost: Vec::new(), recorded: None, allowed, determining }
}

fn replayed(policies: &str, records: Vec<Recorded>) -> Replay {
    let snapshot = snapshot(&format!("{RUN_ON}{policies}"));
    let mut replay = Replay::default();
    records.into_iter().for_each(|record| replay.add(record, &snapshot));
    replay
}

#[test]
fn decisions_that_turn_are_grouped_by_function_and_policy() {
    let guard = r#"@id("no-orders") forbid (principal, action == Action::"orders.create", resource);"#;
    let records = vec![
        recorded("c", "orders.create", true),
        recorded("a", "orders.create", true),
        recorded("b", "stock.level", true),
        recorded("d", "stock.level", false),
    ];
    let replay = replayed(&format!("{STAFF}{guard}"), records);
    assert_eq!((replay.replayed, replay.same, replay.newly_allowed(), replay.newly_denied()), (4, 1, 1, 2));
    let denied = replay.flips.iter().find(|flip| flip.turn == Turn::NewlyDenied).unwrap();
    assert_eq!(denied.policies, [PolicyName("no-orders".into())]);
    assert_eq!(denied.such_as, ["a".into(), "c".into()]);
    assert_eq!(denied.reason, Some(DenialReason::Forbidden));
}

#[test]
fn what_nobody_permits_any_more_names_the_permit_of_then() {
    let replay = replayed("", vec![recorded("a", "stock.level", true)]);
    assert_eq!(replay.flips[0].policies, [PolicyName("staff".into())]);
    assert_eq!(replay.flips[0].reason, Some(DenialReason::NotPermitted));
}

#[test]
fn what_can_not_be_asked_again_is_counted_by_cause() {
    let reads = r#"@id("small") permit (principal in Group::"corp/staff", action == Action::"orders.create", resource) when { context.input.amount_cents <= 100 };"#;
    let lost = |why| Recorded { lost: vec![(vec!["input".to_owned()], why)], ..recorded("a", "orders.create", true) };
    let mut none = recorded("b", "orders.create", true);
    none.question.as_mut().unwrap().input = None;
    let mut absent = recorded("c", "orders.create", true);
    absent.question.as_mut().unwrap().function = crate::fixture::name("orders.gone");
    let cut = Recorded { question: Err(Why::Truncated), ..recorded("d", "orders.create", true) };
    let all = || vec![lost(Why::Redacted), none.clone(), absent.clone(), cut.clone()];
    let replay = replayed(reads, all());
    let expected = [(Why::Redacted, 1), (Why::Truncated, 1), (Why::InputNotRecorded, 1), (Why::UnknownFunction, 1)];
    assert_eq!(replay.not_replayed, BTreeMap::from(expected));
    assert_eq!(replay.replayed, 0);
    // Where no policy looks at the input, it need not be there.
    assert_eq!(replayed(STAFF, all()).replayed, 2);
}

#[test]
fn parts_of_a_log_add_up() {
    let records = |from: u32| -> Vec<Recorded> {
        (from..from + 5).map(|n| recorded(&format!("{n:02}"), "stock.level", true)).collect()
    };
    let mut first = replayed("", records(5));
    first.merge(replayed("", records(0)));
    assert_eq!((first.replayed, first.newly_denied(), first.flips.len()), (10, 10, 1));
    assert_eq!(first.flips[0].such_as, ["00".into(), "01".into(), "02".into()]);
    let other = Recorded { question: Ok(question(checkout(), "stock.level")), ..recorded("x", "stock.level", false) };
    first.merge(replayed("", vec![other]));
    assert_eq!(first.same, 1);
}

#[test]
fn what_is_not_in_a_record_counts_only_where_a_policy_looks_at_it() {
    let reads = r#"@id("small") permit (principal in Group::"corp/staff", action == Action::"orders.create", resource)
        when { context.input.amount_cents <= 100 && context.facts.clock.weekday < 6 };"#;
    let with = |input: serde_json::Value, lost: &[(&[&str], Why)], read: Option<&[&str]>| {
        let mut record = recorded("a", "orders.create", true);
        record.question.as_mut().unwrap().input = Some(Arc::new(input));
        let words = |place: &&[&str]| place.iter().map(|word| (*word).to_owned()).collect();
        record.lost = lost.iter().map(|(place, why)| (words(place), *why)).collect();
        record.recorded = read.map(|read| Looks::at(read.iter().map(|name| ["input", *name])));
        record
    };
    let why = |record: Recorded| {
        let replay = replayed(reads, vec![record]);
        assert_eq!(replay.replayed + replay.not_replayed.values().sum::<u64>(), 1);
        replay.not_replayed.into_keys().next()
    };
    let small = serde_json::json!({ "amount_cents": 5 });
    let none = || serde_json::json!({});
    assert_eq!(why(with(small.clone(), &[(&["input", "currency"], Why::Hashed)], None)), None);
    assert_eq!(why(with(small.clone(), &[(&["facts", "network", "zone"], Why::Dropped)], None)), None);
    assert_eq!(why(with(small.clone(), &[(&["facts", "clock", "weekday"], Why::Dropped)], None)), Some(Why::Dropped));
    assert_eq!(why(with(none(), &[(&["input", "amount_cents"], Why::Hashed)], None)), Some(Why::Hashed));
    assert_eq!(why(with(none(), &[(&["input"], Why::Encrypted)], None)), Some(Why::Encrypted));
    assert_eq!(why(with(small.clone(), &[], Some(&["amount_cents"]))), None);
    // What must be there and nobody looked at has a stand-in.
    let other = r#"@id("eur") permit (principal in Group::"corp/staff", action == Action::"orders.create", resource)
        when { context.input has currency && context.input.currency == "EUR" };"#;
    let euro = with(serde_json::json!({ "currency": "EUR" }), &[], Some(&["currency"]));
    assert_eq!(replayed(other, vec![euro.clone()]).same, 1);
    assert_eq!(why(euro), Some(Why::InputNotRecorded));
}
