//! What is printed is one valid schema, whole or for one function.

use super::*;
use crate::fixture::{declared, input};
use cedar_policy::Schema;

fn run(declared: &Declared, function: Option<&str>, format: Format) -> (Exit, String, String) {
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let exit = schema(declared, function, format, (&mut out, &mut talk)).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap())
}

#[test]
fn cedar_reads_what_is_printed() {
    for function in [None, Some("orders.create")] {
        let (exit, text, talk) = run(&declared(), function, Format::Human);
        assert_eq!((exit, talk.as_str()), (Exit::Ok, ""));
        let (schema, warnings) = Schema::from_cedarschema_str(&text).unwrap();
        assert_eq!(warnings.count(), 0);
        let there = |name: &str| schema.actions().any(|action| action.id().unescaped() == name);
        assert_eq!((there("orders.create"), there("stock.level")), (true, function.is_none()));
        let (_, json, _) = run(&declared(), function, Format::Json);
        assert!(Schema::from_json_str(&json).is_ok(), "{json}");
    }
}

#[test]
fn a_misspelt_function_is_invalid() {
    let (exit, out, talk) = run(&declared(), Some("orders.creat"), Format::Human);
    assert_eq!((exit, out.as_str()), (Exit::Invalid, ""));
    assert!(talk.contains("did you mean `orders.create`?"), "{talk}");
}

#[test]
fn what_policy_cannot_see_is_said() {
    let mut declared = declared();
    declared.functions[0].input = input(r#"{ "type": "object", "properties": { "n": { "type": "number" } } }"#);
    let (exit, _, talk) = run(&declared, None, Format::Human);
    assert_eq!(exit, Exit::Ok);
    assert!(talk.contains("order.json:1:") && talk.contains("`/properties/n`"), "{talk}");
}
