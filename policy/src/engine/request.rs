//! From a question to what Cedar is asked: entities and context, built by type from recorded facts.

use super::{
    Prepared,
    entities::{Absent, Directory, uid, with},
    reads::Reads,
    value::{entity, instant, ip, record, texts, value},
};
use crate::{
    declared::QueryType,
    permit::DenialReason,
    question::{Facts, Principal, PrincipalKind, Question, Token, Transport},
};
use cedar_policy_core::{
    ast::{Context, Entity, EntityUID, Value, ValueKind},
    entities::{Dereference, Entities},
};
use std::sync::{Arc, LazyLock};

/// Everything of a question except what is asked about.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) principal: Arc<Entity>,
    pub(crate) me: Arc<EntityUID>,
    pub(crate) entities: Entities,
    facts: Value,
}

/// Why Cedar is not asked at all.
#[derive(Debug)]
pub(crate) struct Unaskable {
    pub(crate) reason: DenialReason,
    pub(crate) error: String,
}

impl From<Absent> for Unaskable {
    fn from(absent: Absent) -> Self {
        Self { reason: DenialReason::AbsentEntity, error: absent.to_string() }
    }
}

impl From<String> for Unaskable {
    fn from(error: String) -> Self {
        Self { reason: DenialReason::PolicyError, error }
    }
}

impl Asked {
    /// Makes the caller's entities and the facts that are looked at.
    pub(crate) fn new(
        question: &Question,
        function: &Prepared,
        directory: &Directory,
        reads: Reads,
    ) -> Result<Self, Unaskable> {
        let via = &question.facts.via;
        let alone = !reads.any(Reads::ENTITIES)
            && via.workload.is_none()
            && via.client.is_none()
            && question.facts.approval.is_none();
        let mut callers = Callers { directory, function, made: Vec::new(), alone };
        let principal = callers.add(&question.principal)?;
        let facts = facts(&question.facts, reads, &mut callers)?;
        let Callers { made, .. } = callers;
        // Heads are tested by name and lineage, so bodies alone look into entities.
        let entities = if reads.any(Reads::ENTITIES) {
            with(function.shared.as_ref().clone(), function.own.iter().cloned().chain(made))?
        } else {
            Entities::new()
        };
        Ok(Self { me: Arc::new(principal.uid().clone()), principal, entities, facts })
    }

    /// The context of `describe` and `run_on`: the facts alone.
    pub(crate) fn facts_context(&self) -> Context {
        context(record([("facts", self.facts.clone())]))
    }

    /// The context of a call.
    pub(crate) fn call_context(&self, question: &Question, function: &Prepared) -> Result<Context, Unaskable> {
        let kind = question.principal.kind;
        if !function.principals.contains(&kind) {
            // No policy over this action was validated for this kind of caller, so none may speak of it.
            let error = format!("`{}` is not for callers of the kind {}", question.function, kind.as_str());
            return Err(Unaskable { reason: DenialReason::NotPermitted, error });
        }
        let input = match (&question.input, &function.input) {
            (Some(json), Some(shape)) => Some(("input", value(shape, json, "input")?)),
            // The input was not read: whatever looks at it finds nothing, fails, and denies.
            (None, _) => None,
            (Some(_), None) => return Err(format!("`{}` has no input that policy can see", question.function).into()),
        };
        let (path, query) = (path(question, function)?, query(question, function)?);
        if function.administrative {
            return Ok(self.facts_context());
        }
        let parts = [("facts", self.facts.clone()), ("path", path), ("query", query)];
        Ok(context(record(parts.into_iter().chain(input))))
    }
}

fn context(record: Value) -> Context {
    match record.value {
        ValueKind::Record(members) => Context::Value(members),
        ValueKind::Lit(_) | ValueKind::Set(_) | ValueKind::ExtensionValue(_) => Context::empty(),
    }
}

fn path(question: &Question, function: &Prepared) -> Result<Value, Unaskable> {
    if let Some(name) = question.path.keys().find(|name| !function.path.contains(name)) {
        return Err(format!("the path parameter `{name}` is not declared").into());
    }
    if let Some(name) = function.path.iter().find(|name| !question.path.contains_key(*name)) {
        return Err(format!("the path parameter `{name}` is missing").into());
    }
    Ok(record(question.path.iter().map(|(name, text)| (name.as_ref(), text.as_ref().into()))))
}

