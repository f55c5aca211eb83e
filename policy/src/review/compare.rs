//! Comparing two bundles: which claims decide, and what came of them.

use super::{
    Change, Claim, Model, Proof, Prover, Review, Row, Side, assume,
    claim::{Direction, Keyed, Plan},
    rerun,
    special::{self, Reviewed},
    subject::{Subject, subjects},
};
use crate::question::{FunctionName, PrincipalKind};
use cedar_policy::Schema;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How much is proved at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Claims about the whole slice of one function, which functions rarely share.
    pub exact_claims_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { exact_claims_max: 500 }
    }
}

/// Compares two bundles by what they allow.
pub fn compare(old: &Side, new: &Side, prover: &dyn Prover, limits: Limits) -> Review {
    let (before, after) = (subjects(old), subjects(new));
    let mut desk = Desk::new(prover, limits);
    let mut questions = Vec::new();
    let mut equal = 0;
    for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let found = question(old, new, before.get(key), after.get(key));
        equal += found.iter().filter(|question| question.is_same()).count();
        questions.extend(found.into_iter().filter(|question| !question.is_same()));
    }
    let directions: Vec<(&Direction<'_>, bool)> =
        questions.iter().flat_map(|q| [(&q.new, true), (&q.lost, false)]).collect();
    let changes = desk.decide(&directions, [old, new]);
    let mut rows: Vec<Row> = Vec::new();
    for (question, found) in questions.iter().zip(changes.chunks(2)) {
        let [new, lost] = found else { continue };
        if *new == Change::Nothing && *lost == Change::Nothing {
            equal += 1;
        } else {
            add(&mut rows, question, new, lost);
        }
    }
    let (added, removed, changed) = special::differences(&old.policies, &new.policies);
    Review { rows, added, removed, changed, equal, claims: desk.proofs.len(), prover: prover.name() }
}

/// One kind of caller, one action, one resource, in both directions.
struct Question<'a> {
    new: Direction<'a>,
    lost: Direction<'a>,
}

impl Question<'_> {
    fn is_same(&self) -> bool {
        self.new.plan().is_empty() && self.lost.plan().is_empty()
    }
}

fn question<'a>(
    old: &'a Side,
    new: &'a Side,
    before: Option<&'a Subject>,
    after: Option<&'a Subject>,
) -> Vec<Question<'a>> {
    let was = before.map(|subject| old.slice(&subject.asked)).unwrap_or_default();
    let is = after.map(|subject| new.slice(&subject.asked)).unwrap_or_default();
    let declared = [old.declared.as_ref(), new.declared.as_ref()];
    let kinds: BTreeSet<PrincipalKind> = before.iter().chain(&after).flat_map(|s| s.principals.clone()).collect();
    let mut found = Vec::new();
    for principal in kinds {
        let asks = |subject: Option<&'a Subject>| subject.filter(|subject| subject.principals.contains(&principal));
        let (before, after) = (asks(before), asks(after));
        // What is declared anew can't be compared in one vocabulary: then all of the old is lost, all of the new is new.
        let alike = before.zip(after).is_some_and(|(before, after)| same_words(before, after, was.iter().chain(&is)));
        let direction = |subject: &'a Subject, from: &[&'a Reviewed], to: &[&'a Reviewed]| Direction {
            subject,
            principal,
            before: if alike { from.to_vec() } else { Vec::new() },
            after: to.to_vec(),
            declared,
        };
        let Some(subject) = after.or(before) else { continue };
        let new = direction(subject, &was, if after.is_some() { &is } else { &[] });
        let lost = direction(before.unwrap_or(subject), &is, if before.is_some() { &was } else { &[] });
        found.push(Question { new, lost });
    }
    found
}

/// Whether two bundles mean the same by an action and a resource, as far as these policies can see.
fn same_words<'a>(before: &Subject, after: &Subject, policies: impl Iterator<Item = &'a &'a Reviewed>) -> bool {
    let policies: Vec<_> = policies.collect();
    let mentioned = |word: &str| policies.iter().any(|policy| policy.mentions(word));
    before.shape == after.shape
        && before.known_of(mentioned) == after.known_of(mentioned)
        && before.asked.resource_above == after.asked.resource_above
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.general.is_empty() && self.exact.is_none() && self.sound.is_empty()
    }
}

/// Where claims go, and what came of them.
struct Desk<'a> {
    prover: &'a dyn Prover,
    proofs: HashMap<String, Proof>,
    schemas: HashMap<(bool, Arc<str>, Arc<str>), Arc<Schema>>,
    limits: Limits,
}

impl<'p> Desk<'p> {
    fn new(prover: &'p dyn Prover, limits: Limits) -> Self {
        Self { prover, proofs: HashMap::new(), schemas: HashMap::new(), limits }
    }

