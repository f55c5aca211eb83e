//! Puts a changed configuration in force: built off the hot path, validated, then swapped; a broken one changes nothing.

pub mod emergency;
pub mod publish;
mod watcher;

use crate::{
    audit::record::{Actor, Admin},
    build::{self, Shared},
    config::{Config, load},
    emergency::Change,
    server::Gateway,
    signed::history::History,
    telemetry::ResultLabels,
};
use policy::{finding::Finding, permit::BundleId};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};
use tokio::{runtime::Handle as Runtime, sync::oneshot};

/// In whose name a change on disk is taken.
const WATCHER: &str = "watcher";

/// How reloads went; read by readiness and metrics.
#[derive(Debug, Default)]
pub struct Status(Mutex<Option<Outcome>>);

/// What a reload did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// `ok`, `unchanged`, `failed` or `held`: something would be lost, and nobody confirmed it.
    pub result: &'static str,
    /// The bundle in force.
    pub bundle: BundleId,
    /// The generation in force.
    pub generation: u64,
    /// What is wrong, or what was noticed.
    pub findings: Vec<Finding>,
    /// What would be lost: forbids, policy files.
    pub losses: Vec<String>,
}

/// What is asked of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Someone asked for it.
    Confirmed,
    /// Someone asked for it, and for what it takes away.
    Accepted,
    /// Files changed.
    Noticed,
    /// Say what would change; change nothing.
    DryRun,
}

/// The thread that reloads.
#[derive(Debug)]
pub struct Reloader {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    watcher: Option<watcher::Watcher>,
}

/// Asks for reloads.
#[derive(Clone, Debug)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    /// A noticed change waits already, so that a busy folder does not queue reloads faster than they are done.
    noticed: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Message {
    Reload(Wish, Actor, Option<oneshot::Sender<Outcome>>),
    Publish(String, Actor, oneshot::Sender<Result<publish::Published, Vec<Finding>>>),
    Emergency(Change, Actor, oneshot::Sender<Result<emergency::Changed, emergency::Refused>>),
    Stop,
}

impl Status {
    /// The last outcome.
    #[must_use]
    pub fn last(&self) -> Option<Outcome> {
        self.lock().clone()
    }

    fn set(&self, outcome: Outcome) {
        *self.lock() = Some(outcome);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// Reloads in the name of `who`, and returns once that is in force or refused. `None` when the gateway stops.
    pub async fn reload(&self, wish: Wish, who: Actor) -> Option<Outcome> {
        let (done, outcome) = oneshot::channel();
        self.messages.send(Message::Reload(wish, who, Some(done))).ok()?;
        outcome.await.ok()
    }

    /// Changes emergency forbids in the name of `who`, and returns once that is in force or refused. `None` when the
    /// gateway stops.
    pub async fn emergency(
        &self,
        change: Change,
        who: Actor,
    ) -> Option<Result<emergency::Changed, emergency::Refused>> {
        let (done, changed) = oneshot::channel();
        self.messages.send(Message::Emergency(change, who, done)).ok()?;
        changed.await.ok()
    }

    /// Puts a signed bundle in force in the name of `who`. `None` when the gateway stops.
    pub async fn publish(&self, text: String, who: Actor) -> Option<Result<publish::Published, Vec<Finding>>> {
        let (done, published) = oneshot::channel();
        self.messages.send(Message::Publish(text, who, done)).ok()?;
        published.await.ok()
    }

    fn noticed(&self) {
        if !self.noticed.swap(true, Ordering::AcqRel) {
            // The receiver is gone only when the gateway stops.
            let _ = self.messages.send(Message::Reload(Wish::Noticed, Actor::named(WATCHER), None));
        }
    }
}

impl Reloader {
    /// Starts the thread and the watcher of files. Must be called inside a runtime.
    #[must_use]
    pub fn start(file: PathBuf, gateway: Arc<Gateway>, shared: Shared) -> Self {
        let (sender, receiver) = mpsc::channel();
        let handle = Handle { messages: sender, noticed: Arc::default() };
        let noticed = handle.noticed.clone();
        let watcher = watcher::Watcher::start(&gateway.generation().config, handle.clone());
        let runtime = Runtime::current();
        let name = "latchwork-reload".to_owned();
        let work = move || Worker { file, gateway, shared, runtime, noticed }.run(&receiver);
        let thread = std::thread::Builder::new().name(name).spawn(work);
        if let Err(error) = &thread {
            tracing::error!(%error, "reloads are not possible: no thread");
        }
        Self { handle, thread: thread.ok(), watcher }
    }

