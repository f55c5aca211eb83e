//! Over random policies and questions: the explanation decides as the engine does, and what it blames is to blame.

use super::super::{judge::Judge, *};
use crate::{
    explain::hidden::Hidden,
    fixture::{alice, checkout, question, snapshot, try_load},
    question::Principal,
};
use proptest::{prelude::*, sample::select};
use std::cell::Cell;

const HEADS: [&str; 7] = [
    "principal, action == Action::\"orders.create\", resource",
    "principal is User, action == Action::\"orders.create\", resource",
    "principal in Group::\"corp/staff\", action == Action::\"orders.create\", resource == Function::\"orders.create\"",
    "principal is User in Group::\"corp/suspended\", action == Action::\"orders.create\", resource in App::\"shop\"",
    "principal == Workload::\"spiffe://prod.acme/ns/shop/sa/checkout\", action == Action::\"orders.create\", resource",
    "principal, action == Action::\"run_on\", resource",
    "principal is User, action == Action::\"describe\", resource",
];
/// Over facts alone, so that they fit every head; some fail for some questions.
const CONDITIONS: [&str; 12] = [
    "context.facts.transport.mtls",
    "!context.facts.transport.mtls && context.facts.transport.tls >= 13",
    "context.facts.network.zone == \"office\" || context.facts.transport.sealed",
    "context.facts has token && context.facts.token.scopes.contains(\"pay\")",
    "!(context.facts has token) || context.facts.token.sender_bound",
    "if context.facts has token then context.facts.token has acr else context.facts.transport.mtls",
    "context.facts.clock.minute * 9000000000000000 > 0",
    "context.facts.network.source.isInRange(ip(\"10.0.0.0/8\"))",
    "!(context.facts.transport.mtls || (context.facts.clock.weekday > 5 || context.facts.transport.sealed))",
    "[1, 2, 3].contains(context.facts.clock.weekday)",
    "context.facts.via has workload && context.facts.via.workload in Group::\"corp/suspended\"",
    "principal is User && principal has tenant",
];
/// These only where there is an input.
const INPUT: [&str; 5] = [
    "context.input.amount_cents <= 100",
    "context.input has currency && context.input.currency == \"EUR\"",
    "context.input.amount_cents * 9000000000000000000 > 0",
    "!(context.input has currency) || context.input.currency != \"USD\"",
    "if context.input.amount_cents > 500 then context.facts.transport.mtls else true",
];

fn policy() -> impl Strategy<Value = String> {
    let conditions = || {
        let one = prop_oneof![3 => select(&CONDITIONS), 1 => select(&INPUT)];
        prop::collection::vec((one, prop::bool::weighted(0.7)), 0..3)
    };
    (prop::bool::weighted(0.3), select(&HEADS), conditions()).prop_map(|(forbid, head, conditions)| {
        let effect = if forbid { "forbid" } else { "permit" };
        let calls = head.contains("orders.create");
        let conditions: String = conditions
            .into_iter()
            .filter(|(text, _)| calls || !text.contains("input"))
            .map(|(text, when)| format!(" {} {{ {text} }}", if when { "when" } else { "unless" }))
            .collect();
        format!("{effect}({head}){conditions};")
    })
}

fn asked() -> impl Strategy<Value = Question> {
    let suspended = Principal { groups: Arc::new(["corp/suspended".into(), "corp/staff".into()]), ..alice() };
    let callers = select(vec![alice(), suspended, checkout()]);
    let amounts = prop::option::of((select(vec![1_i64, 100, 501]), prop::option::of(select(vec!["EUR", "USD"]))));
    (callers, prop::array::uniform5(prop::bool::ANY), amounts, 0_i64..8).prop_map(
        |(caller, [mtls, sealed, office, token, describe], amount, weekday)| {
            let mut ask = question(caller, "orders.create");
            ask.facts.transport.mtls = mtls;
            ask.facts.transport.sealed = sealed;
            ask.facts.clock.weekday = weekday;
            ask.facts.clock.minute = if sealed { 1439 } else { 0 };
            if office {
                ask.facts.network.zone = "office".into();
            }
            ask.facts.token = token.then(|| crate::question::Token {
                scopes: Arc::new(["pay".into()]),
                audiences: Arc::new([]),
                issued: None,
                authenticated: None,
                acr: mtls.then(|| "gold".into()),
                amr: None,
                sender_bound: office,
            });
            if describe {
                ask.verb = Verb::Describe;
            }
            ask.input = amount.map(|(cents, currency)| {
                let mut input = serde_json::json!({ "amount_cents": cents });
                if let Some(currency) = currency {
                    input["currency"] = currency.into();
                }
                Arc::new(input)
            });
            ask
        },
    )
}

