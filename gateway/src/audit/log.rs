//! The log of one incarnation: opening and closing it, records that are of no call, and how it fares.

use super::{
    Unrecorded, checkpoint,
    conceal::Redaction,
    early::Early,
    guard::Guard,
    notary::{Notary, Progress},
    opening::{key, publish, redaction},
    queue::{Duty, Entry, Promise, Queue, Room},
    record::{Admin, Kind, Known, Predecessor, Refused, System, tail},
    repair,
    segment::{self, Disk, Folder},
    signer::Signer,
    subject::Subjects,
    writer::{Writer, pen::Pen},
};
use crate::config::{self, Durability};
use jiff::Timestamp;
use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use uuid::Uuid;

pub use super::{opening::OpenError, queue::Failing};

/// Longest time that a caller waits for its record to be accepted.
const ACCEPT_WAIT: Duration = Duration::from_secs(10);
/// Longest node id, in bytes; it is part of every record.
const NODE_BYTES_MAX: usize = 128;
/// Smallest segment that makes sense.
const SEGMENT_BYTES_MIN: u64 = 4 * 1024;

/// The audit log of this incarnation. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Log(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) queue: Arc<Queue>,
    pub(crate) pen: Arc<Pen>,
    pub(crate) early: Arc<Early>,
    pub(crate) redaction: Arc<Redaction>,
    counters: Arc<Counters>,
    signed: Arc<Progress>,
    signer: Option<Arc<dyn Signer>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// How a log fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Accepted records by kind.
    pub records: [(Kind, u64); 9],
    /// Bytes written.
    pub bytes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Refusals before identification that were counted instead of recorded one by one.
    pub counted: u64,
    /// Records that wait to be written.
    pub queued: usize,
    /// Calls that can still be opened.
    pub calls_left: usize,
    /// Bytes that can still wait or be promised.
    pub bytes_left: usize,
    /// Why and since when nothing can be written; `None` when all is well.
    pub failing: Option<Failing>,
    /// The last error, even if it is over.
    pub last_error: Option<String>,
    /// Records that a checkpoint covers.
    pub signed: u64,
    /// Records that a checkpoint covers which a witness signed, too.
    pub witnessed: u64,
}

/// What a log begins with, besides its disk.
#[derive(Default)]
pub(crate) struct Begin {
    /// The incarnation before, and older ones that nobody had closed.
    pub(crate) repaired: (Option<Predecessor>, Vec<Predecessor>),
    pub(crate) lock: Option<File>,
    pub(crate) notary: Option<Notary>,
    pub(crate) signer: Option<Arc<dyn Signer>>,
}

/// Numbers that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    records: [AtomicU64; 9],
    pub(crate) bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    counted: AtomicU64,
}

impl Counters {
    pub(crate) fn record(&self, kind: Kind) {
        if let Some(counter) = self.records.get(kind as usize) {
            // Whoever reads the number finds the record on the disk.
            counter.fetch_add(1, Ordering::Release);
        }
    }
}

