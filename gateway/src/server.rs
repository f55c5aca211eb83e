//! The running gateway: what all calls share, how it starts, how it stops.

mod start_error;

pub use start_error::StartError;

use crate::{
    address::Address,
    admin,
    audit::{
        detect::Watcher,
        index,
        log::Log,
        record::Admin,
        retention::Keeper,
        ship::{END_GRACE, Origin, Shipping},
        subject::act,
    },
    build::{self, Shared},
    config::{Config, Timeouts, load::Loaded},
    generation::Generation,
    listener::{self, Listening},
    meter::Meter,
    reload::{self, Reloader},
    shadow::Judge,
    signed::{ending, history::History},
    socket::Socket,
    telemetry::{FunctionMeters, Metrics, export::Exporter, lines, state},
    tls,
    warm::{Bell, keeper},
};
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use mesh::host::Host;
use policy::finding::Finding;
use std::{collections::HashMap, future::Future, ops::Range, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use uuid::Uuid;

/// How long open calls may take to end when the gateway stops.
const DRAIN_GRACE: Duration = Duration::from_secs(10);
/// How long upgraded connections may take to settle once they were told to end.
const SPLICE_GRACE: Duration = Duration::from_secs(2);
/// How often budgets forget quiet callers.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Most watchers of the gateway's health at once: anybody may be one.
const WATCHERS_MAX: usize = 256;

/// What all calls share.
#[derive(Debug)]
pub struct Gateway {
    current: ArcSwap<Generation>,
    changed: watch::Sender<Arc<Generation>>,
    listening: HashMap<Arc<str>, ArcSwap<Listening>>,
    meter: ArcSwap<Meter>,
    tls: HashMap<Arc<str>, Arc<tls::Server>>,
    exporter: ArcSwapOption<Exporter>,
    watcher: ArcSwapOption<Watcher>,
    incarnation: Uuid,
    /// The audit log.
    pub log: Log,
    /// Ships its records to other places.
    pub shipping: Arc<Shipping>,
    /// Keeps it within its limits.
    pub keeper: Keeper,
    /// Asks what is in shadow.
    pub judge: Arc<Judge>,
    /// Metrics.
    pub metrics: Metrics,
    /// Metrics of calls that named no function.
    pub unnamed: FunctionMeters,
    /// Runs processes.
    pub host: Host,
    /// Rung by what keeps functions warm.
    pub(crate) bell: Bell,
    /// How reloads went.
    pub reloads: reload::Status,
    /// Tells upgraded connections to end; each holds a receiver while it lives.
    pub(crate) splices: watch::Sender<bool>,
    /// Whether the gateway ends: it takes no new connections.
    pub(crate) draining: watch::Sender<bool>,
    /// Places for those who watch its health.
    pub(crate) watchers: Arc<Semaphore>,
}

/// Sockets that were bound before the start, by listener name; others are bound as configured.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Listeners.
    pub listeners: HashMap<Arc<str>, Socket>,
    /// The administrative interface.
    pub admin: Option<Socket>,
}

/// A gateway that is bound and ready to serve.
#[derive(Debug)]
pub struct Running {
    gateway: Arc<Gateway>,
    bound: Vec<listener::Bound>,
    admin: admin::Bound,
    reloader: Reloader,
    index: index::keeper::Keeper,
}

impl Gateway {
    /// Everything that a reload replaces, as of now.
    #[must_use]
    pub fn generation(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Tells of new generations.
    #[must_use]
    pub fn generations(&self) -> watch::Receiver<Arc<Generation>> {
        self.changed.subscribe()
    }

    /// The budgets in force.
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.load_full()
    }

