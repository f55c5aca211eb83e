//! What a comparison believes and what not, with provers that are scripted.

use super::*;
use crate::{
    fixture::{self, RUN_ON, now},
    question::PrincipalKind,
};
use cedar_policy::{Context, EntityUid};
use serde_json::json;

const STAFF: &str = r#"@id("staff") permit (principal in Group::"corp/staff", action == Action::"orders.create", resource) when { context.input.amount_cents <= 100 };"#;
const GUARD: &str =
    r#"@id("guard") forbid (principal, action in Action::"call", resource) unless { context.facts.transport.mtls };"#;

fn side(text: &str) -> Side {
    let sources = fixture::sources(&format!("{RUN_ON}{text}"));
    Side::new(&sources, Arc::new(fixture::declared()), now()).unwrap().0
}

/// Has one answer to everything.
struct Scripted(Proof);

impl Prover for Scripted {
    fn prove(&self, claims: &[Claim]) -> Vec<Proof> {
        claims.iter().map(|_| self.0.clone()).collect()
    }

    fn name(&self) -> Option<String> {
        Some("scripted".to_owned())
    }
}

/// A question by somebody of the staff about some function; `amount` is its input, `mtls` a fact.
fn model(amount: i64, mtls: bool) -> Proof {
    let uid = |text: &str| -> EntityUid { text.parse().unwrap() };
    let context = json!({
        "facts": { "transport": { "mtls": mtls, "tls": 13, "sealed": false } },
        "path": {}, "query": {}, "input": { "amount_cents": amount },
    });
    let entities = json!([{
        "uid": { "type": "User", "id": "" }, "attrs": {}, "parents": [{ "type": "Group", "id": "corp/staff" }],
    }]);
    let (principal, action, resource) = (uid("User::\"\""), uid("Action::\"x.y\""), uid("Function::\"\""));
    let context = Context::from_json_value(context, None).unwrap();
    let request = Request::new(principal, action, resource, context, None).unwrap();
    let entities = Entities::from_json_value(entities, None).unwrap();
    Proof::Fails(Box::new(Model { request, entities }))
}

fn review(old: &str, new: &str, prover: &dyn Prover) -> Review {
    compare(&side(old), &side(new), prover, Limits::default())
}

#[test]
fn what_is_in_shadow_is_not_in_force() {
    let shadowed = |policy: &str| policy.replacen("@id", "@mode(\"shadow\") @id", 1);
    let nobody = Scripted(Proof::Unknown("asked".to_owned()));
    let same = review(STAFF, &format!("{STAFF}{}", shadowed(GUARD)), &nobody);
    assert!(same.is_equal() && same.claims == 0, "{same:#?}");
    let opened = review(&format!("{STAFF}{GUARD}"), &format!("{STAFF}{}", shadowed(GUARD)), &nobody);
    assert!(!opened.is_equal() && opened.removed.iter().any(|name| &**name == "guard"), "{opened:#?}");
}

#[test]
fn what_is_written_otherwise_and_means_the_same_needs_no_proof() {
    let moved = format!("{GUARD}\n// a comment\n{}", STAFF.replace("@id(\"staff\")", "@id(\"staff\") @owner(\"x\")"));
    let review = review(&format!("{STAFF}{GUARD}"), &moved, &Scripted(Proof::Unknown("asked".to_owned())));
    assert!(review.is_equal() && review.claims == 0, "{review:#?}");
    assert!(review.changed.is_empty() && review.added.is_empty() && review.removed.is_empty());
}

#[test]
fn without_a_solver_nothing_is_safe_that_could_be_new() {
    let wider = STAFF.replace("100", "200");
    let found = review(STAFF, &wider, &Unproven("no solver".to_owned()));
    assert!(found.open() && !found.grants_new() && found.prover.is_none());
    let Change::NotProven { why } = &found.rows[0].new else { panic!("{found:#?}") };
    assert_eq!(why, "no solver");
    // A permit that goes, or a forbid that comes, can't grant: that needs no solver.
    for new in [String::new(), format!("{STAFF}{GUARD}")] {
        let found = review(STAFF, &new, &Unproven("no solver".to_owned()));
        assert!(!found.open() && !found.grants_new() && !found.is_equal(), "{found:#?}");
    }
}

