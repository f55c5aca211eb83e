//! Retention: keeps the log of a node within its limits, on a thread of its own. Closed segments are packed, older ones are
//! moved to the archive, and the oldest are retired: a tombstone stands for each.
//!
//! Every step can be cut short: what is half done is finished, or done again, in the next pass.

use super::{
    archive,
    log::{Log, OpenError},
    segment,
    signer::Signer,
};
use crate::config;
use held::Held;
use jiff::Timestamp;
use plan::{Action, Limits, Place};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use stock::{Memory, Stock};
use tokio::sync::oneshot;
use uuid::Uuid;

mod held;
mod moving;
mod plan;
mod retire;
mod stock;
#[cfg(test)]
mod tests;

/// How often it looks.
const PASS_EVERY: Duration = Duration::from_secs(5);
/// Most rounds of planning in a pass; what is left waits for the next.
const ROUNDS_MAX: usize = 8;
/// Held by the one process that keeps a node's log within its limits.
const LOCK: &str = "retention.lock";
/// How long an end waits for the step that is being done: on a busy machine calls go before it, and packing a segment takes
/// as long as it takes. A step that the process' end cuts short is done again after the next start.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How much calls go before this.
const NICENESS: i32 = 10;

/// Whether records may be removed as far as somebody else is concerned, such as a sink that they are shipped to. It is not
/// asked where there is no room for more.
pub type MayGo = Arc<dyn Fn(Uuid, &Range<u64>) -> bool + Send + Sync>;

/// The thread's other end. Dropping it ends the thread.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    /// Resolves once the thread has ended.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// How retention fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes that segments take in the log's folder.
    pub stored_bytes: u64,
    /// Bytes that they take in the archive.
    pub archived_bytes: u64,
    /// Segments that were retired since the start.
    pub retired: u64,
    /// Segments that should go and may not, because they are on hold.
    pub on_hold: u64,
    /// Likewise because they are not shipped yet.
    pub unshipped: u64,
    /// Whether the last pass could do what it should.
    pub healthy: bool,
}

#[derive(Debug, Default)]
struct Shared {
    stop: Mutex<bool>,
    wake: Condvar,
    counters: Counters,
    limits: Mutex<config::Retention>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    stored: AtomicU64,
    archived: AtomicU64,
    retired: AtomicU64,
    on_hold: AtomicU64,
    unshipped: AtomicU64,
    failing: AtomicBool,
}