    /// Whether it takes calls: it can record them, and does not end.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.log.healthy() && !*self.draining.borrow()
    }

    /// What is configured of a listener.
    #[must_use]
    pub fn listening(&self, name: &Arc<str>) -> Option<Arc<Listening>> {
        self.listening.get(name).map(ArcSwap::load_full)
    }

    /// The time-outs of a listener.
    #[must_use]
    pub fn timeouts(&self, name: &Arc<str>) -> Timeouts {
        self.listening(name).map_or_else(Timeouts::default, |l| l.timeouts)
    }

    /// Sends telemetry, where that is configured.
    #[must_use]
    pub fn exporter(&self) -> Option<Arc<Exporter>> {
        self.exporter.load_full()
    }

    /// When the certificates of listeners end.
    pub fn certificates(&self) -> impl Iterator<Item = (&Arc<str>, Timestamp)> {
        self.tls.iter().filter_map(|(name, server)| Some((name, server.not_after()?)))
    }

    /// Puts a new generation in force.
    pub(crate) fn put_in_force(&self, generation: Arc<Generation>) {
        if generation.config.telemetry != self.generation().config.telemetry {
            self.export(&generation.config);
        }
        if generation.config.audit.detect != self.generation().config.audit.detect {
            self.watch(&generation.config);
        }
        self.shipping.apply(&generation.config.audit.ship);
        self.keeper.apply(&generation.config.audit.retention);
        for listener in &generation.config.listeners {
            if let Some(slot) = self.listening.get(&listener.name) {
                slot.store(Arc::new(Listening::of(listener)));
            }
        }
        if generation.config.limits != self.meter.load().limits() {
            self.meter.store(Arc::new(Meter::new(generation.config.limits)));
        }
        self.current.store(generation.clone());
        self.changed.send_replace(generation);
    }

    /// Watches the log as configured; who watched before ends first.
    fn watch(&self, config: &Config) {
        let before = self.watcher.swap(None);
        let folder = config.audit.path.join(&*config.node.id);
        let place = (folder, self.incarnation);
        let watcher = Watcher::start(self.log.clone(), place, &config.audit.detect, &self.metrics, before);
        self.watcher.store(watcher);
    }

    /// Starts an exporter as configured; the one before sends what it has and ends by itself.
    fn export(&self, config: &Config) {
        let settings = config.telemetry.as_ref();
        let exporter = settings.and_then(|settings| Exporter::start(settings, &config.node.id, &self.metrics));
        if exporter.is_none() {
            lines::go_to(None);
        }
        if let Some(before) = self.exporter.swap(exporter) {
            before.stop();
        }
    }

    /// Reads certificates again; a bad pair keeps the old one and says so.
    pub(crate) fn reload_certificates(&self, config: &Config) -> Vec<Finding> {
        let mut findings = Vec::new();
        for listener in &config.listeners {
            let (Some(tls), Some(server)) = (&listener.tls, self.tls.get(&listener.name)) else {
                continue;
            };
            match server.reload(tls) {
                Ok(true) => tracing::info!(listener = %listener.name, "new certificates are in force"),
                Ok(false) => {}
                Err(error) => {
                    let file = tls.certificate.display().to_string();
                    findings.push(Finding::error("certificate_unusable", file, error.to_string()));
                }
            }
        }
        findings
    }
}

/// Builds everything, binds everything, serves nothing yet.
///
/// # Errors
/// [`StartError`]; nothing is left behind.
pub async fn start(loaded: Loaded, mut sockets: Sockets) -> Result<Running, StartError> {
    let file = loaded.config.file.clone();
    let host = Host::start().map_err(StartError::Host)?;
    let state = state::State::default();
    let metrics = Metrics::new(state.clone());
    let bell = Bell::default();
    let shared = Shared { metrics: metrics.clone(), host: host.clone(), bell: bell.clone() };
    let built = build::generation(loaded, None, &shared).map_err(StartError::Findings)?;
    built.report();
    let generation = Arc::new(built.generation);
    if let Some(signed) = &generation.signed {
        let kept = History::activate(&generation.config, signed, "start");
        kept.map_err(|finding| StartError::Findings(vec![finding]))?;
    }
    let config = generation.config.clone();
    let mut bound = Vec::new();
    for listener in &config.listeners {
        let socket = match sockets.listeners.remove(&listener.name) {
            Some(socket) => socket,
            None => Socket::bind(&listener.address, &listener.access).map_err(|source| {
                let (name, address) = (listener.name.clone(), listener.address.clone());
                listener::BindError::Socket { name, address, source }
            })?,
        };
        bound.push(listener::Bound::new(socket, listener)?);
    }
    let admin = admin::Bound::bind(sockets.admin.take(), &config.admin)
        .map_err(|source| StartError::Admin { address: config.admin.address.clone(), source })?;
    let incarnation = Uuid::now_v7();
    let log = Log::open(&config.audit, &config.node.id, incarnation).map_err(StartError::Audit)?;
    let folder = config.audit.path.join(&*config.node.id);
    let shipping = Arc::new(Shipping::new(Origin::new(&log, folder, config.node.id.clone(), incarnation)));
    // Before retention looks: what no sink has yet stays.
    shipping.apply(&config.audit.ship);
    let shipped = Arc::clone(&shipping);
    let may_go = move |incarnation, records: &Range<u64>| shipped.has_all(incarnation, records);
    let keeper = Keeper::start(&config.audit, &config.node.id, &log, Arc::new(may_go)).map_err(StartError::Audit)?;
    let tls = bound.iter().filter_map(|b| Some((b.name().clone(), b.tls()?.clone()))).collect();
    let listening =
        config.listeners.iter().map(|l| (l.name.clone(), ArcSwap::from_pointee(Listening::of(l)))).collect();
    let gateway = Arc::new(Gateway {
        changed: watch::Sender::new(generation.clone()),
        listening,
        meter: ArcSwap::from_pointee(Meter::new(config.limits)),
        tls,
        judge: Judge::start(log.clone(), &metrics),
        unnamed: metrics.unnamed(),
        metrics,
        host,
        bell,
        log,
        shipping,
        keeper,
        reloads: reload::Status::default(),
        splices: watch::Sender::new(false),
        draining: watch::Sender::new(false),
        watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        exporter: ArcSwapOption::empty(),
        watcher: ArcSwapOption::empty(),
        incarnation,
        current: ArcSwap::new(generation),
    });
    let start = Admin::of_process("start", Some(gateway.generation().policy.id().clone()));
    gateway.log.admin(&start).await.map_err(StartError::Unrecorded)?;
    if let Some(subjects) = gateway.log.subjects() {
        // What can't be finished now is no reason not to serve: it stays noted, and is said.
        match act::finish(&gateway.log, subjects).await {
            Ok(erased) => erased.iter().for_each(|erased| {
                tracing::warn!(keys = erased.keys, "an erasure that was cut short is finished");
            }),
            Err(error) => tracing::error!(%error, "an erasure that was cut short is not finished"),
        }
    }
    state.set(&gateway);
    gateway.export(&config);
    gateway.watch(&config);
    gateway.shipping.apply(&config.audit.ship);
    gateway.generation().warm();
    let folder = config.audit.path.join(&*config.node.id);
    gateway.generation().budgets.recall_in_background(folder.clone(), Timestamp::now());
    let reloader = Reloader::start(file, gateway.clone(), shared);
    let index = index::keeper::Keeper::start(folder);
    Ok(Running { gateway, bound, admin, reloader, index })
}