fn query(question: &Question, function: &Prepared) -> Result<Value, Unaskable> {
    let mut pairs = Vec::with_capacity(question.query.len());
    for (name, values) in &question.query {
        let kind = function.query.get(name).ok_or_else(|| format!("the query parameter `{name}` is not declared"))?;
        let [given] = values.as_slice() else {
            return Err(format!("the query parameter `{name}` must be given once").into());
        };
        let misfit = |what: &str| format!("the query parameter `{name}` is not {what}");
        let value: Value = match kind {
            QueryType::String => given.as_ref().into(),
            QueryType::Long => long(given).ok_or_else(|| misfit("a whole number of 64 bits"))?.into(),
            QueryType::Bool => given.parse::<bool>().map_err(|_| misfit("`true` or `false`"))?.into(),
        };
        pairs.push((name.as_ref(), value));
    }
    Ok(record(pairs))
}

/// Whole numbers as JSON writes them: no `+`, no leading zero.
fn long(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|value| value.to_string() == text)
}

/// The callers of one question, each described once.
struct Callers<'a> {
    directory: &'a Directory,
    function: &'a Prepared,
    made: Vec<Arc<Entity>>,
    /// Only the caller itself is wanted.
    alone: bool,
}

impl Callers<'_> {
    /// Adds a caller's entities, and returns its own.
    fn add(&mut self, principal: &Principal) -> Result<Arc<Entity>, Unaskable> {
        // Without entities to look into and without forwarders, nothing can be described twice.
        if self.alone {
            return Ok(self.directory.lineage(principal)?);
        }
        let entities = self.directory.principal(principal)?;
        let me = entities.first().cloned().ok_or_else(|| format!("`{}` has no entity", principal.id))?;
        for entity in entities {
            let known = self.known(entity.uid());
            match known {
                Some(known) if std::ptr::eq(known, entity.as_ref()) || known.deep_eq(&entity) => {}
                Some(known) => return Err(format!("two credentials describe {} differently", known.uid()).into()),
                None => self.made.push(entity),
            }
        }
        Ok(me)
    }

    fn known(&self, uid: &EntityUID) -> Option<&Entity> {
        let made = self.made.iter().find(|entity| entity.uid() == uid);
        let own = || self.function.own.iter().find(|entity| entity.uid() == uid);
        if let Some(entity) = made.or_else(own) {
            return Some(entity);
        }
        match self.function.shared.entity(uid) {
            Dereference::Data(entity) => Some(entity),
            Dereference::NoSuchEntity | Dereference::Residual(_) => None,
        }
    }

    /// Somebody who was verified when approving: by name, as what the credential said then may not hold now.
    fn add_approver(&mut self, id: &Arc<str>) -> Result<Value, Unaskable> {
        let approver = Principal::named(PrincipalKind::User, id);
        let uid = uid(self.directory.types.principal(PrincipalKind::User), id);
        if self.known(&uid).is_none() {
            self.add(&approver)?;
        }
        Ok(entity(&Arc::new(uid)))
    }

    fn add_via(&mut self, principal: &Principal, kind: PrincipalKind) -> Result<Value, Unaskable> {
        if principal.kind != kind {
            return Err(format!("`{}` forwards the call as a {} but is none", principal.id, kind.as_str()).into());
        }
        Ok(entity(&Arc::new(self.add(principal)?.uid().clone())))
    }
}

/// The facts that are looked at. Callers that only facts name are added in any case: who is absent is no caller.
fn facts(facts: &Facts, reads: Reads, callers: &mut Callers<'_>) -> Result<Value, Unaskable> {
    let via = via(facts, callers)?;
    let (network, transport, clock) = (&facts.network, &facts.transport, &facts.clock);
    let when = |wanted: Reads, value: Value| reads.any(wanted).then_some(value);
    let source = match network.source.filter(|_| reads.any(Reads::SOURCE)) {
        Some(source) => Some(("source", ip(source)?)),
        None => None,
    };
    let zone = when(Reads::ZONE, network.zone.as_ref().into()).map(|zone| ("zone", zone));
    let now = if reads.any(Reads::NOW) { Some(("now", instant(clock.now)?)) } else { None };
    let call = when(Reads::CALL, facts.call.as_str().into()).map(|call| ("call", call));
    let network = || ("network", record(source.into_iter().chain(zone)));
    let transport = || ("transport", known_transport(transport).unwrap_or_else(|| of_transport(transport)));
    let clock = || {
        let calendar = [("weekday", clock.weekday.into()), ("minute", clock.minute.into())];
        let business_day = clock.business_day.map(|day| ("business_day", day.into()));
        let frozen = clock.frozen.map(|frozen| ("frozen", frozen.into()));
        ("clock", record(calendar.into_iter().chain(now).chain(business_day).chain(frozen)))
    };
    let token = match facts.token.as_ref().filter(|_| reads.any(Reads::TOKEN)) {
        Some(said) => Some(("token", token(said, reads)?)),
        None => None,
    };
    let approval = match &facts.approval {
        Some(approval) => {
            let by: Vec<_> = approval.by.iter().map(|id| callers.add_approver(id)).collect::<Result<_, _>>()?;
            let count = i64::try_from(by.len()).unwrap_or(i64::MAX);
            let oldest = instant(approval.oldest)?;
            Some(("approval", record([("count", count.into()), ("by", Value::set(by, None)), ("oldest", oldest)])))
        }
        None => None,
    };
    let parts = [
        call,
        reads.any(Reads::NETWORK).then(network),
        reads.any(Reads::TRANSPORT).then(transport),
        reads.any(Reads::CLOCK).then(clock),
        reads.any(Reads::VIA).then(|| ("via", via.value())),
        token,
        approval,
    ];
    Ok(record(parts.into_iter().flatten()))
}

