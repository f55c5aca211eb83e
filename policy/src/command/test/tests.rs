//! What `policy test` prints, and how it exits.

use super::*;
use crate::fixture::{RUN_ON, declared, now, sources};

const CASES: &str = "[principal.alice]\nkind = 'User'\nid = 'corp/alice'\n[[case]]\nname = 'alice may not'\n\
    principal = 'alice'\nfunction = 'orders.create'\nexpect = 'EXPECTED'\n";

fn run(policies: &str, cases: &str, format: Format) -> (Exit, String) {
    let cases = vec![Source { file: "shop.cases.toml".into(), text: cases.into() }];
    let mut out = Vec::new();
    let exit = test(sources(policies), cases, Arc::new(declared()), now(), format, &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

#[test]
fn human_output_names_failures_and_uncovered_policies() {
    let (exit, text) = run(RUN_ON, &CASES.replace("EXPECTED", "deny"), Format::Human);
    assert_eq!(exit, Exit::Ok);
    let expected = "ok    alice may not\n\n1 cases: 1 passed, 0 failed\n1 policies: 0 decided a case\n      \
                    run-on.default (shop.cedar:1): in scope, but decided no case\n";
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
