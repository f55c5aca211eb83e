//! Builds a generation from a loaded configuration: off the hot path, all or nothing.

use crate::{
    budget::Budgets,
    config::{self, BackendConfig, Config, load::Loaded},
    emergency::Emergencies,
    generation::{Generation, Quarantine, Served},
    identify::Identify,
    route::Router,
    shadow::Shadows,
    signed::{Signed, history::History},
    telemetry::Metrics,
    warm::{Bell, Warmer},
};
use jiff::Timestamp;
use mesh::{
    backend::{
        Backend, ConfigError,
        grpc::Grpc,
        http::Http,
        process::Process,
        transcoded::{Speech, Transcoded},
    },
    bind::InputSchema,
    dispatch,
    function::{Function, Target},
    host::Host,
};
use policy::{
    bundle::{self, Source, manifest::Digest},
    emergency,
    engine::Snapshot,
    finding::Finding,
    permit::TargetIndex,
};
use std::{collections::HashMap, path::Path, sync::Arc};
use tokio::sync::Semaphore;

/// What generations share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Metrics.
    pub metrics: Metrics,
    /// Runs processes.
    pub host: Host,
    /// Rung by what keeps functions warm.
    pub(crate) bell: Bell,
}

/// A generation and what is to be said of it.
#[derive(Debug)]
pub struct Built {
    /// The generation.
    pub generation: Generation,
    /// Warnings.
    pub warnings: Vec<Finding>,
}

impl Built {
    /// Logs warnings and quarantined functions.
    pub fn report(&self) {
        for warning in &self.warnings {
            tracing::warn!(code = warning.code, file = warning.file, line = warning.line, "{}", warning.message);
        }
        for problem in self.generation.shadows.problems() {
            tracing::error!("the shadow bundle can't be asked, what was asked before still is: {problem}");
        }
        for served in self.generation.served.values() {
            if let Some(quarantine) = &served.quarantine {
                let function = served.function.name.as_str();
                tracing::error!(function, problem = quarantine.finding.message, "the function is quarantined");
            }
        }
    }
}

/// Builds a generation; what `previous` holds and did not change is kept: keys, processes, slots.
///
/// # Errors
/// Everything that is wrong with policies, vocabulary, routes or issuers. A function whose target can't be made is
/// quarantined instead: it answers 503, and the others serve.
pub fn generation(loaded: Loaded, previous: Option<&Generation>, shared: &Shared) -> Result<Built, Vec<Finding>> {
    let Loaded { config, policies, warnings, signed, shadow, .. } = loaded;
    let config = Arc::new(config);
    let emptied = Generation::emptiable(&policies);
    let mut findings = Vec::new();
    let mut all_warnings = warnings;
    // What is in force counts, not what is on disk: removing the file lifts nothing.
    let emergencies = match previous {
        Some(previous) => previous.emergencies.clone(),
        None => Arc::new(Emergencies::read(&config).map_err(|finding| vec![finding])?),
    };
    let before = previous.map(|previous| &*previous.policy);
    let snapshot = match policy(&policies, &emergencies, &config, before) {
        Ok((snapshot, warnings)) => {
            all_warnings.extend(warnings);
            match &signed {
                None => Some(snapshot),
                Some(signed) => in_time(snapshot, signed, &config).map_err(|finding| findings.push(finding)).ok(),
            }
        }
        Err(errors) => {
            findings.extend(errors);
            None
        }
    };
    let identify = match Identify::new(&config.issuers, previous.map(|p| &*p.identify)) {
        Ok(identify) => Some(identify.and(&config.credentials)),
        Err(problems) => {
            let file = config.file.display().to_string();
            let finding = |(alias, problem)| {
                Finding::error("issuer_unusable", file.clone(), format!("issuer `{alias}`: {problem}"))
            };
            findings.extend(problems.into_iter().map(finding));
            None
        }
    };
    let served = served(&config, previous, shared, &mut findings);
    all_warnings.extend(served.iter().filter_map(|served| unfit(served)));
    let routers = routers(&config, &served, &mut findings);
    let (Some(snapshot), Some(identify)) = (snapshot, identify) else { return Err(findings) };
    if !findings.is_empty() {
        return Err(findings);
    }
    let around = (&*emergencies, &*config);
    let shadows = Arc::new(Shadows::new(&snapshot, shadow, around, previous.map(|previous| &*previous.shadows)));
    let known = previous.map(|previous| &*previous.budgets);
    let budgets = Arc::new(Budgets::new(&config.budgets, shared.metrics.budgets(), known));
    let generation = Generation {
        number: previous.map_or(1, |p| p.number + 1),
        policy: Arc::new(snapshot),
        shadows,
        identify: Arc::new(identify),
        served: served.into_iter().map(|s| (s.function.name.clone(), s)).collect(),
        routers: Arc::new(routers),
        config,
        sources: emptied,
        policies: policies.into(),
        signed,
        emergencies,
        budgets,
    };
    Ok(Built { generation, warnings: all_warnings })
}

