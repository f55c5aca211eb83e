//! Questions are built by type without asking the schema; here the schema agrees with every one of them.

use crate::{
    bundle::load,
    declared::Declared,
    engine::request::Asked,
    fixture::{alice, checkout, declared, function, input, now, question, sources},
    question::{CallKind, Principal, PrincipalAttributes, PrincipalKind, Question, Token, Via},
};
use cedar_policy::{Entities, Request, Schema};
use serde_json::json;
use std::sync::Arc;

/// A function that has everything that can be declared.
fn everything() -> Declared {
    let schema = json!({ "type": "object", "required": ["long"], "properties": {
        "long": { "type": "integer" }, "text": { "type": "string" }, "truth": { "type": "boolean" },
        "amount": { "type": "number", "multipleOf": 0.01 }, "at": { "type": "string", "format": "date-time" },
        "from": { "type": "string", "format": "ipv4" }, "odd name": { "enum": ["x"] },
        "lines": { "type": "array", "items": { "type": "object", "properties": { "sku": { "type": "string" } } } } } });
    let mut full = function("full.call", &["export", "own-group"]);
    full.input = input(&schema.to_string());
    full.tenant = Some("acme".into());
    full.labels = vec!["pii".into()];
    let mut declared = declared();
    declared.apps[0].calendar = Some("calendars/de.toml".into());
    declared.functions.push(full);
    declared
}

fn callers() -> Vec<Principal> {
    let attributes = PrincipalAttributes {
        tenant: Some("acme".into()),
        clearance: Some(2),
        employed: Some(true),
        tier: Some("gold".into()),
    };
    let user = Principal { attributes: attributes.clone(), ..alice() };
    let client = Principal {
        kind: PrincipalKind::Client,
        id: "partners/app".into(),
        issuer: Some("partners".into()),
        groups: Arc::new(["partners/any".into()]),
        attributes: attributes.clone(),
    };
    vec![alice(), user, checkout(), Principal { attributes, ..checkout() }, client, Principal::anonymous()]
}

fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for caller in callers() {
        for name in ["orders.create", "stock.level", "full.call"] {
            let mut plain = question(caller.clone(), name);
            if name == "full.call" {
                plain.input = Some(Arc::new(json!({ "long": -1 })));
            }
            let mut rich = plain.clone();
            if name == "full.call" {
                rich.input = Some(Arc::new(json!({ "long": 1, "text": "t", "truth": true, "amount": 1.25,
                    "at": "2026-11-23T10:00:00.5+02:00", "from": "10.0.0.1", "odd name": "x", "lines": [{ "sku": "a" }, {}],
                    "more": [] })));
            }
            if name == "stock.level" {
                rich.query.insert("limit".into(), vec!["5".into()]);
                rich.query.insert("all".into(), vec!["true".into()]);
            }
            rich.facts.call = CallKind::Redrive;
            rich.facts.network.source = "2001:db8::7".parse().ok();
            rich.facts.clock.business_day = Some(true);
            rich.facts.clock.frozen = Some(false);
            rich.facts.token = Some(Token {
                scopes: Arc::new(["a".into()]),
                audiences: Arc::new([]),
                issued: Some(now()),
                authenticated: Some(now()),
                acr: Some("x".into()),
                amr: Some(Arc::new(["pwd".into()])),
                sender_bound: true,
            });
            let client = callers().into_iter().find(|caller| caller.kind == PrincipalKind::Client);
            let via = callers().into_iter().rfind(|caller| caller.kind == PrincipalKind::Workload);
            if caller.kind == PrincipalKind::User {
                rich.facts.via = Via { workload: via.map(Arc::new), client: client.map(Arc::new), depth: 2 };
            }
            questions.extend([plain, rich]);
        }
    }
    questions
}

#[test]
fn the_schema_agrees_with_every_question_that_is_asked() {
    let (snapshot, _) = load(&sources(""), Arc::new(everything()), now()).unwrap();
    let (schema, _) = Schema::from_cedarschema_str(&snapshot.vocabulary().text()).unwrap();
    let mut asked_of = 0;
    for question in questions() {
        let function = &snapshot.functions[&question.function];
        let asked = Asked::new(&question, function, &snapshot.directory).unwrap();
        Entities::from_entities(asked.entities.iter().cloned(), Some(&schema)).unwrap();
        let subjects = [&function.call, &function.describe].into_iter().chain(&function.run_on);
        for (i, subject) in subjects.enumerate() {
            let context = if i == 0 { asked.call_context(&question, function) } else { asked.facts_context() };
            if i == 0 && !function.principals.contains(&question.principal.kind) {
                assert!(context.is_err(), "it is not asked of this kind");
                continue;
            }
            let (action, resource) = (subject.action.clone(), subject.resource.clone());
            Request::new(asked.principal.clone(), action, resource, context.unwrap(), Some(&schema)).unwrap();
            asked_of += 1;
        }
    }
    assert!(asked_of > 100, "{asked_of} requests");
}
