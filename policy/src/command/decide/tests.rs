//! What `policy decide` takes, and what it answers.

use super::*;
use serde_json::{Value as Json, json};

fn source(file: &str, text: &str) -> Source {
    Source { file: file.into(), text: text.into() }
}

fn given(policies: &[(&str, &str)]) -> Given {
    Given { policies: policies.iter().map(|(file, text)| source(file, text)).collect(), ..Given::default() }
}

#[track_caller]
fn run(given: &Given, lines: &str) -> (Vec<Json>, String, Exit) {
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let now = "2026-11-23T10:30:00Z".parse().unwrap();
    let exit = decide(given, now, &mut lines.as_bytes(), &mut out, &mut talk).unwrap();
    let lines = String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, String::from_utf8(talk).unwrap(), exit)
}

fn ask(principal: &str) -> String {
    json!({ "principal": principal, "action": "Action::\"read\"", "resource": "Doc::\"d\"" }).to_string() + "\n"
}

const ANN: &str = "permit(principal == User::\"ann\", action, resource);";
const ANYBODY: &str = "permit(principal, action, resource);";

#[test]
fn ids_are_positions_among_all_files_unless_annotated() {
    let one = format!("permit(principal == ?principal, action, resource);\n@id(\"named\") {ANN}\n{ANN}");
    let (lines, _, exit) = run(&given(&[("a.cedar", &one), ("b.cedar", ANYBODY)]), &ask("User::\"ann\""));
    assert_eq!(lines, [json!({ "decision": "allow", "reason": ["named", "policy2", "policy3"], "errors": [] })]);
    assert_eq!(exit, Exit::Ok);
}

#[test]
fn an_id_that_is_taken_is_told() {
    let (lines, talk, exit) = run(&given(&[("a.cedar", ANYBODY), ("b.cedar", &format!("@id(\"policy0\") {ANN}"))]), "");
    assert_eq!((lines.len(), exit), (0, Exit::Invalid));
    assert!(talk.contains("the id `policy0` is taken by a policy of a.cedar"), "{talk}");
    let (_, talk, exit) = run(&given(&[("a.cedar", "\npermit(principal, action)")]), "");
    assert!(talk.starts_with("a.cedar:2:"), "{talk}");
    assert_eq!(exit, Exit::Invalid);
}

#[test]
fn policies_may_be_json() {
    let json = |text: &str| cedar_policy::Policy::parse(None, text).unwrap().to_json().unwrap();
    let template = cedar_policy::Template::parse(None, "forbid(principal in ?principal, action, resource);").unwrap();
    let set = json!({ "staticPolicies": { "open": json(ANYBODY) }, "templates": { "t": template.to_json().unwrap() },
        "templateLinks": [{ "templateId": "t", "newId": "link",
            "values": { "?principal": { "__entity": { "type": "User", "id": "bob" } } } }] });
    let given = given(&[("one.json", &json(ANN).to_string()), ("set.json", &set.to_string())]);
    let (lines, _, _) = run(&given, &format!("{}{}", ask("User::\"ann\""), ask("User::\"bob\"")));
    assert_eq!(lines[0], json!({ "decision": "allow", "reason": ["open", "policy0"], "errors": [] }));
    assert_eq!(lines[1], json!({ "decision": "deny", "reason": ["link"], "errors": [] }));
}

#[test]
fn entities_are_named_in_three_ways() {
    let lines = ["User::\"ann\"".into(), json!({ "type": "User", "id": "ann" })];
    let lines = lines.into_iter().chain([json!({ "__entity": { "type": "User", "id": "ann" } })]);
    let line = |principal: Json| json!({ "principal": principal, "action": { "type": "Action", "id": "read" }, "resource": "Doc::\"d\"", "context": {} });
    let lines: String = lines.map(|principal| line(principal).to_string() + "\n").collect();
    let (lines, _, _) = run(&given(&[("a.cedar", ANN)]), &lines);
    assert_eq!(lines, vec![json!({ "decision": "allow", "reason": ["policy0"], "errors": [] }); 3]);
}

#[test]
fn a_malformed_line_is_answered_in_its_place_and_the_rest_too() {
    let long = format!("{{\"principal\":\"{}\"}}\n", "x".repeat(LINE_BYTES_MAX));
    let bad = "{}\nnothing\n{\"principal\":1,\"action\":\"Action::\\\"a\\\"\",\"resource\":\"D::\\\"d\\\"\"}\n";
    let lines = format!("{}{bad}\n{long}{}", ask("User::\"ann\""), ask("User::\"bob\"").trim_end());
    let (lines, _, exit) = run(&given(&[("a.cedar", ANN)]), &lines);
    assert_eq!(exit, Exit::Invalid);
    assert_eq!((&lines[0]["decision"], &lines[5]["decision"], lines.len()), (&json!("allow"), &json!("deny"), 6));
    let errors: Vec<_> = lines[1..5].iter().map(|line| line["error"].as_str().unwrap()).collect();
    assert!(errors[0].starts_with("line 2: missing field `principal`"), "{errors:?}");
    assert!(errors[1].starts_with("line 3: "), "{errors:?}");
    assert!(errors[2].starts_with("line 4: `principal`: "), "{errors:?}");
    assert_eq!(errors[3], "line 6: more than 1048576 bytes");
}