/// The snapshot of a signed bundle: for what is declared here, no older than any before, and until its end.
fn in_time(snapshot: Snapshot, signed: &Signed, config: &Config) -> Result<Snapshot, Finding> {
    let Some(wanted) = &config.policy.signed else { return Ok(snapshot) };
    let file = wanted.file.display().to_string();
    of_this_catalog(snapshot.declared_digest(), signed, &wanted.file)?;
    History::read(config)?.accepts(signed, &file)?;
    Ok(snapshot.with_validity(signed.validity(wanted)))
}

/// Sees that a bundle was approved for what is declared here.
pub(crate) fn of_this_catalog(declared: Digest, signed: &Signed, file: &Path) -> Result<(), Finding> {
    if declared == signed.manifest.declared {
        return Ok(());
    }
    let message = "the bundle was approved for another catalog: functions, apps, issuers or zones differ";
    let help = "sign a new one for this catalog, or put the catalog back";
    Err(Finding::error("other_catalog", file.display().to_string(), message).help(help))
}

/// The policies as they were read, and what is forbidden besides.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn policy(
    policies: &[Source],
    emergencies: &Emergencies,
    config: &Config,
    before: Option<&Snapshot>,
) -> bundle::Loaded {
    let (declared, now) = (Arc::new(config.declared()), Timestamp::now());
    let (emergency, notes) = emergency::source(emergencies.list(), &declared, now);
    let sources: Vec<Source> = policies.iter().cloned().chain(emergency).collect();
    let (snapshot, mut warnings) = match before {
        Some(before) => bundle::reload(&sources, declared, now, before)?,
        None => bundle::load(&sources, declared, now)?,
    };
    let taken = snapshot.policies().find(|p| p.name.0.starts_with(emergency::PREFIX) && *p.file != *emergency::FILE);
    if let Some(taken) = taken {
        let message = format!("the id `{}` begins as those of emergency forbids do", taken.name);
        let mut finding = Finding::error("reserved_id", &*taken.file, message).help("choose another id");
        finding.line = taken.line;
        return Err(vec![finding]);
    }
    warnings.extend(notes);
    Ok((snapshot.with_observed(config.observed()), warnings))
}