impl Log {
    /// Opens the log of an incarnation, repairs its predecessor's torn end, and writes its first record.
    ///
    /// # Errors
    /// When the folder can't be made or written, or the incarnation was used before.
    pub fn open(config: &config::Audit, node: &Arc<str>, incarnation: Uuid) -> Result<Self, OpenError> {
        if !is_node(node) {
            return Err(OpenError::Node(node.to_string()));
        }
        let folder = config.path.join(node.as_ref());
        let directory = folder.join(incarnation.to_string());
        let durable = config.durability == Durability::Fsync;
        let io = |source| OpenError::Io { path: directory.clone(), source };
        segment::create_folder(&folder).map_err(io)?;
        let key = key(config, node)?;
        let redaction = redaction(&config.privacy, &folder)?;
        let repaired = repair::all(&folder, node, incarnation, &[key.verifier_key()]).map_err(io)?;
        segment::create_folder(&directory).map_err(io)?;
        let lock = segment::create_file(&directory.join(segment::LOCK)).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => OpenError::Taken(incarnation),
            _ => io(source),
        })?;
        lock.try_lock().map_err(|error| io(error.into()))?;
        if durable {
            for path in [Some(&*folder), Some(&*config.path), config.path.parent()].into_iter().flatten() {
                let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
                segment::sync_folder(path).map_err(io)?;
            }
        }
        tracing::info!(vkey = %key.verifier_key(), "the audit log is signed");
        publish(&folder.join(checkpoint::VKEY), &key.verifier_key()).map_err(io)?;
        let key: Arc<dyn Signer> = Arc::new(key);
        let notary = Notary::new(Arc::clone(&key), config, node, incarnation)?;
        let begin = Begin { repaired, lock: Some(lock), notary: Some(notary), signer: Some(key) };
        let disk = Box::new(Folder::new(directory.clone(), durable));
        Self::start(disk, config, node, incarnation, redaction, begin).map_err(io)
    }

    pub(crate) fn start(
        disk: Box<dyn Disk>,
        config: &config::Audit,
        node: &str,
        incarnation: Uuid,
        redaction: Arc<Redaction>,
        Begin { repaired, lock, notary, signer }: Begin,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(Room::ALL));
        let early = Arc::new(Early::new(Instant::now(), redaction.clone()));
        let counters = Arc::new(Counters::default());
        let mut writer = Writer::new(
            Arc::clone(&queue),
            Arc::clone(&early),
            Arc::clone(&counters),
            disk,
            (config.durability == Durability::Fsync, config.segment_bytes_max.max(SEGMENT_BYTES_MIN)),
            tail::identity(node, incarnation),
        )?;
        let (predecessor, others) = repaired;
        writer.begin(&System::Started { version: env!("CARGO_PKG_VERSION").into(), predecessor, others })?;
        let signed = notary.as_ref().map(Notary::progress).unwrap_or_default();
        if let Some(notary) = notary {
            writer.sign_with(notary)?;
        }
        let pen = Arc::new(Pen::new(writer));
        let thread = Arc::clone(&pen);
        let run = move || {
            // Held until the last record is written, so that no other process writes or repairs this incarnation.
            let _lock = lock;
            thread.run();
        };
        let writer = thread::Builder::new().name("audit".into()).spawn(run)?;
        let writer = Mutex::new(Some(writer));
        Ok(Self(Arc::new(Inner { queue, pen, early, redaction, counters, signed, signer, writer })))
    }

    /// Opens a call that arrived at `now`. Room for its end is promised, so that it can always be closed.
    ///
    /// # Errors
    /// While the log can't be written, and when too many calls are open.
    pub fn open_call(&self, call: Uuid, now: Timestamp) -> Result<Guard, Unrecorded> {
        self.open_call_unless(call, now, || false)
    }

    /// Like [`Log::open_call`]; while the log can't be written, `late` says whether there are functions that run all
    /// the same.
    ///
    /// # Errors
    /// As there.
    pub fn open_call_unless(
        &self,
        call: Uuid,
        now: Timestamp,
        late: impl FnOnce() -> bool,
    ) -> Result<Guard, Unrecorded> {
        let failing = match self.0.queue.open_call() {
            // Asked without the queue's lock: there may be many functions.
            Err(Unrecorded::Failing) if late() => {
                self.0.queue.open_late()?;
                true
            }
            opened => {
                opened?;
                false
            }
        };
        Ok(Guard::new(Arc::clone(&self.0), call, now, failing))
    }

    /// Records a refusal of a call that has no guard, by itself up to a rate, counted beyond it.
    ///
    /// # Errors
    /// When the record was not accepted; then it is counted.
    pub async fn refused_early(&self, call: Uuid, known: &Known, refused: &Refused) -> Result<(), Unrecorded> {
        let tail = tail::refused(call, known, refused, 0, &self.0.redaction, false);
        if !self.0.admits_early(known, &tail) {
            self.0.count_early(known, refused);
            return Ok(());
        }
        let done = self.0.refusable(Kind::Refused, tail).await;
        if done.is_err() {
            self.0.count_early(known, refused);
        }
        done
    }

    /// Records something of the gateway's own life.
    ///
    /// # Errors
    /// When the record was not accepted.
    pub async fn system(&self, system: &System) -> Result<(), Unrecorded> {
        self.0.refusable(Kind::System, tail::plain(system)).await
    }

    /// The same from a thread that may block. It waits as long as the disk does.
    pub(crate) fn system_blocking(&self, system: &System) -> Result<(), Unrecorded> {
        let (waiter, accepted) = oneshot::channel();
        let (kind, tail) = (Kind::System, tail::plain(system));
        self.0.pen.push(entry(kind, tail, Duty::Refusable, Promise::None, Some(waiter)))?;
        accepted.blocking_recv().unwrap_or(Err(Unrecorded::Closed))
    }

    /// What signs it.
    pub(crate) fn signer(&self) -> Option<Arc<dyn Signer>> {
        self.0.signer.clone()
    }

    /// Records an administrative action, before it is done.
    ///
    /// # Errors
    /// When the record was not accepted.
    pub async fn admin(&self, admin: &Admin) -> Result<(), Unrecorded> {
        self.0.refusable(Kind::Admin, tail::admin(admin, &self.0.redaction)).await
    }

    /// How the log fares.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (queued, room, failing, last_error) = self.0.queue.look();
        let counters = &self.0.counters;
        let of = |kind: Kind| counters.records.get(kind as usize).map_or(0, |c| c.load(Ordering::Relaxed));
        Stats {
            records: Kind::ALL.map(|kind| (kind, of(kind))),
            bytes: counters.bytes.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            counted: counters.counted.load(Ordering::Relaxed),
            queued,
            calls_left: room.calls,
            bytes_left: room.bytes,
            failing,
            last_error,
            signed: self.0.signed.signed(),
            witnessed: self.0.signed.witnessed(),
        }
    }

    /// How many records the log holds for certain: the number of the next one.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.0.counters.records.iter().map(|counter| counter.load(Ordering::Acquire)).sum()
    }

    /// The keys of data subjects, and what is on hold.
    #[must_use]
    pub fn subjects(&self) -> Option<&Arc<Subjects>> {
        self.0.redaction.subjects()
    }

    /// Whether records are accepted.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.0.queue.failing().is_none()
    }

    /// Writes all that waits and the last record, then closes the log. Blocks; calls should be over.
    pub fn shutdown_blocking(&self) {
        self.0.queue.stop();
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the audit log's writer failed");
        }
    }

    /// Like [`Log::shutdown_blocking`], without blocking the runtime.
    pub async fn shutdown(&self) {
        let log = self.clone();
        // It can't fail: the closure does not panic and is not cancelled.
        let _ = tokio::task::spawn_blocking(move || log.shutdown_blocking()).await;
    }
}

