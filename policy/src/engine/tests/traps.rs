//! Every known way in which Cedar policies fail open, and that here each denies or does not load.

use super::names;
use crate::{
    declared::Declared,
    engine::Snapshot,
    fixture::{RUN_ON, alice, checkout, declared, function, input, now, question, snapshot, sources, try_load},
    permit::DenialReason,
    question::{Principal, Question, Token, Via},
};
use std::sync::Arc;

/// A permit for everything, so that only a guard stands between caller and function.
const OPEN: &str = "@id(\"open\") permit(principal, action, resource);\n";

fn open(guard: &str) -> Snapshot {
    snapshot(&format!("{OPEN}{guard}"))
}

#[track_caller]
fn not_loaded(guard: &str, code: &str) {
    let findings = try_load(&format!("{OPEN}{guard}")).unwrap_err();
    assert!(findings.iter().any(|finding| finding.code == code && finding.line > 1), "{findings:#?}");
}

#[track_caller]
fn denied(snapshot: &Snapshot, question: Question, reason: DenialReason, determining: &[&str]) {
    let denial = snapshot.decide(question).unwrap_err();
    assert_eq!((denial.reason, names(&denial.determining)), (reason, determining.to_vec()), "{:?}", denial.errors);
    let unable = matches!(reason, DenialReason::PolicyError | DenialReason::AbsentEntity);
    assert_eq!(!denial.errors.is_empty(), unable, "{:?}", denial.errors);
}

fn with_groups(groups: &[&str]) -> Principal {
    Principal { groups: groups.iter().map(|g| Arc::from(*g)).collect(), ..alice() }
}

#[test]
fn forbid_reads_a_missing_attribute() {
    not_loaded(
        "@id(\"g\") forbid(principal is User, action, resource) when { principal.tenant == Tenant::\"x\" };",
        "unguarded_attribute",
    );
}

#[test]
fn forbid_unless_reads_a_missing_attribute() {
    not_loaded(
        "@id(\"g\") forbid(principal, action, resource) unless { context.facts.clock.business_day };",
        "unguarded_attribute",
    );
}

#[test]
fn a_forbid_that_fails_denies() {
    let shop = open(
        "@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource) when { context.input.amount_cents > 1000 };",
    );
    assert!(shop.decide(question(checkout(), "orders.create")).is_ok());
    let mut unread = question(checkout(), "orders.create");
    unread.input = None;
    denied(&shop, unread, DenialReason::PolicyError, &["g"]);
}

#[test]
fn integer_overflow_in_a_forbid_denies() {
    let shop = open(
        "@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource)\
                     when { context.input.amount_cents * 1000 > 9000000000000000000 };",
    );
    assert!(shop.decide(question(checkout(), "orders.create")).is_ok());
    let mut large = question(checkout(), "orders.create");
    large.input = Some(Arc::new(serde_json::json!({ "amount_cents": i64::MAX })));
    denied(&shop, large, DenialReason::PolicyError, &["g"]);
}

#[test]
fn duration_overflow_in_a_forbid_denies() {
    let shop = open(
        "@id(\"g\") forbid(principal, action in Action::\"call\", resource)\
                     when { context.facts.clock.now.offset(duration(\"106751991167d\")) < context.facts.clock.now };",
    );
    denied(&shop, question(alice(), "stock.level"), DenialReason::PolicyError, &["g"]);
}

#[test]
fn in_on_a_string() {
    not_loaded(
        "@id(\"g\") forbid(principal, action, resource) when { context.facts.call in resource };",
        "type_mismatch",
    );
}

#[test]
fn a_guard_whose_head_can_never_apply() {
    not_loaded(
        "@id(\"g\") forbid(principal is Anonymous, action == Action::\"orders.create\", resource);",
        "dead_scope",
    );
    not_loaded("@id(\"g\") forbid(principal, action, resource) when { principal is Group };", "impossible_policy");
}

#[test]
fn equality_between_types() {
    not_loaded(
        "@id(\"g\") forbid(principal, action, resource) when { context.facts.transport.tls == \"12\" };",
        "type_mismatch",
    );
}

