//! Cedar entities: the declared ones made once, the caller's made for each question.

use super::{index::Subject, value};
use crate::{
    declared::{App, Declared, Function},
    finding::Finding,
    question::PrincipalKind,
    vocabulary::{DECLARED_FILE, Words, base::Base},
};
use cedar_policy_core::{
    ast::{Eid, Entity, EntityType, EntityUID, PartialValue},
    entities::{Dereference, Entities, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

mod callers;

/// Names of the entity types, parsed once.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) action: EntityType,
    pub(crate) issuer: EntityType,
    pub(crate) tenant: EntityType,
    pub(crate) environment: EntityType,
    pub(crate) group: EntityType,
    pub(crate) region: EntityType,
    pub(crate) app: EntityType,
    pub(crate) function: EntityType,
    pub(crate) gateway: EntityType,
    pub(crate) target: EntityType,
    principals: [EntityType; 6],
}

/// Entities that are declared, by name.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) types: Types,
    issuers: HashMap<Arc<str>, Issuer>,
    groups: HashMap<Arc<str>, Arc<Entity>>,
    apps: HashMap<Arc<str>, App>,
    describe: Arc<Entity>,
    run_on: Arc<Entity>,
}

#[derive(Debug)]
struct Issuer {
    entity: Arc<Entity>,
    uid: Arc<EntityUID>,
    external_groups: bool,
}

/// A function's entities, and the subjects that can be asked about.
#[derive(Debug)]
pub(crate) struct Declaration {
    /// What functions of the same app and action groups share.
    pub(crate) shared: Arc<Entities>,
    pub(crate) own: Arc<[Arc<Entity>]>,
    pub(crate) call: Subject,
    pub(crate) describe: Subject,
    pub(crate) run_on: Vec<Subject>,
}

impl Declaration {
    /// Everything that is asked of the function.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        [&self.call, &self.describe].into_iter().chain(&self.run_on)
    }
}

/// An entity that nobody vouches for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Absent(String);

/// An app and action groups.
type Kin = (Arc<str>, BTreeSet<Arc<str>>);

/// What functions share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    entities: HashMap<Kin, Arc<Entities>>,
    labels: HashMap<Vec<Arc<str>>, PartialValue>,
    /// Regions and tenants.
    plain: HashMap<EntityUID, Arc<Entity>>,
}

impl Shared {
    fn labels(&mut self, labels: &[Arc<str>]) -> PartialValue {
        self.labels.entry(labels.to_vec()).or_insert_with(|| value::texts(labels).into()).clone()
    }

    fn plain(&mut self, uid: EntityUID) -> Arc<Entity> {
        Arc::clone(self.plain.entry(uid).or_insert_with_key(|uid| plain(uid.clone())))
    }
}