#[test]
fn an_example_is_asked_of_both_before_it_is_shown() {
    let wider = STAFF.replace("100", "200");
    let found = review(STAFF, &wider, &Scripted(model(150, false)));
    assert!(found.grants_new(), "{found:#?}");
    let row = found.rows.iter().find(|row| row.principal == PrincipalKind::User).unwrap();
    let Change::Something { example } = &row.new else { panic!("{row:#?}") };
    assert!(!example.old.allowed && example.new.allowed);
    assert_eq!(example.resource, "Function::\"orders.create\"");
    assert_eq!(example.groups, BTreeSet::from(["Group::\"corp/staff\"".to_owned()]));
    assert_eq!(example.matters, [("context.input.amount_cents".to_owned(), json!(150))]);
    // Both allow 50, so it is no example, whatever the solver says.
    let found = review(STAFF, &wider, &Scripted(model(50, false)));
    assert!(found.open() && !found.grants_new());
}

#[test]
fn a_forbid_that_goes_grants_to_those_whom_a_permit_lets_in() {
    let old = format!("{STAFF}{GUARD}");
    let found = review(&old, STAFF, &Scripted(model(50, false)));
    assert!(found.grants_new(), "{found:#?}");
    assert_eq!(found.removed, BTreeSet::from(["guard".into()]));
    // `stock.level` has no permit, so nothing is new there.
    assert!(found.rows.iter().all(|row| row.functions.iter().all(|name| name.as_str() == "orders.create")));
}

#[test]
fn claims_are_shared_by_functions_that_are_declared_alike() {
    let mut declared = fixture::declared();
    let first = declared.functions[0].clone();
    declared.functions = (0..40)
        .map(|n| crate::declared::Function { name: fixture::name(&format!("f.n{n}")), ..first.clone() })
        .collect();
    let declared = Arc::new(declared);
    let own: String = (0..40)
        .map(|n| format!("@id(\"p{n}\") permit (principal in Group::\"corp/staff\", action == Action::\"f.n{n}\", resource) when {{ context.input.amount_cents <= {n} }};\n"))
        .collect();
    let load = |text: String| Side::new(&fixture::sources(&text), Arc::clone(&declared), now()).unwrap().0;
    let old = load(format!("{RUN_ON}{own}{GUARD}"));
    let tighter = GUARD.replace(
        "unless { context.facts.transport.mtls }",
        "unless { context.facts.transport.mtls && context.facts.transport.sealed }",
    );
    let found = compare(&old, &load(format!("{RUN_ON}{own}{tighter}")), &Scripted(Proof::Holds), Limits::default());
    assert!(found.is_equal(), "{found:#?}");
    // One claim for each kind of caller and direction, not for each of the functions.
    assert!(found.claims <= 2 * PrincipalKind::ALL.len(), "{}", found.claims);
}

#[test]
fn a_later_expiry_is_new_access() {
    let until = |date: &str| STAFF.replace("@id(\"staff\")", &format!("@id(\"staff\") @expires(\"{date}\")"));
    let found = review(&until("2027-01-31"), &until("2027-02-28"), &Unproven("no solver".to_owned()));
    assert_eq!(found.changed, BTreeSet::from(["staff".into()]));
    assert!(found.open());
    let found = review(&until("2027-01-31"), &until("2027-01-31"), &Unproven("no solver".to_owned()));
    assert!(found.is_equal());
}

#[test]
fn a_function_declared_anew_is_compared_with_nothing() {
    let mut other = fixture::declared();
    other.functions[0].class = 3;
    let text = format!(
        "{RUN_ON}@id(\"a\") permit (principal in Group::\"corp/staff\", action == Action::\"orders.create\", resource) when {{ resource.class <= 3 }};"
    );
    let sources = fixture::sources(&text);
    let old = Side::new(&sources, Arc::new(fixture::declared()), now()).unwrap().0;
    let new = Side::new(&sources, Arc::new(other), now()).unwrap().0;
    let found = compare(&old, &new, &Unproven("no solver".to_owned()), Limits::default());
    assert!(found.open(), "{found:#?}");
}
