//! What administrators do, asked like functions: the action of the verb, with this gateway as its resource.

use super::{
    Arc, Declaration, Effect, FunctionName, Principal, Snapshot, Subject,
    entities::{Directory, uid},
};
use crate::{declared::Declared, vocabulary::Vocabulary};
use cedar_policy_core::{
    ast::{Entity, EntityUID},
    entities::Entities,
};
use std::collections::HashSet;

impl Directory {
    /// The entities of a verb, and the one subject to ask about.
    pub(crate) fn verb(&self, verb: &FunctionName, declared: &Declared, vocabulary: &Vocabulary) -> Declaration {
        let types = &self.types;
        let environments: HashSet<_> =
            declared.apps.iter().map(|app| uid(&types.environment, &app.environment)).collect();
        let above = vocabulary.base.ancestors(verb.as_str());
        let groups: HashSet<_> = above.iter().map(|group| uid(&types.action, group)).collect();
        let within = |uid: EntityUID, parents: &HashSet<EntityUID>| {
            Arc::new(Entity::new_with_attr_partial_value(uid, [], HashSet::new(), parents.clone(), []))
        };
        let resource = within(uid(&types.gateway, &declared.gateway), &environments);
        let action = within(uid(&types.action, verb.as_str()), &groups);
        let plain = environments.into_iter().chain(groups).map(|uid| Arc::new(Entity::with_uid(uid)));
        let own = plain.chain([Arc::clone(&resource), Arc::clone(&action)]).collect();
        let call = Subject { action, resource };
        // That there is such a verb is no secret: whoever may not use it is told so.
        let describe = call.clone();
        Declaration { shared: Arc::new(Entities::new()), own, call, describe, run_on: Vec::new() }
    }
}

impl Snapshot {
    /// Whether some permit of a verb is for such a caller, whatever else it asks.
    #[must_use]
    pub fn could_administer(&self, verb: &FunctionName, principal: &Principal) -> bool {
        let asked = self.functions.get(verb).filter(|asked| asked.administrative && !asked.principals.is_empty());
        asked.is_some_and(|asked| {
            let mut candidates = self.candidates(&asked.call.slice, principal);
            candidates.any(|(_, entry)| entry.info.effect == Effect::Permit)
        })
    }
}
