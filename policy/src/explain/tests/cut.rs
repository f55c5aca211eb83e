//! Policies taken apart: which clauses, in whose words.

use super::super::anatomy::{Part, clauses};

#[track_caller]
fn check(policy: &str, expected: &[(Part, bool, &str)]) {
    let clauses = clauses(policy).unwrap();
    let found: Vec<_> = clauses.iter().map(|clause| (clause.part, clause.wanted, clause.text.as_ref())).collect();
    assert_eq!(found, expected, "{policy}");
    for clause in &clauses {
        let written = &policy[clause.range.clone()];
        assert!(written.contains(clause.text.split(' ').next().unwrap()), "{written}");
    }
}

#[test]
fn conditions_fall_apart_where_each_part_decides_alone() {
    use Part::{Unless, When};
    let of = |conditions: &str| format!("permit(principal, action, resource) {conditions};");
    check(&of(""), &[]);
    check(&of("when { a.b && (c.d && e.f) }"), &[(When, true, "a.b"), (When, true, "c.d"), (When, true, "e.f")]);
    check(&of("when { a.b || c.d }"), &[(When, true, "a.b || c.d")]);
    check(&of("unless { a.b || (c.d || e.f) }"), &[(Unless, false, "a.b"), (Unless, false, "c.d"), (Unless, false, "e.f")]);
    check(&of("unless { a.b && c.d }"), &[(Unless, false, "a.b && c.d")]);
    check(&of("when { !(a.b || !(c.d && e.f)) }"), &[(When, false, "a.b"), (When, true, "c.d"), (When, true, "e.f")]);
    check(&of("when { !a.b && !(c.d) }"), &[(When, true, "!a.b"), (When, true, "!(c.d)")]);
    check(&of("unless { !(a.b && c.d) }"), &[(Unless, true, "a.b"), (Unless, true, "c.d")]);
    check(&of("when { if a.b then c.d else e.f }"), &[(When, true, "if a.b then c.d else e.f")]);
    check(
        &of("when { principal has a.b.c && resource is Function in App::\"x\" && a != b }"),
        &[
            (When, true, "principal has a.b.c"),
            (When, true, "resource is Function in App::\"x\""),
            (When, true, "a != b"),
        ],
    );
}

#[test]
fn heads_are_clauses_and_blanks_and_comments_are_none() {
    use Part::{Action, Principal, Resource, When};
    check(
        "@id(\"x\") permit(principal is User in\n  Group::\"a/b  c\", action in [Action::\"r\", Action::\"w\"], resource == Function::\"f.g\")\n\
         when { a\n  .b > // why\n  7 } when { c >= 1 };",
        &[
            (Principal, true, "principal is User in Group::\"a/b  c\""),
            (Action, true, "action in [Action::\"r\", Action::\"w\"]"),
            (Resource, true, "resource == Function::\"f.g\""),
            (When, true, "a .b > 7"),
            (When, true, "c >= 1"),
        ],
    );
}
