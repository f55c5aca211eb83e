//! The check by Cedar's own authorizer: it is made now and then, and what it contradicts is denied.

use super::*;
use crate::{engine::ask::DISAGREEMENT, fixture::facts};
use jiff::SignedDuration;

/// One question, at every millisecond of ten seconds.
fn moments() -> impl Iterator<Item = Question> {
    (0..10_000).map(|millis| {
        let mut ask = question(alice(), "stock.level");
        ask.facts = facts();
        ask.facts.clock.now = now() + SignedDuration::from_millis(millis);
        ask
    })
}

#[test]
fn about_one_in_a_thousand_is_checked() {
    let checked = moments().filter(ask::is_checked).count();
    assert!((3..=30).contains(&checked), "{checked} of 10000");
    let one = moments().find(ask::is_checked).unwrap();
    assert!(ask::is_checked(&one), "always the same ones");
}

#[test]
fn what_the_check_contradicts_is_denied() {
    let mut shop = shop();
    let sound = moments().find(ask::is_checked).unwrap();
    assert!(shop.decide(sound.clone()).is_ok());
    // A fault of ours: everything that the guard forbids is let through.
    let place = shop.by_id["guard.suspended"] as usize;
    let guard = shop.policies[place].rule.policy.clone();
    let never = "@id(\"guard.suspended\") forbid(principal, action, resource) when { false };";
    let never = cedar_policy::Policy::parse(None, never).unwrap();
    let never: &cedar_policy_core::ast::Policy = never.as_ref();
    shop.policies[place].rule = Arc::new(Rule { policy: guard, ..Rule::new(never) });
    let suspended = Principal { groups: Arc::new(["corp/suspended".into()]), ..alice() };
    let let_through = moments().find(|ask| !ask::is_checked(ask)).unwrap();
    assert!(shop.decide(Question { principal: suspended.clone(), ..let_through }).is_ok(), "the fault is there");
    let denial = shop.decide(Question { principal: suspended, ..sound }).unwrap_err();
    assert_eq!((denial.reason, denial.errors.as_slice()), (DenialReason::PolicyError, &[DISAGREEMENT.to_owned()][..]));
    assert!(denial.is_disagreement());
}