    /// Asks for reloads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops the thread; a reload under way ends first.
    pub fn stop(self) {
        drop(self.watcher);
        let _ = self.handle.messages.send(Message::Stop);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

struct Worker {
    file: PathBuf,
    gateway: Arc<Gateway>,
    shared: Shared,
    runtime: Runtime,
    noticed: Arc<AtomicBool>,
}

impl Worker {
    fn run(self, receiver: &mpsc::Receiver<Message>) {
        // Fetching keys spawns tasks, which needs a runtime at hand.
        let _inside = self.runtime.enter();
        while let Ok(message) = receiver.recv() {
            // Whoever asked may have gone.
            match message {
                Message::Reload(wish, who, done) => {
                    if wish == Wish::Noticed {
                        // Before the files are read: what changes from here on is noticed again.
                        self.noticed.store(false, Ordering::Release);
                    }
                    let outcome = self.reload(wish, &who);
                    if let Some(done) = done {
                        let _ = done.send(outcome);
                    }
                }
                Message::Publish(text, who, done) => drop(done.send(self.publish(&text, &who))),
                Message::Emergency(change, who, done) => drop(done.send(self.emergency(&change, &who))),
                Message::Stop => return,
            }
        }
    }

    fn reload(&self, wish: Wish, who: &Actor) -> Outcome {
        let outcome = match load::load(&self.file) {
            Ok(loaded) => self.apply(loaded, wish, who),
            Err(findings) => self.failed(findings),
        };
        if wish != Wish::DryRun {
            if outcome.result != "ok" {
                self.keys_alone();
            }
            if matches!(wish, Wish::Confirmed | Wish::Accepted) && outcome.result == "failed" {
                let detail = Some(outcome.result.to_owned());
                // It changes nothing, so it stands even when the log can't take it.
                let _ = self.record(&outcome.bundle, None, who, detail);
            }
            self.gateway.metrics.reloads.get_or_create(&ResultLabels { result: outcome.result }).inc();
            self.tell(&outcome, wish);
            if outcome.result != "unchanged" || outcome.findings.is_empty() {
                self.gateway.reloads.set(outcome.clone());
            }
        }
        outcome
    }

    fn apply(&self, loaded: load::Loaded, wish: Wish, who: &Actor) -> Outcome {
        let old = self.gateway.generation();
        if let Some(finding) = needs_restart(&old.config, &loaded.config) {
            return self.failed(vec![finding]);
        }
        let built = match build::generation(loaded, Some(&old), &self.shared) {
            Ok(built) => built,
            Err(mut findings) => {
                findings.extend(self.certificates(&old.config, wish));
                return self.failed(findings);
            }
        };
        let losses = old.losses(&built.generation);
        // What a signed bundle takes away, those who signed it meant.
        let meant = built.generation.signed.is_some() || wish == Wish::Accepted;
        if wish != Wish::DryRun && !meant && !losses.is_empty() {
            return Outcome { losses, ..self.outcome("held", self.certificates(&old.config, wish)) };
        }
        let same = built.generation.policy.id() == old.policy.id()
            && built.generation.config == old.config
            && built.generation.keeps_backends(&old)
            && built.generation.bundle() == old.bundle()
            && built.generation.shadows.is_as(&old.shadows);
        if wish == Wish::DryRun {
            let bundle = built.generation.policy.id().clone();
            let result = if same { "unchanged" } else { "ok" };
            return Outcome { bundle, losses, ..self.outcome(result, built.warnings) };
        }
        // What was in force once stays known even if it then does not come into force: nothing older comes back.
        if let Some(signed) = &built.generation.signed
            && let Err(finding) = History::activate(&built.generation.config, signed, &who.who)
        {
            return self.failed(vec![finding]);
        }
        // Recorded before it is done: what the log can't take does not happen.
        if !same && let Err(finding) = self.record(old.policy.id(), Some(built.generation.policy.id()), who, None) {
            return self.failed(vec![finding]);
        }
        let certificates = self.certificates(&built.generation.config, wish);
        if same {
            return Outcome { losses, ..self.outcome("unchanged", certificates) };
        }
        built.report();
        let next = Arc::new(built.generation);
        next.warm();
        self.gateway.put_in_force(next.clone());
        let findings = built.warnings.into_iter().chain(certificates).collect();
        Outcome { losses, ..self.outcome("ok", findings) }
    }

    /// Reads certificates again. Which ones a configuration names counts only once it is in force itself.
    fn certificates(&self, config: &Config, wish: Wish) -> Vec<Finding> {
        if wish == Wish::DryRun { Vec::new() } else { self.gateway.reload_certificates(config) }
    }

    /// Keys count as they are on disk even when the rest stays as it was: a revocation must not wait.
    fn keys_alone(&self) {
        let now = self.gateway.generation();
        for known in &now.config.credentials.api_keys {
            match load::keys_again(known, &now.config.directory) {
                Ok(keys) => {
                    if keys != *known {
                        self.record_keys(&keys.alias);
                    }
                    now.identify.take_keys(keys);
                }
                Err(findings) => {
                    for finding in findings {
                        tracing::error!(keys = &*known.alias, "the keys stay as they were: {finding}");
                    }
                }
            }
        }
    }

    /// A revocation does not wait for the log either.
    fn record_keys(&self, alias: &str) {
        let record = Admin { detail: Some(alias.to_owned()), ..Admin::by(&Actor::named(WATCHER), "keys") };
        if let Err(error) = self.runtime.block_on(self.gateway.log.admin(&record)) {
            tracing::error!(%error, "the change of keys is not in the audit log");
        }
    }

    fn failed(&self, findings: Vec<Finding>) -> Outcome {
        self.outcome("failed", findings)
    }

    fn outcome(&self, result: &'static str, findings: Vec<Finding>) -> Outcome {
        let now = self.gateway.generation();
        Outcome { result, bundle: now.policy.id().clone(), generation: now.number, findings, losses: Vec::new() }
    }

    fn tell(&self, outcome: &Outcome, wish: Wish) {
        let bundle = &*outcome.bundle.0;
        match outcome.result {
            "failed" => {
                for finding in &outcome.findings {
                    tracing::error!(bundle, "reload failed, the old configuration stays in force: {finding}");
                }
            }
            "held" => {
                let losses = outcome.losses.join("; ");
                tracing::error!(
                    bundle,
                    losses,
                    "reload held back, the old configuration stays in force; `latchwork reload --accept-removals` confirms it"
                );
            }
            // A log that lies in a watched folder would otherwise be noticed, told of, noticed, and so on.
            "unchanged" if wish == Wish::Noticed => tracing::debug!(bundle, "files changed, but not what they say"),
            result => tracing::info!(bundle, generation = outcome.generation, result, "reload"),
        }
    }

    fn record(
        &self,
        before: &BundleId,
        after: Option<&BundleId>,
        who: &Actor,
        detail: Option<String>,
    ) -> Result<(), Finding> {
        let record = Admin {
            bundle_before: Some(before.clone()),
            bundle_after: after.cloned(),
            detail,
            ..Admin::by(who, "reload")
        };
        self.runtime.block_on(self.gateway.log.admin(&record)).map_err(|error| {
            Finding::error("unrecorded", self.file.display().to_string(), format!("the reload is not done: {error}"))
        })
    }
}

/// What can't change while serving: sockets and the audit log's place.
fn needs_restart(old: &Config, new: &Config) -> Option<Finding> {
    let sockets = |c: &Config| {
        c.listeners.iter().map(|l| (l.name.clone(), l.address.clone(), l.access, l.tls.is_some())).collect::<Vec<_>>()
    };
    let what = if sockets(old) != sockets(new) {
        "listener names, addresses or the use of tls"
    } else if (&old.admin.address, old.admin.access) != (&new.admin.address, new.admin.access) {
        "`address` or `socket` of `admin`"
    } else if old.audit.path != new.audit.path
        || old.audit.durability != new.audit.durability
        || old.audit.checkpoints != new.audit.checkpoints
        || old.node.id != new.node.id
    {
        "`audit` or `node.id`"
    } else {
        return None;
    };
    let file = new.file.display().to_string();
    Some(Finding::error("needs_restart", file, format!("{what} changed, which takes a restart")))
}
