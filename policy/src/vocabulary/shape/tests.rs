//! Which JSON Schemas policy can see, and what is said of those that it can't.

use super::*;
use serde_json::json;

fn schema(json: &Value) -> InputSchema {
    let text = serde_json::to_string_pretty(&json).unwrap();
    InputSchema { file: "order.json".into(), text: text.into(), json: Arc::new(json.clone()) }
}

fn check(json: Value, expected: &str, reported: &[&str]) {
    let (shape, findings) = read(&schema(&json));
    assert_eq!(shape.map(|s| s.to_string()).unwrap_or_default(), expected);
    let found: Vec<_> = findings.iter().map(|f| f.message.split('`').rev().nth(1).unwrap()).collect();
    assert_eq!(found, reported, "{findings:#?}");
    for finding in findings {
        assert!(finding.line > 0, "{finding}");
        assert_eq!(finding.severity, crate::finding::Severity::Warning);
    }
}

#[test]
fn every_expressible_type() {
    let json = json!({ "type": "object", "required": ["a", "g"], "additionalProperties": false, "properties": {
        "a": { "type": "string" }, "b": { "type": "integer" }, "c": { "type": "boolean" },
        "d": { "type": "number", "multipleOf": 0.01 }, "e": { "type": "string", "format": "date-time" },
        "f": { "type": "string", "format": "ipv6" }, "g": { "type": "array", "items": { "$ref": "#/$defs/line" } },
        "h": { "enum": ["x", "y"] }, "i-j": { "type": "number", "format": "decimal" }, "k": { "const": 3 } },
        "$defs": { "line": { "type": "object", "required": ["sku"], "properties": { "sku": { "type": "string" } } } } });
    let expected = "{ \"a\": String, \"b\"?: Long, \"c\"?: Bool, \"d\"?: decimal, \"e\"?: datetime, \"f\"?: ipaddr, \
                    \"g\": Set<{ \"sku\": String }>, \"h\"?: String, \"i-j\"?: decimal, \"k\"?: Long }";
    check(json, expected, &[]);
}

#[test]
fn what_cannot_be_said_is_reported_not_dropped_silently() {
    let json = json!({ "type": "object", "additionalProperties": true, "properties": {
        "a": { "oneOf": [{ "type": "string" }] }, "b": { "type": ["string", "integer"] }, "c": { "type": "number" },
        "d": { "type": "object" }, "e": { "type": "array" }, "f/g": { "type": "null" }, "h": {}, "i": true,
        "j": { "$ref": "other.json" }, "k": { "type": "array", "items": { "type": "number" } }, "ok": { "type": "boolean" } } });
    let reported = [
        "/additionalProperties",
        "/properties/a",
        "/properties/b",
        "/properties/c",
        "/properties/d",
        "/properties/e",
        "/properties/f~1g",
        "/properties/h",
        "/properties/i",
        "/properties/j",
        "/properties/k/items",
    ];
    let (shape, findings) = read(&schema(&json));
    assert_eq!(shape.unwrap().to_string(), "{ \"ok\"?: Boolean }".replace("Boolean", "Bool"));
    for (finding, pointer) in findings.iter().zip(reported) {
        assert!(finding.message.contains(&format!("`{pointer}`")), "{pointer}: {}", finding.message);
        assert!(finding.line > 0, "{finding}");
    }
    assert_eq!(findings.len(), reported.len());
}

#[test]
fn what_may_be_null_may_be_missing() {
    let json = json!({ "type": "object", "required": ["a", "b", "c", "d"], "properties": {
        "a": { "type": ["string", "null"] }, "b": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
        "c": { "oneOf": [{ "type": "null" }, { "$ref": "#/$defs/day" }] }, "d": { "type": "boolean" } },
        "$defs": { "day": { "type": "string", "format": "date" } } });
    check(json, "{ \"a\"?: String, \"b\"?: Long, \"c\"?: datetime, \"d\": Bool }", &[]);
    let items = json!({ "type": "object", "properties": { "a": { "type": "array", "items": { "type": ["string", "null"] } } } });
    check(items, "{}", &["/properties/a/items"]);
}

#[test]
fn what_only_narrows_a_type_leaves_it() {
    let json = json!({ "type": "object", "oneOf": [{ "required": ["a"] }, { "required": ["b"] }], "properties": {
        "a": { "type": "string", "not": { "const": "x" } }, "b": { "allOf": [{ "$ref": "#/$defs/n" }] },
        "c": { "allOf": [{ "type": "string" }, { "maxLength": 3 }] } }, "$defs": { "n": { "type": "integer" } } });
    check(json, "{ \"a\"?: String, \"b\"?: Long }", &["", "/properties/a", "/properties/c"]);
    let beside = json!({ "$ref": "#/$defs/o", "properties": { "x": { "type": "string" } },
        "$defs": { "o": { "type": "object", "properties": { "n": { "type": "integer" } } } } });
    check(beside, "{ \"n\"?: Long }", &[""]);
}

#[test]
fn decimals_promise_at_most_four_places() {
    let number =
        |step: f64| json!({ "type": "object", "properties": { "n": { "type": "number", "multipleOf": step } } });
    for step in [0.1, 0.01, 0.0001, 0.25, 0.02, 1.5, 0.0125] {
        check(number(step), "{ \"n\"?: decimal }", &[]);
    }
    check(number(2.0), "{ \"n\"?: Long }", &[]);
    for step in [0.00001, 0.12345] {
        check(number(step), "{}", &["/properties/n"]);
    }
}

#[test]
fn a_type_that_contains_itself_ends() {
    let json = json!({ "type": "object", "properties": { "next": { "$ref": "#" }, "n": { "type": "integer" } } });
    let (shape, findings) = read(&schema(&json));
    assert_eq!(shape.unwrap().to_string(), "{ \"next\"?: { \"n\"?: Long }, \"n\"?: Long }");
    assert_eq!(findings.len(), 1);
}

#[test]
fn depth_and_number_of_properties_are_bounded() {
    let mut defs = Map::new();
    for i in 0..5_000 {
        defs.insert(format!("d{i}"), json!({ "type": "array", "items": { "$ref": format!("#/$defs/d{}", i + 1) } }));
    }
    let json = json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/d0" } }, "$defs": defs });
    check(json, "{}", &["/$defs/d7"]);
    let many = |next: &str| {
        let next = json!({ "$ref": next });
        json!({ "type": "object", "properties": { "a": next, "b": next, "c": next, "d": next, "e": next, "f": next } })
    };
    let mut defs = Map::new();
    for i in 0..14 {
        defs.insert(format!("d{i}"), many(&format!("#/$defs/d{}", i + 1)));
    }
    let (_, findings) = read(&schema(&json!({ "$ref": "#/$defs/d0", "$defs": defs })));
    assert!(findings.iter().any(|finding| finding.message.contains("1000 properties")), "it ends");
}

#[test]
fn any_property_name_can_be_written() {
    let names = ["", " ", "\"", "\\", "\n", "é", "in", "if", "__cedar", "a-b", "\u{0}", "\u{202e}", "'", "Set"];
    let properties: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({ "type": "integer" }))).collect();
    let (shape, findings) = read(&schema(&json!({ "type": "object", "properties": properties })));
    assert_eq!(findings, []);
    let text =
        format!("entity E; action \"a\" appliesTo {{ principal: E, resource: E, context: {} }};", shape.unwrap());
    assert!(cedar_policy::Schema::from_cedarschema_str(&text).is_ok(), "{text}");
}

#[test]
fn an_input_that_is_no_object_is_not_seen() {
    check(json!({ "type": "array", "items": { "type": "string" } }), "", &[""]);
}
