//! Policies taken apart: which clauses, in whose words.

use super::super::anatomy::{Part, clauses};

#[track_caller]
fn check(policy: &str, expected: &[(Part, bool, &str)]) {
    let clauses = clauses(policy).unwrap();
    let found: Vec<_> = clauses.iter().map(|clause| (clause.part, clause.wanted, clause.text.as_ref())).collect();
    assert_eq!(found, expected, "{policy}");
    for clause in &clauses {
        let written = policy.get(clause.range.clone()).unwrap();
        assert!(written.contains(clause.text.split(' ').next().unwrap()), "{written}");
    }
}

#[test]
fn conditions_fall_apart_where_each_part_decides_alone() {
    use Part::{Unless, When};
    let of = |conditions: &str| format!("permit(principal, action, resource) {conditions};");
    check(&of(""), &[]);
    check(
        &of("when { principal.b && (resource.d && context.f) }"),
        &[(When, true, "principal.b"), (When, true, "resource.d"), (When, true, "context.f")],
    );
    check(&of("when { principal.b || resource.d }"), &[(When, true, "principal.b || resource.d")]);
    check(
        &of("unless { principal.b || (resource.d || context.f) }"),
        &[(Unless, false, "principal.b"), (Unless, false, "resource.d"), (Unless, false, "context.f")],
    );
    check(&of("unless { principal.b && resource.d }"), &[(Unless, false, "principal.b && resource.d")]);
    check(
        &of("when { !(principal.b || !(resource.d && context.f)) }"),
        &[(When, false, "principal.b"), (When, true, "resource.d"), (When, true, "context.f")],
    );
    check(
        &of("when { !principal.b && !(resource.d) }"),
        &[(When, true, "!principal.b"), (When, true, "!(resource.d)")],
    );
    check(
        &of("unless { !(principal.b && resource.d) }"),
        &[(Unless, true, "principal.b"), (Unless, true, "resource.d")],
    );
    check(
        &of("when { if principal.b then resource.d else context.f }"),
        &[(When, true, "if principal.b then resource.d else context.f")],
    );
    check(
        &of("when { principal has a.b.c && resource is Function in App::\"x\" && principal != resource }"),
        &[
            (When, true, "principal has a.b.c"),
            (When, true, "resource is Function in App::\"x\""),
            (When, true, "principal != resource"),
        ],
    );
}

#[test]
fn heads_are_clauses_and_blanks_and_comments_are_none() {
    use Part::{Action, Principal, Resource, When};
    check(
        "@id(\"x\") permit(principal is User in\n  Group::\"a/b  c\", action in [Action::\"r\", Action::\"w\"], resource == Function::\"f.g\")\n\
         when { context\n  .b > // why\n  7 } when { context.c >= 1 };",
        &[
            (Principal, true, "principal is User in Group::\"a/b  c\""),
            (Action, true, "action in [Action::\"r\", Action::\"w\"]"),
            (Resource, true, "resource == Function::\"f.g\""),
            (When, true, "context .b > 7"),
            (When, true, "context.c >= 1"),
        ],
    );
}
