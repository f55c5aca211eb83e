//! Names in policies that nothing declares. Cedar takes any id of a known type, so a misspelt one guards nothing.

use super::{split::Constant, tree, written::Written};
use crate::{
    declared::Declared,
    finding::{Finding, nearest},
    index::{Actions, Bound},
    vocabulary::Vocabulary,
};
use cedar_policy::pst::{BinaryOp, Expr, Literal, Var};
use std::collections::BTreeSet;

/// Everything that a constant of a policy can name.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    vocabulary: &'a Vocabulary,
    declared: &'a Declared,
    functions: BTreeSet<&'a str>,
    apps: BTreeSet<&'a str>,
    environments: BTreeSet<&'a str>,
    regions: BTreeSet<&'a str>,
    targets: BTreeSet<String>,
    groups: BTreeSet<&'a str>,
    issuers: BTreeSet<&'a str>,
    zones: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    pub(crate) fn new(vocabulary: &'a Vocabulary, declared: &'a Declared) -> Self {
        let functions = &declared.functions;
        let targets = functions.iter().flat_map(|f| (0..f.targets.len()).map(|i| format!("{}#{i}", f.name))).collect();
        let regions = functions.iter().flat_map(|f| &f.targets).filter_map(|t| t.region.as_deref()).collect();
        Self {
            vocabulary,
            declared,
            functions: functions.iter().map(|f| f.name.as_str()).collect(),
            apps: declared.apps.iter().map(|app| app.name.as_ref()).collect(),
            environments: declared.apps.iter().map(|app| app.environment.as_ref()).collect(),
            regions,
            targets,
            groups: declared.issuers.iter().flat_map(|i| &i.groups).map(AsRef::as_ref).collect(),
            issuers: declared.issuers.iter().map(|i| i.alias.as_ref()).collect(),
            zones: declared.zones.iter().map(AsRef::as_ref).chain(["other"]).collect(),
        }
    }

    /// Reports what one policy names wrongly; says whether its types can still be checked.
    pub(crate) fn check(&self, policy: &Written, findings: &mut Vec<Finding>) -> bool {
        let before = findings.len();
        for constant in &policy.constants {
            if let Some((code, message, help)) = self.unknown(constant) {
                let finding = policy.place.finding(code, message, Some(constant.range.clone()));
                findings.push(match help {
                    Some(help) => finding.help(help),
                    None => finding,
                });
            }
        }
        self.types(policy, findings);
        self.zones(policy, findings);
        findings.extend(mismatch(policy, self));
        findings.len() == before
    }

    fn unknown(&self, constant: &Constant) -> Option<(&'static str, String, Option<String>)> {
        let id = constant.id.as_str();
        let missing = |code, what: &str, known: &BTreeSet<&str>| {
            (!known.contains(id))
                .then(|| (code, format!("there is no {what} `{id}`"), suggest(id, known.iter().copied())))
        };
        match constant.entity_type.as_str() {
            "Action" if self.vocabulary.has_action(id) => None,
            "Action" => {
                Some(("unknown_action", format!("there is no action `{id}`"), suggest(id, self.vocabulary.actions())))
            }
            "Function" => missing("unknown_function", "function", &self.functions),
            "App" => missing("unknown_app", "app", &self.apps),
            "Environment" => missing("unknown_environment", "environment", &self.environments),
            "Region" => missing("unknown_region", "region among the targets", &self.regions),
            "Issuer" => missing("unknown_issuer", "issuer", &self.issuers),
            "Target" => missing("unknown_target", "target", &self.targets.iter().map(String::as_str).collect()),
            "Group" => self.unknown_group(id),
            "User" | "Client" | "Agent" => self.unknown_alias(id),
            "Workload" if !id.starts_with("spiffe://") => {
                let help = "a workload's id is its SPIFFE ID, such as `spiffe://prod.acme/ns/shop/sa/checkout`";
                Some(("invalid_workload", format!("`{id}` is no workload"), Some(help.to_owned())))
            }
            known if self.vocabulary.base.is_entity_type(known) => None,
            other => {
                let message = format!("there is no entity type `{other}`");
                Some(("unknown_entity_type", message, suggest(other, self.vocabulary.base.entity_types())))
            }
        }
    }

    fn unknown_group(&self, id: &str) -> Option<(&'static str, String, Option<String>)> {
        let alias = id.split_once('/').map(|(alias, _)| alias);
        let issuer = self.declared.issuers.iter().find(|issuer| Some(issuer.alias.as_ref()) == alias);
        match issuer {
            _ if self.groups.contains(id) => None,
            Some(issuer) if issuer.external_groups => None,
            Some(issuer) => {
                let message = format!("the issuer `{}` declares no group `{id}`", issuer.alias);
                Some(("unknown_group", message, suggest(id, self.groups.iter().copied())))
            }
            None => {
                let message = format!("`{id}` is a group of no declared issuer");
                let help = suggest(id, self.groups.iter().copied());
                let help = help.or_else(|| suggest(alias.unwrap_or(id), self.issuers.iter().copied()));
                Some(("unknown_group", message, help.or_else(|| Some("a group is `<issuer>/<group>`".to_owned()))))
            }
        }
    }

    fn unknown_alias(&self, id: &str) -> Option<(&'static str, String, Option<String>)> {
        let alias = id.split_once('/').map_or(id, |(alias, _)| alias);
        if id.contains('/') && self.issuers.contains(alias) {
            return None;
        }
        let help = suggest(alias, self.issuers.iter().copied());
        let help = help.or_else(|| Some("a caller's id is `<issuer>/<subject>`".to_owned()));
        Some(("unknown_issuer", format!("`{id}` is of no declared issuer"), help))
    }

    /// Types that a head tests with `is`; those of conditions are the validator's.
    fn types(&self, policy: &Written, findings: &mut Vec<Finding>) {
        let base = &self.vocabulary.base;
        for bound in [&policy.scope.principal, &policy.scope.resource] {
            let (Bound::Is(name) | Bound::IsIn(name, _)) = bound else { continue };
            if !base.is_entity_type(name) {
                let message = format!("there is no entity type `{name}`");
                let finding = policy.place.finding("unknown_entity_type", message, policy.place.word(name));
                findings.push(finding.nearest(name, base.entity_types()));
            }
        }
    }

    /// A zone is text to Cedar, so a misspelt one is never equal to anything.
    fn zones(&self, policy: &Written, findings: &mut Vec<Finding>) {
        let mut compared = BTreeSet::new();
        for condition in tree::conditions(&policy.tree) {
            zones_of(condition, &mut compared);
        }
        for zone in compared.into_iter().filter(|zone| !self.zones.contains(zone.as_str())) {
            let message = format!("there is no zone `{zone}`");
            let finding = policy.place.finding("unknown_zone", message, policy.place.word(&format!("\"{zone}\"")));
            findings.push(finding.nearest(&zone, self.zones.iter().copied()));
        }
    }
}

