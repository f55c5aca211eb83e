//! The claims that decide what one side allows and the other does not: the incremental form.
//!
//! A permit that is on both sides can grant something new only where a forbid has gone; so first the forbids are
//! compared as if everything were permitted, and fresh permits with the ones they replace. Both claims leave out what
//! differs from function to function, and are proved once for all that are declared alike. Only where they fail is
//! the whole slice of one function proved.

use super::{
    Claim, What, assume,
    special::{Reviewed, Special},
    subject::Subject,
};
use crate::{declared::Declared, engine::Effect, question::PrincipalKind};
use cedar_policy::{EntityTypeName, Policy, PolicyId, PolicySet, RequestEnv, Schema};
use std::{collections::BTreeSet, sync::Arc};

/// What does `after` allow one kind of caller that `before` does not?
#[derive(Clone, Debug)]
pub(super) struct Direction<'a> {
    pub(super) subject: &'a Subject,
    pub(super) principal: PrincipalKind,
    pub(super) before: Vec<&'a Reviewed>,
    pub(super) after: Vec<&'a Reviewed>,
    pub(super) declared: [&'a Declared; 2],
}

/// A claim with the text by which equal claims are known.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) key: String,
    parts: Parts,
}

/// What a claim is made of.
#[derive(Clone, Debug)]
enum Parts {
    Implies { narrow: Vec<Special>, wide: Vec<Special>, condition: String },
    NeverFails { policy: Special, condition: String },
    NeverHolds { policy: Special, condition: String },
}

/// How a direction is decided.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// If all of these hold, nothing is new.
    pub(super) general: Vec<Keyed>,
    /// If not, this one decides.
    pub(super) exact: Option<Keyed>,
    /// These must hold besides: where such a policy fails, `before` denies.
    pub(super) sound: Vec<Keyed>,
}

/// Policies of one effect that concern a kind of caller, as a set.
fn of<'a>(policies: &[&'a Reviewed], effect: Effect, direction: &Direction<'_>) -> BTreeSet<&'a Special> {
    let kind = direction.principal.as_str();
    let concerned = policies.iter().filter(|p| p.effect == effect && p.head.principal.allows_type(kind));
    concerned.map(|policy| form(policy, direction.subject)).collect()
}

/// A head that is known to hold is left out, so that functions share proofs.
fn form<'a>(policy: &'a Reviewed, subject: &Subject) -> &'a Special {
    if subject.asked.resource.is_some() { &policy.special } else { &policy.whole }
}

