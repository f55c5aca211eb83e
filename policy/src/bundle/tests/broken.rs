//! Broken policies, each with the code and place that a person is shown.

use super::{check, report_of, try_load};
use crate::fixture::RUN_ON;

const HEAD: &str = "@id(\"p\") permit(principal, action == Action::\"orders.create\", resource)\n";

/// A policy over `orders.create` with a condition on line 2.
fn when(condition: &str, code: &'static str) {
    let text = format!("{HEAD}when {{ {condition} }};");
    let found = report_of(&text);
    let (found_code, line, column) = found.first().copied().unwrap_or_default();
    assert_eq!((found_code, line), (code, 2), "{condition}: {found:?}");
    assert!(column > 0, "{condition}");
}

fn head(text: &str, code: &'static str) {
    let found = report_of(text);
    let (found_code, line, _) = found.first().copied().unwrap_or_default();
    assert_eq!((found_code, line), (code, 1), "{text}: {found:?}");
}

#[test]
fn syntax() {
    head("permit", "policy_syntax");
    head("@id(\"p\") permit(principal, action, resource)", "policy_syntax");
    head("@id(\"p\") permit(principal, action);", "policy_syntax");
    head("@id(\"p\") allow(principal, action, resource);", "policy_syntax");
    head("@id(\"p\") @id(\"q\") permit(principal, action, resource);", "policy_syntax");
    head("@id(p) permit(principal, action, resource);", "policy_syntax");
    head("@id(\"p) permit(principal, action, resource);", "policy_syntax");
    head(";", "policy_syntax");
    head("\u{feff}permit(principal, action, resource);", "policy_syntax");
    head("@id(\"p\") permit(principal, action, resource) permit(principal, action, resource);", "policy_syntax");
    head("@id(\"p\") permit(principal == context.x, action, resource);", "policy_syntax");
    when("context.input.amount_cents <=", "policy_syntax");
    when("resource.class = 3", "policy_syntax");
    when("foo(1)", "policy_syntax");
    when("9223372036854775808 > 1", "policy_syntax");
}

#[test]
fn annotations() {
    check("permit(principal, action == Action::\"describe\", resource);", &[("missing_id", 1, 1)]);
    head("@id(\"\") permit(principal, action, resource);", "invalid_id");
    head("@id(\"a b\") permit(principal, action, resource);", "invalid_id");
    head("@id permit(principal, action, resource);", "invalid_id");
    head("@id(\"\u{430}dmin\") permit(principal, action, resource);", "invalid_id");
    for mode in ["shadows", "Shadow", "", "off"] {
        let text =
            format!("@id(\"p\")\n  @mode(\"{mode}\") permit(principal, action == Action::\"describe\", resource);");
        check(&text, &[("invalid_mode", 2, 9)]);
    }
    check("@id(\"p\") @mode permit(principal, action == Action::\"describe\", resource);", &[("invalid_mode", 1, 11)]);
    head("@id(\"p\") @owner(\"x\\nok\") permit(principal, action, resource);", "invalid_annotation");
    check(
        "@id(\"p\") @onwer(\"x\") permit(principal, action == Action::\"describe\", resource);",
        &[("unknown_annotation", 1, 11)],
    );
    for date in ["2026-13-01", "tomorrow", "", "2026-1-1", "2026-11-23T10:00:00Z"] {
        let text =
            format!("@id(\"p\") @expires(\"{date}\") permit(principal, action == Action::\"describe\", resource);");
        head(&text, "invalid_expires");
    }
    head("@id(\"p\") @expires(\"2027-01-01\") forbid(principal, action, resource);", "forbid_expires");
    let twice = format!("{RUN_ON}{RUN_ON}");
    check(&twice, &[("duplicate_id", 2, 1)]);
}

#[test]
fn templates() {
    head("@id(\"p\") permit(principal == ?principal, action, resource);", "template");
    head("@id(\"p\") permit(principal, action, resource in ?resource);", "template");
}

#[test]
fn nesting_is_refused_before_it_overflows_the_stack() {
    for condition in ["(".repeat(100_000), "!".repeat(500_000), "true && ".repeat(50_000), "[".repeat(1_000)] {
        head(&format!("{} when {{ {condition} }};", HEAD.trim_end()), "too_nested");
    }
    let deep = format!("{}true{}", "(".repeat(45), ")".repeat(45));
    check(&format!("{HEAD}when {{ {deep} }};"), &[]);
}