/// What keeps a node's log within its limits, pass by pass.
pub(crate) struct Worker {
    pub(crate) node: Arc<str>,
    /// The node's folder.
    pub(crate) folder: PathBuf,
    pub(crate) retention: config::Retention,
    pub(crate) log: Log,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) may_go: MayGo,
    pub(crate) now: fn() -> Timestamp,
    pub(crate) memory: Memory,
    pub(crate) held: Held,
    /// Incarnations that are not as they were signed, and what is wrong with them.
    pub(crate) damaged: HashMap<Uuid, String>,
    #[cfg(test)]
    pub(crate) crash: Option<tests::Crash>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Starts to keep the log within the limits.
    ///
    /// # Errors
    /// When there is nothing that signs tombstones, or no thread.
    pub fn start(config: &config::Audit, node: &Arc<str>, log: &Log, may_go: MayGo) -> Result<Self, OpenError> {
        let folder = config.path.join(node.as_ref());
        let io = |source| OpenError::Io { path: folder.clone(), source };
        let shared = Arc::new(Shared::default());
        let mut worker = Worker::new(config, node, log, may_go, shared.clone()).map_err(io)?;
        let (end, ended) = oneshot::channel();
        let run = move || {
            worker.run();
            // Nobody may be waiting any more.
            let _ = end.send(());
        };
        thread::Builder::new().name("audit-keeper".into()).spawn(run).map_err(io)?;
        Ok(Self { shared, ended: Mutex::new(Some(ended)) })
    }

    /// From now on these are the limits.
    pub fn apply(&self, retention: &config::Retention) {
        *self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner) = retention.clone();
    }

    /// How it fares.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Counters { stored, archived, retired, on_hold, unshipped, failing } = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            stored_bytes: read(stored),
            archived_bytes: read(archived),
            retired: read(retired),
            on_hold: read(on_hold),
            unshipped: read(unshipped),
            healthy: !failing.load(Ordering::Relaxed),
        }
    }

    /// Ends the thread once the step that it is at is done, or leaves it after a while. The log should still be open.
    pub async fn stop(&self) {
        self.shared.stop();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        match tokio::time::timeout(STOP_GRACE, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("the thread that keeps the audit log within its limits failed"),
            Err(_) => tracing::warn!("what the audit log's retention was at is done again after the next start"),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Shared {
    fn stop(&self) {
        *self.lock() = true;
        self.wake.notify_all();
    }

    fn stopped(&self) -> bool {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // No code panics while it holds the lock.
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn new(config: &config::Audit, node: &Arc<str>, log: &Log, may_go: MayGo, shared: Arc<Shared>) -> io::Result<Self> {
        let signer = log.signer().ok_or_else(|| io::Error::other("nothing signs the log"))?;
        *shared.limits.lock().unwrap_or_else(PoisonError::into_inner) = config.retention.clone();
        Ok(Self {
            node: node.clone(),
            folder: config.path.join(node.as_ref()),
            retention: config.retention.clone(),
            log: log.clone(),
            signer,
            may_go,
            now: Timestamp::now,
            memory: Memory::default(),
            held: Held::default(),
            damaged: HashMap::new(),
            #[cfg(test)]
            crash: None,
            shared,
        })
    }

    fn run(&mut self) {
        // Where that is refused, it is as any other thread.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        let mut lock = None;
        let mut failing = false;
        while !self.shared.stopped() {
            let done = match self.locked(&mut lock) {
                Ok(true) => self.pass(),
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            self.shared.counters.failing.store(done.is_err(), Ordering::Relaxed);
            match done {
                Err(error) if !failing => tracing::error!(%error, "the audit log can't be kept within its limits"),
                Ok(()) if failing => tracing::info!("the audit log is kept within its limits again"),
                Ok(()) | Err(_) => {}
            }
            failing = self.shared.counters.failing.load(Ordering::Relaxed);
            let stop = self.shared.lock();
            if !*stop {
                drop(self.shared.wake.wait_timeout(stop, PASS_EVERY));
            }
        }
    }

    /// Whether this is the process that keeps the node's log within its limits.
    fn locked(&self, lock: &mut Option<File>) -> io::Result<bool> {
        if lock.is_none() {
            let file = File::options().create(true).append(true).open(self.folder.join(LOCK))?;
            *lock = file.try_lock().is_ok().then_some(file);
        }
        Ok(lock.is_some())
    }

    /// Looks at all segments and does what is due.
    pub(crate) fn pass(&mut self) -> io::Result<()> {
        self.retention = self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(archive) = &self.retention.archive
            && let Ok(root) = archive.path.canonicalize()
        {
            archive::point(&self.folder, &root.join(self.node.as_ref()))?;
        }
        let (mut failed, mut packs, mut before) = (None, true, None);
        for round in 0..ROUNDS_MAX {
            let stock = Stock::take(&self.folder, &mut self.memory, round == 0)?;
            let actions = self.due(&stock, packs)?;
            let paths: Vec<_> = stock.segments.iter().map(|segment| segment.path.clone()).collect();
            let now = (actions.clone(), paths);
            // What could not be done, such as what no checkpoint covers yet, waits for the next pass.
            if actions.is_empty() || before.as_ref() == Some(&now) || self.shared.stopped() || failed.is_some() {
                break;
            }
            failed = self.act(&stock, &actions, &mut packs).err();
            before = Some(now);
        }
        let counters = &self.shared.counters;
        let stock = Stock::take(&self.folder, &mut self.memory, false)?;
        counters.stored.store(stock.bytes(Place::Log), Ordering::Relaxed);
        counters.archived.store(stock.bytes(Place::Archive), Ordering::Relaxed);
        let damaged = self.damaged.values().next().map(|damaged| io::Error::other(damaged.clone()));
        failed.or(damaged).map_or(Ok(()), Err)
    }

    /// What there is to do now.
    fn due(&mut self, stock: &Stock, packs: bool) -> io::Result<Vec<Action>> {
        let limits = Limits { packs, ..Limits::of(&self.retention, &self.folder, stock.bytes(Place::Log))? };
        let holds = self.log.subjects().map(|subjects| subjects.holds()).unwrap_or_default();
        self.held.follow(holds);
        let (held, may_go, damaged) = (&mut self.held, &self.may_go, &self.damaged);
        let (mut on_hold, mut unshipped) = (HashSet::new(), HashSet::new());
        let actions = plan::plan(&stock.segments, stock.open_bytes, &limits, (self.now)(), |segment, must| {
            let is_held = held.has(segment);
            let is_unshipped = !is_held && !must && !may_go(segment.incarnation, &segment.records());
            let key = (segment.incarnation, segment.name.first);
            on_hold.extend(is_held.then_some(key));
            unshipped.extend(is_unshipped.then_some(key));
            is_held || is_unshipped || damaged.contains_key(&segment.incarnation)
        });
        self.shared.counters.on_hold.store(on_hold.len() as u64, Ordering::Relaxed);
        self.shared.counters.unshipped.store(unshipped.len() as u64, Ordering::Relaxed);
        Ok(actions)
    }

    fn act(&mut self, stock: &Stock, actions: &[Action], packs: &mut bool) -> io::Result<()> {
        let mut due = Vec::new();
        for action in actions {
            if self.shared.stopped() {
                return Ok(());
            }
            match action {
                Action::Pack(segment) => {
                    if let Err(error) = self.pack(stock.segment(*segment)?) {
                        // Where there is no room to make one smaller, room is made otherwise.
                        tracing::warn!(%error, "a segment of the audit log can't be packed");
                        *packs = false;
                        return Ok(());
                    }
                }
                Action::Move(segment) => self.archive(stock.segment(*segment)?)?,
                Action::Remove(segment) => self.remove(stock.segment(*segment)?, None)?,
                Action::Retire(segment, rule) => due.push((stock.segment(*segment)?, rule.to_string())),
            }
        }
        for of_one in due.chunk_by(|(one, _), (next, _)| one.incarnation == next.incarnation) {
            for batch in of_one.chunks(retire::BATCH_MAX) {
                self.retire(batch)?;
            }
        }
        Ok(())
    }

    /// A step that may be the last one before a crash.
    fn step(&self, _name: &'static str) -> io::Result<()> {
        #[cfg(test)]
        if let Some(crash) = &self.crash {
            return crash.at(_name);
        }
        Ok(())
    }
}

/// Makes a removal or a new name in a folder durable.
fn settled(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), segment::sync_folder)
}
