//! Making a snapshot: slices, entities and requests of every function, ready before the first question.

use super::{
    Arc, BTreeSet, BundleId, DECLARED_FILE, Earlier, Effect, Entity, EntityUID, Entry, Finding, FunctionName, Ground,
    HashMap, InputLooks, Piece, PolicyInfo, Prepared, Reads, Rule, Snapshot, Subjected, Validity, Vocabulary,
    entities::Declaration,
    index::{Index, Slices, Subject},
    rule::Head,
};
use std::{ops::BitOr, sync::OnceLock};

/// From how many changed policies on every function is made ready anew.
const CHANGED_MAX: usize = 64;

impl Snapshot {
    /// Makes everything ready; the second part are warnings about functions that nobody can use.
    pub(crate) fn new(
        id: BundleId,
        ground: Arc<Ground>,
        pieces: Vec<Piece>,
        earlier: Earlier,
        before: Option<&Self>,
    ) -> Result<(Self, Vec<Finding>), Finding> {
        let (shadowed, in_force): (Vec<_>, Vec<_>) = pieces.iter().map(entry).partition(|entry| entry.info.shadowed);
        let twin = match shadowed.is_empty() {
            true => None,
            false => {
                let before = before.and_then(|before| before.twin.as_deref());
                Some(Self::ready(id.clone(), Arc::clone(&ground), pieces.iter().map(entry).collect(), before)?)
            }
        };
        let snapshot = Self {
            shadowed: shadowed.into_iter().map(|entry| entry.info).collect(),
            twin: twin.map(Arc::new),
            earlier,
            ..Self::ready(id, ground, in_force, before)?
        };
        let warnings = snapshot.unusable();
        Ok((snapshot, warnings))
    }

    /// With these policies in force.
    fn ready(id: BundleId, ground: Arc<Ground>, policies: Vec<Entry>, before: Option<&Self>) -> Result<Self, Finding> {
        let by_id = (0..).zip(&policies).map(|(place, entry): (_, &Entry)| (Arc::clone(&entry.info.name.0), place));
        let by_id = by_id.collect();
        let index = Index::new(policies.iter().map(|entry| &entry.rule.head));
        let mut maker = Maker { policies: &policies, index, slices: Slices::default(), uids: HashMap::new() };
        let ready = before.and_then(|before| Some((before, changed(&before.policies, &policies)?)));
        let mut functions = HashMap::with_capacity(ground.declarations.len());
        for (name, declaration) in ground.declarations.iter().chain(&ground.verbs) {
            let ready = ready.as_ref().and_then(|(before, changed)| {
                let touched = changed.iter().any(|head| declaration.subjects().any(|subject| subject.is_in(head)));
                before.functions.get(name).filter(|_| !touched)
            });
            let prepared = match ready {
                Some(prepared) => Arc::clone(prepared),
                None => Arc::new(maker.function(name, declaration, &ground.vocabulary)?),
            };
            functions.insert(name.clone(), prepared);
        }
        Ok(Self {
            id,
            ground,
            policies,
            by_id,
            functions,
            validity: Validity::default(),
            observed: Default::default(),
            shadowed: Vec::new(),
            twin: None,
            earlier: Earlier::new(),
        })
    }

    /// Functions for which there is no permit that any of their kinds of caller could satisfy.
    pub fn functions_nobody_may_call(&self) -> impl Iterator<Item = &FunctionName> {
        let nobody = |function: &Prepared| !function.administrative && !self.some_permit(function, &function.call);
        sorted(self.functions.iter().filter(move |(_, function)| nobody(function)).map(|(name, _)| name))
    }

    /// Functions that have no target for which there is a `run_on` permit.
    pub fn functions_without_target(&self) -> impl Iterator<Item = &FunctionName> {
        let without = |function: &Prepared| {
            !function.administrative && !function.run_on.iter().any(|target| self.some_permit(function, target))
        };
        sorted(self.functions.iter().filter(move |(_, function)| without(function)).map(|(name, _)| name))
    }

    fn some_permit(&self, function: &Prepared, subject: &Subjected) -> bool {
        let mut entries = subject.slice.places().iter().filter_map(|place| self.entry(*place));
        let types = &self.ground.directory.types;
        entries.any(|entry| {
            let mut kinds = function.principals.iter().map(|kind| types.principal(*kind));
            entry.info.effect == Effect::Permit && kinds.any(|kind| entry.rule.head.allows_type(kind))
        })
    }