impl Inner {
    pub(crate) fn admits_early(&self, known: &Known, tail: &[u8]) -> bool {
        self.queue.failing().is_none()
            && self.early.admit(known.source, tail.len() + tail::HEAD_BYTES_MAX, Instant::now())
    }

    pub(crate) fn count_early(&self, known: &Known, refused: &Refused) {
        self.counters.counted.fetch_add(1, Ordering::Relaxed);
        self.early.count(known.source, refused.refusal.clone());
    }

    /// Records what is not to happen unless it is recorded.
    pub(crate) async fn refusable(&self, kind: Kind, tail: Vec<u8>) -> Result<(), Unrecorded> {
        let (waiter, accepted) = oneshot::channel();
        self.pen.push(entry(kind, tail, Duty::Refusable, Promise::None, Some(waiter)))?;
        wait(accepted).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

pub(crate) type Accepted = oneshot::Receiver<Result<(), Unrecorded>>;

/// Waits until the writer has accepted or refused a record.
pub(crate) async fn wait(accepted: Accepted) -> Result<(), Unrecorded> {
    match tokio::time::timeout(ACCEPT_WAIT, accepted).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Unrecorded::Closed),
        Err(_) => Err(Unrecorded::TimedOut),
    }
}

pub(crate) fn entry(
    kind: Kind,
    tail: Vec<u8>,
    duty: Duty,
    promise: Promise,
    waiter: Option<oneshot::Sender<Result<(), Unrecorded>>>,
) -> Entry {
    Entry {
        kind,
        at: Timestamp::UNIX_EPOCH,
        tail,
        duty,
        promise,
        waiter,
        room: Room::default(),
        since: Instant::now(),
        sets_clock: false,
    }
}

fn is_node(node: &str) -> bool {
    node.len() <= NODE_BYTES_MAX
        && node.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && node.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
