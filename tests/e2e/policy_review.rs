//! Reviewing a change of policies, with the real solver: `policy diff`, and its verdicts beside brute force.

use gateway::prove::{Solver, Time};
use policy::{
    bundle::{Source, load},
    declared::{App, Declared, Function, InputSchema, Issuer, Target},
    engine::Snapshot,
    lint::Judge,
    permit::PolicyName,
    question::{
        CallKind, Clock, Facts, FunctionName, Network, Principal, PrincipalAttributes, PrincipalKind, Provenance,
        Question, Transport, Verb, Via,
    },
    review::{Limits, Review, Side, compare, judge},
};
use std::{sync::Arc, time::Duration};
use tests::fetch;

const RUN_ON: &str = "@id(\"run-on\") permit (principal, action == Action::\"run_on\", resource);\n";
const FUNCTIONS: [(&str, &str); 3] = [("pay.send", "money"), ("pay.list", "read"), ("stock.level", "read")];
const GROUPS: [&str; 2] = ["corp/staff", "corp/temps"];

/// The solver where the harness has it, or `None` when it is skipped on request.
fn solver() -> Option<Solver> {
    let program = fetch::program("cvc5")?;
    let time = Time { claim: Duration::from_secs(20), all: Duration::from_secs(300) };
    Some(Solver::at(program, time).expect("cvc5 answers"))
}

fn declared() -> Declared {
    let schema = serde_json::json!({ "type": "object", "required": ["amount"],
        "properties": { "amount": { "type": "integer" } } });
    let function = |(name, group): (&str, &str)| Function {
        name: FunctionName::parse(name).expect("a name"),
        app: "shop".into(),
        action_groups: vec![group.into()],
        principals: vec![PrincipalKind::User],
        owner: None,
        tenant: None,
        shared: false,
        class: if group == "money" { 2 } else { 1 },
        labels: Vec::new(),
        idempotent: false,
        path: Vec::new(),
        query: Vec::new(),
        input: (group == "money").then(|| InputSchema {
            file: "pay.json".into(),
            text: schema.to_string().into(),
            json: Arc::new(schema.clone()),
        }),
        targets: vec![Target { provider: "http", region: None, sealed_to: false }],
    };
    Declared {
        gateway: "gw-1".into(),
        apps: vec![App { name: "shop".into(), owner: None, environment: "prod".into(), calendar: None }],
        functions: FUNCTIONS.into_iter().map(function).collect(),
        issuers: vec![Issuer {
            alias: "corp".into(),
            groups: GROUPS.iter().map(|group| Arc::from(*group)).collect(),
            external_groups: false,
        }],
        zones: vec!["office".into()],
    }
}

fn source(text: &str) -> Vec<Source> {
    vec![Source { file: "p.cedar".into(), text: format!("{RUN_ON}{text}").into() }]
}

fn now() -> jiff::Timestamp {
    "2026-11-23T10:30:00Z".parse().expect("an instant")
}

fn review(old: &str, new: &str, solver: &Solver) -> Review {
    let side = |text: &str| Side::new(&source(text), Arc::new(declared()), now()).expect("policies load").0;
    compare(&side(old), &side(new), solver, Limits::default())
}

/// Numbers of a fixed sequence, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).expect("it is small")
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// A few policies over heads and conditions in which much overlaps.
    fn policies(&mut self) -> Vec<String> {
        let number = 1 + self.below(4);
        (0..number).map(|n| self.policy(n)).collect()
    }

    fn policy(&mut self, n: usize) -> String {
        let effect = self.of(&["permit", "permit", "forbid"]);
        let principal = self.of(&[
            "principal",
            "principal is User",
            "principal in Group::\"corp/staff\"",
            "principal in Group::\"corp/temps\"",
        ]);
        let action =
            self.of(&["action in Action::\"call\"", "action in Action::\"read\"", "action == Action::\"pay.send\""]);
        let resource = self.of(&["resource", "resource", "resource in App::\"shop\""]);
        let condition = match action {
            "action == Action::\"pay.send\"" => self.of(&[
                "",
                "when { context.input.amount <= 10 }",
                "when { context.input.amount > 5 && context.facts.transport.mtls }",
                "unless { context.input.amount == 7 }",
            ]),
            _ => self.of(&[
                "",
                "when { context.facts.transport.mtls }",
                "when { context.facts.network.zone == \"office\" }",
                "when { resource.class >= 2 }",
                "unless { context.facts.clock.minute < 600 || principal in Group::\"corp/temps\" }",
            ]),
        };
        format!("@id(\"p{n}\") {effect} ({principal}, {action}, {resource}) {condition};\n")
    }
}

/// Every question of a small world.
fn questions() -> Vec<Question> {
    let mut all = Vec::new();
    for (function, group) in FUNCTIONS {
        for member in 0..4_usize {
            for (mtls, zone, minute) in
                [(false, "other", 500), (true, "office", 500), (true, "other", 700), (false, "office", 700)]
            {
                for amount in if group == "money" { &[5, 6, 7, 10, 11][..] } else { &[0][..] } {
                    let groups = GROUPS.iter().enumerate().filter(|(n, _)| member & (1 << n) != 0);
                    all.push(question(
                        function,
                        groups.map(|(_, g)| Arc::from(*g)).collect(),
                        (mtls, zone, minute),
                        *amount,
                    ));
                }
            }
        }
    }
    all
}

