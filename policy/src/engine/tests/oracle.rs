//! Any Cedar policies, templates among them: our set against the official authorizer.

use crate::engine::set::Set;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, SlotId, Template,
};
use cedar_policy_core::ast;
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
};

/// How many requests are compared if `LATCHWORK_ORACLE_REQUESTS` doesn't say.
const REQUESTS: usize = 3_000;

/// Runs cases that compare about `each` requests, and sees that enough of them failed in part.
pub(super) fn run<S: Strategy>(each: usize, strategy: S, compare: impl Fn(S::Value) -> (usize, usize)) {
    let wanted = std::env::var("LATCHWORK_ORACLE_REQUESTS").map_or(REQUESTS, |text| text.parse().unwrap());
    let cases = u32::try_from(wanted / each + 1).unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let (requests, failed) = (Cell::new(0), Cell::new(0));
    let result = runner.run(&strategy, |value| {
        let (asked, errors) = compare(value);
        requests.set(requests.get() + asked);
        failed.set(failed.get() + errors);
        Ok(())
    });
    result.unwrap();
    assert!(requests.get() * 10 > wanted * 9, "{} requests of {wanted}", requests.get());
    assert!(failed.get() * 20 > requests.get(), "{} of {} requests with errors", failed.get(), requests.get());
}

const ENTITIES: &str = r#"[
    { "uid": { "type": "User", "id": "ann" }, "parents": [{ "type": "Group", "id": "a" }],
      "attrs": { "level": 3, "mail": "a@x", "team": { "__entity": { "type": "Group", "id": "b" } } } },
    { "uid": { "type": "User", "id": "bob" }, "parents": [{ "type": "Group", "id": "b" }], "attrs": {} },
    { "uid": { "type": "N::Robot", "id": "r" }, "parents": [{ "type": "Group", "id": "a" }, { "type": "User", "id": "bob" }],
      "attrs": { "level": 9223372036854775807 } },
    { "uid": { "type": "Group", "id": "a" }, "parents": [{ "type": "Group", "id": "all" }], "attrs": {} },
    { "uid": { "type": "Group", "id": "b" }, "parents": [{ "type": "Group", "id": "all" }], "attrs": {} },
    { "uid": { "type": "Doc", "id": "d1" }, "parents": [{ "type": "Folder", "id": "f1" }],
      "attrs": { "public": true, "owner": { "__entity": { "type": "User", "id": "ann" } } } },
    { "uid": { "type": "Doc", "id": "d2" }, "parents": [{ "type": "Folder", "id": "f2" }], "attrs": { "owner": "nobody" } },
    { "uid": { "type": "Folder", "id": "f1" }, "parents": [{ "type": "Folder", "id": "root" }], "attrs": {} },
    { "uid": { "type": "Folder", "id": "f2" }, "parents": [{ "type": "Folder", "id": "root" }], "attrs": {} },
    { "uid": { "type": "Action", "id": "read" }, "parents": [{ "type": "Action", "id": "any" }], "attrs": {} },
    { "uid": { "type": "Action", "id": "write" },
      "parents": [{ "type": "Action", "id": "any" }, { "type": "Action", "id": "risky" }], "attrs": {} }
]"#;
const PRINCIPALS: [&str; 11] = [
    "principal",
    "principal is User",
    "principal is N::Robot",
    "principal == User::\"ann\"",
    "principal == User::\"gone\"",
    "principal in Group::\"a\"",
    "principal in Group::\"all\"",
    "principal is User in Group::\"all\"",
    "principal == ?principal",
    "principal in ?principal",
    "principal is User in ?principal",
];
const ACTIONS: [&str; 8] = [
    "action",
    "action == Action::\"read\"",
    "action == Action::\"gone\"",
    "action == N::Action::\"read\"",
    "action in Action::\"any\"",
    "action in [Action::\"risky\", N::Action::\"read\"]",
    "action in [Action::\"read\", Action::\"gone\"]",
    "action in []",
];
const RESOURCES: [&str; 10] = [
    "resource",
    "resource is Doc",
    "resource == Doc::\"d1\"",
    "resource == Doc::\"gone\"",
    "resource in Folder::\"f1\"",
    "resource in Folder::\"root\"",
    "resource is Doc in Folder::\"f2\"",
    "resource == ?resource",
    "resource in ?resource",
    "resource is Doc in ?resource",
];
const SLOTS: [&str; 8] = [
    "User::\"ann\"",
    "User::\"bob\"",
    "Group::\"all\"",
    "Group::\"b\"",
    "Doc::\"d1\"",
    "Folder::\"f2\"",
    "Folder::\"root\"",
    "Doc::\"gone\"",
];
/// Some hold, some don't, some fail; one is no boolean at all.
const BODIES: [&str; 20] = [
    "true",
    "false",
    "1",
    "principal.level > 2",
    "principal has level && principal.level > 2",
    "principal.level * 2 > 0",
    "resource.owner == principal",
    "resource has owner && resource.owner == principal",
    "context.n > 1",
    "context has n && context.n > 1",
    "principal in Group::\"all\"",
    "resource has public && resource.public",
    "resource is Doc && resource.owner in Group::\"all\"",
    "\"x\" in Group::\"a\"",
    "principal.mail like \"a*\"",
    "if principal has level then principal.level == 3 else context.flag",
    "resource in [Folder::\"f1\", principal]",
    "principal has team && principal.team in Group::\"all\"",
    "decimal(\"1.0\").lessThan(context.d)",
    "action in Action::\"risky\" || context.flag",
];

