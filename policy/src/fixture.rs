//! A small shop that the tests of this crate ask about.

use crate::{
    bundle::{Source, load},
    declared::{App, Declared, Function, InputSchema, Issuer, QueryType, Target},
    engine::Snapshot,
    finding::Finding,
    question::{
        CallKind, Clock, Facts, FunctionName, Network, Principal, PrincipalAttributes, PrincipalKind, Provenance,
        Question, Transport, Verb, Via,
    },
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// A permit for `run_on` that every scaffold has.
pub(crate) const RUN_ON: &str = "@id(\"run-on.default\") permit(principal, action == Action::\"run_on\", resource);\n";

pub(crate) fn now() -> Timestamp {
    "2026-11-23T10:30:00Z".parse().unwrap()
}

pub(crate) fn name(text: &str) -> FunctionName {
    FunctionName::parse(text).unwrap()
}

pub(crate) fn input(json: &str) -> Option<InputSchema> {
    Some(InputSchema {
        file: "order.json".into(),
        text: json.into(),
        json: Arc::new(serde_json::from_str(json).unwrap()),
    })
}

pub(crate) fn function(name: &str, groups: &[&str]) -> Function {
    let target = Target { provider: "http", region: Some("eu".into()), sealed_to: false };
    Function {
        name: FunctionName::parse(name).unwrap(),
        app: "shop".into(),
        action_groups: groups.iter().map(|g| Arc::from(*g)).collect(),
        principals: PrincipalKind::CALLERS.to_vec(),
        owner: Some("corp/team-shop".into()),
        tenant: None,
        shared: false,
        class: 1,
        labels: Vec::new(),
        idempotent: false,
        path: Vec::new(),
        query: Vec::new(),
        input: None,
        targets: vec![target.clone(), Target { region: Some("us".into()), ..target }],
    }
}

/// `orders.create` (money, reads an input, no anonymous callers) and `stock.level` (read, for all).
pub(crate) fn declared() -> Declared {
    let schema = r#"{ "type": "object", "required": ["amount_cents"], "properties": {
        "amount_cents": { "type": "integer" }, "currency": { "type": "string" } } }"#;
    let kinds = [PrincipalKind::User, PrincipalKind::Workload, PrincipalKind::Client, PrincipalKind::Agent];
    let create = Function { input: input(schema), principals: kinds.to_vec(), ..function("orders.create", &["money"]) };
    let level = Function {
        path: vec!["sku".into()],
        query: vec![("limit".into(), QueryType::Long), ("all".into(), QueryType::Bool)],
        ..function("stock.level", &["read"])
    };
    let groups = ["corp/staff", "corp/suspended", "corp/team-shop"];
    let issuer = |alias: &str, groups: &[&str], external_groups| Issuer {
        alias: alias.into(),
        groups: groups.iter().map(|g| Arc::from(*g)).collect(),
        external_groups,
    };
    Declared {
        gateway: "gw-1".into(),
        apps: vec![App {
            name: "shop".into(),
            owner: Some("corp/team-shop".into()),
            environment: "prod".into(),
            calendar: None,
        }],
        functions: vec![create, level],
        issuers: vec![issuer("corp", &groups, false), issuer("partners", &[], true)],
        zones: vec!["office".into()],
    }
}

pub(crate) fn sources(text: &str) -> Vec<Source> {
    vec![Source { file: "shop.cedar".into(), text: text.into() }]
}

pub(crate) fn try_load(text: &str) -> Result<(Snapshot, Vec<Finding>), Vec<Finding>> {
    load(&sources(text), Arc::new(declared()), now())
}

#[track_caller]
pub(crate) fn snapshot(text: &str) -> Snapshot {
    match try_load(text) {
        Ok((snapshot, _)) => snapshot,
        Err(findings) => {
            let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"))
        }
    }
}

pub(crate) fn alice() -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: "corp/alice".into(),
        issuer: Some("corp".into()),
        groups: Arc::new(["corp/staff".into()]),
        attributes: PrincipalAttributes::default(),
    }
}

pub(crate) fn checkout() -> Principal {
    Principal {
        kind: PrincipalKind::Workload,
        id: "spiffe://prod.acme/ns/shop/sa/checkout".into(),
        issuer: Some("mtls".into()),
        groups: Arc::new([]),
        attributes: PrincipalAttributes::default(),
    }
}

pub(crate) fn facts() -> Facts {
    Facts {
        call: CallKind::Sync,
        network: Network { source: "10.1.2.3".parse().ok(), provenance: Provenance::Socket, zone: "other".into() },
        transport: Transport { mtls: false, tls: 13, sealed: false },
        token: None,
        clock: Clock { now: now(), weekday: 1, minute: 630, business_day: None, frozen: None },
        via: Via::default(),
        approval: None,
    }
}

/// A question by `principal` to call `orders.create` with an order of 100 cents, or `stock.level` of one article.
pub(crate) fn question(principal: Principal, function: &str) -> Question {
    let order = serde_json::json!({ "amount_cents": 100, "currency": "EUR" });
    let path = BTreeMap::from([("sku".into(), "a-1".into())]);
    Question {
        principal,
        verb: Verb::Call,
        function: name(function),
        facts: facts(),
        path: if function == "stock.level" { path } else { BTreeMap::new() },
        query: BTreeMap::new(),
        input: (function == "orders.create").then(|| Arc::new(order)),
    }
}
