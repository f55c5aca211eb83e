//! Drafts load, pass, and say what they take for granted.

use super::*;
use crate::fixture::{RUN_ON, declared, now, sources};

fn wished(function: &str, effect: Effect) -> Wished {
    Wished { function: function.to_owned(), effect, id: None, owner: None, group: None, expires: None }
}

fn drafted(wished: &Wished, there: &str) -> Result<Draft, Vec<Finding>> {
    draft(wished, &Arc::new(declared()), &sources(there), now())
}

#[test]
fn a_permit_for_the_owner_loads_and_passes() {
    let draft = drafted(&wished("orders.create", Effect::Permit), RUN_ON).unwrap();
    assert_eq!(draft.findings, []);
    assert_eq!(
        (draft.policies_file.as_str(), draft.cases_file.as_str()),
        ("orders.create.cedar", "orders.create.cases.toml")
    );
    let expected = "// Who may call `orders.create`. A condition narrows it: `when { … }` or `unless { … }`, before the semicolon.\n\
        // Besides `context.facts` it can look at:\n//   context.input.amount_cents: Long\n\
        //   context.input.currency: String, may be missing\n@id(\"orders.create.team-shop\")\n@owner(\"corp/team-shop\")\n\
        @expires(\"2027-02-21\")\npermit (\n  principal in Group::\"corp/team-shop\",\n  action == Action::\"orders.create\",\n  \
        resource == Function::\"orders.create\"\n);\n";
    assert_eq!(draft.policies, expected);
    assert!(draft.cases.contains("nobody else may call orders.create"), "{}", draft.cases);
    let formatted =
        crate::command::format::text(&Source { file: "x".into(), text: draft.policies.as_str().into() }).unwrap();
    assert_eq!(formatted, draft.policies, "it is formatted");
}

#[test]
fn a_forbid_has_no_expiry() {
    let wish = Wished { group: Some("corp/suspended".to_owned()), ..wished("stock.level", Effect::Forbid) };
    let draft = drafted(&wish, RUN_ON).unwrap();
    assert_eq!(draft.findings, []);
    assert!(draft.policies.contains("forbid (") && !draft.policies.contains("@expires"), "{}", draft.policies);
}

#[test]
fn strangers_are_left_out_where_everybody_may() {
    let open = format!("{RUN_ON}@id(\"all\") permit(principal, action == Action::\"stock.level\", resource);");
    let draft = drafted(&wished("stock.level", Effect::Permit), &open).unwrap();
    assert!(!draft.cases.contains("nobody else"), "{}", draft.cases);
}

#[test]
fn a_guard_that_stands_in_the_way_is_named() {
    let guard = format!("{RUN_ON}@id(\"guard\") forbid(principal, action in Action::\"write\", resource);");
    let draft = drafted(&wished("orders.create", Effect::Permit), &guard).unwrap();
    assert_eq!(draft.findings[0].code, "case_fails");
    assert!(draft.findings[0].message.contains("guard"), "{}", draft.findings[0].message);
}

#[test]
fn slips_are_errors() {
    let code = |wish: &Wished| drafted(wish, RUN_ON).unwrap_err()[0].code;
    assert_eq!(code(&wished("orders.creat", Effect::Permit)), "unknown_function");
    assert_eq!(
        code(&Wished { group: Some("corp/stff".to_owned()), ..wished("stock.level", Effect::Permit) }),
        "unknown_group"
    );
    assert_eq!(
        code(&Wished { id: Some("run-on.default".to_owned()), ..wished("stock.level", Effect::Permit) }),
        "duplicate_id"
    );
    assert_eq!(
        code(&Wished { expires: Some("soon".to_owned()), ..wished("stock.level", Effect::Permit) }),
        "invalid_expires"
    );
    assert_eq!(
        code(&Wished { owner: Some("a\nb".to_owned()), ..wished("stock.level", Effect::Permit) }),
        "invalid_annotation"
    );
}