fn policy() -> impl Strategy<Value = (String, [String; 2])> {
    let parts = (select(&PRINCIPALS), select(&ACTIONS), select(&RESOURCES), select(&BODIES));
    (prop::bool::weighted(0.35), parts, prop::bool::ANY, [select(&SLOTS), select(&SLOTS)]).prop_map(
        |(forbid, (principal, action, resource, body), when, slots)| {
            let (effect, clause) = (if forbid { "forbid" } else { "permit" }, if when { "when" } else { "unless" });
            (format!("{effect}({principal}, {action}, {resource}) {clause} {{ {body} }};"), slots.map(str::to_owned))
        },
    )
}

/// Static policies and links, and one template that nothing links.
fn set(policies: &[(String, [String; 2])]) -> PolicySet {
    let mut set = PolicySet::new();
    let unlinked = Template::parse(Some(PolicyId::new("u")), "permit(principal == ?principal, action, resource);");
    set.add_template(unlinked.unwrap()).unwrap();
    for (i, (text, slots)) in policies.iter().enumerate() {
        let id = PolicyId::new(format!("p{i}"));
        if !text.contains('?') {
            set.add(Policy::parse(Some(id), text).unwrap()).unwrap();
            continue;
        }
        let template = PolicyId::new(format!("t{i}"));
        set.add_template(Template::parse(Some(template.clone()), text).unwrap()).unwrap();
        let slots = [(SlotId::principal(), &slots[0]), (SlotId::resource(), &slots[1])];
        let slots = slots.into_iter().filter(|(slot, _)| text.contains(&slot.to_string()));
        let values: HashMap<_, EntityUid> = slots.map(|(slot, value)| (slot, value.parse().unwrap())).collect();
        set.link(template, id, values).unwrap();
    }
    set
}

fn compare(policies: &[(String, [String; 2])]) -> (usize, usize) {
    let whole = set(policies);
    let ours = Set::new(AsRef::<ast::PolicySet>::as_ref(&whole).policies().cloned());
    let entities = Entities::from_json_str(ENTITIES, None).unwrap();
    let (authorizer, mut requests, mut failed) = (Authorizer::new(), 0, 0);
    let uids = |texts: &[&str]| -> Vec<EntityUid> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    for principal in uids(&["User::\"ann\"", "User::\"bob\"", "User::\"gone\"", "N::Robot::\"r\""]) {
        for action in uids(&["Action::\"read\"", "Action::\"write\"", "Action::\"gone\"", "N::Action::\"read\""]) {
            for resource in uids(&["Doc::\"d1\"", "Doc::\"d2\"", "Doc::\"gone\"", "Folder::\"f1\""]) {
                let json = match requests % 3 {
                    0 => serde_json::json!({}),
                    1 => serde_json::json!({ "n": 2, "flag": true }),
                    _ => {
                        serde_json::json!({ "n": "2", "flag": 1, "d": { "__extn": { "fn": "decimal", "arg": "1.5" } } })
                    }
                };
                let context = Context::from_json_value(json.clone(), None).unwrap();
                let (p, a, r) = (principal.clone(), action.clone(), resource.clone());
                let request = Request::new(p, a, r, context, None).unwrap();
                let response = authorizer.is_authorized(&request, &whole, &entities);
                let entry = |uid: &EntityUid| ast::EntityUIDEntry::from(AsRef::<ast::EntityUID>::as_ref(uid).clone());
                let (p, a, r) = (entry(&principal), entry(&action), entry(&resource));
                let context = ast::Context::from_json_value(json).unwrap();
                let answer = ours.answer(ast::Request::new_unchecked(p, a, r, Some(context)), entities.as_ref());
                let texts = |items: &mut dyn Iterator<Item = String>| items.collect::<BTreeSet<_>>();
                let said = response.diagnostics();
                let official = (
                    response.decision() == Decision::Allow,
                    texts(&mut said.reason().map(ToString::to_string)),
                    texts(&mut said.errors().map(ToString::to_string)),
                );
                let messages = texts(&mut answer.messages.iter().cloned());
                assert_eq!((answer.allow, answer.reason, messages), official, "{request}\n{whole}");
                assert_eq!(answer.errors.len(), official.2.len());
                requests += 1;
                failed += usize::from(!official.2.is_empty());
            }
        }
    }
    (requests, failed)
}

#[test]
fn any_set_is_answered_as_cedar_does() {
    run(64, prop::collection::vec(policy(), 1..40), |policies| compare(&policies));
}
