//! What is seen at once is what Cedar's evaluator finds, and what fails there is never seen.

use super::*;
use cedar_policy_core::{
    ast::{EntityUID, EntityUIDEntry, Request},
    entities::Entities,
    evaluator::Evaluator,
};
use std::sync::Arc;

const CONTEXT: &str = r#"{ "facts": { "mtls": true, "tls": 13, "none": {}, "at": { "__extn": { "fn": "ip", "arg": "10.1.2.3" } } },
    "scopes": ["a", "b"], "mixed": [1, { "a": 1 }], "price": { "__extn": { "fn": "decimal", "arg": "1.50" } }, "text": "x",
    "who": { "__entity": { "type": "User", "id": "a" } } }"#;

fn context() -> Context {
    let context = cedar_policy::Context::from_json_str(CONTEXT, None).unwrap();
    let uid = || r#"User::"a""#.parse::<cedar_policy::EntityUid>().unwrap();
    let request = cedar_policy::Request::new(uid(), uid(), uid(), context, None).unwrap();
    let request: &Request = request.as_ref();
    request.context().unwrap().clone()
}

/// What is seen of a condition; it must be what the evaluator finds.
fn seen(condition: &str) -> Option<bool> {
    let text = format!("permit(principal, action, resource) when {{ {condition} }};");
    let policy = cedar_policy::Policy::parse(None, text).unwrap();
    let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
    let body = policy.non_scope_constraints().unwrap();
    let (context, constants) = (context(), Constants::of(body));
    let seen = Seen { context: &context, constants: &constants }.holds(body);
    let uid =
        || EntityUIDEntry::Known { euid: Arc::new(EntityUID::with_eid_and_type("User", "a").unwrap()), loc: None };
    let request = Request::new_unchecked(uid(), uid(), uid(), Some(context.clone()));
    let entities = Entities::new();
    let evaluator = Evaluator::new(request, &entities, Extensions::all_available());
    let found = evaluator.interpret(&Expr::and(Expr::val(true), body.clone()), policy.env());
    if let Some(seen) = seen {
        assert_eq!(found.unwrap(), Value::from(seen), "{condition}");
    }
    seen
}

#[test]
fn members_and_constants_are_seen() {
    for (condition, expected) in [
        ("context.facts.mtls && context.facts.tls >= 12", true),
        ("context.facts.tls < 12 || context.facts.tls == 14", false),
        ("context has facts && !(context.facts has missing) && context.facts has none", true),
        ("context.scopes.contains(\"b\") && !context.scopes.contains(\"c\") && context.mixed.contains(1)", true),
        ("context.facts.at.isInRange(ip(\"10.0.0.0/8\")) && !context.facts.at.isLoopback()", true),
        ("context.price.lessThan(decimal(\"1.49\"))", false),
        ("context.text == \"x\" && context.text != 1", true),
        ("false && context.missing", false),
        ("true || context.missing.at.all", true),
        ("context.who == User::\"a\"", true),
    ] {
        assert_eq!(seen(condition), Some(expected), "{condition}");
    }
}

#[test]
fn what_fails_or_needs_more_than_the_context_is_left_to_cedar() {
    for condition in [
        "context.missing",
        "context.missing == 1",
        "context.facts.mtls && context.text",
        "!context.facts.tls",
        "context.facts.tls || true",
        "context.text < 1",
        "context.price < 1",
        "context.text.a",
        "context.text has a",
        "context.who has name",
        "context.facts.none.a",
        "context.facts.contains(1)",
        "context.scopes.contains(context.facts)",
        "context.text.isInRange(ip(\"10.0.0.0/8\"))",
        "context.facts.at.isInRange(ip(\"10.0.0.0/99\"))",
        "context.facts.tls + 9223372036854775807 > 0",
        "principal == User::\"a\"",
        "principal in Group::\"a\"",
        "if true then true else false",
        "1",
    ] {
        assert_eq!(seen(condition), None, "{condition}");
    }
}
