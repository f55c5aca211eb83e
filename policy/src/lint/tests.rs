//! Each lint on the least policy that offends it, and on its neighbour that does not.

use super::*;
use crate::fixture::{declared, input, now, sources};

/// Codes and levels, without expiry and owner unless they are asked about.
fn found(text: &str) -> Vec<(&'static str, usize)> {
    let findings = check(&sources(text), &Arc::new(declared()), now(), &Unproven);
    let beside = ["nobody_may_call", "no_allowed_target", "missing_owner", "missing_expiry"];
    findings.into_iter().filter(|f| !beside.contains(&f.code)).map(|f| (f.code, f.line)).collect()
}

#[track_caller]
fn condition(condition: &str, expected: &[&str]) {
    let text =
        format!("@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource) when {{ {condition} }};");
    let codes: Vec<_> = found(&text).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, expected, "{condition}");
}

#[test]
fn owners_and_expiries_are_asked_for() {
    let codes = |text: &str| -> Vec<_> {
        let findings = lints(&sources(text), &declared(), &Unproven);
        findings.into_iter().map(|f| (f.code, f.severity)).collect()
    };
    let bare = "@id(\"p\") permit(principal, action == Action::\"orders.create\", resource);";
    assert_eq!(codes(bare), [("missing_owner", Severity::Warning), ("missing_expiry", Severity::Note)]);
    assert_eq!(codes(&format!("@owner(\"x\") @expires(\"2027-01-01\") {bare}")), []);
    let forbid = "@id(\"p\") @owner(\"x\") forbid(principal, action == Action::\"orders.create\", resource);";
    assert_eq!(codes(forbid), [], "a forbid does not expire");
}

#[test]
fn a_permit_without_an_action() {
    assert_eq!(
        found("@id(\"p\") permit(principal is User, action, resource) when { context.facts.transport.mtls };"),
        [("unscoped_permit", 1)]
    );
    assert_eq!(found("@id(\"p\") permit(principal, action, resource);"), [("boundless_permit", 1)]);
    assert_eq!(found("@id(\"p\") forbid(principal, action, resource) when { context.facts.transport.mtls };").len(), 0);
}

#[test]
fn arithmetic_that_can_leave_its_range() {
    condition("context.input.amount_cents * 2 > 100", &["forbid_may_error"]);
    condition("context.input.amount_cents + 1 > 100", &["forbid_may_error"]);
    condition("-(context.input.amount_cents) > 100", &["forbid_may_error"]);
    condition("context.facts.clock.minute * 60 > 100", &[]);
    condition("resource.class + context.facts.clock.weekday > 4", &[]);
    condition("context.facts.clock.now.offset(duration(\"-30d\")) > datetime(\"2026-01-01\")", &[]);
    condition(
        "context.facts.clock.now.offset(duration(\"106751991167d\")) > datetime(\"2026-01-01\")",
        &["forbid_may_error"],
    );
    condition("context.facts.clock.now.durationSince(datetime(\"2026-01-01\")) > duration(\"1h\")", &[]);
    condition("context.facts.clock.now.toDate() > datetime(\"2026-01-01\")", &[]);
}

#[test]
fn a_schema_bounds_what_is_added_up() {
    let mut declared = declared();
    let schema = r##"{ "type": "object", "required": ["n"], "properties": { "n": { "$ref": "#/$defs/n" } },
        "$defs": { "n": { "type": "integer", "minimum": 0, "maximum": 1000000 } } }"##;
    declared.functions[0].input = input(schema);
    let text = "@id(\"g\") @owner(\"x\") forbid(principal, action == Action::\"orders.create\", resource) when { context.input.n * 1000 > 5 };";
    assert_eq!(lints(&sources(text), &declared, &Unproven), []);
    declared.functions[0].input = input(&schema.replace("1000000", "9000000000000000000"));
    assert_eq!(lints(&sources(text), &declared, &Unproven)[0].code, "forbid_may_error");
}

#[test]
fn conditions_that_contradict_each_other() {
    for never in [
        "context.input.amount_cents > 5 && context.input.amount_cents < 3",
        "context.input.amount_cents == 5 && 6 <= context.input.amount_cents",
        "context.facts.call == \"sync\" && context.facts.call == \"async\"",
        "context.facts.transport.mtls && !context.facts.transport.mtls",
        "(resource.class > 2 || resource.class > 1) && resource.class < 1",
        "if resource.class > 1 then resource.class < 1 else resource.class > 2",
    ] {
        condition(never, &["never_matches"]);
    }
    for possible in [
        "context.input.amount_cents > 5 && context.input.amount_cents < 7",
        "context.facts.call == \"sync\" || context.facts.call == \"async\"",
        "resource.class > 2 || resource.class < 1",
        "!(context.facts.call == \"sync\") && !(context.facts.call == \"async\")",
    ] {
        condition(possible, &[]);
    }
    let unless = "@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource) when { resource.class > 2 } unless { resource.class > 1 };";
    assert_eq!(found(unless), [("never_matches", 1)]);
}

