//! Our slices against the official `Authorizer` on the whole set: same decision, reasons and errors.

use crate::{
    bundle::{Source, written},
    engine::{Snapshot, entities::Directory, request::Asked},
    fixture::{alice, checkout, declared, function, question},
    permit::BundleId,
    question::{Principal, PrincipalKind},
    vocabulary::Vocabulary,
};
use cedar_policy::{Authorizer, PolicySet, Request, Response};
use proptest::{prelude::*, sample::select};
use std::{collections::BTreeSet, sync::Arc};

const PRINCIPALS: [&str; 8] = [
    "principal",
    "principal is User",
    "principal is Workload",
    "principal in Group::\"corp/staff\"",
    "principal is User in Group::\"corp/suspended\"",
    "principal == User::\"corp/alice\"",
    "principal in Group::\"corp/team-shop\"",
    "principal == Anonymous::\"anonymous\"",
];
const ACTIONS: [&str; 10] = [
    "action",
    "action == Action::\"orders.create\"",
    "action == Action::\"stock.level\"",
    "action == Action::\"other.pay\"",
    "action in Action::\"call\"",
    "action in Action::\"write\"",
    "action in [Action::\"read\", Action::\"money\", Action::\"describe\"]",
    "action == Action::\"describe\"",
    "action == Action::\"run_on\"",
    "action in [Action::\"stock.level\", Action::\"run_on\"]",
];
const RESOURCES: [&str; 12] = [
    "resource",
    "resource is Function",
    "resource is Target",
    "resource == Function::\"orders.create\"",
    "resource in Function::\"orders.create\"",
    "resource in App::\"shop\"",
    "resource in App::\"back\"",
    "resource in Environment::\"prod\"",
    "resource is Function in App::\"shop\"",
    "resource in Region::\"eu\"",
    "resource == Target::\"stock.level#1\"",
    "resource is Target in Environment::\"stage\"",
];
/// Some hold, some don't, some fail for some questions.
const BODIES: [&str; 9] = [
    "true",
    "false",
    "context.facts.transport.mtls",
    "principal has tenant",
    "resource.class * 9223372036854775807 > 0",
    "context.input.amount_cents > 50",
    "principal.issuer == Issuer::\"corp\"",
    "resource in App::\"shop\"",
    "action in Action::\"write\"",
];

fn policy() -> impl Strategy<Value = String> {
    let parts = (select(&PRINCIPALS), select(&ACTIONS), select(&RESOURCES), select(&BODIES));
    (prop::bool::weighted(0.35), parts, prop::bool::ANY).prop_map(
        |(forbid, (principal, action, resource, body), when)| {
            let effect = if forbid { "forbid" } else { "permit" };
            let clause = if when { "when" } else { "unless" };
            format!("{effect}({principal}, {action}, {resource}) {clause} {{ {body} }};")
        },
    )
}

/// A snapshot without validation: dead and erring policies must be sliced rightly too.
fn unchecked(policies: &[String]) -> (Snapshot, PolicySet) {
    let mut declared = declared();
    let mut pay = function("other.pay", &["money"]);
    pay.app = "back".into();
    pay.class = 2;
    declared.functions.push(pay);
    let mut back = declared.apps[0].clone();
    (back.name, back.environment) = ("back".into(), "stage".into());
    declared.apps.push(back);
    let (vocabulary, _) = Vocabulary::new(&declared).unwrap();
    let directory = Directory::new(&declared).unwrap();
    let functions = declared.functions.iter();
    let declarations = functions
        .map(|f| {
            (f.name.clone(), directory.function(f, vocabulary.function(&f.name).unwrap(), &vocabulary.base).unwrap())
        })
        .collect();
    let text: String = policies.iter().enumerate().map(|(i, policy)| format!("@id(\"p{i}\") {policy}\n")).collect();
    let mut findings = Vec::new();
    let written = written::read(&Source { file: "random.cedar".into(), text: text.into() }, &mut findings);
    assert_eq!((findings.len(), written.len()), (0, policies.len()), "{findings:?}");
    let whole = PolicySet::from_policies(written.iter().map(|w| w.policy.clone())).unwrap();
    let (snapshot, _) = Snapshot::new(BundleId("x".into()), vocabulary, directory, declarations, written).unwrap();
    (snapshot, whole)
}

fn callers() -> Vec<Principal> {
    let suspended = Principal { groups: Arc::new(["corp/suspended".into(), "corp/staff".into()]), ..alice() };
    let client = Principal {
        kind: PrincipalKind::Client,
        id: "partners/app".into(),
        issuer: Some("partners".into()),
        ..alice()
    };
    vec![alice(), suspended, checkout(), Principal::anonymous(), client]
}

fn said(response: &Response) -> (bool, BTreeSet<String>, BTreeSet<String>) {
    let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
    let errors = response.diagnostics().errors().map(ToString::to_string).collect();
    (response.decision() == cedar_policy::Decision::Allow, reasons, errors)
}

/// Asks everything of both; returns how many requests there were and how many of them had errors.
fn compare(policies: &[String]) -> (usize, usize) {
    let (snapshot, whole) = unchecked(policies);
    let authorizer = Authorizer::new();
    let (mut requests, mut failed) = (0, 0);
    for caller in callers() {
        for (name, function) in &snapshot.functions {
            let ask = question(caller.clone(), name.as_str());
            let Ok(asked) = Asked::new(&ask, function, &snapshot.directory) else { continue };
            let subjects = [&function.call, &function.describe].into_iter().chain(&function.run_on);
            for (i, subject) in subjects.enumerate() {
                let context = if i == 0 { asked.call_context(&ask, function) } else { asked.facts_context() };
                let Ok(context) = context else { continue };
                let (action, resource) = (subject.action.clone(), subject.resource.clone());
                let request = Request::new(asked.principal.clone(), action, resource, context, None).unwrap();
                let ours = said(&authorizer.is_authorized(&request, &subject.slice.set, &asked.entities));
                let official = said(&authorizer.is_authorized(&request, &whole, &asked.entities));
                assert_eq!(ours, official, "{request}\n{whole}");
                requests += 1;
                failed += usize::from(!ours.2.is_empty());
            }
        }
    }
    (requests, failed)
}

#[test]
fn slices_decide_as_the_whole_set_does() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let (requests, failed) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let sets = prop::collection::vec(policy(), 1..24);
    let result = runner.run(&sets, |policies| {
        let (asked, errors) = compare(&policies);
        requests.set(requests.get() + asked);
        failed.set(failed.get() + errors);
        Ok(())
    });
    result.unwrap();
    assert!(requests.get() > 3_000, "{} requests", requests.get());
    assert!(failed.get() > 300, "{} requests with errors", failed.get());
}