/// Every transport that a listener has, made once.
static TRANSPORTS: LazyLock<Vec<(Transport, Value)>> = LazyLock::new(|| {
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    let all = [13, 12, 0].into_iter().flat_map(|tls| flags.map(|(mtls, sealed)| Transport { mtls, tls, sealed }));
    all.map(|transport| (transport, of_transport(&transport))).collect()
});

fn known_transport(transport: &Transport) -> Option<Value> {
    TRANSPORTS.iter().find(|(known, _)| known == transport).map(|(_, value)| value.clone())
}

fn of_transport(Transport { mtls, tls, sealed }: &Transport) -> Value {
    record([("mtls", (*mtls).into()), ("tls", (*tls).into()), ("sealed", (*sealed).into())])
}

/// Who acts for the principal, by name.
struct Forwarders {
    depth: i64,
    workload: Option<Value>,
    client: Option<Value>,
}

fn via(facts: &Facts, callers: &mut Callers<'_>) -> Result<Forwarders, Unaskable> {
    let workload = facts.via.workload.as_ref().map(|by| callers.add_via(by, PrincipalKind::Workload));
    let client = facts.via.client.as_ref().map(|by| callers.add_via(by, PrincipalKind::Client));
    Ok(Forwarders { depth: facts.via.depth, workload: workload.transpose()?, client: client.transpose()? })
}

impl Forwarders {
    fn value(self) -> Value {
        let all = Value::set(self.workload.clone(), None);
        let workload = self.workload.map(|workload| ("workload", workload));
        let client = self.client.map(|client| ("client", client));
        record([("depth", self.depth.into()), ("all", all)].into_iter().chain(workload).chain(client))
    }
}

fn token(token: &Token, reads: Reads) -> Result<Value, String> {
    let set = |wanted, name, items: &[Arc<str>]| reads.any(wanted).then(|| (name, texts(items)));
    let time = |wanted, name, at: Option<jiff::Timestamp>| match at.filter(|_| reads.any(wanted)) {
        Some(at) => instant(at).map(|at| Some((name, at))),
        None => Ok(None),
    };
    let members = [
        set(Reads::SCOPES, "scopes", &token.scopes),
        set(Reads::AUDIENCES, "audiences", &token.audiences),
        time(Reads::ISSUED, "issued", token.issued)?,
        time(Reads::AUTHENTICATED, "authenticated", token.authenticated)?,
        token.amr.as_ref().and_then(|amr| set(Reads::AMR, "amr", amr)),
        token.acr.as_ref().map(|acr| ("acr", acr.as_ref().into())),
        Some(("sender_bound", token.sender_bound.into())),
    ];
    Ok(record(members.into_iter().flatten()))
}

#[cfg(test)]
impl super::Snapshot {
    /// Entities that a question names and that are not there, and how many are.
    pub(crate) fn absent(&self, question: &Question) -> (Vec<String>, usize) {
        let function = self.functions.get(&question.function).unwrap();
        let asked = Asked::new(question, function, &self.ground.directory, Reads::ALL).unwrap();
        let json = asked.entities.to_json_value().unwrap();
        let list = json.as_array().unwrap();
        let known: Vec<_> = list.iter().map(|entity| entity["uid"].clone()).collect();
        let mut named = Vec::new();
        list.iter().for_each(|entity| uids(entity, &mut named));
        let context = asked.call_context(question, function).unwrap();
        uids(&context.to_json_value().unwrap(), &mut named);
        (named.into_iter().filter(|uid| !known.contains(uid)).map(|uid| uid.to_string()).collect(), known.len())
    }
}

/// Every `{ "type": …, "id": … }` of a JSON value.
#[cfg(test)]
fn uids(json: &serde_json::Value, found: &mut Vec<serde_json::Value>) {
    match json {
        serde_json::Value::Object(members)
            if members.len() == 2 && members.contains_key("type") && members.contains_key("id") =>
        {
            found.push(json.clone());
        }
        serde_json::Value::Object(members) => members.values().for_each(|value| uids(value, found)),
        serde_json::Value::Array(items) => items.iter().for_each(|item| uids(item, found)),
        _ => {}
    }
}