#[test]
fn the_principal_is_always_loaded_with_its_groups() {
    let shop = open("@id(\"g\") forbid(principal in Group::\"corp/suspended\", action, resource);");
    denied(&shop, question(with_groups(&["corp/suspended"]), "stock.level"), DenialReason::Forbidden, &["g"]);
    assert!(shop.decide(question(alice(), "stock.level")).is_ok());
}

#[test]
fn the_hierarchy_of_actions_is_always_loaded() {
    let shop = open("@id(\"g\") forbid(principal, action in Action::\"write\", resource);");
    denied(&shop, question(alice(), "orders.create"), DenialReason::Forbidden, &["g"]);
    assert!(shop.decide(question(alice(), "stock.level")).is_ok());
    let shop = open("@id(\"g\") forbid(principal, action, resource) when { action in Action::\"write\" };");
    denied(&shop, question(alice(), "orders.create"), DenialReason::Forbidden, &["g"]);
}

#[test]
fn ids_are_annotations_so_that_records_keep_their_meaning() {
    let one = open("@id(\"g\") forbid(principal is User, action, resource);");
    let two = snapshot(&format!(
        "@id(\"new\") permit(principal is Client, action, resource);\n{OPEN}@id(\"g\") forbid(principal is User, action, resource);"
    ));
    for shop in [one, two] {
        denied(&shop, question(alice(), "stock.level"), DenialReason::Forbidden, &["g"]);
    }
}

#[test]
fn an_entity_named_only_in_the_context_is_loaded_or_denied() {
    let shop = open(
        "@id(\"g\") forbid(principal, action in Action::\"call\", resource)\
                     when { context.facts.via has workload && context.facts.via.workload in Group::\"corp/suspended\" };",
    );
    let via = |groups: &[&str]| {
        let workload = Principal { groups: groups.iter().map(|g| Arc::from(*g)).collect(), ..checkout() };
        let mut question = question(alice(), "stock.level");
        question.facts.via = Via { workload: Some(Arc::new(workload)), client: None, depth: 1 };
        question
    };
    assert!(shop.decide(via(&[])).is_ok());
    denied(&shop, via(&["corp/suspended"]), DenialReason::Forbidden, &["g"]);
    denied(&shop, via(&["corp/unheard-of"]), DenialReason::AbsentEntity, &[]);
    let mut disguised = via(&[]);
    disguised.facts.via.workload = Some(Arc::new(alice()));
    denied(&shop, disguised, DenialReason::PolicyError, &[]);
}

#[test]
fn two_descriptions_of_one_caller_deny() {
    let shop = open("");
    let mut twice = question(checkout(), "stock.level");
    let other = Principal { groups: Arc::new(["corp/staff".into()]), ..checkout() };
    twice.facts.via = Via { workload: Some(Arc::new(other)), client: None, depth: 1 };
    denied(&shop, twice, DenialReason::PolicyError, &[]);
}

#[test]
fn inequality_across_entity_types() {
    not_loaded(
        "@id(\"g\") forbid(principal, action == Action::\"approve\", resource)\n\
         unless { context.facts has emergency && context.facts.emergency.approved_by != resource };",
        "constant_comparison",
    );
    not_loaded(
        "@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource)\n\
         unless { context.facts has emergency && context.facts.emergency.approved_by != principal };",
        "constant_comparison",
    );
}

#[test]
fn action_of_one_function_with_the_resource_of_another() {
    not_loaded(
        "@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource == Function::\"stock.level\");",
        "action_resource_mismatch",
    );
}

#[test]
fn a_list_of_actions_does_not_hide_the_wrong_resource() {
    not_loaded(
        "@id(\"g\") forbid(principal, action in [Action::\"orders.create\", Action::\"stock.level\"], resource == Function::\"stock.level\");",
        "action_resource_mismatch",
    );
}

