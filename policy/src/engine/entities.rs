//! Cedar entities: the declared ones made once, the caller's made for each question.

use crate::{
    declared::{App, Declared, Function},
    finding::Finding,
    index::Subject,
    question::{Principal, PrincipalKind},
    vocabulary::{DECLARED_FILE, Words, base::Base},
};
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Names of the entity types, parsed once.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) action: EntityTypeName,
    pub(crate) issuer: EntityTypeName,
    pub(crate) tenant: EntityTypeName,
    pub(crate) environment: EntityTypeName,
    pub(crate) group: EntityTypeName,
    pub(crate) region: EntityTypeName,
    pub(crate) app: EntityTypeName,
    pub(crate) function: EntityTypeName,
    pub(crate) target: EntityTypeName,
    principals: [EntityTypeName; 5],
}

/// Entities that are declared, by name.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) types: Types,
    issuers: HashMap<Arc<str>, Issuer>,
    groups: HashMap<Arc<str>, Entity>,
    apps: HashMap<Arc<str>, App>,
}

#[derive(Debug)]
struct Issuer {
    entity: Entity,
    external_groups: bool,
}

/// A function's entities, and the subjects that can be asked about.
#[derive(Debug)]
pub(crate) struct Declaration {
    pub(crate) entities: Entities,
    pub(crate) call: Subject,
    pub(crate) describe: Subject,
    pub(crate) run_on: Vec<Subject>,
}

/// Why an entity can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    /// Nobody vouches for it.
    #[error("{0}")]
    Absent(String),
    /// Cedar refused it.
    #[error("{0}")]
    Invalid(String),
}

type Attributes = HashMap<String, RestrictedExpression>;

impl Types {
    fn new() -> Result<Self, Finding> {
        let parse = |word: &str| {
            word.parse::<EntityTypeName>().map_err(|error| internal(format!("`{word}` is no entity type: {error}")))
        };
        let kind = |kind: PrincipalKind| parse(kind.as_str());
        let [a, b, c, d, e] = PrincipalKind::ALL;
        Ok(Self {
            action: parse("Action")?,
            issuer: parse("Issuer")?,
            tenant: parse("Tenant")?,
            environment: parse("Environment")?,
            group: parse("Group")?,
            region: parse("Region")?,
            app: parse("App")?,
            function: parse("Function")?,
            target: parse("Target")?,
            principals: [kind(a)?, kind(b)?, kind(c)?, kind(d)?, kind(e)?],
        })
    }

    pub(crate) fn principal(&self, kind: PrincipalKind) -> &EntityTypeName {
        let [user, workload, client, agent, anonymous] = &self.principals;
        match kind {
            PrincipalKind::User => user,
            PrincipalKind::Workload => workload,
            PrincipalKind::Client => client,
            PrincipalKind::Agent => agent,
            PrincipalKind::Anonymous => anonymous,
        }
    }
}

/// The uid of an entity.
pub(crate) fn uid(entity_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(entity_type.clone(), EntityId::new(id))
}

impl Directory {
    pub(crate) fn new(declared: &Declared) -> Result<Self, Finding> {
        let types = Types::new()?;
        let mut issuers = HashMap::new();
        let mut groups = HashMap::new();
        for issuer in &declared.issuers {
            let entity = plain(uid(&types.issuer, &issuer.alias));
            for group in &issuer.groups {
                groups.insert(Arc::clone(group), group_entity(&types, group, &entity).map_err(internal)?);
            }
            issuers.insert(Arc::clone(&issuer.alias), Issuer { entity, external_groups: issuer.external_groups });
        }
        let apps = declared.apps.iter().map(|app| (Arc::clone(&app.name), app.clone())).collect();
        Ok(Self { types, issuers, groups, apps })
    }

    /// The entities of a group: itself and its issuer.
    fn group(&self, name: &Arc<str>) -> Result<[Entity; 2], Unknown> {
        let alias = name.split_once('/').filter(|(_, rest)| !rest.is_empty()).map(|(alias, _)| alias);
        let Some(issuer) = alias.and_then(|alias| self.issuers.get(alias)) else {
            return Err(Unknown::Absent(format!("the group `{name}` is of no declared issuer")));
        };
        let group = match self.groups.get(name) {
            Some(group) => group.clone(),
            None if issuer.external_groups => {
                group_entity(&self.types, name, &issuer.entity).map_err(Unknown::Invalid)?
            }
            None => return Err(Unknown::Absent(format!("the group `{name}` is not declared"))),
        };
        Ok([group, issuer.entity.clone()])
    }

    /// The entities of a caller: itself, its groups, issuer and tenant. Refused unless its credential vouches for all.
    pub(crate) fn principal(&self, principal: &Principal) -> Result<(EntityUid, Vec<Entity>), Unknown> {
        let me = uid(self.types.principal(principal.kind), &principal.id);
        let mut entities = Vec::new();
        let mut parents = HashSet::new();
        for group in principal.groups.iter() {
            parents.insert(uid(&self.types.group, group));
            entities.extend(self.group(group)?);
        }
        let attributes = self.attributes(principal, &mut entities)?;
        let entity =
            Entity::new(me.clone(), attributes, parents).map_err(|error| Unknown::Invalid(error.to_string()))?;
        entities.push(entity);
        Ok((me, entities))
    }