    fn unusable(&self) -> Vec<Finding> {
        let warning = |code, message: String| Finding::error(code, DECLARED_FILE, message).warning();
        let nobody = self.functions_nobody_may_call().map(|name| {
            warning("nobody_may_call", format!("no permit lets anybody call `{name}`"))
                .help(format!("write a permit for `action == Action::\"{name}\"`, or for one of its groups"))
        });
        let without = self.functions_without_target().map(|name| {
            warning("no_allowed_target", format!("no permit lets `{name}` run on any of its targets"))
                .help("write a permit for `action == Action::\"run_on\"`")
        });
        nobody.chain(without).collect()
    }
}

struct Maker<'a> {
    policies: &'a [Entry],
    index: Index,
    slices: Slices,
    uids: HashMap<EntityUID, Arc<EntityUID>>,
}

/// The heads of changed policies, old and new, if all others are in the same places and few have changed.
fn changed<'a>(before: &'a [Entry], now: &'a [Entry]) -> Option<Vec<&'a Head>> {
    if before.len() != now.len() {
        return None;
    }
    let pairs = before.iter().zip(now).filter(|(before, now)| !Arc::ptr_eq(&before.rule, &now.rule));
    let changed: Vec<_> = pairs.flat_map(|(before, now)| [&before.rule.head, &now.rule.head]).collect();
    (changed.len() <= 2 * CHANGED_MAX).then_some(changed)
}

impl Maker<'_> {
    fn function(
        &mut self,
        name: &FunctionName,
        declaration: &Declaration,
        vocabulary: &Vocabulary,
    ) -> Result<Prepared, Finding> {
        let error = |code, message: String| Finding::error(code, DECLARED_FILE, message);
        let words = vocabulary.askable(name);
        let words = words.ok_or_else(|| error("vocabulary", format!("`{name}` has no words in policy")))?;
        if declaration.run_on.len() > usize::from(u16::MAX) {
            return Err(error("too_many_targets", format!("`{name}` has more than 65535 targets")));
        }
        let (call, describe) = (self.subject(&declaration.call), self.subject(&declaration.describe));
        let run_on: Vec<_> = declaration.run_on.iter().map(|subject| self.subject(subject)).collect();
        let slices = [&call, &describe].into_iter().chain(&run_on).map(|subject| &subject.slice);
        let places = slices.flat_map(|slice| slice.places());
        let reads = places.filter_map(|place| self.rule(*place)).map(|rule| rule.reads);
        let reads = reads.fold(Reads::default(), BitOr::bitor);
        let readers = call.slice.places().iter().filter_map(|place| Some((*place, self.entry(*place)?)));
        let readers = readers.filter(|(_, entry)| entry.reads_input).map(|(place, entry)| (place, &entry.rule.looks));
        let input_looks = InputLooks::new(readers);
        Ok(Prepared {
            principals: words.principals.clone(),
            path: words.path.clone(),
            query: words.query.clone(),
            input: words.input.clone(),
            shared: Arc::clone(&declaration.shared),
            own: Arc::clone(&declaration.own),
            reads,
            input_looks,
            administrative: vocabulary.function(name).is_none(),
            call,
            describe,
            run_on,
        })
    }

    fn subject(&mut self, subject: &Subject) -> Subjected {
        let policies = self.policies;
        let head = |place: u32| -> Option<&Head> { Some(&policies.get(usize::try_from(place).ok()?)?.rule.head) };
        let places = self.index.matching(subject, head);
        Subjected {
            action: self.uid(&subject.action),
            resource: self.uid(&subject.resource),
            slice: self.slices.of(places, head),
        }
    }

    /// A uid, once for all that ask of it.
    fn uid(&mut self, entity: &Entity) -> Arc<EntityUID> {
        let uid = self.uids.entry(entity.uid().clone());
        Arc::clone(uid.or_insert_with_key(|uid| Arc::new(uid.clone())))
    }

    fn rule(&self, place: u32) -> Option<&Rule> {
        Some(self.entry(place)?.rule.as_ref())
    }

    fn entry(&self, place: u32) -> Option<&Entry> {
        self.policies.get(usize::try_from(place).ok()?)
    }
}

fn entry(Piece { kept, place, .. }: &Piece) -> Entry {
    let info = PolicyInfo {
        line: place.line,
        file: Arc::clone(&place.source.file),
        name: kept.name.clone(),
        effect: if kept.rule.is_permit() { Effect::Permit } else { Effect::Forbid },
        owner: kept.owner.clone(),
        description: kept.description.clone(),
        expires: kept.expires,
        shadowed: kept.shadowed,
    };
    let (rule, generated) = (Arc::clone(&kept.rule), place.generated.is_some());
    Entry { info, rule, reads_input: kept.reads_input, generated, clauses: OnceLock::new() }
}

fn sorted<'a>(names: impl Iterator<Item = &'a FunctionName>) -> impl Iterator<Item = &'a FunctionName> {
    names.collect::<BTreeSet<_>>().into_iter()
}
