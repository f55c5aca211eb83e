//! Narrower permits: what is concluded from calls, and that what comes out loads and allows them all.

use super::*;
use crate::{
    bundle::load,
    fixture::{self, RUN_ON, alice, checkout, now, question, snapshot, sources},
    question::{Principal, Question},
    replay::Replay,
};

fn recorded(policy: &str, question: Question) -> Recorded {
    let determining = vec![PolicyName(policy.into())];
    Recorded {
        call: "c".into(),
        at: now(),
        question: Ok(question),
        lost: Vec::new(),
        recorded: None,
        allowed: true,
        determining,
    }
}

fn order(principal: Principal, cents: i64) -> Question {
    let input = serde_json::json!({ "amount_cents": cents, "currency": "EUR" });
    Question { input: Some(Arc::new(input)), ..question(principal, "orders.create") }
}

/// Observes, suggests, loads what is suggested, and asks everything again.
fn suggested(policies: &str, records: Vec<Recorded>) -> (Suggested, String) {
    let text = format!("{RUN_ON}{policies}");
    let (current, old) = (snapshot(&text), sources(&text));
    let mut observed = Observed::default();
    records.iter().for_each(|record| observed.add(record));
    let suggested = observed.suggest(&old, &current, &[]);
    let (narrower, _) = load(&suggested.sources, Arc::new(fixture::declared()), now()).unwrap();
    let mut replay = Replay::default();
    records.into_iter().for_each(|record| replay.add(record, &narrower));
    assert_eq!(replay.newly_denied(), 0, "{replay:#?}");
    let patch = unified(&old, &suggested.sources);
    (suggested, patch)
}

fn words(suggested: &Suggested) -> Vec<&str> {
    suggested.suggestions.iter().flat_map(|s| s.narrowed.iter().map(String::as_str)).collect()
}

#[test]
fn a_permit_for_all_is_narrowed_to_who_calls_what() {
    let broad = "// who may call\n@id(\"broad\")\npermit (principal, action in Action::\"call\", resource);\n";
    let by = |n: i64| Principal { id: format!("corp/u{n}").into(), ..alice() };
    let records = (0..20).map(|n| recorded("broad", question(by(n % 4), "stock.level"))).collect();
    let (suggested, patch) = suggested(broad, records);
    let expected =
        ["callers: principal is User in Group::\"corp/staff\"", "functions: action == Action::\"stock.level\""];
    assert_eq!(words(&suggested), expected);
    let expected = "--- shop.cedar\n+++ shop.cedar\n@@ -1,4 +1,4 @@\n \
        @id(\"run-on.default\") permit(principal, action == Action::\"run_on\", resource);\n // who may call\n @id(\"broad\")\n\
        -permit (principal, action in Action::\"call\", resource);\n\
        +permit (principal is User in Group::\"corp/staff\", action == Action::\"stock.level\", resource);\n";
    assert_eq!(patch, expected);
}

#[test]
fn values_at_which_a_permit_looks_are_bounded_by_what_came() {
    let reads = "@id(\"small\") permit (principal in Group::\"corp/staff\", action == Action::\"orders.create\", resource)\nwhen { context.input.amount_cents <= 100000 };\n";
    let records = (0..12).map(|n| recorded("small", order(alice(), 10 + n))).collect();
    let (suggested, patch) = suggested(reads, records);
    let expected = [
        // Whoever leaves the group loses the permit.
        "callers: principal is User in Group::\"corp/staff\" and principal == User::\"corp/alice\"",
        "values of input.amount_cents: context has input.amount_cents && context.input.amount_cents >= 10 && context.input.amount_cents <= 21",
    ];
    assert_eq!(words(&suggested), expected);
    assert!(
        patch.contains("\n+when { principal == User::\"corp/alice\" && context has input.amount_cents && "),
        "{patch}"
    );
}

#[test]
fn a_permit_that_served_different_callers_is_split_by_function() {
    let broad = "// all of it\n@id(\"broad\") @owner(\"x\")\npermit (principal in Group::\"corp/staff\", action in Action::\"call\", resource);\n";
    let by = |n: i64| Principal { id: format!("corp/u{n}").into(), ..alice() };
    let stock = (0..20).map(|n| recorded("broad", question(by(n % 3), "stock.level")));
    let orders = (0..5).map(|n| recorded("broad", order(by(7), n + 1)));
    let (suggested, patch) = suggested(broad, stock.chain(orders).collect());
    let expected = [
        "broad.orders.create: callers: principal is User in Group::\"corp/staff\" and principal == User::\"corp/u7\"",
        "broad.orders.create: functions: action == Action::\"orders.create\"",
        "broad.stock.level: callers: principal is User in Group::\"corp/staff\" and [User::\"corp/u0\", User::\"corp/u1\", User::\"corp/u2\"].contains(principal)",
        "broad.stock.level: functions: action == Action::\"stock.level\"",
    ];
    assert_eq!(words(&suggested), expected);
    let added: Vec<&str> = patch.lines().filter_map(|line| line.strip_prefix('+')).skip(1).collect();
    let expected = [
        "@id(\"broad.orders.create\") @owner(\"x\")",
        "permit (principal is User in Group::\"corp/staff\", action == Action::\"orders.create\", resource)",
        "when { principal == User::\"corp/u7\" };",
        "",
        "@id(\"broad.stock.level\") @owner(\"x\")",
        "permit (principal is User in Group::\"corp/staff\", action == Action::\"stock.level\", resource)",
        "when { [User::\"corp/u0\", User::\"corp/u1\", User::\"corp/u2\"].contains(principal) };",
    ];
    assert_eq!(added, expected, "{patch}");
}

#[test]
fn too_few_calls_and_many_callers_prove_nothing() {
    let broad = "@id(\"broad\") permit (principal, action == Action::\"stock.level\", resource);\n";
    let few = (0..CALLS_MIN - 1).map(|_| recorded("broad", question(alice(), "stock.level"))).collect();
    assert!(suggested(broad, few).0.suggestions.is_empty());
    let by = |n: u64| Principal {
        id: format!("partners/u{n}").into(),
        issuer: Some("partners".into()),
        groups: Arc::new([]),
        ..alice()
    };
    let many = (0..100).map(|n| recorded("broad", question(by(n), "stock.level"))).collect();
    assert!(suggested(broad, many).0.suggestions.is_empty());
    let mixed =
        (0..20).map(|n| recorded("broad", question(if n % 2 == 0 { alice() } else { checkout() }, "stock.level")));
    let (suggested, patch) = suggested(broad, mixed.collect());
    assert!(suggested.suggestions.is_empty() && patch.is_empty());
}

#[test]
fn a_patch_has_a_hunk_for_each_distant_change() {
    let file = |text: String| vec![Source { file: "a".into(), text: text.into() }];
    let lines = |change: &dyn Fn(usize) -> String| file((0..30).map(change).collect());
    let old = lines(&|n| format!("{n}\n"));
    let new = lines(&|n| match n {
        2 => "two\n".to_owned(),
        20 => "20\nmore\n".to_owned(),
        _ => format!("{n}\n"),
    });
    let patch = unified(&old, &new);
    assert_eq!(patch.matches("@@ -").count(), 2, "{patch}");
    assert!(patch.contains("@@ -1,6 +1,6 @@") && patch.contains("@@ -19,6 +19,7 @@"), "{patch}");
    assert_eq!(unified(&old, &old), "");
}
