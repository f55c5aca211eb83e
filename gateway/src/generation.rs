//! Everything that a reload replaces at once: configuration, catalog, routes, policies, issuers, of one moment.

use crate::{
    budget::Budgets, config::Config, emergency::Emergencies, identify::Identify, route::Router, shadow::Shadows,
    signed::Signed, warm::Warmer,
};
use mesh::{backend::Backend, function::Function};
use policy::{
    bundle::{Source, manifest::Digest},
    engine::Snapshot,
    finding::Finding,
    question::FunctionName,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::sync::Semaphore;

/// One moment's state. A unary call sees exactly one.
#[derive(Clone, Debug)]
pub struct Generation {
    /// Counts from 1.
    pub number: u64,
    /// Configuration.
    pub config: Arc<Config>,
    /// Policies, vocabulary, entities, index.
    pub policy: Arc<Snapshot>,
    /// What is asked beside, and decides nothing.
    pub shadows: Arc<Shadows>,
    /// Functions as the gateway serves them.
    pub served: HashMap<FunctionName, Arc<Served>>,
    /// Routes, by listener name.
    pub routers: Arc<HashMap<Arc<str>, Router>>,
    /// Verifies credentials.
    pub identify: Arc<Identify>,
    /// Policy files, and whether they said anything.
    pub sources: BTreeMap<Arc<str>, bool>,
    /// Policies as they were read, without emergency forbids.
    pub policies: Arc<[Source]>,
    /// The bundle that they are from, if they are from one.
    pub signed: Option<Arc<Signed>>,
    /// What is forbidden besides.
    pub emergencies: Arc<Emergencies>,
    /// What runs may cost, and what they cost so far.
    pub budgets: Arc<Budgets>,
}

/// A function that does not serve because its own configuration is broken.
#[derive(Debug)]
pub struct Quarantine {
    /// What is wrong.
    pub finding: Finding,
}

/// A function as the gateway serves it.
#[derive(Debug)]
pub struct Served {
    /// What the mesh runs.
    pub function: Arc<Function>,
    /// What the configuration says of it.
    pub config: Arc<crate::config::Function>,
    /// Time zone of its clock facts.
    pub zone: jiff::tz::TimeZone,
    /// Calendar of its clock facts.
    pub calendar: Option<Arc<crate::config::Calendar>>,
    /// Slots of calls that run. Kept across reloads while the limit is the same.
    pub slots: Arc<Semaphore>,
    /// Calls that wait for a slot.
    pub waiting: Arc<std::sync::atomic::AtomicUsize>,
    /// Its metrics, looked up once.
    pub meters: crate::telemetry::FunctionMeters,
    /// What keeps it warm, if anything does.
    pub warmer: Option<Arc<Warmer>>,
    /// Why it does not serve, if it does not.
    pub quarantine: Option<Quarantine>,
}

impl Served {
    /// Whether it is a method of gRPC.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.config.route.as_ref().is_some_and(|route| route.grpc)
    }

    /// The operation of SOAP that it takes, if it takes one.
    #[must_use]
    pub fn soap(&self) -> Option<&crate::config::SoapAction> {
        self.config.route.as_ref()?.soap.as_deref()
    }
}

impl Served {
    /// Whether its messages are taken apart on their way to a target.
    #[must_use]
    pub fn is_transcoded(&self) -> bool {
        self.function.targets.iter().any(|target| matches!(target.backend, Backend::Transcoded(_)))
    }
}

impl Generation {
    /// The next one, in which only policy is another.
    #[must_use]
    pub fn with_policy(&self, policy: Arc<Snapshot>, emergencies: Arc<Emergencies>) -> Self {
        let shadows = Arc::new(self.shadows.again(&policy, (&emergencies, &self.config)));
        Self { number: self.number + 1, policy, shadows, emergencies, ..self.clone() }
    }

    /// The hash that names the signed bundle.
    #[must_use]
    pub fn bundle(&self) -> Option<&Digest> {
        self.signed.as_ref().map(|signed| &signed.digest)
    }

    /// Policy files, and whether they say anything.
    #[must_use]
    pub fn emptiable(sources: &[Source]) -> BTreeMap<Arc<str>, bool> {
        sources.iter().map(|s| (s.file.clone(), !s.text.trim().is_empty())).collect()
    }

    /// Whether every backend is the one of `before`. A backend whose certificate, key or authorities were saved anew is
    /// another one, although the configuration says the same.
    #[must_use]
    pub fn keeps_backends(&self, before: &Self) -> bool {
        self.served.iter().all(|(name, served)| {
            let Some(old) = before.served.get(name) else { return false };
            let (now, then) = (&served.function.targets, &old.function.targets);
            now.len() == then.len() && now.iter().zip(then).all(|(now, then)| now.backend.kept(&then.backend))
        })
    }

    /// Begins what is to be there before the first call: issuers' keys, and instances that are kept ready.
    pub fn warm(&self) {
        self.identify.warm();
        for target in self.served.values().flat_map(|served| &served.function.targets) {
            target.backend.warm();
        }
    }

    /// What a careless save would take away: forbids that vanished, files that became empty or went.
    ///
    /// Dropping a forbid grants, so a watcher must not do it on its own.
    #[must_use]
    pub fn losses(&self, next: &Self) -> Vec<String> {
        let kept = next.policy.forbid_names();
        let gone = self.policy.forbid_names().into_iter().filter(|name| !kept.contains(name));
        // An emergency forbid goes when it ends or when what it forbids is declared no more.
        let gone = gone.filter(|name| !name.0.starts_with(policy::emergency::PREFIX));
        let lost = |name| match next.policy.shadowed().any(|policy| policy.name == name) {
            true => format!("forbid `{name}` is only in shadow"),
            false => format!("forbid `{name}` vanished"),
        };
        let mut losses: Vec<String> = gone.map(lost).collect();
        let emptied =
            self.sources.iter().filter(|(file, full)| **full && !next.sources.get(*file).copied().unwrap_or(false));
        losses.extend(emptied.map(|(file, _)| format!("policy file `{file}` became empty or went")));
        losses
    }
}
