//! Which comparisons have one result, for whom, and which only look so.

use crate::fixture::try_load;

/// Places of the constant comparisons that a condition over `orders.create` (money, no anonymous callers) has.
fn constants(principal: &str, condition: &str) -> Vec<(usize, String)> {
    let text = format!(
        "@id(\"p\") forbid({principal}, action == Action::\"orders.create\", resource)\nwhen {{ {condition} }};"
    );
    let findings = match try_load(&text) {
        Ok((_, warnings)) => warnings,
        Err(findings) => findings,
    };
    let constants = findings.into_iter().filter(|finding| finding.code == "constant_comparison");
    constants.map(|finding| (finding.column - 7, finding.message)).collect()
}

fn fine(principal: &str, condition: &str) {
    assert_eq!(constants(principal, condition), [], "{principal}: {condition}");
}

const APPROVED: &str = "context.facts has emergency && context.facts.emergency.approved_by";

#[test]
fn reported_for_every_kind_in_the_head() {
    let condition = format!("{APPROVED} != principal");
    let found = constants("principal", &condition);
    let messages: Vec<_> = found.iter().map(|(_, message)| message.as_str()).collect();
    let expected = [
        "`!=` between User and Agent is always true",
        "`!=` between User and Client is always true",
        "`!=` between User and Workload is always true",
    ];
    assert_eq!(messages, expected);
    assert!(found.iter().all(|(column, _)| Some(column - 1) == condition.find("!=")), "{found:?}");
    let found = constants(
        "principal is Workload",
        "context.facts has emergency && principal == context.facts.emergency.approved_by",
    );
    assert_eq!(found[0].1, "`==` between Workload and User is always false");
}

#[test]
fn attributes_and_other_variables_count() {
    for condition in [
        "principal == resource",
        "resource.app != principal",
        "resource.app == resource.environment",
        "context.facts.via has workload && context.facts.via.workload == resource",
        "principal has tenant && principal.tenant == resource.app",
        "!(principal == resource)",
        "if context.facts.transport.mtls then principal == resource else false",
        "[principal == resource].contains(true)",
    ] {
        assert_eq!(constants("principal is User", condition).len(), 1, "{condition}");
    }
}

#[test]
fn the_type_may_be_tested_first() {
    fine("principal is User", &format!("{APPROVED} != principal"));
    fine("principal == User::\"corp/alice\"", &format!("{APPROVED} != principal"));
    fine("principal", &format!("principal is User && {APPROVED} != principal"));
    fine("principal", &format!("!(principal is User) || ({APPROVED} != principal)"));
    fine("principal", &format!("if principal is User then {APPROVED} != principal else false"));
    fine(
        "principal",
        "principal has clearance && context.facts has emergency && context.facts.emergency.approved_by == principal",
    );
    fine("principal", "principal has tenant && resource has tenant && principal.tenant == resource.tenant");
}

#[test]
fn asking_who_it_is_is_no_fault() {
    fine("principal", "principal == User::\"corp/alice\" || context.facts.transport.mtls");
    fine("principal", "principal != Workload::\"spiffe://a/b\"");
}
