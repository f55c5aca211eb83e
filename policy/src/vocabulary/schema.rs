//! Schemas to validate against, made of types instead of text: the base is read once, and a function costs little.

use super::{Words, base::Base, shape::Shape};
use crate::{
    declared::QueryType,
    question::{FunctionName, PrincipalKind},
};
use cedar_policy::Schema;
use cedar_policy_core::{
    ast::{Eid, EntityType, EntityUID, Name},
    validator::{
        ValidatorActionId, ValidatorSchema,
        types::{AttributeType, OpenTag, Type},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// The group that every function's action is in, and every declared group.
const CALL: &str = "call";

/// What the base says of every function, and the types that inputs are made of.
#[derive(Debug)]
pub(super) struct Types {
    action: EntityType,
    function: EntityType,
    callers: BTreeMap<PrincipalKind, EntityType>,
    facts: Arc<Type>,
    /// The context of what is only a group.
    nothing: Type,
    bool: Arc<Type>,
    long: Arc<Type>,
    string: Arc<Type>,
    decimal: Arc<Type>,
    datetime: Arc<Type>,
    ip: Arc<Type>,
}

impl Types {
    /// `None` is a base that has no such facts.
    pub(super) fn new(base: &Schema) -> Option<Self> {
        let action: EntityType = "Action".parse().ok()?;
        let context = |name| base.as_ref().context_type(&uid(&action, name));
        let Type::Record { attrs, .. } = context("describe")? else { return None };
        let facts = Arc::clone(&attrs.get_attr("facts")?.attr_type);
        let nothing = context(CALL)?.clone();
        let extension = |name: &str| Some(Arc::new(Type::ExtensionType { name: name.parse::<Name>().ok()? }));
        let caller = |kind: PrincipalKind| Some((kind, kind.as_str().parse().ok()?));
        Some(Self {
            callers: PrincipalKind::ALL.into_iter().map(caller).collect::<Option<_>>()?,
            facts,
            nothing,
            action,
            function: "Function".parse().ok()?,
            bool: Arc::new(Type::primitive_boolean()),
            long: Arc::new(Type::primitive_long()),
            string: Arc::new(Type::primitive_string()),
            decimal: extension("decimal")?,
            datetime: extension("datetime")?,
            ip: extension("ipaddr")?,
        })
    }

    fn of_shape(&self, shape: &Shape) -> Arc<Type> {
        match shape {
            Shape::Bool => Arc::clone(&self.bool),
            Shape::Long => Arc::clone(&self.long),
            Shape::String => Arc::clone(&self.string),
            Shape::Decimal => Arc::clone(&self.decimal),
            Shape::Datetime | Shape::Date => Arc::clone(&self.datetime),
            Shape::Ip => Arc::clone(&self.ip),
            Shape::Set(item) => Arc::new(Type::set(self.of_shape(item))),
            Shape::Record(fields) => {
                Arc::new(record(fields.iter().map(|f| (f.name.as_ref(), self.of_shape(&f.shape), f.required))))
            }
        }
    }

    fn of_query(&self, kind: QueryType) -> Arc<Type> {
        match kind {
            QueryType::String => Arc::clone(&self.string),
            QueryType::Long => Arc::clone(&self.long),
            QueryType::Bool => Arc::clone(&self.bool),
        }
    }

    fn context(&self, words: &Words) -> Type {
        let path = words.path.iter().map(|name| (name.as_ref(), Arc::clone(&self.string), true));
        let query = words.query.iter().map(|(name, kind)| (name.as_ref(), self.of_query(*kind), false));
        let fixed = [
            ("facts", Arc::clone(&self.facts), true),
            ("path", Arc::new(record(path)), true),
            ("query", Arc::new(record(query)), true),
        ];
        let input = words.input.as_ref().map(|shape| ("input", self.of_shape(shape), true));
        record(fixed.into_iter().chain(input))
    }
}

fn uid(action: &EntityType, name: &str) -> EntityUID {
    EntityUID::from_components(action.clone(), Eid::new(name), None)
}

fn record<'a>(members: impl IntoIterator<Item = (&'a str, Arc<Type>, bool)>) -> Type {
    let members = members.into_iter().map(|(name, of, required)| (name.into(), AttributeType::new(of, required)));
    Type::record_with_attributes(members, OpenTag::ClosedAttributes)
}

/// Base, declared groups and functions as one schema; `fixed` with the actions that are asked of something themselves.
/// It is what the text of the vocabulary says, with all other functions left out.
pub(super) fn of<'a>(
    base: &Base,
    groups: &BTreeSet<Arc<str>>,
    functions: &BTreeMap<&'a FunctionName, &'a Words>,
    fixed: bool,
) -> Schema {
    let types = base.types();
    let whole: &ValidatorSchema = base.schema().as_ref();
    let uid = |name: &str| uid(&types.action, name);
    let mut below: HashMap<&str, Vec<EntityUID>> = HashMap::new();
    below.entry(CALL).or_default().extend(groups.iter().map(|group| uid(group)));
    for (name, words) in functions {
        for group in &words.groups {
            below.entry(group).or_default().push(uid(name.as_str()));
        }
    }
    let mut below = |name: &str| below.remove(name).unwrap_or_default();
    let is_wanted = |action: &EntityUID| fixed || !base.is_applied(action.eid().as_ref());
    let of_base = whole.action_ids().filter(|action| is_wanted(action.name()));
    let mut actions: Vec<_> = of_base
        .filter_map(|action| {
            let kept = action.descendants().filter(|action| is_wanted(action)).cloned();
            let (callers, of) = (action.applies_to_principals().cloned(), action.applies_to_resources().cloned());
            let below = kept.chain(below(action.name().eid().as_ref()));
            let context = action.context()?.clone();
            Some(ValidatorActionId::new_defined(action.name().clone(), callers, of, below, context, None))
        })
        .collect();
    for group in groups {
        let context = types.nothing.clone();
        actions.push(ValidatorActionId::new_defined(uid(group), [], [], below(group), context, None));
    }
    for (name, words) in functions {
        let callers = words.principals.iter().filter_map(|kind| types.callers.get(kind).cloned());
        let (of, context) = ([types.function.clone()], types.context(words));
        actions.push(ValidatorActionId::new_defined(uid(name.as_str()), callers, of, [], context, None));
    }
    ValidatorSchema::new(whole.entity_types().cloned(), actions).into()
}
