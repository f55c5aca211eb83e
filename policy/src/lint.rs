//! What loads but is rarely meant: lints over policies, each with an id, a level and a paragraph that says why.
//!
//! Only lints can be allowed, one policy at a time and with a reason: `@lint("allow:missing_expiry: it is permanent")`.

use crate::{
    bundle::{Source, grants::Surroundings, load, read, report, written::Written},
    declared::Declared,
    finding::{Finding, Severity},
    index::Actions,
    permit::PolicyName,
    vocabulary::Vocabulary,
};
use cedar_policy::Effect;
use jiff::Timestamp;
use std::sync::Arc;

pub(crate) mod allow;
mod bounds;
mod contradiction;
mod fails;
mod names;
mod overlap;
mod table;

pub use table::{LINTS, Lint};

/// What a proof says of one policy; `None` is "not proven".
///
/// A solver outside this crate may know more than the analysis here: it clears a doubt, or finds another one.
pub trait Judge {
    /// Whether evaluating the policy can fail.
    fn may_fail(&self, policy: &PolicyName) -> Option<bool>;
    /// Whether no question satisfies the policy.
    fn never_matches(&self, policy: &PolicyName) -> Option<bool>;
}

/// No solver is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unproven;

impl Judge for Unproven {
    fn may_fail(&self, _: &PolicyName) -> Option<bool> {
        None
    }
    fn never_matches(&self, _: &PolicyName) -> Option<bool> {
        None
    }
}

/// Everything that is to be said of policies: what loading finds, and the lints if they load.
#[must_use]
pub fn check(sources: &[Source], declared: &Arc<Declared>, now: Timestamp, judge: &dyn Judge) -> Vec<Finding> {
    match load(sources, Arc::clone(declared), now) {
        Err(findings) => findings,
        Ok((_, mut findings)) => {
            findings.extend(lints(sources, declared, judge));
            report(findings)
        }
    }
}

/// The lints alone, over policies that load.
#[must_use]
pub fn lints(sources: &[Source], declared: &Declared, judge: &dyn Judge) -> Vec<Finding> {
    let Ok((vocabulary, _)) = Vocabulary::new(declared) else { return Vec::new() };
    let around = Surroundings { vocabulary: &vocabulary, declared };
    let policies = read(sources, Some(around), &mut Vec::new());
    let mut found = Found::default();
    for policy in &policies {
        one(policy, declared, judge, &mut found);
    }
    overlap::check(&policies, declared, &vocabulary, &mut found);
    names::check(&policies, declared, &mut found);
    allow::useless(&policies, &mut found);
    report(found.findings)
}

/// Findings so far, and which allowances they used.
#[derive(Debug, Default)]
pub(crate) struct Found {
    findings: Vec<Finding>,
    used: Vec<(PolicyName, &'static str)>,
}

impl Found {
    /// Reports a lint at a policy, unless that policy allows it.
    fn push(&mut self, policy: &Written, id: &'static str, message: String, help: &str) {
        if policy.allowed.iter().any(|allowed| *allowed == id) {
            self.used.push((policy.name.clone(), id));
            return;
        }
        let finding = policy.place.finding(id, message, None).help(help);
        self.findings.push(match table::level(id) {
            Severity::Error => finding,
            Severity::Warning => finding.warning(),
            Severity::Note => finding.note(),
        });
    }
}

fn one(policy: &Written, declared: &Declared, judge: &dyn Judge, found: &mut Found) {
    let name = &policy.name;
    let permit = policy.policy.effect() == Effect::Permit;
    if policy.owner.is_none() {
        let help = "name who answers for it: `@owner(\"team-shop\")`";
        found.push(policy, "missing_owner", format!("nobody owns `{name}`"), help);
    }
    let lasting =
        matches!(&policy.scope.action, Actions::Eq(action) if matches!(action.as_ref(), "run_on" | "describe"));
    if permit && policy.expires.is_none() && !lasting {
        let help =
            "`@expires(\"2027-03-31\")` grants through that day; a grant that is renewed is a grant that is known";
        found.push(policy, "missing_expiry", format!("`{name}` grants for ever"), help);
    }
    let boundless = matches!(policy.scope.action, Actions::Any);
    if permit && boundless && policy.policy.has_non_scope_constraint() {
        let message = format!("`{name}` permits every action, also those of administrators and of functions to come");
        found.push(policy, "unscoped_permit", message, "name actions: `action in [Action::\"read\", …]`");
    }
    if policy.shadowed {
        let message = format!("`{name}` is in shadow: it is asked and counted, and decides nothing");
        found.push(policy, "in_shadow", message, "remove its `@mode` to enforce it");
    }
    if !permit {
        forbid(policy, declared, judge, found);
    }
    let contradicts = judge.never_matches(name).or_else(|| contradiction::never(&policy.tree).then_some(true));
    if contradicts == Some(true) {
        let message = format!("the conditions of `{name}` contradict each other, so it does nothing");
        found.push(policy, "never_matches", message, "look for a field that must be two things at once");
    }
}

fn forbid(policy: &Written, declared: &Declared, judge: &dyn Judge, found: &mut Found) {
    let expressions = fails::check(policy, declared);
    let Some(fails) = judge.may_fail(&policy.name).or_else(|| (!expressions.is_empty()).then_some(true)) else {
        return;
    };
    if fails {
        let which = expressions.first().map_or("one of its conditions", String::as_str);
        let message = format!("`{}` may fail: `{which}` can leave the range of 64 bits", policy.name);
        let help = "a forbid that fails denies the call with an error; bound the field in its schema (`minimum`, \
                    `maximum`), or compare without arithmetic";
        found.push(policy, "forbid_may_error", message, help);
    }
}

#[cfg(test)]
mod tests;
