//! Cases: what passes, what is said when one doesn't, and what can't be read.

use super::*;
use crate::fixture::{RUN_ON, now, snapshot};

const POLICIES: &str = "@id(\"orders.small\") permit(principal == Workload::\"spiffe://prod.acme/ns/shop/sa/checkout\",\n\
    action == Action::\"orders.create\", resource) when { context.input.amount_cents <= 500 };\n\
    @id(\"stock.staff\") permit(principal in Group::\"corp/staff\", action == Action::\"stock.level\", resource)\n\
    when { context.facts.network.zone == \"office\" };\n\
    @id(\"see.staff\") permit(principal in Group::\"corp/staff\", action == Action::\"describe\", resource);\n\
    @id(\"guard\") forbid(principal in Group::\"corp/suspended\", action in Action::\"call\", resource);\n";

const FIXTURES: &str = r#"
[principal.alice]
kind = "User"
id = "corp/alice"
groups = ["corp/staff"]
[principal.mallory]
kind = "User"
id = "corp/mallory"
groups = ["corp/staff", "corp/suspended"]
[principal.checkout]
kind = "Workload"
id = "spiffe://prod.acme/ns/shop/sa/checkout"
[facts]
network = { zone = "office" }
"#;

fn report(cases: &str) -> Report {
    let text = format!("{FIXTURES}{cases}");
    run(
        &[Source { file: "shop.cases.toml".into(), text: text.into() }],
        &snapshot(&format!("{POLICIES}{RUN_ON}")),
        now(),
    )
}

fn case(keys: &str) -> String {
    format!("[[case]]\nname = \"c\"\n{keys}\n")
}

/// What is said of one case; empty when it passed.
fn differences(keys: &str) -> Vec<String> {
    let report = report(&case(keys));
    assert_eq!(report.findings, [], "{keys}");
    report.cases[0].differences.clone()
}

#[test]
fn cases_pass_when_all_is_as_expected() {
    for keys in [
        "principal = 'alice'\nfunction = 'stock.level'\npath = { sku = '1' }\nexpect = 'allow'\nbecause = ['stock.staff']\ntargets = [0, 1]",
        "principal = 'alice'\nfunction = 'stock.level'\npath = { sku = '1' }\nfacts = { network = { zone = 'other' } }\nexpect = 'deny'\nreason = 'not_permitted'\nbecause = []",
        "principal = 'mallory'\nfunction = 'stock.level'\npath = { sku = '1' }\nexpect = 'deny'\nreason = 'forbidden'\nbecause = ['guard']",
        "principal = 'alice'\nfunction = 'stock.level'\nverb = 'describe'\nexpect = 'allow'\nbecause = ['see.staff']",
        "principal = 'anonymous'\nfunction = 'stock.level'\nverb = 'describe'\nexpect = 'deny'",
        "principal = 'checkout'\nfunction = 'orders.create'\ninput = { amount_cents = 500 }\nexpect = 'allow'",
        "principal = 'checkout'\nfunction = 'orders.create'\ninput = { amount_cents = 501 }\nexpect = 'deny'",
        "principal = 'checkout'\nfunction = 'orders.create'\ninput = { amount_cents = 1.5 }\nexpect = 'deny'\nreason = 'policy_error'",
        "principal = 'alice'\nfunction = 'stock.level'\npath = { sku = '1' }\nquery = { limit = 3, all = true }\nexpect = 'allow'",
        "principal = 'alice'\nfunction = 'stock.level'\npath = { sku = '1' }\nfacts = { via = { workload = 'checkout' }, clock = { now = 2026-11-21T09:00:00Z }, token = { scopes = ['a'], authenticated = '2026-11-21T08:00:00Z' } }\nexpect = 'allow'",
    ] {
        assert_eq!(differences(keys), Vec::<String>::new(), "{keys}");
    }
}

#[test]
fn a_case_decides_by_what_is_in_force_unless_it_says_otherwise() {
    let shadow = "@id(\"late\") @mode(\"shadow\") forbid(principal, action in Action::\"read\", resource);";
    let snapshot = snapshot(&format!("{POLICIES}{RUN_ON}{shadow}"));
    let asked = "principal = 'alice'\nfunction = 'stock.level'\npath = { sku = '1' }\n";
    let of = |keys: &str| {
        let text = format!("{FIXTURES}{}", case(&format!("{asked}{keys}")));
        run(&[Source { file: "shop.cases.toml".into(), text: text.into() }], &snapshot, now())
    };
    assert!(of("expect = 'allow'").passed());
    assert!(of("shadow = true\nexpect = 'deny'\nbecause = ['late']").passed());
    let finding = of("expect = 'deny'\nbecause = ['late']").findings.remove(0);
    assert_eq!((finding.code, finding.line), ("shadowed_policy", 21), "{finding}");
}