type Attributes = Vec<(&'static str, PartialValue)>;

impl Types {
    fn new() -> Result<Self, Finding> {
        let parse = |word: &str| {
            word.parse::<EntityType>().map_err(|error| internal(format!("`{word}` is no entity type: {error}")))
        };
        let kind = |kind: PrincipalKind| parse(kind.as_str());
        let [a, b, c, d, e, f] = PrincipalKind::ALL;
        Ok(Self {
            action: parse("Action")?,
            issuer: parse("Issuer")?,
            tenant: parse("Tenant")?,
            environment: parse("Environment")?,
            group: parse("Group")?,
            region: parse("Region")?,
            app: parse("App")?,
            function: parse("Function")?,
            gateway: parse("Gateway")?,
            target: parse("Target")?,
            principals: [kind(a)?, kind(b)?, kind(c)?, kind(d)?, kind(e)?, kind(f)?],
        })
    }

    pub(crate) fn principal(&self, kind: PrincipalKind) -> &EntityType {
        let [user, workload, client, agent, anonymous, system] = &self.principals;
        match kind {
            PrincipalKind::User => user,
            PrincipalKind::Workload => workload,
            PrincipalKind::Client => client,
            PrincipalKind::Agent => agent,
            PrincipalKind::Anonymous => anonymous,
            PrincipalKind::System => system,
        }
    }
}

/// The uid of an entity.
pub(crate) fn uid(entity_type: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(entity_type.clone(), Eid::new(id), None)
}

impl Directory {
    pub(crate) fn new(declared: &Declared) -> Result<Self, Finding> {
        let types = Types::new()?;
        let mut issuers = HashMap::new();
        let mut groups = HashMap::new();
        for issuer in &declared.issuers {
            let uid = Arc::new(uid(&types.issuer, &issuer.alias));
            for group in &issuer.groups {
                groups.insert(Arc::clone(group), group_entity(&types, group, &uid));
            }
            let entity = plain(uid.as_ref().clone());
            let external_groups = issuer.external_groups;
            issuers.insert(Arc::clone(&issuer.alias), Issuer { entity, uid, external_groups });
        }
        let apps = declared.apps.iter().map(|app| (Arc::clone(&app.name), app.clone())).collect();
        let [describe, run_on] = ["describe", "run_on"].map(|action| plain(uid(&types.action, action)));
        Ok(Self { types, issuers, groups, apps, describe, run_on })
    }

    /// The entities of a function, its targets and everything above them, and the subjects to ask about.
    pub(crate) fn function(
        &self,
        function: &Function,
        words: &Words,
        base: &Base,
        shared: &mut Shared,
    ) -> Result<Declaration, Finding> {
        let name = &function.name;
        let app = self.apps.get(&function.app);
        let app = app.ok_or_else(|| {
            let message = format!("function `{name}` is in the app `{}`, which is not declared", function.app);
            Finding::error("unknown_app", DECLARED_FILE, message)
                .nearest(&function.app, self.apps.keys().map(AsRef::as_ref))
        })?;
        let key = (Arc::clone(&app.name), words.groups.clone());
        let common = match shared.entities.get(&key) {
            Some(common) => Arc::clone(common),
            None => {
                let made = Arc::new(self.shared(app, &words.groups, base)?);
                shared.entities.insert(key, Arc::clone(&made));
                made
            }
        };
        let mut own = Entries::default();
        let environment = uid(&self.types.environment, &app.environment);
        let app = uid(&self.types.app, &app.name);
        let mut attributes: Attributes = vec![
            ("app", app.clone().into()),
            ("environment", environment.clone().into()),
            ("shared", function.shared.into()),
            ("class", function.class.into()),
            ("labels", shared.labels(&function.labels)),
            ("idempotent", function.idempotent.into()),
        ];
        if let Some(owner) = &function.owner {
            attributes.push(("owner", self.owner(owner, &format!("function `{name}`"), &mut own)?));
        }
        if let Some(tenant) = &function.tenant {
            let tenant = uid(&self.types.tenant, tenant);
            attributes.push(("tenant", tenant.clone().into()));
            own.add(shared.plain(tenant));
        }
        let me = uid(&self.types.function, name.as_str());
        let me = entity(me, attributes, HashSet::from([app.clone()]), HashSet::from([environment.clone()]));
        own.add(Arc::clone(&me));
        // Without the actions' own hierarchy `action in Action::"write"` would be false, and a guard with it.
        let groups = words.groups.iter().map(|group| uid(&self.types.action, group)).collect();
        let action = entity(uid(&self.types.action, name.as_str()), Attributes::new(), groups, HashSet::new());
        own.add(Arc::clone(&action));
        let run_on = self.targets(function, &me, &mut own, shared);
        let on = |resource| Subject { action: Arc::clone(&self.run_on), resource };
        let run_on = run_on.into_iter().map(on).collect();
        let describe = Subject { action: Arc::clone(&self.describe), resource: Arc::clone(&me) };
        own.0.retain(|uid, _| !matches!(common.entity(uid), Dereference::Data(_)));
        let own = own.0.into_values().collect();
        Ok(Declaration { shared: common, own, call: Subject { action, resource: me }, describe, run_on })
    }

    /// What is the same for every function of an app whose action is in these groups.
    fn shared(&self, app: &App, groups: &BTreeSet<Arc<str>>, base: &Base) -> Result<Entities, Finding> {
        let mut entities = Entries::default();
        let environment = uid(&self.types.environment, &app.environment);
        entities.add(plain(environment.clone()));
        self.app(app, environment, &mut entities)?;
        for group in groups {
            let above = base.ancestors(group).iter().map(|group| uid(&self.types.action, group)).collect();
            entities.add(entity(uid(&self.types.action, group), Attributes::new(), above, HashSet::new()));
        }
        entities.add(Arc::clone(&self.describe));
        entities.add(Arc::clone(&self.run_on));
        with(Entities::new(), entities.0.into_values()).map_err(internal)
    }

    fn app(&self, app: &App, environment: EntityUID, entities: &mut Entries) -> Result<(), Finding> {
        let mut attributes = Attributes::new();
        if let Some(owner) = &app.owner {
            attributes.push(("owner", self.owner(owner, &format!("app `{}`", app.name), entities)?));
        }
        attributes.extend(app.calendar.as_ref().map(|calendar| ("calendar", calendar.as_ref().into())));
        let parents = HashSet::from([environment]);
        entities.add(entity(uid(&self.types.app, &app.name), attributes, parents, HashSet::new()));
        Ok(())
    }

    fn owner(&self, owner: &Arc<str>, of: &str, entities: &mut Entries) -> Result<PartialValue, Finding> {
        let (group, issuer) = self.group(owner).map_err(|error| {
            let message = format!("{of} has the owner `{owner}`, but {error}");
            Finding::error("undeclared_group", DECLARED_FILE, message)
                .nearest(owner, self.groups.keys().map(AsRef::as_ref))
        })?;
        [group, Arc::clone(&issuer.entity)].into_iter().for_each(|entity| entities.add(entity));
        Ok(uid(&self.types.group, owner).into())
    }

    fn targets(
        &self,
        function: &Function,
        me: &Entity,
        entities: &mut Entries,
        shared: &mut Shared,
    ) -> Vec<Arc<Entity>> {
        let mut targets = Vec::with_capacity(function.targets.len());
        for (place, target) in function.targets.iter().enumerate() {
            let mut parents = HashSet::from([me.uid().clone()]);
            let mut attributes: Attributes = vec![
                ("function", me.uid().clone().into()),
                ("provider", target.provider.into()),
                ("sealed_to", target.sealed_to.into()),
            ];
            if let Some(region) = &target.region {
                let region = uid(&self.types.region, region);
                attributes.push(("region", region.clone().into()));
                entities.add(shared.plain(region.clone()));
                parents.insert(region);
            }
            let uid = uid(&self.types.target, &format!("{}#{place}", function.name));
            let target = entity(uid, attributes, parents, me.ancestors().cloned().collect());
            entities.add(Arc::clone(&target));
            targets.push(target);
        }
        targets
    }
}

/// Entities by uid: what is declared in two places is declared alike.
#[derive(Default)]
struct Entries(HashMap<EntityUID, Arc<Entity>>);

impl Entries {
    fn add(&mut self, entity: Arc<Entity>) {
        self.0.insert(entity.uid().clone(), entity);
    }
}

/// Adds entities whose ancestors are complete.
pub(crate) fn with(to: Entities, entities: impl IntoIterator<Item = Arc<Entity>>) -> Result<Entities, String> {
    let (schema, complete) = (None::<&NoEntitiesSchema>, TCComputation::AssumeAlreadyComputed);
    to.add_entities(entities, schema, complete, Extensions::all_available()).map_err(|error| error.to_string())
}

fn plain(uid: EntityUID) -> Arc<Entity> {
    Arc::new(Entity::with_uid(uid))
}

/// An entity with everything that it is in: `parents`, and `above` them.
fn entity(
    uid: EntityUID,
    attributes: Attributes,
    parents: HashSet<EntityUID>,
    above: HashSet<EntityUID>,
) -> Arc<Entity> {
    let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value));
    Arc::new(Entity::new_with_attr_partial_value(uid, attributes, above, parents, []))
}

fn group_entity(types: &Types, name: &str, issuer: &Arc<EntityUID>) -> Arc<Entity> {
    let attributes = vec![("issuer", value::entity(issuer).into())];
    entity(uid(&types.group, name), attributes, HashSet::new(), HashSet::new())
}

fn internal(message: impl Into<String>) -> Finding {
    Finding::error("vocabulary", DECLARED_FILE, message)
}
