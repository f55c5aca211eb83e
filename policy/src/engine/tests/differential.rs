//! Our index and evaluation against the official authorizer on the whole set: same decision, reasons and errors.

use crate::{
    bundle::{Source, ground::Ground, kept::Earlier, written},
    engine::{Found, Snapshot, ask::Judge, reads::Reads, request::Asked, tests::oracle},
    fixture::{alice, checkout, declared, function, now, question},
    permit::BundleId,
    question::{Principal, PrincipalKind},
};
use cedar_policy_core::{
    ast::{PolicySet, Request},
    authorizer::{Authorizer, Decision},
};
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
    let ground = Arc::new(Ground::new(Arc::new(declared)).unwrap());
    let text: String = policies.iter().enumerate().map(|(i, policy)| format!("@id(\"p{i}\") {policy}\n")).collect();
    let mut findings = Vec::new();
    let source = Source { file: "random.cedar".into(), text: text.into() };
    let pieces = written::read_again(&source, &Earlier::new(), &mut findings);
    assert_eq!((findings.len(), pieces.len()), (0, policies.len()), "{findings:?}");
    let whole = pieces.iter().filter_map(|piece| piece.written.as_ref());
    let whole = whole.map(|w| AsRef::<cedar_policy_core::ast::Policy>::as_ref(&w.policy).clone());
    let whole = PolicySet::try_from_iter(whole).unwrap();
    let (snapshot, _) = Snapshot::new(BundleId("x".into()), ground, pieces, Earlier::new(), None).unwrap();
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

type Said = (bool, BTreeSet<String>, BTreeSet<String>);

fn ours(snapshot: &Snapshot, found: &Found) -> Said {
    let name = |place: &u32| snapshot.policies[*place as usize].info.name.to_string();
    let decided = if found.forbids.is_empty() { &found.permits } else { &found.forbids };
    let errors = found.errors.iter().map(|(_, error)| error.to_string()).collect();
    (found.allows(), decided.iter().map(name).collect(), errors)
}

fn official(whole: &PolicySet, request: Request, asked: &Asked) -> Said {
    let response = Authorizer::new().is_authorized(request, whole, &asked.entities);
    let reasons = response.diagnostics.reason.iter().map(ToString::to_string).collect();
    let errors = response.diagnostics.errors.iter().map(ToString::to_string).collect();
    (response.decision == Decision::Allow, reasons, errors)
}

/// What an error says of attributes that are there depends on which facts were made.
fn of(errors: &BTreeSet<String>) -> BTreeSet<&str> {
    errors.iter().map(|error| error.split(':').next().unwrap()).collect()
}

/// Asks everything of both; returns how many requests there were about functions and how many of them had errors.
fn compare(policies: &[String]) -> (usize, usize) {
    let (snapshot, whole) = unchecked(policies);
    let (mut requests, mut failed) = (0, 0);
    for caller in callers() {
        for (name, function) in &snapshot.functions {
            let ask = question(caller.clone(), name.as_str());
            let new = |reads| Asked::new(&ask, function, &snapshot.ground.directory, reads);
            let Ok((all, few)) = new(Reads::ALL).and_then(|all| Ok((all, new(function.reads)?))) else { continue };
            let subjects = [&function.call, &function.describe].into_iter().chain(&function.run_on);
            for (i, subject) in subjects.enumerate() {
                let context = |asked: &Asked| match i {
                    0 => asked.call_context(&ask, function),
                    _ => Ok(asked.facts_context()),
                };
                let (Ok(full), Ok(context)) = (context(&all), context(&few)) else { continue };
                let found =
                    |asked, context| ours(&snapshot, &snapshot.found(subject, asked, || context, now(), Judge::Engine));
                let entry =
                    |uid: &Arc<_>| cedar_policy_core::ast::EntityUIDEntry::Known { euid: Arc::clone(uid), loc: None };
                let (principal, action, resource) = (entry(&all.me), entry(&subject.action), entry(&subject.resource));
                let request = Request::new_unchecked(principal, action, resource, Some(full.clone()));
                let official = official(&whole, request.clone(), &all);
                assert_eq!(found(&all, full), official, "{request}\n{whole}");
                let few = found(&few, context);
                assert_eq!(
                    (few.0, &few.1, of(&few.2)),
                    (official.0, &official.1, of(&official.2)),
                    "{request}\n{whole}"
                );
                // Hardly a policy here is about what administrators do, so that says little of how many fail.
                if !function.administrative {
                    requests += 1;
                    failed += usize::from(!official.2.is_empty());
                }
            }
        }
    }
    (requests, failed)
}

#[test]
fn slices_decide_as_the_whole_set_does() {
    let sets = prop::collection::vec(policy(), 1..24);
    oracle::run(55, sets, |policies| compare(&policies));
}