fn suggest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(given, known).map(|near| format!("did you mean `{near}`?"))
}

/// The texts with which a condition compares the caller's zone.
fn zones_of(expr: &Expr, found: &mut BTreeSet<String>) {
    if let Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::Contains, left, right } = expr {
        let texts = |expr: &Expr| -> Vec<String> {
            let items = match expr {
                Expr::Set(items) => items.iter().map(AsRef::as_ref).collect(),
                other => vec![other],
            };
            let text = |item: &Expr| match item {
                Expr::Literal(Literal::String(text)) => Some(text.to_string()),
                _ => None,
            };
            items.into_iter().filter_map(text).collect()
        };
        if is_zone(left) {
            found.extend(texts(right));
        } else if is_zone(right) {
            found.extend(texts(left));
        }
    }
    for part in tree::parts(expr) {
        zones_of(part, found);
    }
}

fn is_zone(expr: &Expr) -> bool {
    let mut at = expr;
    for wanted in ["zone", "network", "facts"] {
        match at {
            Expr::GetAttr { expr, attr } if attr == wanted => at = expr,
            _ => return false,
        }
    }
    matches!(at, Expr::Var(Var::Context))
}

/// A policy about the action of one function and the resource of another is dead, and no tool of Cedar sees it.
/// In a list of actions the others hide it.
fn mismatch(policy: &Written, known: &Known<'_>) -> Option<Finding> {
    let actions = match &policy.scope.action {
        Actions::Any => return None,
        Actions::Eq(action) => std::slice::from_ref(action),
        Actions::In(actions) => actions.as_slice(),
    };
    let Bound::Eq(resource) = &policy.scope.resource else { return None };
    let resource_name = resource.id().unescaped();
    let is_function = resource.type_name().basename() == "Function";
    let functions = actions.iter().filter(|action| known.functions.contains(action.as_ref()));
    let action = functions.into_iter().find(|action| !(is_function && action.as_ref() == resource_name))?;
    let constant = policy.constants.iter().find(|c| c.entity_type != "Action" && c.id == resource_name);
    let message = format!("action `{action}` is never asked of {resource}, so the policy is dead");
    let help = format!("write `resource == Function::\"{action}\"`, or only `resource`");
    let range = constant.map(|constant| constant.range.clone());
    Some(policy.place.finding("action_resource_mismatch", message, range).help(help))
}
