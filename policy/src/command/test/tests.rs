//! What `policy test` prints, and how it exits.

use super::*;
use crate::fixture::{RUN_ON, declared, now, sources};

const CASES: &str = "[principal.alice]\nkind = 'User'\nid = 'corp/alice'\n[[case]]\nname = 'alice may not'\n\
    principal = 'alice'\nfunction = 'orders.create'\nexpect = 'EXPECTED'\n";

fn run(policies: &str, cases: &str, format: Format) -> (Exit, String) {
    let (exit, out, _) = run_wanted(policies, cases, Wanted { format, ..Wanted::default() });
    (exit, out)
}

fn run_wanted(policies: &str, cases: &str, wanted: Wanted<'_>) -> (Exit, String, String) {
    let cases = [Source { file: "shop.cases.toml".into(), text: cases.into() }];
    let (mut out, mut junit) = (Vec::new(), Vec::new());
    let declared = (Arc::new(declared()), now());
    let exit = test(&sources(policies), &cases, declared, wanted, &mut out, Some(&mut junit)).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(junit).unwrap())
}

const POLICIES: &str = "@id(\"create\") permit(principal is User, action == Action::\"orders.create\", resource)\n\
    when { context.input.amount_cents <= 500 && context.facts.transport.mtls };\n";
const MATRIX: &str = "[principal.alice]\nkind = 'User'\nid = 'corp/alice'\n[[case]]\nname = 'limit <\u{e9}>'\n\
    principal = '$who'\nfunction = 'orders.create'\ninput = { amount_cents = '$cents' }\n\
    matrix = { cents = [500, 501], \"facts.transport.mtls\" = [true, false], who = ['alice'] }\n\
    expect = ['allow', 'deny', 'deny', 'deny']\nreason = 'not_permitted'\nbecause = ['create']\n";

#[test]
fn a_matrix_is_a_row_for_each_combination_and_covers_conditions_both_ways() {
    let policies = format!("{POLICIES}{RUN_ON}");
    let wanted = Wanted { coverage_min: Some(100), ..Wanted::default() };
    let (exit, text, junit) = run_wanted(&policies, MATRIX, wanted);
    assert_eq!(exit, Exit::Ok, "{text}");
    let expected = "ok    limit <\u{e9}> [cents=500, facts.transport.mtls=true, who=alice]\n\
        ok    limit <\u{e9}> [cents=500, facts.transport.mtls=false, who=alice]\n\
        ok    limit <\u{e9}> [cents=501, facts.transport.mtls=true, who=alice]\n\
        ok    limit <\u{e9}> [cents=501, facts.transport.mtls=false, who=alice]\n\n\
        4 cases: 4 passed, 0 failed\n2 policies: 2 decided a case\n2 conditions: 2 seen true and false\ncoverage 100 %\n";
    assert_eq!(text, expected);
    let xml = roxmltree::Document::parse(&junit).unwrap();
    let suite = xml.root_element().first_element_child().unwrap();
    assert_eq!((suite.attribute("tests"), suite.attribute("failures")), (Some("4"), Some("0")));
}

#[test]
fn what_is_not_seen_both_ways_fails_a_minimum() {
    let policies = format!("{POLICIES}{RUN_ON}");
    let filter = Some("cents=501");
    let (exit, text, _) = run_wanted(&policies, MATRIX, Wanted { filter, coverage_min: Some(40), ..Wanted::default() });
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("shop.cedar:2: never true: context.input.amount_cents <= 500\n"), "{text}");
    assert!(text.contains("shop.cedar:2: never reached: context.facts.transport.mtls\n"), "{text}");
    assert!(text.ends_with("coverage 16 %\nthat is less than the 40 % asked for\n"), "{text}");
    let (exit, text, _) = run_wanted(&policies, MATRIX, Wanted { filter: Some("none"), ..Wanted::default() });
    assert_eq!((exit, text.ends_with("no case has `none` in its name\n")), (Exit::Failed, true), "{text}");
}

