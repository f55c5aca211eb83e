//! Functions that are observed until a day: what policy denies of them is recorded, and runs all the same.

use super::{BundleId, Denial, DenialReason, FunctionName, Question, Snapshot, Subjected, TargetIndex, Timestamp};
use super::{ask::Judge, reads::Reads, request::Asked};
use crate::{bundle::manifest::Digest, emergency};
use std::{collections::BTreeMap, sync::Arc};

/// Until when each function is observed.
pub type Observed = BTreeMap<FunctionName, Timestamp>;

impl Snapshot {
    /// The same snapshot, of which some functions are not enforced yet.
    #[must_use]
    pub fn with_observed(mut self, observed: Observed) -> Self {
        if !observed.is_empty() {
            let lines: Vec<String> = observed.iter().map(|(name, until)| format!("{name} {until}")).collect();
            let text = format!("{}\n{}", self.id, lines.join("\n"));
            self.id = BundleId(Digest::of(text.as_bytes()).to_string().into());
            // It is nobody else's yet.
            if let Some(twin) = self.twin.as_mut().and_then(Arc::get_mut) {
                twin.id = self.id.clone();
            }
        }
        self.observed = observed;
        self
    }

    /// The targets on which a denied call runs all the same, if its function is observed.
    ///
    /// Where data may go, what an emergency forbids and what can't be asked is enforced always.
    pub(super) fn observed(&self, denial: &Denial) -> Option<(Vec<TargetIndex>, Timestamp)> {
        let question = &denial.question;
        let until = self.observed.get(&question.function)?;
        let enforced = match denial.reason {
            DenialReason::NotPermitted | DenialReason::Forbidden | DenialReason::PolicyError => false,
            DenialReason::AbsentEntity | DenialReason::NoTarget | DenialReason::BundleExpired => true,
        };
        let emergency = denial.determining.iter().any(|name| name.0.starts_with(emergency::PREFIX));
        if enforced || emergency || question.facts.clock.now >= *until || denial.is_disagreement() {
            return None;
        }
        let targets = self.targets_of(question);
        if targets.is_empty() { None } else { Some((targets, *until)) }
    }

    fn targets_of(&self, question: &Question) -> Vec<TargetIndex> {
        let Some(function) = self.functions.get(&question.function) else { return Vec::new() };
        let Ok(asked) = Asked::new(question, function, &self.ground.directory, Reads::ALL) else { return Vec::new() };
        let now = question.facts.clock.now;
        let allows = |subject: &Subjected| {
            self.ask(subject, &asked, || asked.facts_context(), now, Judge::Engine).denied.is_none()
        };
        let places = function.run_on.iter().enumerate().filter(|(_, subject)| allows(subject));
        places.filter_map(|(place, _)| u16::try_from(place).ok().map(TargetIndex)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{RUN_ON, alice, name, now, question, snapshot};
    use jiff::SignedDuration;

    fn shop(policies: &str) -> Snapshot {
        let until = now() + SignedDuration::from_hours(1);
        snapshot(&format!("{policies}\n{RUN_ON}")).with_observed(Observed::from([(name("stock.level"), until)]))
    }

    #[test]
    fn a_denial_is_kept_inside_the_permit_until_the_day_comes() {
        let shop = shop("");
        let permit = shop.decide(question(alice(), "stock.level")).unwrap();
        assert_eq!(permit.terms().observed().unwrap().reason, DenialReason::NotPermitted);
        assert_eq!(permit.terms().targets().len(), 2);
        assert!(shop.decide(question(alice(), "orders.create")).is_err(), "only what is observed");
        let terms = permit.spend(now()).unwrap();
        assert!(shop.still(&terms, TargetIndex(0), now() + SignedDuration::from_mins(59)));
        assert!(!shop.still(&terms, TargetIndex(0), now() + SignedDuration::from_mins(60)));
        let mut late = question(alice(), "stock.level");
        late.facts.clock.now = now() + SignedDuration::from_hours(1);
        assert!(shop.decide(late).is_err());
    }

    #[test]
    fn what_is_allowed_is_no_observation_and_emergencies_and_places_are_enforced() {
        let open = shop("@id(\"p\") permit(principal, action == Action::\"stock.level\", resource);");
        assert!(open.decide(question(alice(), "stock.level")).unwrap().terms().observed().is_none());
        let emergency = shop("@id(\"emergency.1\") forbid(principal, action == Action::\"stock.level\", resource);");
        assert_eq!(emergency.decide(question(alice(), "stock.level")).unwrap_err().reason, DenialReason::Forbidden);
        let nowhere = shop("@id(\"nowhere\") forbid(principal, action == Action::\"run_on\", resource);");
        assert!(nowhere.decide(question(alice(), "stock.level")).is_err());
        assert_ne!(open.id(), snapshot(RUN_ON).id());
    }
}
