//! What is in shadow decides nothing, and how a decision would have been another is told by the policies that make it so.

use super::*;
use crate::{
    bundle,
    explain::{explain, human},
    fixture::{RUN_ON, alice, checkout, declared, name, now, question, snapshot, sources},
};

const STAFF: &str =
    "@id(\"staff\") permit(principal in Group::\"corp/staff\", action in Action::\"call\", resource);\n";
const SEE: &str = "@id(\"see\") permit(principal, action == Action::\"describe\", resource);\n";

/// How the shadow differs for Alice, who asks for the stock.
fn differs(policies: &str) -> Option<(Would, Option<DenialReason>, Vec<String>)> {
    let snapshot = snapshot(&format!("{RUN_ON}{policies}"));
    judged(&snapshot, &snapshot.shadow().expect("something is in shadow"), "stock.level")
}

fn judged(snapshot: &Snapshot, shadow: &Shadow, function: &str) -> Option<(Would, Option<DenialReason>, Vec<String>)> {
    let question = question(alice(), function);
    let decided = match snapshot.decide(question.clone()) {
        Ok(permit) => Decided::granted(permit.terms()),
        Err(denial) => Decided::denied(&denial),
    };
    let found = shadow.judge(&question, &decided).unwrap()?;
    Some((found.would, found.reason, found.determining.iter().map(ToString::to_string).collect()))
}

fn of(
    would: Would,
    reason: Option<DenialReason>,
    names: &[&str],
) -> Option<(Would, Option<DenialReason>, Vec<String>)> {
    Some((would, reason, names.iter().map(|name| (*name).to_owned()).collect()))
}

#[test]
fn what_is_in_shadow_decides_nothing_and_is_not_in_force() {
    let text = format!("{RUN_ON}{STAFF}@id(\"no\") @mode(\"shadow\") forbid(principal, action, resource);");
    let shop = snapshot(&text);
    assert!(shop.decide(question(alice(), "stock.level")).is_ok());
    assert_eq!(shop.policies().map(|policy| policy.name.0.as_ref()).collect::<Vec<_>>(), ["run-on.default", "staff"]);
    assert_eq!(shop.shadowed().map(|policy| policy.name.0.as_ref()).collect::<Vec<_>>(), ["no"]);
    assert!(shop.forbid_names().is_empty() && shop.policy(&PolicyName("no".into())).is_none());
    let enforced = snapshot(&text.replace("\"shadow\"", "\"enforce\""));
    assert!(enforced.decide(question(alice(), "stock.level")).is_err() && enforced.shadow().is_none());
}

#[test]
fn both_directions_are_told_with_the_policies_that_make_the_difference() {
    let forbid = "@id(\"no\") @mode(\"shadow\") forbid(principal, action in Action::\"read\", resource);";
    let permit = "@id(\"new\") @mode(\"shadow\") permit(principal, action in Action::\"read\", resource);";
    let forbidden = Some(DenialReason::Forbidden);
    assert_eq!(differs(&format!("{STAFF}{forbid}")), of(Would::Deny, forbidden, &["no"]));
    assert_eq!(differs(permit), of(Would::Allow, None, &["new"]));
    assert_eq!(differs(&format!("{STAFF}{permit}")), None, "allowed anyway");
    // Denied without a permit, and then by a forbid.
    assert_eq!(differs(forbid), of(Would::Otherwise, forbidden, &["no"]));
    assert_eq!(
        differs(&format!("@id(\"also\") forbid(principal, action in Action::\"read\", resource);{forbid}")),
        None
    );
    let fails = "@id(\"far\") @mode(\"shadow\") permit(principal, action == Action::\"stock.level\", resource) \
        when { resource.class + 9223372036854775807 > 1 };";
    assert_eq!(differs(&format!("{STAFF}{fails}")), of(Would::Deny, Some(DenialReason::PolicyError), &["far"]));
}

#[test]
fn where_a_call_may_run_and_what_its_caller_is_told_are_compared_too() {
    let not_there = |target: &str| {
        format!("@id(\"not\") @mode(\"shadow\") forbid(principal, action == Action::\"run_on\", resource{target});")
    };
    let first = " == Target::\"stock.level#0\"";
    assert_eq!(differs(&format!("{STAFF}{}", not_there(first))), of(Would::Otherwise, None, &["not"]));
    assert_eq!(differs(&format!("{STAFF}{}", not_there(""))), of(Would::Deny, Some(DenialReason::NoTarget), &["not"]));
    let told = SEE.replace("@id", "@mode(\"shadow\") @id");
    assert_eq!(differs(&told), of(Would::Otherwise, Some(DenialReason::NotPermitted), &["see"]));
    let nowhere = snapshot(&format!("{STAFF}{}", RUN_ON.replace("@id", "@mode(\"shadow\") @id")));
    let found = judged(&nowhere, &nowhere.shadow().unwrap(), "stock.level");
    assert_eq!(found, of(Would::Allow, None, &["run-on.default"]));
}