fn question(function: &str, groups: Vec<Arc<str>>, (mtls, zone, minute): (bool, &str, i64), amount: i64) -> Question {
    let input = (function == "pay.send").then(|| Arc::new(serde_json::json!({ "amount": amount })));
    Question {
        principal: Principal {
            kind: PrincipalKind::User,
            id: "corp/alice".into(),
            issuer: Some("corp".into()),
            groups: groups.into(),
            attributes: PrincipalAttributes::default(),
        },
        verb: Verb::Call,
        function: FunctionName::parse(function).expect("a name"),
        facts: Facts {
            call: CallKind::Sync,
            network: Network {
                source: Some("10.1.2.3".parse().expect("an address")),
                provenance: Provenance::Socket,
                zone: zone.into(),
            },
            transport: Transport { mtls, tls: 13, sealed: false },
            token: None,
            clock: Clock { now: now(), weekday: 1, minute, business_day: None, frozen: None },
            via: Via::default(),
            approval: None,
        },
        path: Default::default(),
        query: Default::default(),
        input,
    }
}

fn allows(snapshot: &Snapshot, question: &Question) -> bool {
    snapshot.decide(question.clone()).is_ok()
}

#[test]
fn verdicts_agree_with_brute_force() {
    let Some(solver) = solver() else { return };
    let (mut random, questions) = (Random(7), questions());
    let (mut grants, mut equal) = (0, 0);
    for round in 0..24 {
        let old = random.policies();
        let mut new = old.clone();
        // Some changes touch one policy, some all, and some none.
        match random.below(5) {
            0 => new = random.policies(),
            1 => {
                new.remove(0);
            }
            2 => new.rotate_left(1),
            _ => {
                let place = random.below(new.len());
                new[place] = random.policy(place);
            }
        }
        let (old, new) = (old.concat(), new.concat());
        let found = review(&old, &new, &solver);
        let load = |text: &str| load(&source(text), Arc::new(declared()), now()).expect("policies load").0;
        let (before, after) = (load(&old), load(&new));
        let said = |q: &Question| (allows(&before, q), allows(&after, q));
        let newly = questions.iter().any(|q| said(q) == (false, true));
        let lost = questions.iter().any(|q| said(q) == (true, false));
        let all = || format!("round {round}\n-- old\n{old}-- new\n{new}-- found\n{found:#?}");
        assert!(!found.open(), "nothing here is too hard to prove: {}", all());
        assert!(!newly || found.grants_new(), "brute force has new access: {}", all());
        assert!(!lost || !found.is_equal(), "brute force has lost access: {}", all());
        grants += usize::from(found.grants_new());
        equal += usize::from(found.is_equal());
    }
    assert!(grants > 3 && equal > 3, "the pairs are of both kinds: {grants} grant, {equal} are equal");
}

#[test]
fn a_slip_in_a_guard_is_found_and_a_refactoring_is_not() {
    let Some(solver) = solver() else { return };
    let permit = "@id(\"staff\") permit (principal in Group::\"corp/staff\", action in Action::\"call\", resource);\n";
    let guard = |condition: &str| {
        format!("{permit}@id(\"guard\") forbid (principal, action in Action::\"money\", resource) {condition};\n")
    };
    let and = guard("unless { context.facts.transport.mtls && context.facts.network.zone == \"office\" }");
    let or = guard("unless { context.facts.transport.mtls || context.facts.network.zone == \"office\" }");
    let same = guard("when { !context.facts.transport.mtls || context.facts.network.zone != \"office\" }");
    assert!(review(&and, &same, &solver).is_equal());
    let wider = review(&and, &or, &solver);
    assert!(wider.grants_new() && wider.rows.iter().all(|row| row.functions.len() == 1), "{wider:#?}");
    let narrower = review(&or, &and, &solver);
    assert!(!narrower.grants_new() && !narrower.open() && !narrower.is_equal(), "{narrower:#?}");
    // The catalog says that the class of `pay.send` is 2, so a forbid from 2 on and one from 3 on differ, and only there.
    let from = |class: u8| guard(&format!("when {{ resource.class >= {class} }}"));
    assert!(review(&from(1), &from(2), &solver).is_equal());
    assert!(review(&from(2), &from(3), &solver).grants_new());
}

#[test]
fn a_guard_that_can_fail_and_one_that_never_holds_are_found() {
    let Some(solver) = solver() else { return };
    let forbid = |id: &str, condition: &str| {
        format!("@id(\"{id}\") forbid (principal, action == Action::\"pay.send\", resource) when {{ {condition} }};\n")
    };
    let text = [
        forbid("sound", "context.input.amount > 100"),
        forbid("overflows", "context.input.amount * 2 > 100"),
        forbid("bounded", "context.input.amount < 1000 && context.input.amount > 0 && context.input.amount * 2 > 100"),
        forbid("no-such-minute", "context.facts.clock.minute > 1439"),
        forbid("no-such-class", "resource.class == 3"),
    ];
    let (side, _) = Side::new(&source(&text.concat()), Arc::new(declared()), now()).expect("policies load");
    let judged = judge(&side, &solver);
    let fails = |name: &str| judged.may_fail(&PolicyName(name.into()));
    let never = |name: &str| judged.never_matches(&PolicyName(name.into()));
    assert!(judged.open.is_empty(), "{judged:?}");
    assert_eq!((fails("overflows"), fails("bounded"), fails("sound")), (Some(true), Some(false), None), "{judged:?}");
    assert_eq!((never("no-such-minute"), never("no-such-class")), (Some(true), Some(true)), "{judged:?}");
    assert_eq!((never("sound"), never("run-on"), never("overflows")), (Some(false), Some(false), Some(false)));
}
