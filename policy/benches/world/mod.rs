//! A world of any number of functions, each with an action, a typed input and a policy of its own.

use jiff::{SignedDuration, Timestamp};
use policy::{
    bundle::Source,
    declared::{App, Declared, Function, InputSchema, Issuer, Target},
    question::{
        CallKind, Clock, Facts, FunctionName, Network, Principal, PrincipalAttributes, PrincipalKind, Provenance,
        Question, Token, Transport, Verb, Via,
    },
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

/// Functions of the load, each with an input and a policy of its own.
pub(crate) const LOADED: usize = 10_000;
/// How many groups callers are in, in turn.
const GROUPS: usize = 100;
/// How many policies one file has.
const FILE_POLICIES: usize = 1_000;

/// Says what was seen and whether it is within the bar.
pub(crate) fn bar(what: &str, seen: String, within: bool) -> bool {
    println!("{} {what}: {seen}", if within { "ok    " } else { "MISSED" });
    within
}

pub(crate) struct World {
    pub(crate) declared: Arc<Declared>,
    pub(crate) sources: Vec<Source>,
    names: Vec<FunctionName>,
    callers: Vec<Principal>,
    inputs: Vec<Arc<serde_json::Value>>,
    token: Token,
    asked: Cell<i64>,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_795_430_000).expect("a time of this century")
}

pub(crate) fn policy(i: usize) -> String {
    let group = i % GROUPS;
    format!(
        "@id(\"f{i}\")\npermit (principal in Group::\"corp/g{group}\", action == Action::\"svc.f{i}\", resource)\n\
         when {{ context.facts.transport.mtls && context.input.amount_{i} < 50000 && context.facts has token &&\n\
         context.facts.token.scopes.contains(\"fn:invoke\") }};\n"
    )
}

/// Two forbids of every call, and what lets every function run.
pub(crate) const GLOBAL: &str = r#"
@id("guard.clear-text") forbid (principal, action in Action::"call", resource) unless { context.facts.transport.tls >= 12 };
@id("guard.outside") forbid (principal, action in Action::"call", resource)
unless { context.facts.network has source && context.facts.network.source.isInRange(ip("10.0.0.0/8")) };
@id("run-on.default") permit (principal, action == Action::"run_on", resource);
"#;

fn over_groups(i: usize) -> String {
    let (effect, clause) = if i.is_multiple_of(2) { ("permit", "when") } else { ("forbid", "unless") };
    let action = ["read", "write", "call", "money"][i % 4];
    format!(
        "@id(\"group{i}\") {effect} (principal in Group::\"corp/g{i}\", action in Action::\"{action}\", resource in App::\"shop\")\n\
         {clause} {{ context.facts.transport.mtls && context.facts.clock.minute > {i} && resource.class < 3 }};\n"
    )
}

fn function(i: usize) -> Function {
    let json = serde_json::json!({ "type": "object", "required": [format!("amount_{i}"), "currency"], "properties": {
        format!("amount_{i}"): { "type": "integer" }, "currency": { "type": "string" },
        "due": { "type": "string", "format": "date-time" },
        "lines": { "type": "array", "items": { "type": "object", "properties": { "sku": { "type": "string" } } } } } });
    let input = InputSchema { file: format!("f{i}.json").into(), text: json.to_string().into(), json: Arc::new(json) };
    Function {
        name: FunctionName::parse(&format!("svc.f{i}")).expect("a name"),
        app: "shop".into(),
        action_groups: vec![if i.is_multiple_of(2) { "read".into() } else { "money".into() }],
        principals: PrincipalKind::ALL.to_vec(),
        owner: Some("corp/g0".into()),
        tenant: None,
        shared: false,
        class: 1,
        labels: vec!["pii".into()],
        idempotent: false,
        path: Vec::new(),
        query: Vec::new(),
        input: Some(input),
        targets: vec![Target { provider: "http", region: Some("eu".into()), sealed_to: false }],
    }
}

fn caller(group: usize) -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: "corp/alice@example.com".into(),
        issuer: Some("corp".into()),
        groups: Arc::new([format!("corp/g{group}").into(), "corp/staff".into()]),
        attributes: PrincipalAttributes { clearance: Some(2), ..PrincipalAttributes::default() },
    }
}

impl World {
    pub(crate) fn new(functions: usize, policies_over_groups: usize) -> Self {
        let groups: BTreeSet<Arc<str>> =
            (0..GROUPS).map(|i| format!("corp/g{i}").into()).chain(["corp/staff".into()]).collect();
        let app =
            App { name: "shop".into(), owner: Some("corp/g0".into()), environment: "prod".into(), calendar: None };
        let issuer = Issuer { alias: "corp".into(), groups, external_groups: false };
        let declared = Declared {
            gateway: "gw-1".into(),
            apps: vec![app],
            functions: (0..functions).map(function).collect(),
            issuers: vec![issuer],
            zones: Vec::new(),
        };
        let file =
            |place: usize, text: String| Source { file: format!("policies/{place}.cedar").into(), text: text.into() };
        let mut texts: Vec<String> = Vec::new();
        for i in 0..functions {
            if i % FILE_POLICIES == 0 {
                texts.push(String::new());
            }
            if let Some(text) = texts.last_mut() {
                text.push_str(&policy(i));
            }
        }
        let mut global = GLOBAL.to_owned();
        (0..policies_over_groups).for_each(|i| {
            let _ = write!(global, "{}", over_groups(i));
        });
        texts.push(global);
        Self {
            names: declared.functions.iter().map(|function| function.name.clone()).collect(),
            declared: Arc::new(declared),
            sources: texts.into_iter().enumerate().map(|(place, text)| file(place, text)).collect(),
            callers: (0..GROUPS).map(caller).collect(),
            inputs: (0..functions)
                .map(|i| Arc::new(serde_json::json!({ format!("amount_{i}"): 100, "currency": "EUR" })))
                .collect(),
            token: Token {
                scopes: Arc::new(["fn:invoke".into(), "fn:read".into()]),
                audiences: Arc::new(["latchwork".into()]),
                issued: Some(now()),
                authenticated: Some(now()),
                acr: None,
                amr: None,
                sender_bound: false,
            },
            asked: Cell::new(0),
        }
    }

    /// What a call becomes: everything of the caller and the token is shared, the rest is made for each call.
    pub(crate) fn question(&self, i: usize) -> Question {
        let asked = self.asked.get();
        self.asked.set(asked + 1);
        Question {
            principal: self.callers[i % GROUPS].clone(),
            verb: Verb::Call,
            function: self.names[i].clone(),
            facts: Facts {
                call: CallKind::Sync,
                network: Network {
                    source: Some([10, 1, 2, 3].into()),
                    provenance: Provenance::Socket,
                    zone: Arc::clone(&self.declared.apps[0].environment),
                },
                transport: Transport { mtls: true, tls: 13, sealed: false },
                token: Some(self.token.clone()),
                clock: Clock {
                    now: now() + SignedDuration::from_micros(asked),
                    weekday: 1,
                    minute: 630,
                    business_day: None,
                    frozen: None,
                },
                via: Via::default(),
                approval: None,
            },
            path: BTreeMap::new(),
            query: BTreeMap::new(),
            input: Some(Arc::clone(&self.inputs[i])),
        }
    }
}