#[test]
fn unknown_names() {
    let heads = [
        ("principal, action == Action::\"orders.craete\", resource", "unknown_action"),
        ("principal, action in Action::\"mony\", resource", "unknown_action"),
        ("principal, action, resource == Function::\"orders.creat\"", "unknown_function"),
        ("principal, action, resource in App::\"shpo\"", "unknown_app"),
        ("principal, action, resource in Environment::\"prd\"", "unknown_environment"),
        ("principal, action == Action::\"run_on\", resource in Region::\"ue\"", "unknown_region"),
        ("principal, action == Action::\"run_on\", resource == Target::\"stock.level#7\"", "unknown_target"),
        ("principal in Group::\"corp/suspendd\", action, resource", "unknown_group"),
        ("principal in Group::\"crop/staff\", action, resource", "unknown_group"),
        ("principal in Group::\"staff\", action, resource", "unknown_group"),
        ("principal in Group::\"corp/suspende\\u{65}\", action, resource", "unknown_group"),
        ("principal == User::\"crop/alice\", action, resource", "unknown_issuer"),
        ("principal == User::\"alice\", action, resource", "unknown_issuer"),
        ("principal == Workload::\"checkout\", action, resource", "invalid_workload"),
        ("principal == Usr::\"corp/alice\", action, resource", "unknown_entity_type"),
        ("principal == Bank::User::\"corp/alice\", action, resource", "unknown_entity_type"),
        ("principal is Usr, action == Action::\"describe\", resource", "unknown_entity_type"),
        ("principal, action == Action::\"describe\", resource is Functoin", "unknown_entity_type"),
        ("principal is Tenant, action in Action::\"call\", resource", "dead_scope"),
        ("principal, action in Action::\"call\", resource is Group", "dead_scope"),
        ("principal == Anonymous::\"nobody\", action == Action::\"describe\", resource", "unknown_entity"),
    ];
    for (scope, code) in heads {
        head(&format!("@id(\"p\") permit({scope});"), code);
    }
    when("principal has issuer && principal.issuer == Issuer::\"crop\"", "unknown_issuer");
    when("context.facts.network.zone == \"offcie\"", "unknown_zone");
    when("[\"office\", \"home\"].contains(context.facts.network.zone)", "unknown_zone");
    let findings = try_load("@id(\"p\") permit(principal in Group::\"corp/suspendd\", action, resource);").unwrap_err();
    assert_eq!((findings[0].column, findings[0].text.as_deref()), (30, Some("Group::\"corp/suspendd\"")));
    assert_eq!(findings[0].help.as_deref(), Some("did you mean `corp/suspended`?"));
    check("@id(\"p\") permit(principal in Group::\"partners/any\", action == Action::\"describe\", resource);", &[]);
}

#[test]
fn types() {
    when("context.input.amount_cent > 1", "unknown_attribute");
    when("context.input.currency == \"EUR\"", "unguarded_attribute");
    when("context.facts.token.sender_bound", "unguarded_attribute");
    when("context.input.amount_cents == \"1\"", "type_mismatch");
    when("context.input.amount_cents in resource", "type_mismatch");
    when("context.input.amount_cents < \"1\"", "type_mismatch");
    when(
        "context.facts.network has source && context.facts.network.source.isInRange(ip(\"10.0.0.0/99\"))",
        "invalid_literal",
    );
    when("ip(context.facts.network.zone).isIpv4()", "invalid_literal");
    when("resource.labels.contains(1)", "type_mismatch");
    when("App::\"shop\".calendar == \"x\"", "unguarded_attribute");
    when("resource.app has owner && resource.app.owner.issuer == Issuer::\"corp\"", "too_deep");
    when("Group::\"corp/staff\" in Group::\"corp/suspended\"", "too_deep");
    when("Function::\"stock.level\" in App::\"shop\"", "too_deep");
    when("Workload::\"spiffe://a/b\".attested", "too_deep");
    when("[] == [1]", "empty_set");
    when("context.facts.call == \"ѕуnс sync\"", "confusable_text");
}

#[test]
fn heads_that_match_nothing() {
    head("@id(\"p\") forbid(principal is Anonymous, action == Action::\"orders.create\", resource);", "dead_scope");
    head(
        "@id(\"p\") forbid(principal, action in Action::\"money\", resource == Function::\"stock.level\");",
        "dead_scope",
    );
    head(
        "@id(\"p\") forbid(principal, action == Action::\"orders.create\", resource == Function::\"stock.level\");",
        "action_resource_mismatch",
    );
    head(
        "@id(\"p\") forbid(principal, action == Action::\"orders.create\", resource in Region::\"eu\");",
        "dead_scope",
    );
    head(&format!("{} when {{ false }};", HEAD.trim_end()), "impossible_policy");
    head("@id(\"p\") permit(principal, action == Action::\"describe\", resource in Region::\"eu\");", "dead_scope");
    check("@id(\"p\") permit(principal, action == Action::\"approve\", resource == Function::\"stock.level\");", &[]);
}

#[test]
fn every_fault_of_a_file_is_reported_at_once() {
    let text = "permit(principal, action, resource);\n@id(\"q\") permit(principal, action);\n\
                @id(\"r\") permit(principal in Group::\"corp/stff\", action, resource);\n\
                @id(\"s\") permit(principal, action, resource) when { resource.clas == 1 };\n";
    let codes: Vec<_> = report_of(text).into_iter().map(|(code, line, _)| (code, line)).collect();
    assert_eq!(codes, [("missing_id", 1), ("policy_syntax", 2), ("unknown_group", 3), ("unknown_attribute", 4)]);
}