fn served(
    config: &Config,
    previous: Option<&Generation>,
    shared: &Shared,
    findings: &mut Vec<Finding>,
) -> Vec<Arc<Served>> {
    let apps: HashMap<_, _> = config.apps.iter().map(|app| (&app.declared.name, app)).collect();
    let mut all = Vec::new();
    for function in &config.functions {
        let old = previous.and_then(|p| p.served.get(&function.declared.name));
        let input = match &function.declared.input {
            None => None,
            Some(schema) => match InputSchema::compile(&schema.json) {
                Ok(compiled) => Some(Arc::new(compiled)),
                Err(problem) => {
                    findings.push(Finding::error("schema_invalid", &*schema.file, problem.to_string()));
                    continue;
                }
            },
        };
        let (targets, quarantine) = match targets(config, function, old, shared) {
            Ok(targets) => (targets, None),
            Err((index, error)) => {
                let message =
                    format!("target {index} of `{}`: `{}` {}", function.declared.name, error.field, error.message);
                let mut finding = Finding::error("target_unusable", &*function.written.0, message);
                finding.line = function.written.1;
                (Vec::new(), Some(Quarantine { finding }))
            }
        };
        let app = apps.get(&function.declared.app);
        let slots = old.filter(|o| o.config.concurrency_max == function.concurrency_max).map(|o| o.slots.clone());
        let made = Function {
            name: function.declared.name.clone(),
            app: function.declared.app.clone(),
            tenant: function.declared.tenant.clone(),
            input,
            method: function.method.clone(),
            timeout: function.timeout,
            request_bytes_max: function.request_bytes_max,
            response_bytes_max: function.response_bytes_max,
            concurrency_max: function.concurrency_max,
            idempotent: function.declared.idempotent,
            targets,
            dispatch: function.dispatch,
            retries: old.map_or_else(|| Arc::new(dispatch::budget()), |old| old.function.retries.clone()),
        };
        all.push(Arc::new(Served {
            meters: shared.metrics.function(&function.declared.name),
            zone: app.map_or(jiff::tz::TimeZone::UTC, |app| app.zone.clone()),
            calendar: app.and_then(|app| app.calendar.clone()),
            slots: slots.unwrap_or_else(|| Arc::new(Semaphore::new(function.concurrency_max))),
            waiting: Arc::default(),
            config: Arc::new(function.clone()),
            function: Arc::new(made),
            warmer: warmer(function, old, shared),
            quarantine,
        }));
    }
    all
}

/// A call to keep a function warm whose body its schema does not take; only where policy looks at the input is it refused.
fn unfit(served: &Served) -> Option<Finding> {
    let (warm, input) = served.config.warm.as_ref().zip(served.function.input.as_ref())?;
    let problem = if served.is_grpc() { None } else { input.read(&warm.headers, &warm.body).err() }?;
    let (file, line) = &served.config.written;
    let message = format!("`body` of `warm` of `{}` is no input of it: {problem}", served.function.name);
    let mut finding = Finding::error("warm_input", &**file, message).warning();
    finding.line = *line;
    Some(finding.help("calls to keep it warm are refused where policy looks at the input"))
}

/// What keeps a function warm; what is known of that stays known while it runs as before.
fn warmer(function: &config::Function, old: Option<&Arc<Served>>, shared: &Shared) -> Option<Arc<Warmer>> {
    let warm = function.warm.as_ref()?;
    let same = |old: &&Arc<Served>| old.config.warm.as_ref() == Some(warm) && old.config.targets == function.targets;
    let kept = old.filter(same).and_then(|old| old.warmer.clone());
    let (name, meters) = (function.declared.name.clone(), shared.metrics.warm.clone());
    Some(kept.unwrap_or_else(|| Arc::new(Warmer::new(warm.clone(), name, meters, shared.bell.clone()))))
}