impl Direction<'_> {
    /// The claims that decide; none means that nothing can be new.
    pub(super) fn plan(&self) -> Plan {
        let (before, after) = (&self.before, &self.after);
        let (permits, forbids) = (of(after, Effect::Permit, self), of(after, Effect::Forbid, self));
        let (old_permits, old_forbids) = (of(before, Effect::Permit, self), of(before, Effect::Forbid, self));
        let gone: Vec<&Special> = old_forbids.difference(&forbids).copied().collect();
        let fresh: Vec<&Special> = permits.difference(&old_permits).copied().collect();
        let kept: Vec<&Special> = permits.intersection(&old_permits).copied().collect();
        let replaced: Vec<&Special> = old_permits.difference(&permits).copied().collect();
        if permits.is_empty() {
            return Plan::default();
        }
        // Where an unchanged policy fails, both sides deny. One that went could have denied by failing.
        let went: Vec<_> =
            before.iter().filter(|p| p.can_fail && !after.iter().any(|q| same(p, q, self.subject))).collect();
        if gone.is_empty() && fresh.is_empty() && went.is_empty() {
            return Plan::default();
        }
        let everything = anything();
        let mut general = Vec::new();
        let forbids: Vec<&Special> = forbids.into_iter().collect();
        if let (false, false, Some(everything)) = (gone.is_empty(), kept.is_empty(), &everything) {
            general.push(self.implies(&[&[everything], &forbids[..]].concat(), &[&[everything], &gone[..]].concat()));
        }
        if !fresh.is_empty() {
            general.push(self.implies(&[&fresh[..], &forbids[..]].concat(), &[&replaced[..], &gone[..]].concat()));
        }
        let asking: Vec<&Special> = if gone.is_empty() { fresh } else { permits.iter().copied().collect() };
        let today: Vec<&Special> = old_permits.iter().copied().collect();
        let exact = (!asking.is_empty())
            .then(|| self.implies(&[&asking[..], &forbids[..]].concat(), &[&today[..], &gone[..]].concat()));
        let sound = went.into_iter().map(|policy| self.never_fails(policy)).collect();
        Plan { general, exact, sound }
    }

    fn implies(&self, narrow: &[&Special], wide: &[&Special]) -> Keyed {
        let own = |list: &[&Special]| list.iter().map(|special| (*special).clone()).collect::<Vec<_>>();
        let (narrow, wide) = (own(narrow), own(wide));
        let concerned: Vec<&Reviewed> = self.concerned(narrow.iter().chain(&wide));
        let condition = assume::condition(self.subject, self.declared, &concerned);
        let texts = |list: &[Special]| list.iter().map(|s| s.text.as_ref()).collect::<Vec<_>>().join("\n");
        let key = self.key(&concerned, &[&texts(&narrow), "=>", &texts(&wide), "if", &condition]);
        Keyed { key, parts: Parts::Implies { narrow, wide, condition } }
    }

    /// That one policy can always be evaluated.
    pub(super) fn never_fails(&self, policy: &Reviewed) -> Keyed {
        let (policy, condition, key) = self.alone(policy, "never fails");
        Keyed { key, parts: Parts::NeverFails { policy, condition } }
    }

    /// That one policy never holds.
    pub(super) fn never_holds(&self, policy: &Reviewed) -> Keyed {
        let (policy, condition, key) = self.alone(policy, "never holds");
        Keyed { key, parts: Parts::NeverHolds { policy, condition } }
    }

    fn alone(&self, policy: &Reviewed, what: &str) -> (Special, String, String) {
        let condition = assume::condition(self.subject, self.declared, &[policy]);
        let special = form(policy, self.subject).clone();
        let key = self.key(&[policy], &[what, &special.text, "if", &condition]);
        (special, condition, key)
    }

    /// Claims over equal words and equal policies are equal, unless a policy looks at the action itself.
    fn key(&self, policies: &[&Reviewed], parts: &[&str]) -> String {
        let named = policies.iter().any(|policy| policy.reads("action"));
        let action = if named { self.subject.asked.action.to_string() } else { String::new() };
        [&[self.principal.as_str(), &self.subject.shape, &self.subject.resource_type, &action], parts]
            .concat()
            .join("\n")
    }

    fn concerned<'b>(&self, forms: impl Iterator<Item = &'b Special>) -> Vec<&Reviewed> {
        let forms: BTreeSet<&Special> = forms.collect();
        let all = self.before.iter().chain(&self.after).copied();
        all.filter(|policy| forms.contains(form(policy, self.subject))).collect()
    }

    /// The claim for a prover.
    pub(super) fn claim(&self, keyed: &Keyed, schema: Arc<Schema>) -> Result<Claim, String> {
        let kind = |text: &str| text.parse::<EntityTypeName>().map_err(|error| error.to_string());
        let action = self.subject.asked.action.clone();
        let setting = RequestEnv::new(kind(self.principal.as_str())?, action, kind(&self.subject.resource_type)?);
        let what = match &keyed.parts {
            Parts::Implies { narrow, wide, condition } => {
                let mut narrow = set(narrow)?;
                if !condition.is_empty() {
                    narrow.add(assume::guard(condition)?).map_err(|error| error.to_string())?;
                }
                What::Implies(Box::new((narrow, set(wide)?)))
            }
            Parts::NeverFails { policy, condition } => {
                What::NeverFails(Box::new(policy.only_when(&assume::clause(condition)?)?))
            }
            Parts::NeverHolds { policy, condition } => {
                What::NeverHolds(Box::new(policy.only_when(&assume::clause(condition)?)?))
            }
        };
        Ok(Claim { schema, setting, what })
    }
}

fn same(one: &Reviewed, other: &Reviewed, subject: &Subject) -> bool {
    form(one, subject) == form(other, subject)
}

/// A permit for everything.
fn anything() -> Option<Special> {
    let policy = Policy::parse(Some(PolicyId::new("anything")), "permit (principal, action, resource);").ok()?;
    Some(Special { text: "anything".into(), policy })
}

fn set(policies: &[Special]) -> Result<PolicySet, String> {
    let mut set = PolicySet::new();
    for special in policies {
        set.add(special.policy.clone()).map_err(|error| error.to_string())?;
    }
    Ok(set)
}
