//! Explanations of every kind of answer.

use super::*;
use crate::fixture::{RUN_ON, alice, question, snapshot};

const POLICIES: &str = "@id(\"p\") @owner(\"team\") permit(principal, action == Action::\"stock.level\", resource)\n\
    when { context.facts.transport.mtls };\n@id(\"g\") forbid(principal in Group::\"corp/suspended\", action, resource);\n";

fn check(policies: &str, change: impl Fn(&mut Question), expected: &[&str]) {
    let snapshot = snapshot(policies);
    let mut ask = question(alice(), "stock.level");
    change(&mut ask);
    let explanation = match snapshot.decide(ask) {
        Ok(permit) => explain(&snapshot, Recorded::from(permit.terms())),
        Err(denial) => explain(&snapshot, Recorded::from(&denial)),
    };
    assert_eq!(explanation.sentences, expected);
    assert_eq!(explanation.decision == Decision::Allow, explanation.reason.is_none());
}

#[test]
fn every_answer_is_explained() {
    let asked = "User `corp/alice` asked to call `stock.level`.";
    let all = format!("{POLICIES}{RUN_ON}");
    let allowed = "It was allowed by permit `p` (shop.cedar:1, owner team), and nothing forbade it.";
    check(&all, |ask| ask.facts.transport.mtls = true, &[asked, allowed]);
    let unsatisfied = "For this caller and function there is `p`; its conditions did not hold.";
    check(&all, |_| {}, &[asked, "It was denied because no permit was satisfied.", unsatisfied]);
    let none = "No permit is written for this caller and function.";
    check(RUN_ON, |_| {}, &[asked, "It was denied because no permit was satisfied.", none]);
    let forbidden = "It was denied by forbid `g` (shop.cedar:3). A forbid wins over every permit.";
    check(&all, |ask| ask.principal.groups = Arc::new(["corp/suspended".into()]), &[asked, forbidden]);
    let absent = "It was denied because it names somebody or something that nothing vouches for.";
    let said = "Policy said: the group `corp/x` is not declared.";
    check(&all, |ask| ask.principal.groups = Arc::new(["corp/x".into()]), &[asked, absent, said]);
    let misfit = "It was denied because the question does not fit the vocabulary.";
    check(&all, |ask| ask.path.clear(), &[asked, misfit, "Policy said: the path parameter `sku` is missing."]);
    let nowhere = "It was permitted, but no permit lets it run on any of its targets.";
    check(POLICIES, |ask| ask.facts.transport.mtls = true, &[asked, nowhere]);
}

#[test]
fn another_bundle_is_said_to_be_another() {
    let decided = snapshot(&format!("{POLICIES}{RUN_ON}"));
    let denial = decided.decide(question(alice(), "stock.level")).unwrap_err();
    let explanation = explain(&snapshot(RUN_ON), Recorded::from(&denial));
    assert!(explanation.sentences[3].starts_with("Bundle sha256:"), "{:?}", explanation.sentences);
}