/// The targets of a function, or the first that can't be made.
fn targets(
    config: &Config,
    function: &config::Function,
    old: Option<&Arc<Served>>,
    shared: &Shared,
) -> Result<Vec<Target>, (usize, ConfigError)> {
    let base = &config.directory;
    let (timeout, bytes_max) = (function.timeout, function.response_bytes_max);
    let mut targets = Vec::new();
    for (index, target) in function.targets.iter().enumerate() {
        // Connections, instances, tokens and what is known of a target survive a reload that does not concern them.
        let same = |old: &&Target| match (&target.backend, old.backend.plain()) {
            (BackendConfig::Http(config), Backend::Http(made)) => made.same_config(config, base),
            (BackendConfig::Grpc(config), Backend::Grpc(made)) => made.same_config(config, base),
            (BackendConfig::Process(config), Backend::Process(made)) => {
                made.same_config(config, base, timeout, bytes_max)
            }
            (BackendConfig::Remote(config), made) => config.made(made, base),
            (BackendConfig::Http(_) | BackendConfig::Grpc(_) | BackendConfig::Process(_), _) => false,
        };
        let kept = old.iter().flat_map(|old| &old.function.targets).find(same);
        let fresh = || match &target.backend {
            BackendConfig::Http(config) => Http::new(config, base).map(Backend::Http),
            BackendConfig::Grpc(config) => Grpc::new(config, base).map(Backend::Grpc),
            BackendConfig::Remote(config) => config.build(base),
            BackendConfig::Process(config) => {
                let name = &function.declared.name;
                Process::new(config, base, name, timeout, bytes_max, &shared.host).map(Backend::Process)
            }
        };
        let backend = kept.map_or_else(fresh, |kept| Ok(kept.backend.plain().clone()));
        let backend = backend.and_then(|backend| spoken(function, backend)).map_err(|error| (index, error))?;
        targets.push(Target {
            index: TargetIndex(u16::try_from(index).unwrap_or(u16::MAX)),
            region: target.region.clone(),
            backend,
            weight: target.weight,
            memory_mib: target.memory_mib,
            price: target.price.clone(),
            health: kept.map(|kept| kept.health.clone()).unwrap_or_default(),
            measured: kept.map(|kept| kept.measured.clone()).unwrap_or_default(),
        });
    }
    Ok(targets)
}

/// The backend of a method of gRPC, which may not speak it, or of an operation of SOAP, whose callers speak it.
fn spoken(function: &config::Function, backend: Backend) -> Result<Backend, ConfigError> {
    let action = function.route.as_ref().and_then(|route| route.soap.as_ref());
    let backend = match backend {
        Backend::Soap(soap) => soap.taking(action.map(|action| action.element.as_ref())).map(Backend::Soap)?,
        backend => backend,
    };
    let Some(route) = function.route.as_ref().filter(|route| route.grpc) else { return Ok(backend) };
    let speech = match (&backend, &function.method) {
        (speaking, _) if speaking.speaks_grpc() => return Ok(backend),
        (_, Some(method)) if !route.bytes => Speech::json(method, route.bindings.first(), &backend)
            .map_err(|message| ConfigError { field: "descriptors", message })?,
        _ => Speech::Bytes,
    };
    Ok(Backend::Transcoded(Transcoded::new(backend, speech)))
}

fn routers(config: &Config, served: &[Arc<Served>], findings: &mut Vec<Finding>) -> HashMap<Arc<str>, Router> {
    let mut routers = HashMap::new();
    for listener in &config.listeners {
        match Router::new(&listener.functions, served.iter()) {
            Ok(router) => drop(routers.insert(listener.name.clone(), router)),
            Err(conflict) => {
                let file = config.file.display().to_string();
                findings.push(Finding::error("route_conflict", file, conflict.to_string()));
            }
        }
    }
    routers
}

/// What only building shows: policies against the vocabulary, backends against this machine. Starts nothing.
#[must_use]
pub fn findings(loaded: &Loaded) -> Vec<Finding> {
    let config = loaded.config.clone();
    let lints = policy::lint::lints(&loaded.policies, &config.declared(), &policy::lint::Unproven);
    let host = match Host::start() {
        Ok(host) => host,
        Err(error) => {
            let file = config.file.display().to_string();
            return vec![Finding::error("host_unusable", file, format!("processes can't be run here: {error}"))];
        }
    };
    let metrics = Metrics::new(crate::telemetry::state::State::default());
    let shared = Shared { metrics, host, bell: Bell::default() };
    let loaded = Loaded {
        config,
        policies: loaded.policies.clone(),
        cases: Vec::new(),
        warnings: Vec::new(),
        signed: loaded.signed.clone(),
        shadow: loaded.shadow.clone(),
    };
    match generation(loaded, None, &shared) {
        Err(findings) => findings,
        Ok(built) => {
            let broken = built.generation.served.values().filter_map(|s| s.quarantine.as_ref());
            let shadow = built.generation.shadows.problems().iter().cloned();
            broken.map(|q| q.finding.clone()).chain(shadow).chain(built.warnings).chain(lints).collect()
        }
    }
}
