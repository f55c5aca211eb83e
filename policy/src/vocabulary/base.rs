//! The fixed base of the vocabulary, read once: its actions, and which attributes are entities.

use super::schema::Types;
use crate::finding::Finding;
use cedar_policy::{EntityUid, Schema, SchemaFragment};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The base vocabulary as written. It is a contract: see the comment at its head.
pub(crate) const TEXT: &str = include_str!("base.cedarschema");

/// The parsed base.
#[derive(Debug)]
pub(crate) struct Base {
    schema: Schema,
    types: Types,
    /// Every action and the groups it is in, directly or not.
    actions: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Actions that are asked of something themselves, so are no groups.
    applied: BTreeSet<Arc<str>>,
    json: Value,
}

/// What an expression stands for, as far as the comparison of entities needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// An entity of this type.
    Entity(Arc<str>),
    /// A record, by its place in the schema.
    Record(&'a Value),
    /// A set of entities of this type.
    Entities(Arc<str>),
    /// Anything else.
    Other,
}

impl Base {
    pub(crate) fn new() -> Result<Self, Finding> {
        let broken = |error: &dyn std::fmt::Display| {
            Finding::error("vocabulary", "base.cedarschema", format!("the base vocabulary is not valid: {error}"))
        };
        let (fragment, _) = SchemaFragment::from_cedarschema_str(TEXT).map_err(|e| broken(&e))?;
        let schema = Schema::from_schema_fragments([fragment.clone()]).map_err(|e| broken(&e))?;
        let entities = schema.action_entities().map_err(|e| broken(&e))?;
        let word = |uid: &EntityUid| -> Arc<str> { uid.id().unescaped().into() };
        let mut actions = BTreeMap::new();
        for entity in entities.iter() {
            let uid = entity.uid();
            let above = entities.ancestors(&uid).into_iter().flatten().map(word).collect();
            actions.insert(word(&uid), above);
        }
        let applied: BTreeSet<_> = schema.request_envs().map(|env| word(env.action())).collect();
        let json = fragment.to_json_value().map_err(|e| broken(&e))?;
        let types = Types::new(&schema).ok_or_else(|| broken(&"it lacks the facts of a call"))?;
        Ok(Self { schema, types, actions, applied, json })
    }