#[test]
fn differences_are_said_in_plain_words() {
    let path = "function = 'stock.level'\npath = { sku = '1' }\n";
    let check = |keys: &str, expected: &[&str]| assert_eq!(differences(&format!("{path}{keys}")), expected, "{keys}");
    check("principal = 'alice'\nexpect = 'deny'", &["expected deny, but it was allowed by `stock.staff`"]);
    check("principal = 'anonymous'\nexpect = 'allow'", &["expected allow, but it was denied: not_permitted"]);
    check("principal = 'mallory'\nexpect = 'allow'", &["expected allow, but it was denied: forbidden by `guard`"]);
    check(
        "principal = 'mallory'\nexpect = 'deny'\nreason = 'not_permitted'",
        &["expected deny as not_permitted, but it was denied otherwise: forbidden by `guard`"],
    );
    check(
        "principal = 'alice'\nexpect = 'allow'\nbecause = ['orders.small']",
        &["expected it to be decided by `orders.small`, but it was by `stock.staff`"],
    );
    check("principal = 'alice'\nexpect = 'allow'\ntargets = [1]", &["expected targets [1], but it may run on [0, 1]"]);
    let unasked = differences("function = 'stock.level'\nprincipal = 'alice'\nexpect = 'deny'");
    assert_eq!(unasked[1], "policy said: the path parameter `sku` is missing", "a denial for the wrong reason fails");
}

#[test]
fn coverage_tells_decided_from_reached_from_never_exercised() {
    let report =
        report(&case("principal = 'mallory'\nfunction = 'stock.level'\npath = { sku = '1' }\nexpect = 'deny'"));
    let coverage: Vec<_> = report.coverage.iter().map(|c| (c.policy.0.as_ref(), c.determining, c.in_scope)).collect();
    let expected =
        [("orders.small", 0, 0), ("stock.staff", 0, 1), ("see.staff", 0, 0), ("guard", 1, 1), ("run-on.default", 0, 1)];
    assert_eq!(coverage, expected);
    assert_eq!(report.never_exercised().count(), 2);
    assert!(report.passed());
}

#[test]
fn broken_files_are_reported_with_their_place() {
    let check = |cases: &str, code: &str, help: Option<&str>| {
        let report = report(cases);
        let finding = report.findings.first().unwrap_or_else(|| panic!("{cases}"));
        assert_eq!((finding.code, finding.help.as_deref()), (code, help), "{finding}");
        assert!(finding.line > FIXTURES.lines().count() && finding.column > 0, "{finding}");
        assert!(!report.passed());
    };
    let good = "principal = 'alice'\nfunction = 'stock.level'\npath = { sku = '1' }\nexpect = 'allow'";
    check("[[case]\n", "case_syntax", None);
    check(&case("expect = 'allow'"), "case_syntax", None);
    check(&case(&format!("{good}\nexpcet = 1")), "unknown_key", Some("did you mean `expect`?"));
    check(&case(&good.replace("'allow'", "'alow'")), "case_syntax", Some("did you mean `allow`?"));
    check(
        &case(&format!("{good}\nfacts = {{ network = {{ zoen = 'x' }} }}")),
        "unknown_key",
        Some("did you mean `zone`?"),
    );
    check(&case(&format!("{good}\nfacts = {{ transport = {{ mtls = 'yes' }} }}")), "case_syntax", None);
    check(&case(&good.replace("'alice'", "'alcie'")), "unknown_principal", Some("did you mean `alice`?"));
    check(&case(&good.replace("stock.level", "stock.levle")), "unknown_function", Some("did you mean `stock.level`?"));
    check(&case(&good.replace("stock.level", "stock")), "unknown_function", None);
    check(&case(&format!("{good}\nbecause = ['stock.stuff']")), "unknown_policy", Some("did you mean `stock.staff`?"));
    check(&case(&format!("{good}\nreason = 'forbidden'")), "contradiction", None);
    check(&case(&format!("{}\ntargets = [0]", good.replace("allow", "deny"))), "contradiction", None);
    let time = Some("write it like `2026-11-23T10:00:00Z`");
    check(&case(&format!("{good}\nfacts = {{ clock = {{ now = 'noon' }} }}")), "invalid_time", time);
    check(&case(&format!("{good}\nfacts = {{ via = {{ client = 'x' }} }}")), "unknown_principal", None);
    let order = "principal = 'checkout'\nfunction = 'orders.create'\nexpect = 'allow'";
    check(&case(order), "missing_input", None);
    check(&case(&format!("{order}\ninput = {{ amount_cents = nan }}")), "invalid_input", None);
    check("[principal.bob]\nkind = 'Robot'\nid = 'corp/bob'\n", "case_syntax", None);
    let large = Source { file: "x".into(), text: " ".repeat(FILE_BYTES_MAX + 1).into() };
    assert_eq!(run(&[large], &snapshot(RUN_ON), now()).findings[0].code, "file_too_large");
}