#[test]
fn a_failing_row_says_why_in_text_and_xml() {
    let policies = format!("{POLICIES}{RUN_ON}");
    let (exit, text, junit) = run_wanted(&policies, &MATRIX.replacen("'deny'", "'allow'", 1), Wanted::default());
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("expected allow, but it was denied: not_permitted"), "{text}");
    assert!(text.contains("context.facts.transport.mtls    <- FALSE"), "{text}");
    let xml = roxmltree::Document::parse(&junit).unwrap();
    let failure = xml.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert!(
        failure.text().unwrap().contains("context.input.amount_cents <= 500")
            || failure.text().unwrap().contains("mtls")
    );
    let case = failure.parent().unwrap().attribute("name").unwrap();
    assert_eq!(case, "limit <\u{e9}> [cents=500, facts.transport.mtls=false, who=alice]");
    let (exit, _, junit) = run_wanted("permit \u{1} \"", MATRIX, Wanted::default());
    assert_eq!((exit, roxmltree::Document::parse(&junit).is_ok()), (Exit::Invalid, true), "{junit}");
}

#[test]
fn a_wrong_matrix_is_told_with_its_line() {
    let policies = format!("{POLICIES}{RUN_ON}");
    for (wrong, right, expected) in [
        (
            "'allow', 'deny', 'deny', 'deny'",
            "'allow', 'deny'",
            "shop.cases.toml:10:10: error: there are 4 rows, but 2 answers",
        ),
        ("[500, 501]", "[]", "shop.cases.toml:9:"),
        ("\"facts.transport.mtls\"", "\"facts.transport.mtsl\"", "did you mean `facts.transport.mtls`?"),
        ("[true, false]", "['yes', 'no']", "`facts.transport.mtls` is `true` or `false`, and `yes` is not"),
    ] {
        let (exit, text, _) = run_wanted(&policies, &MATRIX.replace(wrong, right), Wanted::default());
        assert!(exit == Exit::Invalid && text.contains(expected), "{wrong}: {text}");
    }
}

#[test]
fn human_output_names_failures_and_uncovered_policies() {
    let (exit, text) = run(RUN_ON, &CASES.replace("EXPECTED", "deny"), Format::Human);
    assert_eq!(exit, Exit::Ok);
    let expected = "ok    alice may not\n\n1 cases: 1 passed, 0 failed\n1 policies: 0 decided a case\n      \
                    run-on.default (shop.cedar:1): in scope, but decided no case\n0 conditions: 0 seen true and false\n\
                    coverage 0 %\n";
    assert_eq!(text, expected);
    let (exit, text) = run(RUN_ON, &CASES.replace("EXPECTED", "allow"), Format::Human);
    assert_eq!((exit, exit.code()), (Exit::Failed, 1));
    assert!(text.starts_with("FAIL  alice may not (shop.cases.toml:5)\n      expected allow, but"), "{text}");
}

#[test]
fn json_output_is_one_document() {
    let (exit, text) = run(RUN_ON, &CASES.replace("EXPECTED", "allow"), Format::Json);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, &json["passed"]), (Exit::Failed, &serde_json::Value::Bool(false)));
    assert_eq!(json["report"]["coverage"][0]["policy"], "run-on.default");
}

#[test]
fn what_cannot_be_read_is_invalid_not_failed() {
    let (exit, text) = run("permit", CASES, Format::Human);
    assert_eq!((exit, exit.code()), (Exit::Invalid, 3));
    assert!(text.starts_with("shop.cedar:1:"), "{text}");
    let (exit, text) = run(RUN_ON, CASES, Format::Human);
    assert_eq!(exit, Exit::Invalid);
    assert!(text.starts_with("shop.cases.toml:8:"), "{text}");
    assert_eq!(run("permit", CASES, Format::Json).0, Exit::Invalid);
}