#[test]
fn policies_that_others_make_needless() {
    let staff =
        "@id(\"a\") permit(principal in Group::\"corp/staff\", action == Action::\"orders.create\", resource);\n";
    let check =
        |other: &str, expected: &[(&str, usize)]| assert_eq!(found(&format!("{staff}{other}")), expected, "{other}");
    check(
        "@id(\"b\") permit(principal in Group::\"corp/staff\", action == Action::\"orders.create\", resource == Function::\"orders.create\");",
        &[("duplicate_policy", 2)],
    );
    check(
        "@id(\"b\") permit(principal is User in Group::\"corp/staff\", action == Action::\"orders.create\", resource);",
        &[("shadowed_policy", 2)],
    );
    check(
        "@id(\"b\") permit(principal, action in Action::\"write\", resource in App::\"shop\");",
        &[("shadowed_policy", 1)],
    );
    check("@id(\"b\") @expires(\"2027-05-05\") permit(principal, action in Action::\"write\", resource);", &[]);
    check("@id(\"b\") permit(principal, action in Action::\"read\", resource);", &[]);
    // What is in shadow makes nothing needless that is in force, but may itself be needless.
    check("@id(\"b\") @mode(\"shadow\") forbid(principal, action, resource);", &[("in_shadow", 2)]);
    check(
        "@id(\"b\") @mode(\"shadow\") permit(principal is User in Group::\"corp/staff\", action == Action::\"orders.create\", resource);",
        &[("shadowed_policy", 2), ("in_shadow", 2)],
    );
    check("@id(\"b\") permit(principal, action in Action::\"write\", resource) when { resource.class > 1 };", &[]);
    check("@id(\"b\") forbid(principal, action in Action::\"money\", resource);", &[("overruled_permit", 1)]);
    check("@id(\"b\") forbid(principal in Group::\"corp/suspended\", action in Action::\"money\", resource);", &[]);
}

#[test]
fn names_that_look_alike() {
    let read = |id: &str| {
        format!(
            "@id(\"{id}\") permit(principal is User, action == Action::\"stock.level\", resource) when {{ \"{id}\" == context.facts.call }};\n"
        )
    };
    assert_eq!(found(&format!("{}{}", read("admin"), read("adm1n"))), [("confusable_names", 2)]);
    let partner = |group: &str, n: i32| {
        format!(
            "@id(\"p{n}x\") permit(principal in Group::\"partners/{group}\", action == Action::\"stock.level\", resource);\n"
        )
    };
    assert_eq!(found(&format!("{}{}", partner("modern", 2), partner("modem", 3))), [("confusable_names", 2)]);
}

#[test]
fn a_lint_can_be_allowed_with_a_reason() {
    let guard = |lint: &str| {
        format!(
            "@id(\"g\") @lint(\"{lint}\") forbid(principal, action == Action::\"orders.create\", resource) when {{ context.input.amount_cents * 2 > 1 }};"
        )
    };
    assert_eq!(found(&guard("allow:forbid_may_error: amounts are small")), []);
    assert_eq!(
        found(&guard("allow:forbid_may_eror: amounts are small")),
        [("forbid_may_error", 1), ("unknown_lint", 1)]
    );
    assert_eq!(found(&guard("allow:forbid_may_error")), [("forbid_may_error", 1), ("unknown_lint", 1)]);
    assert_eq!(found(&guard("allow:forbid_may_error, never_matches: small")), [("useless_allow", 1)]);
    let wide = "@id(\"p\") @lint(\"allow:boundless_permit: a playground\") permit(principal, action, resource);";
    assert_eq!(found(wide), []);
}

#[test]
fn a_proof_outweighs_the_analysis() {
    struct Solver(bool);
    impl Judge for Solver {
        fn may_fail(&self, _: &PolicyName) -> Option<bool> {
            Some(self.0)
        }
        fn never_matches(&self, _: &PolicyName) -> Option<bool> {
            Some(self.0)
        }
    }
    let text = "@id(\"g\") @owner(\"x\") forbid(principal, action == Action::\"orders.create\", resource) when { context.input.amount_cents * 2 > 1 };";
    let codes = |judge: &dyn Judge| -> Vec<_> {
        lints(&sources(text), &declared(), judge).into_iter().map(|f| f.code).collect()
    };
    assert_eq!(codes(&Solver(false)), Vec::<&str>::new());
    assert_eq!(codes(&Solver(true)), ["forbid_may_error", "never_matches"]);
}

#[test]
fn lints_are_in_order_and_said_in_words() {
    assert!(LINTS.is_sorted_by_key(|lint| lint.id));
    assert!(LINTS.iter().all(|lint| lint.doc.ends_with('.') && lint.doc.len() > 60));
}