    fn attributes(&self, principal: &Principal, entities: &mut Vec<Entity>) -> Result<Attributes, Unknown> {
        let mut attributes = Attributes::new();
        let said = &principal.attributes;
        let id = &principal.id;
        match principal.kind {
            PrincipalKind::User | PrincipalKind::Client => {
                let issuer = self.issuer(principal)?;
                attributes.insert("issuer".to_owned(), RestrictedExpression::new_entity_uid(issuer.uid()));
                entities.push(issuer.clone());
            }
            PrincipalKind::Workload if id.starts_with("spiffe://") => {
                // Nothing attests workloads yet, and the vocabulary demands an answer.
                attributes.insert("attested".to_owned(), RestrictedExpression::new_bool(false));
                if let Some(issuer) = principal.issuer.as_ref().and_then(|alias| self.issuers.get(alias)) {
                    let issuer = &issuer.entity;
                    attributes.insert("issuer".to_owned(), RestrictedExpression::new_entity_uid(issuer.uid()));
                    entities.push(issuer.clone());
                }
            }
            PrincipalKind::Workload => {
                return Err(Unknown::Absent(format!("the workload `{id}` has no SPIFFE ID")));
            }
            PrincipalKind::Agent => {
                return Err(Unknown::Absent(format!("no credential says who owns the agent `{id}`")));
            }
            PrincipalKind::Anonymous if id.as_ref() == "anonymous" && principal.groups.is_empty() => {
                return Ok(attributes);
            }
            PrincipalKind::Anonymous => {
                return Err(Unknown::Absent(format!("`{id}` is not nobody")));
            }
        }
        if let Some(tenant) = &said.tenant {
            let tenant = plain(uid(&self.types.tenant, tenant));
            attributes.insert("tenant".to_owned(), RestrictedExpression::new_entity_uid(tenant.uid()));
            entities.push(tenant);
        }
        if principal.kind == PrincipalKind::User {
            attributes.extend(said.clearance.map(|n| ("clearance".to_owned(), RestrictedExpression::new_long(n))));
            attributes.extend(said.employed.map(|b| ("employed".to_owned(), RestrictedExpression::new_bool(b))));
        }
        if let (PrincipalKind::Client, Some(tier)) = (principal.kind, &said.tier) {
            attributes.insert("tier".to_owned(), text(tier));
        }
        Ok(attributes)
    }

    fn issuer(&self, principal: &Principal) -> Result<&Entity, Unknown> {
        let id = &principal.id;
        let alias = principal.issuer.as_deref().unwrap_or_default();
        let Some(issuer) = self.issuers.get(alias) else {
            return Err(Unknown::Absent(format!("`{id}` is of no declared issuer")));
        };
        if id.split_once('/').is_none_or(|(first, rest)| first != alias || rest.is_empty()) {
            return Err(Unknown::Absent(format!("`{id}` is not an id of the issuer `{alias}`")));
        }
        Ok(&issuer.entity)
    }

    /// The entities of a function, its targets and everything above them, and the subjects to ask about.
    pub(crate) fn function(&self, function: &Function, words: &Words, base: &Base) -> Result<Declaration, Finding> {
        let name = &function.name;
        let app = self.apps.get(&function.app);
        let app = app.ok_or_else(|| {
            let message = format!("function `{name}` is in the app `{}`, which is not declared", function.app);
            Finding::error("unknown_app", DECLARED_FILE, message)
                .nearest(&function.app, self.apps.keys().map(AsRef::as_ref))
        })?;
        let mut entities = Entries::default();
        let environment = uid(&self.types.environment, &app.environment);
        let app_uid = uid(&self.types.app, &app.name);
        entities.add(plain(environment.clone()));
        self.app(app, &environment, &mut entities)?;
        let function_uid = uid(&self.types.function, name.as_str());
        let mut attributes = Attributes::from([
            ("app".to_owned(), RestrictedExpression::new_entity_uid(app_uid.clone())),
            ("environment".to_owned(), RestrictedExpression::new_entity_uid(environment.clone())),
            ("shared".to_owned(), RestrictedExpression::new_bool(function.shared)),
            ("class".to_owned(), RestrictedExpression::new_long(function.class)),
            ("labels".to_owned(), RestrictedExpression::new_set(function.labels.iter().map(text))),
            ("idempotent".to_owned(), RestrictedExpression::new_bool(function.idempotent)),
        ]);
        if let Some(owner) = &function.owner {
            attributes.insert("owner".to_owned(), self.owner(owner, &format!("function `{name}`"), &mut entities)?);
        }
        if let Some(tenant) = &function.tenant {
            let tenant = uid(&self.types.tenant, tenant);
            attributes.insert("tenant".to_owned(), RestrictedExpression::new_entity_uid(tenant.clone()));
            entities.add(plain(tenant));
        }
        entities.add(entity(function_uid.clone(), attributes, HashSet::from([app_uid.clone()]))?);
        let above = HashSet::from([app_uid, environment]);
        let run_on = self.targets(function, &function_uid, &above, &mut entities)?;
        let call = Subject {
            action: name.as_str().into(),
            action_above: words.groups.clone(),
            resource: function_uid,
            resource_above: above,
        };
        let describe = Subject { action: "describe".into(), action_above: BTreeSet::new(), ..call.clone() };
        // Without the actions' own hierarchy `action in Action::"write"` would be false, and a guard with it.
        for group in &call.action_above {
            let above = base.ancestors(group).iter().map(|group| uid(&self.types.action, group)).collect();
            entities.add(Entity::new_no_attrs(uid(&self.types.action, group), above));
        }
        let groups = call.action_above.iter().map(|group| uid(&self.types.action, group)).collect();
        entities.add(Entity::new_no_attrs(uid(&self.types.action, name.as_str()), groups));
        entities.add(plain(uid(&self.types.action, "describe")));
        entities.add(plain(uid(&self.types.action, "run_on")));
        let entities = Entities::from_entities(entities.0.into_values(), None).map_err(|e| internal(e.to_string()))?;
        Ok(Declaration { entities, call, describe, run_on })
    }

