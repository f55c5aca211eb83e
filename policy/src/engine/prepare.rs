//! Making a snapshot: slices, entities and requests of every function, ready before the first question.

use super::{
    BTreeSet, BundleId, DECLARED_FILE, Directory, Effect, Entry, Finding, FunctionName, HashMap, Index, PolicyId,
    PolicyInfo, Prepared, Snapshot, Subject, Subjected, Vocabulary, Written, entities::Declaration, tree, uid,
};
use cedar_policy::{Authorizer, Policy};
use std::sync::{Arc, OnceLock};

impl Snapshot {
    /// Makes everything ready; the second part are warnings about functions that nobody can use.
    pub(crate) fn new(
        id: BundleId,
        vocabulary: Vocabulary,
        directory: Directory,
        declarations: Vec<(FunctionName, Declaration)>,
        written: Vec<Written>,
    ) -> Result<(Self, Vec<Finding>), Finding> {
        let (mut policies, mut bodies) = (Vec::new(), Vec::new());
        for policy in written {
            let (entry, body) = entry(policy);
            policies.push(entry);
            bodies.push(body);
        }
        let by_id = policies.iter().enumerate().map(|(i, e)| (PolicyId::new(&e.info.name.0), i)).collect();
        let index = Index::new(policies.iter().map(|entry: &Entry| &entry.scope));
        let mut maker = Maker { directory: &directory, policies: &policies, bodies: &bodies, index };
        let mut functions = HashMap::new();
        for (name, declaration) in declarations {
            let prepared = maker.function(&name, declaration, &vocabulary)?;
            functions.insert(name, prepared);
        }
        let authorizer = Authorizer::new();
        let snapshot = Self { id, vocabulary, directory, policies, by_id, functions, authorizer };
        let warnings = snapshot.unusable();
        Ok((snapshot, warnings))
    }

    /// Functions for which there is no permit that any of their kinds of caller could satisfy.
    pub fn functions_nobody_may_call(&self) -> impl Iterator<Item = &FunctionName> {
        let nobody = |function: &Prepared| !self.some_permit(function, &function.call);
        sorted(self.functions.iter().filter(move |(_, function)| nobody(function)).map(|(name, _)| name))
    }

    /// Functions that have no target for which there is a `run_on` permit.
    pub fn functions_without_target(&self) -> impl Iterator<Item = &FunctionName> {
        let without = |function: &Prepared| !function.run_on.iter().any(|target| self.some_permit(function, target));
        sorted(self.functions.iter().filter(move |(_, function)| without(function)).map(|(name, _)| name))
    }

    fn some_permit(&self, function: &Prepared, subject: &Subjected) -> bool {
        let mut entries = subject.slice.policies.iter().filter_map(|place| self.policies.get(*place));
        entries.any(|entry| {
            let bound = &entry.scope.principal;
            entry.info.effect == Effect::Permit
                && function.principals.iter().any(|kind| bound.allows_type(kind.as_str()))
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
    directory: &'a Directory,
    policies: &'a [Entry],
    bodies: &'a [Policy],
    index: Index,
}

impl Maker<'_> {
    fn function(
        &mut self,
        name: &FunctionName,
        declaration: Declaration,
        vocabulary: &Vocabulary,
    ) -> Result<Prepared, Finding> {
        let error = |code, message: String| Finding::error(code, DECLARED_FILE, message);
        let words = vocabulary.function(name);
        let words = words.ok_or_else(|| error("vocabulary", format!("`{name}` has no words in policy")))?;
        if declaration.run_on.len() > usize::from(u16::MAX) {
            return Err(error("too_many_targets", format!("`{name}` has more than 65535 targets")));
        }
        let run_on: Result<Vec<_>, _> = declaration.run_on.iter().map(|subject| self.subject(subject)).collect();
        Ok(Prepared {
            principals: words.principals.clone(),
            path: words.path.clone(),
            query: words.query.clone(),
            input: words.input.clone(),
            call: self.subject(&declaration.call)?,
            describe: self.subject(&declaration.describe)?,
            run_on: run_on?,
            entities: declaration.entities,
        })
    }

    fn subject(&mut self, subject: &Subject) -> Result<Subjected, Finding> {
        let (policies, bodies) = (self.policies, self.bodies);
        let places = self.index.matching(subject, |place| policies.get(place).map(|entry| &entry.scope));
        let slice = self.index.slice(places, |place| bodies.get(place));
        Ok(Subjected {
            action: uid(&self.directory.types.action, &subject.action),
            resource: subject.resource.clone(),
            slice: slice.map_err(|message| Finding::error("vocabulary", DECLARED_FILE, message))?,
        })
    }
}

fn entry(written: Written) -> (Entry, Policy) {
    let effect = match written.policy.effect() {
        cedar_policy::Effect::Permit => Effect::Permit,
        cedar_policy::Effect::Forbid => Effect::Forbid,
    };
    let info = PolicyInfo {
        line: written.place.finding("", "", None).line,
        file: Arc::clone(&written.place.source.file),
        name: written.name,
        effect,
        owner: written.owner,
        description: written.description,
        expires: written.expires,
    };
    let reads_input = tree::reads_input(&written.tree);
    let text = written.place.text().into();
    let clauses = OnceLock::new();
    (Entry { info, scope: written.scope, reads_input, text, clauses }, written.policy)
}

fn sorted<'a>(names: impl Iterator<Item = &'a FunctionName>) -> impl Iterator<Item = &'a FunctionName> {
    names.collect::<BTreeSet<_>>().into_iter()
}
