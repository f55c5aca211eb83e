//! What administrators do is asked of this gateway, of whoever can be one, and needs no target.

use super::*;
use crate::{
    bundle::validity::Expired,
    fixture::{facts, name},
    question::{Approval, Facts},
};
use jiff::SignedDuration;

const RELEASE: &str = "@id(\"release\") permit(principal in Group::\"corp/staff\", action, resource);";

fn asked(principal: Principal, verb: &str) -> Question {
    Question { facts: facts(), ..Question::of(principal, name(verb), now()) }
}

fn approved(by: &[&str]) -> Facts {
    let by = by.iter().map(|id| Arc::from(*id)).collect();
    Facts { approval: Some(Approval { by, oldest: now() }), ..facts() }
}

/// Decides by both judges, which must agree.
#[track_caller]
fn decided(shop: &Snapshot, question: Question) -> Result<Vec<String>, (DenialReason, Vec<String>)> {
    let (ours, cedar) = (shop.trace_by(&question, Judge::Engine), shop.trace_by(&question, Judge::Cedar));
    assert_eq!((&ours.call, ours.denied().is_some()), (&cedar.call, cedar.denied().is_some()));
    let owned = |all: &[PolicyName]| names(all).into_iter().map(str::to_owned).collect();
    match shop.decide(question) {
        Ok(permit) => Ok(owned(permit.terms().determining())),
        Err(denial) => Err((denial.reason, owned(&denial.determining))),
    }
}

#[test]
fn a_verb_is_permitted_by_name_by_group_or_by_resource_and_never_as_a_call() {
    let ok = |head: &str| {
        let shop = snapshot(&format!("@id(\"p\") permit({head});\n{RUN_ON}"));
        decided(&shop, asked(alice(), "bundle.activate")).is_ok()
    };
    for head in [
        "principal, action == Action::\"bundle.activate\", resource",
        "principal is User, action in Action::\"administer\", resource",
        "principal == User::\"corp/alice\", action, resource == Gateway::\"gw-1\"",
        "principal in Group::\"corp/staff\", action, resource in Environment::\"prod\"",
    ] {
        assert!(ok(head), "{head}");
    }
    for head in [
        "principal, action in Action::\"call\", resource",
        "principal, action == Action::\"bundle.rollback\", resource",
        "principal is Workload, action in Action::\"administer\", resource",
        "principal, action in Action::\"administer\", resource == Gateway::\"gw-2\"",
        "principal, action, resource is Function",
    ] {
        assert!(!ok(head), "{head}");
    }
}

#[test]
fn only_those_who_can_be_administrators_are_asked_about() {
    let shop = snapshot("@id(\"all\") permit(principal, action, resource);");
    assert!(decided(&shop, asked(checkout(), "emergency.lift")).is_ok());
    let nobody = decided(&shop, asked(Principal::anonymous(), "emergency.lift"));
    assert_eq!(nobody, Err((DenialReason::NotPermitted, Vec::new())));
    let stranger = Principal::named(PrincipalKind::User, "elsewhere/eve");
    assert_eq!(decided(&shop, asked(stranger, "emergency.lift")).unwrap_err().0, DenialReason::AbsentEntity);
    // What is a group of verbs, or asked of something else, is no verb.
    assert_eq!(decided(&shop, asked(alice(), "audit.nothing")).unwrap_err().0, DenialReason::AbsentEntity);
    assert!(shop.could_administer(&name("emergency.lift"), &alice()));
    assert!(!shop.could_administer(&name("stock.level"), &alice()), "a function is no verb");
    assert!(!snapshot(RUN_ON).could_administer(&name("emergency.lift"), &alice()));
}

#[test]
fn who_approved_is_a_fact_and_nobody_approves_alone() {
    let guard = "@id(\"guard\") forbid(principal, action == Action::\"bundle.activate\", resource) unless {\n\
        context.facts has approval && context.facts.approval.count >= 2 &&\n\
        !(principal is User && context.facts.approval.by.contains(principal)) };";
    let shop = snapshot(&format!("{RELEASE}\n{guard}"));
    let activate = |facts| decided(&shop, Question { facts, ..asked(alice(), "bundle.activate") });
    let forbidden = Err((DenialReason::Forbidden, vec!["guard".to_owned()]));
    assert_eq!(activate(facts()), forbidden);
    assert_eq!(activate(approved(&["corp/bob"])), forbidden);
    assert_eq!(activate(approved(&["corp/bob", "corp/alice"])), forbidden, "her own does not count for her");
    assert_eq!(activate(approved(&["corp/bob", "corp/carol"])), Ok(vec!["release".to_owned()]));
    let unknown = activate(approved(&["corp/bob", "elsewhere/eve"]));
    assert_eq!(unknown.unwrap_err().0, DenialReason::AbsentEntity, "nobody vouches for an approver");
    let (absent, _) =
        shop.absent(&Question { facts: approved(&["corp/bob", "corp/alice"]), ..asked(alice(), "bundle.activate") });
    assert_eq!(absent, Vec::<String>::new());
}

#[test]
fn an_expired_bundle_lets_nobody_call_and_still_says_who_may_replace_it() {
    let ended =
        Validity::signed(now() - SignedDuration::from_hours(2), Some(SignedDuration::from_hours(1)), Expired::Deny);
    let shop = snapshot(&format!("{POLICIES}{RUN_ON}{RELEASE}")).with_validity(ended);
    assert_eq!(decided(&shop, question(alice(), "stock.level")).unwrap_err().0, DenialReason::BundleExpired);
    assert_eq!(decided(&shop, asked(alice(), "bundle.activate")), Ok(vec!["release".to_owned()]));
    assert_eq!(decided(&shop, asked(checkout(), "bundle.activate")).unwrap_err().0, DenialReason::NotPermitted);
}

#[test]
fn neither_the_node_nor_what_administrators_do_changes_what_a_bundle_is_approved_for() {
    let mut other = crate::fixture::declared();
    other.gateway = "gw-2".into();
    let sources = crate::fixture::sources(RUN_ON);
    let (there, warnings) = crate::bundle::load(&sources, Arc::new(other), now()).unwrap();
    assert_eq!(there.id(), snapshot(RUN_ON).id());
    let about_verbs = |finding: &Finding| finding.message.contains("bundle.activate");
    assert!(!warnings.iter().any(about_verbs), "a verb that nobody may use is no oversight");
}