    fn app(&self, app: &App, environment: &EntityUid, entities: &mut Entries) -> Result<(), Finding> {
        let mut attributes = Attributes::new();
        if let Some(owner) = &app.owner {
            attributes.insert("owner".to_owned(), self.owner(owner, &format!("app `{}`", app.name), entities)?);
        }
        attributes.extend(app.calendar.as_ref().map(|calendar| ("calendar".to_owned(), text(calendar))));
        entities.add(entity(uid(&self.types.app, &app.name), attributes, HashSet::from([environment.clone()]))?);
        Ok(())
    }

    fn owner(&self, owner: &Arc<str>, of: &str, entities: &mut Entries) -> Result<RestrictedExpression, Finding> {
        let found = self.group(owner).map_err(|error| {
            let message = format!("{of} has the owner `{owner}`, but {error}");
            Finding::error("undeclared_group", DECLARED_FILE, message)
                .nearest(owner, self.groups.keys().map(AsRef::as_ref))
        })?;
        found.into_iter().for_each(|entity| entities.add(entity));
        Ok(RestrictedExpression::new_entity_uid(uid(&self.types.group, owner)))
    }

    fn targets(
        &self,
        function: &Function,
        function_uid: &EntityUid,
        above_function: &HashSet<EntityUid>,
        entities: &mut Entries,
    ) -> Result<Vec<Subject>, Finding> {
        let mut subjects = Vec::new();
        for (place, target) in function.targets.iter().enumerate() {
            let me = uid(&self.types.target, &format!("{}#{place}", function.name));
            let mut parents = HashSet::from([function_uid.clone()]);
            let mut attributes = Attributes::from([
                ("function".to_owned(), RestrictedExpression::new_entity_uid(function_uid.clone())),
                ("provider".to_owned(), RestrictedExpression::new_string(target.provider.to_owned())),
                ("sealed_to".to_owned(), RestrictedExpression::new_bool(target.sealed_to)),
            ]);
            if let Some(region) = &target.region {
                let region = uid(&self.types.region, region);
                attributes.insert("region".to_owned(), RestrictedExpression::new_entity_uid(region.clone()));
                entities.add(plain(region.clone()));
                parents.insert(region);
            }
            let above = parents.union(above_function).cloned().collect();
            entities.add(entity(me.clone(), attributes, parents)?);
            subjects.push(Subject {
                action: "run_on".into(),
                action_above: BTreeSet::new(),
                resource: me,
                resource_above: above,
            });
        }
        Ok(subjects)
    }
}

/// Entities by uid: what is declared in two places is declared alike.
#[derive(Default)]
struct Entries(HashMap<EntityUid, Entity>);

impl Entries {
    fn add(&mut self, entity: Entity) {
        self.0.insert(entity.uid(), entity);
    }
}

fn plain(uid: EntityUid) -> Entity {
    Entity::new_no_attrs(uid, HashSet::new())
}

fn entity(uid: EntityUid, attributes: Attributes, parents: HashSet<EntityUid>) -> Result<Entity, Finding> {
    Entity::new(uid, attributes, parents).map_err(|error| internal(error.to_string()))
}

fn group_entity(types: &Types, name: &str, issuer: &Entity) -> Result<Entity, String> {
    let attributes = Attributes::from([("issuer".to_owned(), RestrictedExpression::new_entity_uid(issuer.uid()))]);
    Entity::new(uid(&types.group, name), attributes, HashSet::new()).map_err(|error| error.to_string())
}

pub(crate) fn text(text: &Arc<str>) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_string())
}

fn internal(message: impl Into<String>) -> Finding {
    Finding::error("vocabulary", DECLARED_FILE, message)
}