#[test]
fn membership_across_entity_types() {
    not_loaded(
        "@id(\"g\") forbid(principal, action == Action::\"orders.create\", resource)\n\
         unless { context.facts has approval && !context.facts.approval.by.contains(principal) };",
        "constant_comparison",
    );
    not_loaded(
        "@id(\"g\") forbid(principal is Agent, action == Action::\"orders.create\", resource)\n\
         unless { !(principal.owner in resource.app) };",
        "constant_comparison",
    );
}

/// Whatever a question names, down to attributes of attributes, is among its entities.
#[test]
fn every_entity_that_a_question_names_is_loaded() {
    let shop = open("");
    let workload = Principal { groups: Arc::new(["corp/staff".into()]), ..checkout() };
    let client = Principal {
        kind: crate::question::PrincipalKind::Client,
        id: "partners/acme".into(),
        issuer: Some("partners".into()),
        ..with_groups(&["partners/any"])
    };
    let mut all = question(alice(), "orders.create");
    all.facts.via = Via { workload: Some(Arc::new(workload)), client: Some(Arc::new(client)), depth: 2 };
    let mut tenant = question(alice(), "stock.level");
    tenant.principal.attributes.tenant = Some("acme".into());
    for asked in [all, tenant, question(Principal::anonymous(), "stock.level")] {
        let (absent, entities) = shop.absent(&asked);
        assert!(entities > 5, "{entities} entities");
        assert_eq!(absent, Vec::<String>::new(), "{}", asked.function);
    }
}

#[test]
fn misspelt_names_do_not_load() {
    not_loaded("@id(\"g\") forbid(principal, action, resource == Function::\"orders.creat\");", "unknown_function");
    not_loaded("@id(\"g\") forbid(principal in Group::\"corp/suspendd\", action, resource);", "unknown_group");
}

#[test]
fn login_time_is_a_fact_that_may_be_missing() {
    let shop = open(
        "@id(\"g\") forbid(principal is User, action in Action::\"money\", resource)\n\
         unless { context.facts has token && context.facts.token has authenticated &&\n\
         context.facts.clock.now <= context.facts.token.authenticated.offset(duration(\"1h\")) };",
    );
    let with = |authenticated: Option<&str>| {
        let mut question = question(alice(), "orders.create");
        question.facts.token = Some(Token {
            scopes: Arc::new([]),
            audiences: Arc::new([]),
            issued: Some(now()),
            authenticated: authenticated.map(|at| at.parse().unwrap()),
            acr: None,
            amr: None,
            sender_bound: false,
        });
        question
    };
    denied(&shop, question(alice(), "orders.create"), DenialReason::Forbidden, &["g"]);
    denied(&shop, with(None), DenialReason::Forbidden, &["g"]);
    denied(&shop, with(Some("2026-11-23T09:00:00Z")), DenialReason::Forbidden, &["g"]);
    assert!(shop.decide(with(Some("2026-11-23T10:00:00Z"))).is_ok());
}