    /// The base alone as a schema.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn types(&self) -> &Types {
        &self.types
    }

    /// Whether something is asked of this action itself.
    pub(crate) fn is_applied(&self, action: &str) -> bool {
        self.applied.contains(action)
    }

    pub(crate) fn is_action(&self, name: &str) -> bool {
        self.actions.contains_key(name)
    }

    pub(crate) fn is_group(&self, name: &str) -> bool {
        self.is_action(name) && !self.applied.contains(name)
    }

    pub(crate) fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.keys().map(AsRef::as_ref)
    }

    /// The groups above an action or group of the base; above any other group is `call`.
    pub(crate) fn ancestors(&self, action: &str) -> BTreeSet<Arc<str>> {
        self.actions.get(action).cloned().unwrap_or_else(|| BTreeSet::from(["call".into()]))
    }

    /// The kind of an attribute of an entity type or record; `None` when there is no such attribute.
    pub(crate) fn attribute<'a>(&'a self, of: &Kind<'a>, name: &str) -> Option<Kind<'a>> {
        let attributes = match of {
            Kind::Entity(entity_type) => self.entry("entityTypes", entity_type)?.get("shape")?.get("attributes")?,
            Kind::Record(record) => record.get("attributes")?,
            Kind::Entities(_) | Kind::Other => return None,
        };
        Some(self.resolve(attributes.get(name)?))
    }

    /// The context of a fixed action.
    pub(crate) fn context(&self, action: &str) -> Option<Kind<'_>> {
        let context = self.entry("actions", action)?.get("appliesTo")?.get("context")?;
        Some(self.resolve(context))
    }

    /// Types of principal and resource that a fixed action is asked of.
    pub(crate) fn applies_to(&self, action: &str) -> Option<(Vec<&str>, Vec<&str>)> {
        let applies = self.entry("actions", action)?.get("appliesTo")?;
        let list = |key: &str| Some(applies.get(key)?.as_array()?.iter().filter_map(Value::as_str).collect());
        Some((list("principalTypes")?, list("resourceTypes")?))
    }

    /// Names of the actions that are asked of something themselves.
    pub(crate) fn applied(&self) -> impl Iterator<Item = &Arc<str>> {
        self.applied.iter()
    }

    /// Names of the actions of administrators.
    pub(crate) fn verbs(&self) -> impl Iterator<Item = &Arc<str>> {
        self.applied.iter().filter(|action| self.ancestors(action).contains("administer"))
    }

    /// Whether an entity of one type can be within an entity of another.
    pub(crate) fn can_be_in(&self, inner: &str, outer: &str) -> bool {
        let mut seen = BTreeSet::from([inner]);
        let mut next = vec![inner];
        while let Some(at) = next.pop() {
            if at == outer {
                return true;
            }
            let above =
                self.entry("entityTypes", at).and_then(|entry| entry.get("memberOfTypes")).and_then(Value::as_array);
            next.extend(above.into_iter().flatten().filter_map(Value::as_str).filter(|name| seen.insert(name)));
        }
        false
    }

    /// Whether an entity type exists.
    pub(crate) fn is_entity_type(&self, name: &str) -> bool {
        self.entry("entityTypes", name).is_some()
    }

    /// Names of the entity types.
    pub(crate) fn entity_types(&self) -> impl Iterator<Item = &str> {
        let types = self.json.get("").and_then(|all| all.get("entityTypes")).and_then(Value::as_object);
        types.into_iter().flat_map(|types| types.keys().map(String::as_str))
    }

    fn entry(&self, section: &str, name: &str) -> Option<&Value> {
        self.json.get("")?.get(section)?.get(name)
    }

    fn resolve<'a>(&'a self, attribute: &'a Value) -> Kind<'a> {
        let word = |key: &str| attribute.get(key).and_then(Value::as_str);
        match word("type") {
            Some("Record") => Kind::Record(attribute),
            Some("Set") => match attribute.get("element").map(|element| self.resolve(element)) {
                Some(Kind::Entity(name)) => Kind::Entities(name),
                _ => Kind::Other,
            },
            Some("Entity" | "EntityOrCommon") => {
                let name = word("name").unwrap_or_default();
                match self.entry("commonTypes", name) {
                    Some(common) => self.resolve(common),
                    None if self.is_entity_type(name) => Kind::Entity(name.into()),
                    None => Kind::Other,
                }
            }
            Some(name) => self.entry("commonTypes", name).map_or(Kind::Other, |common| self.resolve(common)),
            None => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_actions_groups_and_entity_attributes() {
        let base = Base::new().unwrap();
        assert!(base.is_group("money") && !base.is_group("describe") && base.is_action("describe"));
        assert_eq!(base.ancestors("money"), BTreeSet::from(["write".into(), "call".into()]));
        let facts = base.attribute(&base.context("describe").unwrap(), "facts").unwrap();
        let via = base.attribute(&facts, "via").unwrap();
        assert_eq!(base.attribute(&via, "workload"), Some(Kind::Entity("Workload".into())));
        assert_eq!(base.attribute(&Kind::Entity("Agent".into()), "owner"), Some(Kind::Entity("User".into())));
        assert_eq!(base.attribute(&Kind::Entity("Anonymous".into()), "tenant"), None);
        assert!(base.can_be_in("Target", "Environment") && !base.can_be_in("User", "Function"));
        let approve = base.context("approve").unwrap();
        assert_eq!(base.attribute(&approve, "caller"), Some(Kind::Entity("User".into())));
    }
}
