//! Places that are set, taken out, misspelt and ill-typed.

use super::*;
use crate::fixture::{RUN_ON, alice, question, snapshot};

fn asked() -> Question {
    question(alice(), "orders.create")
}

#[test]
fn every_fixed_place_can_be_set_and_is_kept() {
    let snapshot = snapshot(RUN_ON);
    for (place, pointer, kind) in FIXED.iter().chain([&DEPTH]) {
        let text = match kind {
            Kind::Bool => "true",
            Kind::Long => "2",
            Kind::Text => "a/b",
            Kind::Texts => "a/b, c/d",
            Kind::Time => "2026-11-23T10:00:00Z",
            Kind::Address => "10.0.0.9",
            Kind::Words(words) => words.last().unwrap(),
            Kind::Principal if place.ends_with("workload") => "spiffe://prod.acme/ns/shop/sa/checkout",
            Kind::Principal if place.ends_with("client") => "Client::\"partners/app\"",
            Kind::Principal => "User::\"corp/bob\"",
            Kind::Query(_) | Kind::Input(_) => unreachable!("no fixed place is of a function"),
        };
        let set = set(&asked(), snapshot.vocabulary(), place, text).unwrap();
        let json = serde_json::to_value(&set).unwrap();
        assert!(json.pointer(pointer).is_some(), "{place}: {json:#}");
        assert_ne!(set, asked(), "{place}");
    }
}

#[test]
fn inputs_are_typed_by_the_vocabulary() {
    let snapshot = snapshot(RUN_ON);
    let words = snapshot.vocabulary();
    let changed = set(&asked(), words, "context.input.amount_cents", "5").unwrap();
    assert_eq!(changed.input.unwrap()["amount_cents"], 5);
    let changed = set(&asked(), words, "input.currency", "12").unwrap();
    assert_eq!(changed.input.unwrap()["currency"], "12");
    let changed = unset(&asked(), words, "input.currency").unwrap();
    assert!(changed.input.unwrap().get("currency").is_none());
    assert!(unset(&asked(), words, "input").unwrap().input.is_none());
    let level = question(alice(), "stock.level");
    assert_eq!(&*set(&level, words, "query.limit", "7").unwrap().query["limit"][0], "7");
    assert_eq!(&*set(&level, words, "path.sku", "b").unwrap().path["sku"], "b");
}

#[test]
fn mistakes_are_told_with_the_nearest_name() {
    let snapshot = snapshot(RUN_ON);
    for (place, text, expected) in [
        (
            "input.amount_cent",
            "5",
            "a question of `orders.create` has no `input.amount_cent`; did you mean `input.amount_cents`?",
        ),
        ("facts.transport.mtsl", "true", "did you mean `facts.transport.mtls`?"),
        ("path.sku", "x", "has no `path.sku`"),
        ("input.amount_cents", "five", "`input.amount_cents` is a whole number, and `five` is not"),
        ("facts.clock.now", "noon", "`facts.clock.now` is an instant like"),
        ("facts.via.workload", "x", "`facts.via.workload` is a caller such as"),
        ("facts.call", "later", "`facts.call` is one of a few words"),
    ] {
        let error = set(&asked(), snapshot.vocabulary(), place, text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let error = unset(&asked(), snapshot.vocabulary(), "facts.transport.mtls").unwrap_err();
    assert_eq!(error, "`facts.transport.mtls` can't be missing");
    assert_eq!(unset(&asked(), snapshot.vocabulary(), "facts.token").unwrap_err(), "`facts.token` is not set");
}
