//! Explanations of every kind of answer, as people read them.

use super::*;
use crate::{
    engine::looks::Looks,
    fixture::{RUN_ON, alice, checkout, question, snapshot},
};

mod cut;
mod random;

const POLICIES: &str = r#"@id("create.small") @owner("team")
permit (principal == Workload::"spiffe://prod.acme/ns/shop/sa/checkout", action == Action::"orders.create", resource)
when {
  context.input.amount_cents <= 500 && // more needs a person
  (context.facts.transport.mtls || context.facts.network.zone == "office")
}
unless { context.input has currency && context.input.currency != "EUR" };
@id("create.staff")
permit (principal is User in Group::"corp/staff", action == Action::"orders.create", resource)
when { if context.facts has token then context.facts.token.sender_bound else context.facts.network.zone == "office" };
@id("guard.suspended") forbid (principal in Group::"corp/suspended", action in Action::"call", resource);
@id("guard.late") forbid (principal, action in Action::"call", resource)
when { context.facts.clock.minute * 9000000000000000 > 9000000000000000000 };
"#;

/// Asks, and compares what people read with what is expected, line by line.
#[track_caller]
fn check(change: impl Fn(&mut Question), expected: &str) {
    let snapshot = snapshot(&format!("{POLICIES}{RUN_ON}"));
    let mut ask = question(checkout(), "orders.create");
    change(&mut ask);
    let explanation = explain(&snapshot, &ask);
    let mut out = Vec::new();
    human::write(&explanation, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(explanation.decision == Decision::Allow, snapshot.decide(ask).is_ok());
}

fn spend(question: &mut Question, cents: i64) {
    question.input = Some(Arc::new(serde_json::json!({ "amount_cents": cents })));
}

#[test]
fn the_first_false_clause_is_told_in_its_own_words() {
    check(
        |ask| spend(ask, 501),
        r#"NOT PERMITTED: no permit is satisfied
  permit `create.small` (shop.cedar:1, owner team): does not apply
    4: context.input.amount_cents <= 500    <- FALSE
        context.input.amount_cents is 501
  permit `create.staff` (shop.cedar:8): does not apply
    9: principal is User in Group::"corp/staff"    <- FALSE
        principal is Workload::"spiffe://prod.acme/ns/shop/sa/checkout"
  does not apply: forbid `guard.suspended`, `guard.late`
nearest permit: `create.small`; it would be satisfied if:
  - `context.input.amount_cents` must be at most `500`
  - `context.facts.transport.mtls` must be true or `context.facts.network.zone` must be `"office"`
"#,
    );
}

#[test]
fn an_or_an_unless_and_an_if_say_what_decided() {
    check(
        |_| {},
        r#"NOT PERMITTED: no permit is satisfied
  permit `create.small` (shop.cedar:1, owner team): does not apply
    5: context.facts.transport.mtls || context.facts.network.zone == "office"    <- FALSE
        context.facts.transport.mtls is false
        context.facts.network.zone is "other"
        because `context.facts.transport.mtls` is false
        because `context.facts.network.zone == "office"` is false
  permit `create.staff` (shop.cedar:8): does not apply
    9: principal is User in Group::"corp/staff"    <- FALSE
        principal is Workload::"spiffe://prod.acme/ns/shop/sa/checkout"
  does not apply: forbid `guard.suspended`, `guard.late`
nearest permit: `create.small`; it would be satisfied if:
  - `context.facts.transport.mtls` must be true or `context.facts.network.zone` must be `"office"`
"#,
    );
    let dollars = |ask: &mut Question| {
        ask.facts.transport.mtls = true;
        ask.input = Some(Arc::new(serde_json::json!({ "amount_cents": 1, "currency": "USD" })));
    };
    check(
        dollars,
        r#"NOT PERMITTED: no permit is satisfied
  permit `create.small` (shop.cedar:1, owner team): does not apply
    7: context.input has currency && context.input.currency != "EUR"    <- TRUE, and it is in an `unless`
        context.input.currency is "USD"
        because `context.input has currency` is true
        because `context.input.currency != "EUR"` is true
  permit `create.staff` (shop.cedar:8): does not apply
    9: principal is User in Group::"corp/staff"    <- FALSE
        principal is Workload::"spiffe://prod.acme/ns/shop/sa/checkout"
  does not apply: forbid `guard.suspended`, `guard.late`
nearest permit: `create.small`; it would be satisfied if:
  - `context.input.currency` must be absent or `context.input.currency` must be `"EUR"`
"#,
    );
    check(
        |ask| ask.principal = alice(),
        r#"NOT PERMITTED: no permit is satisfied
  permit `create.small` (shop.cedar:1, owner team): does not apply
    2: principal == Workload::"spiffe://prod.acme/ns/shop/sa/checkout"    <- FALSE
        principal is User::"corp/alice"
  permit `create.staff` (shop.cedar:8): does not apply
    10: if context.facts has token then context.facts.token.sender_bound else context.facts.network.zone == "office"    <- FALSE
        context.facts.token is absent
        context.facts.token.sender_bound is absent
        context.facts.network.zone is "other"
        because `context.facts has token` is false
        because `context.facts.network.zone == "office"` is false
  does not apply: forbid `guard.suspended`, `guard.late`
nearest permit: `create.staff`; it would be satisfied if:
  - `if context.facts has token then context.facts.token.sender_bound else context.facts.network.zone == "office"` must hold
"#,
    );
}

#[test]
fn allowed_forbidden_and_failed_are_told_apart() {
    check(
        |ask| ask.facts.transport.mtls = true,
        r#"ALLOWED by `create.small`; nothing forbids it
  permit `create.small` (shop.cedar:1, owner team): applies
    2: principal == Workload::"spiffe://prod.acme/ns/shop/sa/checkout"    <- true
        principal is Workload::"spiffe://prod.acme/ns/shop/sa/checkout"
    2: action == Action::"orders.create"    <- true
        action is Action::"orders.create"
    4: context.input.amount_cents <= 500    <- true
        context.input.amount_cents is 100
    5: context.facts.transport.mtls || context.facts.network.zone == "office"    <- true
        context.facts.transport.mtls is true
        context.facts.network.zone is "other"
    7: context.input has currency && context.input.currency != "EUR"    <- false, as it must be
        context.input.currency is "EUR"
  permit `create.staff` (shop.cedar:8): does not apply
    9: principal is User in Group::"corp/staff"    <- FALSE
        principal is Workload::"spiffe://prod.acme/ns/shop/sa/checkout"
  does not apply: forbid `guard.suspended`, `guard.late`
"#,
    );
    let forbidden = |ask: &mut Question| ask.principal.groups = Arc::new(["corp/suspended".into()]);
    let explanation = explained(forbidden);
    assert_eq!(human::sentence(&explanation), "FORBIDDEN by `guard.suspended`; a forbid wins over every permit");
    assert!(explanation.nearest.is_none());
    let late = |ask: &mut Question| ask.facts.clock.minute = 1439;
    let explanation = explained(late);
    assert_eq!(human::sentence(&explanation), "ERROR: `guard.late` can't be evaluated, so it is denied");
    let guard = explanation.asked[0].policies.iter().find(|policy| policy.came == Came::Error).unwrap();
    let clause = guard.first().unwrap();
    assert_eq!(&*clause.text, "context.facts.clock.minute * 9000000000000000 > 9000000000000000000");
    assert!(clause.error.as_ref().unwrap().contains("overflow"), "{clause:?}");
    assert_eq!(clause.reads[0].to_string(), "context.facts.clock.minute is 1439");
    let absent = explained(|ask: &mut Question| ask.principal.groups = Arc::new(["corp/x".into()]));
    assert_eq!(absent.unaskable.as_deref(), Some("the group `corp/x` is not declared"));
}

fn explained(change: impl Fn(&mut Question)) -> Explanation {
    let snapshot = snapshot(&format!("{POLICIES}{RUN_ON}"));
    let mut ask = question(checkout(), "orders.create");
    change(&mut ask);
    explain(&snapshot, &ask)
}

#[test]
fn what_is_redacted_is_never_guessed() {
    let snapshot = snapshot(&format!("{POLICIES}{RUN_ON}"));
    let mut ask = question(checkout(), "orders.create");
    ask.facts.transport.mtls = true;
    ask.input = Some(Arc::new(serde_json::json!({ "amount_cents": "[redacted]", "currency": "EUR" })));
    let mut hidden = Hidden::default();
    hidden.hide(vec!["input".to_owned(), "amount_cents".to_owned()]);
    let explanation = explain_with(&snapshot, &ask, &hidden);
    assert_eq!((explanation.decision, explanation.reason), (Decision::Unknown, None));
    let policy = &explanation.asked[0].policies[0];
    assert_eq!(
        policy.first().map(|clause| (clause.came, &*clause.text)),
        Some((Came::Unknown, "context.input.amount_cents <= 500"))
    );
    assert_eq!(
        policy.first().unwrap().reads[0].to_string(),
        "context.input.amount_cents is not known (concealed, redacted or left open)"
    );
    // Where another clause is false anyway, what is hidden does not matter.
    ask.facts.transport.mtls = false;
    let explanation = explain_with(&snapshot, &ask, &hidden);
    assert_eq!((explanation.decision, explanation.reason), (Decision::Deny, Some(DenialReason::NotPermitted)));
    let mut whole = Hidden::default();
    whole.hide(vec!["input".to_owned()]);
    ask.input = None;
    assert_eq!(explain_with(&snapshot, &ask, &whole).decision, Decision::Deny);
}

#[test]
fn what_a_record_left_out_is_not_known_to_be_missing() {
    let text = "@id(\"eur\") permit(principal, action == Action::\"orders.create\", resource) \
                when { context.input has currency && context.input.currency == \"EUR\" };";
    let snapshot = snapshot(&format!("{text}{RUN_ON}"));
    let mut ask = question(checkout(), "orders.create");
    ask.input = Some(Arc::new(serde_json::json!({ "amount_cents": 5 })));
    assert_eq!(explain(&snapshot, &ask).decision, Decision::Deny);
    let looks = snapshot.looks_of(&ask.function);
    let mut hidden = Hidden::default();
    hidden.hide_beyond(&Looks::at([["input", "amount_cents"]]), &looks);
    assert_eq!(hidden.places().collect::<Vec<_>>(), ["input.currency"]);
    assert_eq!(explain_with(&snapshot, &ask, &hidden).decision, Decision::Unknown);
    // What was recorded, and is not there, is missing.
    let mut hidden = Hidden::default();
    hidden.hide_beyond(&Looks::at([["input", "currency"]]), &looks);
    assert!(hidden.is_empty());
    ask.input = Some(Arc::new(serde_json::json!({})));
    snapshot.complete(&mut ask);
    assert_eq!(explain_with(&snapshot, &ask, &hidden).decision, Decision::Deny);
}

#[test]
fn facts_that_are_concealed_are_never_guessed() {
    let guard = |condition: &str| {
        let text = format!(
            "@id(\"a\") permit(principal, action == Action::\"stock.level\", resource) when {{ {condition} }};"
        );
        snapshot(&format!("{text}{RUN_ON}"))
    };
    let decided = |condition: &str, place: &[&str]| {
        let mut hidden = Hidden::default();
        hidden.hide(place.iter().map(|word| (*word).to_owned()).collect());
        explain_with(&guard(condition), &question(alice(), "stock.level"), &hidden).decision
    };
    let zone = "context.facts.network.zone == \"other\"";
    assert_eq!(decided(zone, &["facts", "network", "zone"]), Decision::Unknown);
    assert_eq!(decided(zone, &["facts", "network", "source"]), decided(zone, &["facts", "clock", "now"]));
    let source = "context.facts.network has source && context.facts.network.source.isLoopback()";
    assert_eq!(decided(source, &["facts", "network", "source"]), Decision::Unknown);
    let via = "context.facts.via has workload";
    assert_eq!(decided(via, &["facts", "via", "workload"]), Decision::Unknown);
    let acr = "context.facts has token && context.facts.token has acr && context.facts.token.acr == \"1\"";
    assert_eq!(decided(acr, &["facts", "token", "acr"]), Decision::Unknown);
}

#[test]
fn where_no_permit_is_for_a_function_the_nearest_is_for_another() {
    let snapshot = snapshot(&format!(
        "@id(\"level\") permit(principal in Group::\"corp/staff\", action == Action::\"stock.level\", resource);{RUN_ON}"
    ));
    let explanation = explain(&snapshot, &question(alice(), "orders.create"));
    let nearest = explanation.nearest.unwrap();
    assert_eq!((&*nearest.policy.0, nearest.needs.len(), nearest.elsewhere.is_some()), ("level", 1, true));
    let explanation = explain(&nowhere(), &question(alice(), "stock.level"));
    assert_eq!(explanation.reason, Some(DenialReason::NoTarget));
}

fn nowhere() -> Snapshot {
    snapshot(
        "@id(\"level\") permit(principal, action == Action::\"stock.level\", resource);\n\
         @id(\"away\") permit(principal, action == Action::\"run_on\", resource in Region::\"eu\") when { context.facts.transport.mtls };",
    )
}