impl Running {
    /// Where the listeners listen, by name.
    pub fn addresses(&self) -> impl Iterator<Item = (&Arc<str>, &Address)> {
        self.bound.iter().map(|b| (b.name(), b.address()))
    }

    /// Where the administrative interface listens.
    #[must_use]
    pub fn admin(&self) -> &Address {
        self.admin.address()
    }

    /// What all calls share.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Serves until `stop` resolves, then drains: open calls end, processes stop, the log is closed.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { gateway, bound, admin, reloader, index } = self;
        let admin = admin.serve(gateway.clone(), reloader.handle());
        let mut listeners = JoinSet::new();
        for bound in bound {
            listeners.spawn(bound.serve(gateway.clone(), gateway.draining.subscribe(), DRAIN_GRACE));
        }
        let sweeper = tokio::spawn(sweep(gateway.clone()));
        let ending = tokio::spawn(ending::watch(gateway.clone()));
        let warm = tokio::spawn(keeper::keep(gateway.clone()));
        stop.await;
        tracing::info!("stopping: no new connections, open calls may end");
        // It is done all the same: whoever stops a process has that power.
        if let Err(error) = gateway.log.admin(&Admin::of_process("drain", None)).await {
            tracing::warn!(%error, "the drain is not in the audit log");
        }
        gateway.draining.send_replace(true);
        // Its calls are over before the log closes.
        warm.abort();
        let _ = warm.await;
        keeper::keep_known(&gateway);
        while listeners.join_next().await.is_some() {}
        // Upgraded connections outlive the server's tasks; their records must be written before the log closes.
        gateway.splices.send_replace(true);
        let _ = tokio::time::timeout(SPLICE_GRACE, gateway.splices.closed()).await;
        sweeper.abort();
        ending.abort();
        reloader.stop();
        gateway.host.shutdown().await;
        gateway.judge.clone().stop().await;
        if let Some(watcher) = gateway.watcher.swap(None) {
            // What it finds goes into the log, so that must be open still.
            let _ = tokio::task::spawn_blocking(move || watcher.stop_blocking()).await;
        }
        gateway.keeper.stop().await;
        gateway.log.shutdown().await;
        let shipped = gateway.clone();
        // Bounded by its own grace; what is not shipped by then goes at the next start.
        let _ = tokio::task::spawn_blocking(move || shipped.shipping.shutdown_blocking(END_GRACE)).await;
        if let Some(exporter) = gateway.exporter() {
            // Bounded by its own grace; what the collector does not take by then is gone.
            let _ = tokio::task::spawn_blocking(move || exporter.join()).await;
        }
        admin.stop();
        index.stop();
    }
}

async fn sweep(gateway: Arc<Gateway>) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tick.tick().await;
        gateway.meter().sweep();
    }
}
