//! Decisions end to end: two functions, a handful of policies.

use super::*;
use crate::fixture::{RUN_ON, alice, checkout, now, question, snapshot};

mod administer;
mod check;
mod conformance;
mod differential;
mod misfit;
mod oracle;
mod traps;

const POLICIES: &str = r#"
@id("orders.by-checkout") @owner("team-orders")
permit (principal == Workload::"spiffe://prod.acme/ns/shop/sa/checkout", action == Action::"orders.create", resource)
when { context.input.amount_cents <= 500000 && context.facts.transport.mtls };
@id("stock.everybody") permit (principal, action == Action::"stock.level", resource);
@id("describe.staff") permit (principal in Group::"corp/staff", action == Action::"describe", resource);
@id("guard.suspended") forbid (principal in Group::"corp/suspended", action in Action::"call", resource);
"#;

fn shop() -> Snapshot {
    snapshot(&format!("{POLICIES}{RUN_ON}"))
}

pub(crate) fn names(names: &[PolicyName]) -> Vec<&str> {
    names.iter().map(|name| name.0.as_ref()).collect()
}

#[test]
fn a_permit_names_its_policies_and_targets() {
    let mut ask = question(checkout(), "orders.create");
    ask.facts.transport.mtls = true;
    let permit = shop().decide(ask).unwrap();
    assert_eq!(names(permit.terms().determining()), ["orders.by-checkout"]);
    assert_eq!(**permit.terms().targets(), [TargetIndex(0), TargetIndex(1)]);
    assert!(permit.terms().bundle().0.starts_with("sha256:"));
}

#[test]
fn a_denial_says_why_and_whether_the_caller_may_know() {
    let shop = shop();
    let denial = shop.decide(question(checkout(), "orders.create")).unwrap_err();
    assert_eq!((denial.reason, denial.may_describe), (DenialReason::NotPermitted, false));
    let denial = shop.decide(question(alice(), "orders.create")).unwrap_err();
    assert_eq!((denial.reason, denial.may_describe), (DenialReason::NotPermitted, true));
    let mut mallory = alice();
    mallory.groups = Arc::new(["corp/suspended".into()]);
    let denial = shop.decide(question(mallory, "stock.level")).unwrap_err();
    assert_eq!(denial.reason, DenialReason::Forbidden);
    assert_eq!(names(&denial.determining), ["guard.suspended"]);
}

#[test]
fn run_on_chooses_targets_and_none_is_no() {
    let eu = "@id(\"eu\") permit(principal, action == Action::\"run_on\", resource in Region::\"eu\");";
    let shop = snapshot(&format!("{POLICIES}{eu}"));
    let permit = shop.decide(question(alice(), "stock.level")).unwrap();
    assert_eq!(**permit.terms().targets(), [TargetIndex(0)]);
    let none = "@id(\"no\") forbid(principal, action == Action::\"run_on\", resource);";
    let denial = snapshot(&format!("{POLICIES}{eu}{none}")).decide(question(alice(), "stock.level")).unwrap_err();
    assert_eq!(denial.reason, DenialReason::NoTarget);
    assert_eq!(names(&denial.determining), ["no"]);
    assert!(denial.may_describe);
}

#[test]
fn input_is_needed_only_if_it_can_matter() {
    let shop = shop();
    let create = crate::fixture::name("orders.create");
    assert!(shop.needs_input(&create, &checkout()));
    assert!(!shop.needs_input(&create, &alice()), "no permit of the function is for alice");
    assert!(!shop.needs_input(&crate::fixture::name("stock.level"), &alice()), "it has no input");
    let guard = "@id(\"g\") forbid(principal is User, action == Action::\"orders.create\", resource) when { context.input.amount_cents > 1 };\
                 @id(\"p\") permit(principal is User, action == Action::\"orders.create\", resource);";
    let shop = snapshot(&format!("{POLICIES}{guard}{RUN_ON}"));
    assert!(shop.needs_input(&create, &alice()), "a forbid reads it");
}

#[test]
fn an_input_left_unread_makes_a_plain_no() {
    let guard = "@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource) when { context.input.amount_cents > 1 };";
    let shop = snapshot(&format!("{POLICIES}{guard}{RUN_ON}"));
    let unread = |principal: Principal| Question { input: None, ..question(principal, "orders.create") };
    let denial = shop.decide(unread(alice())).unwrap_err();
    assert_eq!((denial.reason, denial.errors), (DenialReason::NotPermitted, Vec::new()), "no permit is for alice");
    let denial = shop.decide(unread(checkout())).unwrap_err();
    assert_eq!(denial.reason, DenialReason::PolicyError, "for the checkout it had to be read");
}

#[test]
fn still_asks_the_same_again_for_one_target() {
    let expiring = "@id(\"soon\") @expires(\"2026-11-23\") permit(principal is User, action == Action::\"orders.create\", resource);";
    let shop = snapshot(&format!("{POLICIES}{expiring}{RUN_ON}"));
    let terms = shop.decide(question(alice(), "orders.create")).unwrap().spend(now()).unwrap();
    assert!(shop.still(&terms, TargetIndex(1), now()));
    assert!(!shop.still(&terms, TargetIndex(2), now()), "there is no such target");
    assert!(shop.still(&terms, TargetIndex(1), "2026-11-23T23:59:59Z".parse().unwrap()));
    assert!(!shop.still(&terms, TargetIndex(1), "2026-11-24T00:00:00Z".parse().unwrap()), "the permit has expired");
}

#[test]
fn a_question_to_describe_makes_no_permit() {
    let mut ask = question(alice(), "stock.level");
    ask.verb = Verb::Describe;
    assert!(shop().may_describe(&ask));
    assert_eq!(shop().decide(ask).unwrap_err().reason, DenialReason::NotPermitted);
}

#[test]
fn forbid_names_show_what_a_reload_would_lose() {
    let names = shop().forbid_names();
    assert_eq!(names.iter().map(|name| name.0.as_ref()).collect::<Vec<_>>(), ["guard.suspended"]);
}