    /// Every direction, forwards if it asks what is new.
    fn decide(&mut self, directions: &[(&Direction<'_>, bool)], sides: [&Side; 2]) -> Vec<Change> {
        let plans: Vec<Plan> = directions.iter().map(|(direction, _)| direction.plan()).collect();
        let first = plans.iter().zip(directions).flat_map(|(plan, direction)| {
            plan.general.iter().chain(&plan.sound).map(move |claim| (*direction, claim.clone()))
        });
        let first: Vec<_> = first.collect();
        self.prove(first, usize::MAX, sides);
        let early = plans.iter().zip(directions);
        let mut changes: Vec<Option<Change>> =
            early.map(|(plan, (direction, forwards))| self.early(plan, direction, *forwards)).collect();
        self.exact(&plans, directions, &mut changes, sides);
        let late = changes.into_iter().zip(&plans).zip(directions);
        late.map(|((change, plan), (direction, forwards))| {
            change.unwrap_or_else(|| self.late(plan, direction, *forwards))
        })
        .collect()
    }

    /// Has whole slices proved where general claims did not decide: of functions that are alike first one, whose
    /// example may do for the others.
    fn exact(
        &mut self,
        plans: &[Plan],
        directions: &[(&Direction<'_>, bool)],
        changes: &mut [Option<Change>],
        sides: [&Side; 2],
    ) {
        let mut groups: HashMap<Vec<&str>, Vec<(usize, &Keyed)>> = HashMap::new();
        let mut order = Vec::new();
        for (place, plan) in plans.iter().enumerate() {
            let (Some(None), Some(claim)) = (changes.get(place), &plan.exact) else { continue };
            let alike: Vec<&str> = plan.general.iter().map(|claim| claim.key.as_str()).collect();
            let group = groups.entry(alike).or_default();
            if group.is_empty() {
                order.push((place, claim));
            }
            group.push((place, claim));
        }
        let wanted = |places: &[(usize, &Keyed)]| {
            let found = places.iter().filter_map(|(place, claim)| Some((*directions.get(*place)?, (*claim).clone())));
            found.collect::<Vec<_>>()
        };
        self.prove(wanted(&order), self.limits.exact_claims_max, sides);
        let mut rest = Vec::new();
        for group in groups.values() {
            let Some(model) = group.first().and_then(|(_, claim)| self.model(claim)).cloned() else {
                rest.extend(group.iter().skip(1).copied());
                continue;
            };
            for (place, claim) in group.iter().skip(1) {
                let direction = directions.get(*place);
                match direction.and_then(|(direction, forwards)| rerun::confirm(&model, direction, *forwards)) {
                    Some(example) => {
                        if let Some(change) = changes.get_mut(*place) {
                            *change = Some(Change::Something { example: Box::new(example) });
                        }
                    }
                    None => rest.push((*place, *claim)),
                }
            }
        }
        rest.sort_unstable_by_key(|(place, _)| *place);
        self.prove(wanted(&rest), self.limits.exact_claims_max, sides);
    }

    /// What the general claims decide.
    fn early(&self, plan: &Plan, direction: &Direction<'_>, forwards: bool) -> Option<Change> {
        if plan.is_empty() {
            return Some(Change::Nothing);
        }
        if plan.general.iter().chain(&plan.sound).all(|claim| matches!(self.proof(claim), Some(Proof::Holds))) {
            return Some(Change::Nothing);
        }
        let examples = plan.general.iter().chain(&plan.sound).filter_map(|claim| self.model(claim));
        if let Some(example) = examples.into_iter().find_map(|model| rerun::confirm(model, direction, forwards)) {
            return Some(Change::Something { example: Box::new(example) });
        }
        // Without a prover the whole slice is as open as its parts.
        self.prover.name().is_none().then(|| self.open(plan))
    }

    /// What the claim about the whole slice decides.
    fn late(&self, plan: &Plan, direction: &Direction<'_>, forwards: bool) -> Change {
        let sound = plan.sound.iter().all(|claim| matches!(self.proof(claim), Some(Proof::Holds)));
        let Some(claim) = &plan.exact else { return self.open(plan) };
        match self.proof(claim) {
            Some(Proof::Holds) if sound => Change::Nothing,
            Some(Proof::Holds) => {
                let why = "a policy of before could have denied by failing; that it never fails is not proved";
                Change::NotProven { why: why.to_owned() }
            }
            Some(Proof::Fails(model)) => match rerun::confirm(model, direction, forwards) {
                Some(example) => Change::Something { example: Box::new(example) },
                None => {
                    let why = "the solver has an example, but the bundles answer it alike when asked";
                    Change::NotProven { why: why.to_owned() }
                }
            },
            Some(Proof::Unknown(why)) => Change::NotProven { why: why.clone() },
            None => self.by_neighbour(direction, forwards),
        }
    }

    /// An example of another function may do, where there were too many claims.
    fn by_neighbour(&self, direction: &Direction<'_>, forwards: bool) -> Change {
        let models = self.proofs.values().filter_map(|proof| match proof {
            Proof::Fails(model) => Some(model.as_ref()),
            _ => None,
        });
        let kind = direction.principal.as_str();
        let alike = models.filter(|model| model.request.principal().is_some_and(|p| p.type_name().to_string() == kind));
        match alike.take(NEIGHBOURS_MAX).find_map(|model| rerun::confirm(model, direction, forwards)) {
            Some(example) => Change::Something { example: Box::new(example) },
            None => {
                let why = format!("more than {} functions need a proof of their own", self.limits.exact_claims_max);
                Change::NotProven { why }
            }
        }
    }

    fn open(&self, plan: &Plan) -> Change {
        let why = plan.general.iter().chain(&plan.sound).find_map(|claim| match self.proof(claim) {
            Some(Proof::Unknown(why)) => Some(why.clone()),
            _ => None,
        });
        Change::NotProven { why: why.unwrap_or_else(|| "a claim about failing policies is open".to_owned()) }
    }

    fn proof(&self, claim: &Keyed) -> Option<&Proof> {
        self.proofs.get(&claim.key)
    }

    fn model(&self, claim: &Keyed) -> Option<&Model> {
        match self.proof(claim) {
            Some(Proof::Fails(model)) => Some(model),
            _ => None,
        }
    }

    /// Has every claim proved that was not yet, equal ones once.
    fn prove(&mut self, wanted: Vec<((&Direction<'_>, bool), Keyed)>, most: usize, sides: [&Side; 2]) {
        let mut keys = Vec::new();
        let mut claims: Vec<Claim> = Vec::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        for ((direction, forwards), keyed) in wanted {
            if claims.len() >= most || self.proofs.contains_key(&keyed.key) || !seen.insert(keyed.key.clone()) {
                continue;
            }
            let schema = self.schema(direction, forwards, sides);
            match direction.claim(&keyed, schema) {
                Ok(claim) => {
                    keys.push(keyed.key);
                    claims.push(claim);
                }
                Err(why) => {
                    self.proofs.insert(keyed.key, Proof::Unknown(why));
                }
            }
        }
        let proofs = self.prover.prove(&claims);
        for (key, proof) in keys.into_iter().zip(proofs) {
            self.proofs.insert(key, proof);
        }
    }

    /// The words of one function and of the actions that the policies name, by the side that declares it.
    fn schema(&mut self, direction: &Direction<'_>, forwards: bool, sides: [&Side; 2]) -> Arc<Schema> {
        let [old, new] = sides;
        let side = if forwards { new } else { old };
        let subject = direction.subject;
        let text = subject.function.as_ref().map_or("", FunctionName::as_str);
        let key = (forwards, Arc::clone(&subject.kind), Arc::from(text));
        if let Some(schema) = self.schemas.get(&key) {
            return Arc::clone(schema);
        }
        let vocabulary = side.snapshot().vocabulary();
        let mut names: BTreeSet<FunctionName> = subject.function.iter().cloned().collect();
        for policy in direction.before.iter().chain(&direction.after) {
            names.extend(policy.functions.iter().filter(|name| vocabulary.function(name).is_some()).cloned());
        }
        let schema = Arc::new(vocabulary.slice(&names));
        self.schemas.insert(key, Arc::clone(&schema));
        schema
    }
}

/// Most examples of other functions that are tried.
const NEIGHBOURS_MAX: usize = 16;

/// Joins what is alike: functions for which the same policies differ with the same outcome.
fn add(rows: &mut Vec<Row>, question: &Question<'_>, new: &Change, lost: &Change) {
    let (direction, subject) = (&question.new, question.new.subject);
    let policies = assume::names(&rerun::differing(direction));
    let resource = subject.asked.resource.as_ref().map(ToString::to_string);
    let alike = |row: &&mut Row| {
        row.principal == direction.principal
            && row.action == subject.kind
            && row.policies == policies
            && same_outcome(&row.new, new)
            && same_outcome(&row.lost, lost)
    };
    if let Some(row) = rows.iter_mut().find(alike) {
        row.resources.extend(resource);
        row.functions.extend(subject.function.clone());
        return;
    }
    rows.push(Row {
        principal: direction.principal,
        action: Arc::clone(&subject.kind),
        resources: resource.into_iter().collect(),
        functions: subject.function.iter().cloned().collect(),
        new: new.clone(),
        lost: lost.clone(),
        policies,
    });
}

fn same_outcome(one: &Change, other: &Change) -> bool {
    match (one, other) {
        (Change::Something { .. }, Change::Something { .. }) => true,
        (one, other) => one == other,
    }
}