fn decided(snapshot: &Snapshot, ask: &Question) -> (bool, Option<DenialReason>, Vec<PolicyName>) {
    if ask.verb == Verb::Describe {
        let trace = snapshot.trace(ask);
        let verdict = trace.describe.unwrap();
        return (verdict.denied.is_none(), verdict.denied, verdict.determining);
    }
    match snapshot.decide(ask.clone()) {
        Ok(permit) => (true, None, permit.terms().determining().to_vec()),
        Err(denial) => (false, Some(denial.reason), denial.determining.to_vec()),
    }
}

/// The snapshot of those policies that the checks let pass; each stands on a line of its own.
fn sound(text: &str) -> Snapshot {
    match try_load(text) {
        Ok((snapshot, _)) => snapshot,
        Err(findings) => {
            let bad = |place: usize| findings.iter().any(|finding| finding.line == place + 1);
            let good = text.lines().enumerate().filter(|(place, _)| !bad(*place)).map(|(_, line)| format!("{line}\n"));
            snapshot(&good.collect::<String>())
        }
    }
}

/// Every clause that is blamed is evaluated again.
fn blamed(snapshot: &Snapshot, ask: &Question, explanation: &Explanation) -> usize {
    let asks = snapshot.asks(ask).unwrap();
    let mut blamed = 0;
    for (request, answer) in asks.asks.iter().zip(&explanation.asked) {
        let judge = Judge::new(request, &asks);
        for (candidate, policy) in request.candidates.iter().zip(&answer.policies) {
            assert_eq!(candidate.info.name, policy.policy);
            let whole: cedar_policy_core::ast::Expr = {
                let parsed: cedar_policy::Policy = candidate.text.parse().unwrap();
                AsRef::<cedar_policy_core::ast::Policy>::as_ref(&parsed).condition()
            };
            let expected = match judge.truth(&whole) {
                Ok(Some(true)) => Came::Holds,
                Ok(Some(false)) => Came::Fails,
                Ok(None) => Came::Unknown,
                Err(_) => Came::Error,
            };
            assert_eq!(policy.came, expected, "{}", candidate.text);
            let Some(place) = policy.first else { continue };
            assert!(policy.clauses[..place].iter().all(|clause| clause.came == Came::Holds), "{policy:#?}");
            let clause = &candidate.clauses[place];
            match policy.came {
                Came::Fails => assert_eq!(judge.truth(&clause.expr), Ok(Some(!clause.wanted))),
                Came::Error => assert!(judge.truth(&clause.expr).is_err()),
                Came::Holds | Came::Unknown => panic!("{policy:#?}"),
            }
            blamed += 1;
        }
    }
    blamed
}

/// How often cases are drawn until each kind of answer was seen; one round in three sees no unknown one.
const ROUNDS_MAX: usize = 12;

#[test]
fn explanations_decide_as_the_engine_does() {
    let config =
        ProptestConfig { cases: 40, failure_persistence: None, max_shrink_iters: 16, ..ProptestConfig::default() };
    let sets = (prop::collection::vec(policy(), 1..8), prop::collection::vec(asked(), 24));
    let (allowed, errors, clauses, unknown) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
    let seen_enough = || allowed.get() > 20 && errors.get() > 10 && clauses.get() > 600 && unknown.get() > 0;
    let mut rounds = 0;
    // What is rare is not in every round. Each round holds what it draws to the same rule.
    while rounds < ROUNDS_MAX && !seen_enough() {
        rounds += 1;
        let mut runner = proptest::test_runner::TestRunner::new(config.clone());
        let result = runner.run(&sets, |(policies, questions)| {
            let text: String =
                policies.iter().enumerate().map(|(i, policy)| format!("@id(\"p{i}\") {policy}\n")).collect();
            let snapshot = sound(&text);
            for ask in &questions {
                let explanation = explain(&snapshot, ask);
                let (allow, reason, determining) = decided(&snapshot, ask);
                let said =
                    (explanation.decision == Decision::Allow, explanation.reason, explanation.determining.clone());
                prop_assert_eq!(&said, &(allow, reason, determining), "{}\n{:#?}", text, ask);
                allowed.set(allowed.get() + usize::from(allow));
                errors.set(errors.get() + usize::from(reason == Some(DenialReason::PolicyError)));
                clauses.set(clauses.get() + blamed(&snapshot, ask, &explanation));
                // With the input hidden, whatever is decided all the same is decided so.
                let mut hidden = Hidden::default();
                hidden.hide(vec!["input".to_owned()]);
                let blind = explain_with(&snapshot, ask, &hidden);
                if ask.input.is_some() && reason != Some(DenialReason::PolicyError) {
                    match blind.decision {
                        Decision::Allow => prop_assert!(allow),
                        Decision::Deny => prop_assert!(!allow, "{}\n{:#?}", text, ask),
                        Decision::Unknown => unknown.set(unknown.get() + 1),
                    }
                }
            }
            Ok(())
        });
        result.unwrap();
    }
    let seen = [allowed.get(), errors.get(), clauses.get(), unknown.get()];
    assert!(seen_enough(), "allowed, errors, clauses, unknown after {rounds} rounds: {seen:?}");
}