const SCHEMA: &str = "entity User; entity Doc; action any; action read in [any] appliesTo {
    principal: User, resource: Doc, context: { ip: ipaddr, by?: User } };";

#[test]
fn a_schema_types_the_context_and_brings_the_hierarchy_of_actions() {
    let policy = "permit(principal, action in Action::\"any\", resource) when { context.ip.isLoopback() };";
    let line = |ip: Json| json!({ "principal": "User::\"ann\"", "action": "Action::\"read\"", "resource": "Doc::\"d\"", "context": { "ip": ip } });
    let lines = format!("{}\n{}\n", line(json!("127.0.0.1")), line(json!(1)));
    let json = cedar_policy::SchemaFragment::from_cedarschema_str(SCHEMA).unwrap().0.to_json_string().unwrap();
    for text in [SCHEMA, &json] {
        let given = Given { schema: Some(source("s", text)), ..given(&[("a.cedar", policy)]) };
        let (lines, _, exit) = run(&given, &lines);
        assert_eq!(lines[0], json!({ "decision": "allow", "reason": ["policy0"], "errors": [] }));
        assert!(lines[1]["error"].as_str().unwrap().starts_with("line 2: `context`: "), "{lines:?}");
        assert_eq!(exit, Exit::Invalid);
    }
    let (lines, _, _) = run(&given(&[("a.cedar", policy)]), &lines);
    assert_eq!(lines[0], json!({ "decision": "deny", "reason": [], "errors": [] }), "no hierarchy, no types");
}

#[test]
fn an_error_is_told_and_does_not_deny_by_itself() {
    let guard = format!("{ANYBODY} forbid(principal, action, resource) when {{ context.suspended }};");
    let (lines, _, exit) = run(&given(&[("a.cedar", &guard)]), &ask("User::\"ann\""));
    assert_eq!(lines, [json!({ "decision": "allow", "reason": ["policy0"], "errors": ["policy1"] })]);
    assert_eq!(exit, Exit::Ok);
}

/// Under the gateway's rules, with one user and one document there.
fn strict(policies: &str) -> Given {
    let entities = json!([{ "uid": { "type": "User", "id": "ann" }, "attrs": {}, "parents": [] },
        { "uid": { "type": "Doc", "id": "d" }, "attrs": {}, "parents": [] }]);
    let entities = Some(source("e.json", &entities.to_string()));
    Given { schema: Some(source("s", SCHEMA)), entities, gateway: true, ..given(&[("a.cedar", policies)]) }
}

#[test]
fn by_the_gateways_rules_errors_and_absent_entities_deny() {
    let policies = "@id(\"open\") permit(principal, action, resource) when { context has by };
        @id(\"guard\") forbid(principal, action, resource) when { context.ip.isInRange(ip(\"10.0.0.0/8\")) && context.by == 1 };
        @id(\"old\") @expires(\"2026-11-22\") permit(principal, action, resource);
        @id(\"new\") @mode(\"shadow\") forbid(principal, action, resource);";
    let line = |by: Option<&str>, ip: &str| {
        let mut context = json!({ "ip": ip });
        if let Some(by) = by {
            context["by"] = json!({ "type": "User", "id": by });
        }
        json!({ "principal": "User::\"ann\"", "action": "Action::\"read\"", "resource": "Doc::\"d\"", "context": context })
    };
    let asked = [line(Some("ann"), "::1"), line(Some("bob"), "::1"), line(None, "::1"), line(None, "10.0.0.1")];
    let asked: String = asked.iter().map(|line| format!("{line}\n")).collect();
    let (lines, talk, exit) = run(&strict(policies), &asked);
    assert_eq!((talk.as_str(), exit), ("", Exit::Ok));
    assert_eq!(lines[0], json!({ "decision": "allow", "reason": ["open"], "errors": [], "because": "permitted" }));
    assert_eq!(
        lines[1],
        json!({ "decision": "deny", "reason": [], "errors": [], "because": "absent_entity", "absent": ["User::\"bob\""] })
    );
    assert_eq!(lines[2]["because"], "not_permitted", "the permit has expired");
    assert_eq!(lines[3], json!({ "decision": "deny", "reason": [], "errors": ["guard"], "because": "policy_error" }));
}

#[test]
fn by_the_gateways_rules_ids_are_required() {
    for (policies, code) in [
        (ANYBODY, "a policy needs an `@id`"),
        ("@id(\"a\") permit(principal == ?principal, action, resource);", "template"),
        ("@id(\"a\") @expires(\"2027-01-01\") forbid(principal, action, resource);", "a forbid can't expire"),
    ] {
        let (_, talk, exit) = run(&strict(policies), "");
        assert!(talk.contains(code), "{talk}");
        assert_eq!(exit, Exit::Invalid);
    }
}