#[test]
fn a_group_policy_over_a_field_of_two_types() {
    let schema =
        |kind: &str| format!(r#"{{ "type": "object", "required": ["amount"], "properties": {{ "amount": {kind} }} }}"#);
    let mut long = function("a.long", &["money"]);
    long.input = input(&schema(r#"{ "type": "integer" }"#));
    let mut decimal = function("a.decimal", &["money"]);
    decimal.input = input(&schema(r#"{ "type": "number", "multipleOf": 0.01 }"#));
    let declared = Declared { functions: vec![long, decimal], ..declared() };
    let guard =
        "@id(\"g\") forbid(principal, action in Action::\"money\", resource) when { context.input.amount > 10 };";
    let findings = crate::bundle::load(&sources(guard), Arc::new(declared), now()).unwrap_err();
    assert_eq!(findings[0].code, "type_mismatch");
}

#[test]
fn an_emptied_file_shows_in_the_names_of_forbids() {
    let before = open("@id(\"g\") forbid(principal in Group::\"corp/suspended\", action, resource);").forbid_names();
    let after = open("").forbid_names();
    assert_eq!(before.difference(&after).map(|name| name.0.as_ref()).collect::<Vec<_>>(), ["g"]);
}

#[test]
fn a_caller_from_a_credential_needs_no_directory_but_known_groups() {
    let shop = open("");
    assert!(shop.decide(question(Principal { id: "corp/never-seen".into(), ..alice() }, "stock.level")).is_ok());
    denied(&shop, question(with_groups(&["corp/unheard-of"]), "stock.level"), DenialReason::AbsentEntity, &[]);
    denied(&shop, question(with_groups(&["nobody/x"]), "stock.level"), DenialReason::AbsentEntity, &[]);
    let partner =
        Principal { id: "partners/p".into(), issuer: Some("partners".into()), ..with_groups(&["partners/any"]) };
    assert!(shop.decide(question(partner, "stock.level")).is_ok(), "their groups are external");
}

#[test]
fn ids_must_be_of_their_issuer() {
    let shop = open("");
    for (id, issuer) in
        [("corp/alice", None), ("corp/alice", Some("partners")), ("corp/", Some("corp")), ("x/a", Some("x"))]
    {
        let principal = Principal { id: id.into(), issuer: issuer.map(Arc::from), ..alice() };
        denied(&shop, question(principal, "stock.level"), DenialReason::AbsentEntity, &[]);
    }
    let workload = Principal { id: "corp/checkout".into(), ..checkout() };
    denied(&shop, question(workload, "stock.level"), DenialReason::AbsentEntity, &[]);
    let nobody = Principal { id: "admin".into(), ..Principal::anonymous() };
    denied(&shop, question(nobody, "stock.level"), DenialReason::AbsentEntity, &[]);
}

#[test]
fn a_caller_of_another_kind_is_not_asked_about() {
    let shop = open("");
    let denial = shop.decide(question(Principal::anonymous(), "orders.create")).unwrap_err();
    assert_eq!(denial.reason, DenialReason::NotPermitted, "an open permit was not validated for anonymous callers");
    assert!(denial.may_describe, "to know of it is another question, which is for all kinds");
    assert!(shop.decide(question(Principal::anonymous(), "stock.level")).is_ok());
}

#[test]
fn an_agent_without_a_known_owner_is_denied() {
    let agent = Principal { kind: crate::question::PrincipalKind::Agent, id: "corp/bot".into(), ..alice() };
    denied(&open(""), question(agent, "stock.level"), DenialReason::AbsentEntity, &[]);
}

#[test]
fn an_unknown_function_is_denied() {
    denied(&open(""), question(alice(), "orders.delete"), DenialReason::AbsentEntity, &[]);
}

#[test]
fn an_expired_permit_grants_nothing() {
    let text = format!(
        "@id(\"p\") @expires(\"2026-11-22\") permit(principal, action in Action::\"call\", resource);\n{RUN_ON}"
    );
    denied(&snapshot(&text), question(alice(), "stock.level"), DenialReason::NotPermitted, &[]);
    let text = text.replace("2026-11-22", "2026-11-23");
    assert!(snapshot(&text).decide(question(alice(), "stock.level")).is_ok(), "it grants through its day");
}

#[test]
fn a_forbid_does_not_expire() {
    not_loaded("@id(\"g\") @expires(\"2027-01-01\") forbid(principal, action, resource);", "forbid_expires");
}

#[test]
fn an_id_is_required_and_unique() {
    not_loaded("forbid(principal, action, resource);", "missing_id");
    not_loaded("@id(\"open\") forbid(principal, action, resource);", "duplicate_id");
}

#[test]
fn an_address_in_another_writing_is_the_same_address() {
    let shop = open(
        "@id(\"g\") forbid(principal, action in Action::\"call\", resource)\n\
         when { context.facts.network has source && context.facts.network.source.isInRange(ip(\"10.0.0.0/8\")) };",
    );
    let mut mapped = question(alice(), "stock.level");
    mapped.facts.network.source = "::ffff:10.1.2.3".parse().ok();
    denied(&shop, mapped, DenialReason::Forbidden, &["g"]);
}