#[test]
fn a_bundle_may_miss_a_permit_which_no_policy_is_named_for() {
    let shop = snapshot(&format!("{RUN_ON}{STAFF}"));
    let load = |text: &str| Shadow::load(&sources(text), Arc::new(declared()), now(), (&shop, None)).unwrap().0;
    let narrow = load(&format!("{RUN_ON}{}", STAFF.replace("\"call\"", "\"read\"")));
    assert_eq!(narrow.kind(), Kind::Bundle);
    assert_ne!(narrow.id(), shop.id());
    assert_eq!(judged(&shop, &narrow, "stock.level"), None);
    assert_eq!(judged(&shop, &narrow, "orders.create"), of(Would::Deny, Some(DenialReason::NotPermitted), &[]));
    // It is asked as if it were in force, so what it has in shadow decides nothing there either.
    let watched = load(&format!("{RUN_ON}{STAFF}@id(\"no\") @mode(\"shadow\") forbid(principal, action, resource);"));
    assert_eq!(judged(&shop, &watched, "stock.level"), None);
    assert!(Shadow::load(&sources("broken"), Arc::new(declared()), now(), (&shop, None)).is_err());
}

#[test]
fn an_input_that_only_the_shadow_reads_is_its_own_need() {
    let reads = "@id(\"big\") @mode(\"shadow\") forbid(principal, action == Action::\"orders.create\", resource) \
        when { context.input.amount_cents > 50 };";
    let shop = snapshot(&format!("{RUN_ON}{STAFF}{reads}"));
    let (create, shadow) = (name("orders.create"), shop.shadow().unwrap());
    assert!(!shop.needs_input(&create, &alice()) && shadow.needs_input(&create, &alice()));
    assert!(!shadow.needs_input(&create, &checkout()), "no permit is for it");
    assert_eq!(judged(&shop, &shadow, "orders.create"), of(Would::Deny, Some(DenialReason::Forbidden), &["big"]));
}

#[test]
fn an_expired_bundle_is_not_compared_and_an_observed_denial_is_one() {
    let shop = snapshot(&format!("{RUN_ON}@id(\"new\") @mode(\"shadow\") permit(principal, action, resource);"));
    let day = now() + jiff::SignedDuration::from_hours(24);
    let observed = snapshot(RUN_ON).with_observed([(name("stock.level"), day)].into());
    let terms = observed.decide(question(alice(), "stock.level")).unwrap();
    let decided = Decided::granted(terms.terms());
    assert_eq!(decided.reason(), Some(DenialReason::NotPermitted));
    let found = shop.shadow().unwrap().judge(&question(alice(), "stock.level"), &decided).unwrap().unwrap();
    assert_eq!(found.would, Would::Allow);
    let ended = bundle::validity::Validity::signed("2020-01-01T00:00:00Z".parse().unwrap(), None, Default::default());
    let denial = snapshot(RUN_ON).with_validity(ended).decide(question(alice(), "stock.level")).unwrap_err();
    assert!(decided.is_compared() && !Decided::denied(&denial).is_compared());
}

#[test]
fn a_reload_takes_the_mode_from_what_is_written_now() {
    let text = format!("{RUN_ON}{STAFF}@id(\"no\") @mode(\"shadow\") forbid(principal, action, resource);");
    let before = snapshot(&text);
    let again = |text: &str| bundle::reload(&sources(text), Arc::new(declared()), now(), &before).unwrap().0;
    assert_eq!(again(&text).shadowed().count(), 1);
    let enforced = again(&text.replace("@mode(\"shadow\") ", ""));
    assert!(enforced.decide(question(alice(), "stock.level")).is_err() && enforced.shadow().is_none());
}

#[test]
fn an_explanation_says_what_the_shadow_would_change() {
    let shop = snapshot(&format!(
        "{RUN_ON}{STAFF}@id(\"no\") @mode(\"shadow\") forbid(principal, action in Action::\"read\", resource);"
    ));
    let mut out = Vec::new();
    human::write(&explain(&shop, &question(alice(), "stock.level")), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("ALLOWED by `staff`"), "{text}");
    assert!(text.contains("with the policies in shadow it would be FORBIDDEN by `no`"), "{text}");
    assert!(explain(&shop, &question(alice(), "orders.create")).shadow.is_none());
}
