//! Loading policies: what is refused, with which code and where.

use super::*;
use crate::{
    declared::Function,
    fixture::{RUN_ON, declared, function, input, now, snapshot, sources, try_load},
    permit::PolicyName,
};

mod again;

mod broken;
mod random;

/// Codes, lines and columns of everything reported.
fn report_of(text: &str) -> Vec<(&'static str, usize, usize)> {
    let findings = match try_load(text) {
        Ok((_, warnings)) => warnings,
        Err(findings) => findings,
    };
    let relevant = findings.into_iter().filter(|f| !matches!(f.code, "nobody_may_call" | "no_allowed_target"));
    relevant.map(|f| (f.code, f.line, f.column)).collect()
}

#[track_caller]
fn check(text: &str, expected: &[(&'static str, usize, usize)]) {
    assert_eq!(report_of(text), expected, "{text}");
}

#[test]
fn ids_come_from_annotations_not_from_places() {
    let text = "// a; comment\n@id(\"b\") permit(principal, action == Action::\"describe\", resource);\n\n\
                @id(\"a\") @owner(\"x\") permit(principal, action == Action::\"run_on\", resource);\n// tail";
    let snapshot = snapshot(text);
    let listed: Vec<_> = snapshot.policies().map(|p| (p.name.0.as_ref(), p.line, p.owner.as_deref())).collect();
    assert_eq!(listed, [("b", 2, None), ("a", 4, Some("x"))]);
    assert_eq!(snapshot.policy(&PolicyName("a".into())).unwrap().file.as_ref(), "shop.cedar");
}

#[test]
fn the_bundle_id_changes_with_everything_that_can_change_a_decision() {
    let id =
        |sources: &[Source], declared: Declared| load(sources, Arc::new(declared), now()).unwrap().0.id().0.to_string();
    let base = id(&sources(RUN_ON), declared());
    assert_eq!(base, id(&sources(RUN_ON), declared()), "it is the same for the same");
    assert_ne!(base, id(&sources(&format!("{RUN_ON}\n")), declared()));
    let renamed = vec![Source { file: "other.cedar".into(), ..sources(RUN_ON)[0].clone() }];
    assert_ne!(base, id(&renamed, declared()));
    let mut changed = declared();
    changed.functions[0].class = 3;
    assert_ne!(base, id(&sources(RUN_ON), changed));
    let mut changed = declared();
    changed.issuers[0].groups.insert("corp/new".into());
    assert_ne!(base, id(&sources(RUN_ON), changed));
    let two = [Source { file: "a".into(), text: RUN_ON.into() }, Source { file: "b".into(), text: "".into() }];
    let turned = [two[1].clone(), two[0].clone()];
    assert_eq!(id(&two, declared()), id(&turned, declared()), "the order of files does not count");
}

#[test]
fn a_permit_that_expires_soon_is_warned_of() {
    let permit = |date: &str| {
        format!("@id(\"p\") @expires(\"{date}\") permit(principal, action == Action::\"describe\", resource);")
    };
    check(&permit("2027-03-31"), &[]);
    check(&permit("2026-12-20"), &[("expires_soon", 1, 1)]);
    check(&permit("2026-11-22"), &[("expires_soon", 1, 1)]);
}

#[test]
fn a_policy_over_a_group_without_functions_only_warns() {
    check("@id(\"g\") forbid(principal is User, action in Action::\"export\", resource);", &[("empty_scope", 1, 1)]);
    check("@id(\"g\") forbid(principal is User, action in Action::\"money\", resource);", &[]);
}

#[test]
fn a_permit_for_everything_is_warned_of() {
    check("@id(\"p\") permit(principal, action, resource);", &[("boundless_permit", 1, 1)]);
    check("@id(\"p\") forbid(principal, action, resource);", &[]);
    check("@id(\"p\") permit(principal, action, resource) when { principal is User };", &[]);
}

#[test]
fn functions_that_nobody_can_use_are_warned_of() {
    let (snapshot, warnings) = try_load("").unwrap();
    let names: Vec<_> = snapshot.functions_nobody_may_call().map(ToString::to_string).collect();
    assert_eq!(names, ["orders.create", "stock.level"]);
    assert_eq!(snapshot.functions_without_target().count(), 2);
    assert_eq!(warnings.len(), 4);
    let anonymous = "@id(\"p\") permit(principal is Anonymous, action in Action::\"call\", resource);";
    let (snapshot, _) = try_load(&format!("{anonymous}{RUN_ON}")).unwrap();
    let names: Vec<_> = snapshot.functions_nobody_may_call().map(ToString::to_string).collect();
    assert_eq!(names, ["orders.create"], "it is not for anonymous callers");
    assert_eq!(snapshot.functions_without_target().count(), 0);
}

#[test]
fn limits_are_errors_not_panics() {
    let long = " ".repeat(FILE_BYTES_MAX + 1);
    assert_eq!(try_load(&long).unwrap_err()[0].code, "file_too_large");
    let many: String = (0..150).map(|_| "permit(principal, action, resource);\n").collect();
    let findings = try_load(&many).unwrap_err();
    assert_eq!(findings.len(), FINDINGS_MAX);
    assert_eq!(findings[FINDINGS_MAX - 1].code, "more_findings");
}

#[test]
fn an_undeclared_owner_stops_the_load() {
    let mut declared = declared();
    declared.apps[0].owner = Some("corp/team-shpo".into());
    let findings = load(&sources(RUN_ON), Arc::new(declared), now()).unwrap_err();
    assert_eq!(
        (findings[0].code, findings[0].help.as_deref()),
        ("undeclared_group", Some("did you mean `corp/team-shop`?"))
    );
}

#[test]
fn the_example_of_the_product_loads() {
    let text = r#"
@id("orders.create.by-checkout") @owner("team-orders") @expires("2027-03-31")
permit (principal == Workload::"spiffe://prod.acme/ns/shop/sa/checkout",
        action == Action::"orders.create", resource)
when { context.input.amount_cents <= 500000 && context.facts.transport.mtls };

@id("guard.money-needs-recent-login") @owner("platform-security")
forbid (principal is User, action in Action::"money", resource)
unless { context.facts has token && context.facts.token has authenticated &&
         context.facts.clock.now <= context.facts.token.authenticated.offset(duration("1h")) };
"#;
    check(text, &[]);
}

#[test]
fn policies_over_many_functions_are_judged_by_their_own() {
    let mut declared = declared();
    let schema = |i: usize| {
        format!(r#"{{ "type": "object", "required": ["a{i}"], "properties": {{ "a{i}": {{ "type": "integer" }} }} }}"#)
    };
    declared.functions =
        (0..40).map(|i| Function { input: input(&schema(i)), ..function(&format!("f.n{i}"), &["read"]) }).collect();
    let exact = |i: usize, field: usize| {
        format!(
            "@id(\"p{i}\") permit(principal, action == Action::\"f.n{i}\", resource) when {{ context.input.a{field} > 3 }};\n"
        )
    };
    let mut text: String = (0..40).map(|i| exact(i, i)).collect();
    text.push_str("@id(\"r\") permit(principal is User, action in Action::\"read\", resource == Function::\"f.n7\")");
    text.push_str(" when { context.input.a7 > 1 };\n");
    let declared = Arc::new(declared);
    assert!(load(&sources(&text), Arc::clone(&declared), now()).is_ok());
    let text = text.replace("context.input.a33", "context.input.a34");
    let findings = load(&sources(&text), declared, now()).unwrap_err();
    assert_eq!((findings[0].code, findings[0].line), ("unknown_attribute", 34));
    assert!(findings.iter().skip(1).all(|finding| finding.severity == Severity::Warning), "{findings:#?}");
}

#[test]
fn the_bundle_id_is_that_of_what_is_in_a_folder_however_it_was_named() {
    let id = |files: &[&str]| {
        let policy = |n: usize| format!("@id(\"p{n}\") permit(principal, action == Action::\"run_on\", resource);");
        let named = files.iter().enumerate();
        let sources: Vec<_> = named.map(|(n, f)| Source { file: (*f).into(), text: policy(n).into() }).collect();
        load(&sources, Arc::new(declared()), now()).unwrap().0.id().clone()
    };
    let relative = id(&["policies/a.cedar", "policies/team/b.cedar"]);
    assert_eq!(relative, id(&["/srv/shop/policies/a.cedar", "/srv/shop/policies/team/b.cedar"]));
    assert_ne!(relative, id(&["policies/a.cedar", "policies/other/b.cedar"]));
    assert_eq!(id(&["a.cedar"]), id(&["policies/a.cedar"]));
}
