//! The thread of one sink: reads on, hands over, keeps how far that was acknowledged, and tries again what fails.

use super::{
    Origin, Status, Stop,
    cursor::{Cursor, Cursors},
    feed::{Batch, Feed, Incarnation},
    sink::{Sink, Trouble},
};
use crate::{
    audit::{query, record::Kind},
    config,
};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How often it looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it looks for other incarnations.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// How often a cursor is kept while records flow: each time costs a sync of the log's disk.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// First and longest wait before another try.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How often the cursors are asked for while another process has them.
const TAKE_EVERY: Duration = Duration::from_millis(500);

/// See the file's first line.
pub(super) struct Pump {
    name: Arc<str>,
    folder: PathBuf,
    own: Uuid,
    kinds: Option<Vec<Kind>>,
    sink: Sink,
    feed: Feed,
    status: Arc<Status>,
    stop: Arc<Stop>,
    /// What is not finished, oldest first.
    unfinished: Vec<Progress>,
    listed: Option<Instant>,
    /// Every incarnation at that time.
    ids: BTreeSet<Uuid>,
    /// The last cursor could not be kept.
    unkept: bool,
}

/// How far an incarnation was shipped.
struct Progress {
    of: Incarnation,
    /// What the sink was given.
    given: u64,
    /// What it acknowledged.
    acknowledged: u64,
    /// It has ended, and everything was acknowledged.
    over: bool,
    kept: Cursor,
    kept_at: Instant,
    /// What comes after that was acknowledged, as far as it is known.
    behind: u64,
    /// When the first record that was not acknowledged was written.
    waits_since: Option<Timestamp>,
    /// Records that wait for their acknowledgement.
    pending: u64,
}

impl Pump {
    pub(super) fn new(settings: &config::Ship, origin: &Origin, status: &Arc<Status>, stop: &Arc<Stop>) -> Self {
        Self {
            name: Arc::clone(&settings.name),
            folder: origin.folder.clone(),
            own: origin.incarnation,
            kinds: settings.kinds.clone(),
            sink: Sink::new(&settings.sink, origin),
            feed: Feed::new(Arc::clone(&origin.accepted)),
            status: Arc::clone(status),
            stop: Arc::clone(stop),
            unfinished: Vec::new(),
            listed: None,
            ids: BTreeSet::new(),
            unkept: false,
        }
    }

    /// Ships until it is stopped, and then what is left.
    pub(super) fn run(mut self) {
        let Some(cursors) = self.take_cursors() else { return };
        let mut wait = WAIT.0;
        loop {
            // What came before the stop is shipped after it.
            let stopped = self.stop.is_stopped();
            match self.round(&cursors) {
                Ok(true) => wait = WAIT.0,
                Ok(false) if stopped => break,
                Ok(false) => {
                    wait = WAIT.0;
                    self.sink.pause(LOOK_EVERY, &self.stop);
                }
                Err(Trouble(problem)) => {
                    self.status.failed(&problem);
                    self.back_to_acknowledged();
                    if stopped {
                        break;
                    }
                    self.stop.wait(jittered(wait));
                    wait = (wait * 2).min(WAIT.1);
                }
            }
        }
        self.keep(&cursors, true);
    }

    /// The cursors, once no other process has them; `None` when it is stopped before.
    fn take_cursors(&self) -> Option<Cursors> {
        loop {
            match Cursors::take(&self.folder, &self.name) {
                Ok(Some(cursors)) => {
                    self.status.resumed();
                    return Some(cursors);
                }
                Ok(None) => self.status.waits(),
                Err(error) => self.status.failed(&format!("its cursors can't be kept beside the log: {error}")),
            }
            if self.stop.is_stopped() {
                return None;
            }
            self.stop.wait(TAKE_EVERY);
        }
    }

    /// Hands one batch over, of the oldest incarnation that has any; `false` when none has.
    fn round(&mut self, cursors: &Cursors) -> Result<bool, Trouble> {
        let unreadable = |error: io::Error| Trouble(format!("the log can't be read: {error}"));
        if self.listed.is_none_or(|at| at.elapsed() >= LIST_EVERY) {
            self.list(cursors).map_err(unreadable)?;
        }
        let mut moved = false;
        for progress in &mut self.unfinished {
            let mut batch = self.feed.read(&progress.of, progress.given).map_err(unreadable)?;
            moved = batch.next > progress.given;
            self.status.missed(batch.missing);
            if let Some(kinds) = &self.kinds {
                batch.records.retain(|line| kinds.contains(&line.head.kind));
            }
            progress.hand_over(&mut self.sink, &batch, &self.status)?;
            progress.over = batch.ends && progress.acknowledged == batch.next;
            if moved {
                break;
            }
        }
        self.report();
        self.keep(cursors, false);
        self.unfinished.retain(|progress| !progress.kept.done);
        if !moved {
            self.status.resumed();
        }
        Ok(moved)
    }

    /// Finds the incarnations that are not finished.
    fn list(&mut self, cursors: &Cursors) -> io::Result<()> {
        self.listed = Some(Instant::now());
        let ids = ids(&self.folder)?;
        // Their order is in their first records: reading those of all takes longer.
        if ids == self.ids {
            return Ok(());
        }
        let there = query::incarnations(&self.folder)?;
        cursors.forget_all_but(&ids)?;
        let mut unfinished = Vec::new();
        for (id, directory) in there {
            if let Some(at) = self.unfinished.iter().position(|progress| progress.of.id == id) {
                unfinished.push(self.unfinished.swap_remove(at));
                continue;
            }
            let kept = cursors.read(id);
            if !kept.done {
                unfinished.push(Progress::new(Incarnation { id, directory, own: id == self.own }, kept));
            }
        }
        (self.unfinished, self.ids) = (unfinished, ids);
        Ok(())
    }

    fn report(&self) {
        let (own, others): (Vec<_>, Vec<_>) = self.unfinished.iter().partition(|progress| progress.of.own);
        let acknowledged = own.iter().map(|progress| progress.acknowledged).max().unwrap_or(0);
        let behind = others.iter().map(|progress| progress.behind).sum();
        let oldest = self.unfinished.iter().filter_map(|progress| progress.waits_since).min();
        self.status.progress(acknowledged, behind, oldest);
    }

    /// Keeps what was acknowledged, now and then; a failure costs nothing but that more is shipped again.
    fn keep(&mut self, cursors: &Cursors, now: bool) {
        for progress in &mut self.unfinished {
            let cursor = Cursor { next: progress.acknowledged, done: progress.over };
            let due = now || progress.kept_at.elapsed() >= KEEP_EVERY;
            if cursor == progress.kept || !due {
                continue;
            }
            progress.kept_at = Instant::now();
            let written = cursors.write(progress.of.id, cursor);
            match &written {
                Ok(()) => progress.kept = cursor,
                Err(error) if !self.unkept => {
                    let sink = &*self.name;
                    tracing::warn!(%error, sink, "how far records were shipped can't be kept beside the log");
                }
                Err(_) => {}
            }
            self.unkept = written.is_err();
        }
    }

    /// Everything that was not acknowledged is given again.
    fn back_to_acknowledged(&mut self) {
        self.sink.reset();
        self.feed.reset();
        for progress in &mut self.unfinished {
            (progress.given, progress.pending) = (progress.acknowledged, 0);
        }
        self.report();
    }
}

impl Progress {
    fn new(of: Incarnation, kept: Cursor) -> Self {
        let (given, acknowledged, kept_at) = (kept.next, kept.next, Instant::now());
        Self { of, given, acknowledged, over: false, kept, kept_at, behind: 0, waits_since: None, pending: 0 }
    }

    fn hand_over(&mut self, sink: &mut Sink, batch: &Batch, status: &Status) -> Result<(), Trouble> {
        self.waits_since = self.waits_since.or_else(|| batch.records.first().map(|line| line.head.at));
        self.pending += batch.records.len() as u64;
        self.behind = batch.behind + (batch.next - self.acknowledged);
        if batch.next == self.given && !sink.gathers() {
            return Ok(());
        }
        let acknowledged = sink.take(batch, status)?;
        self.given = batch.next;
        if acknowledged <= self.acknowledged {
            return Ok(());
        }
        self.acknowledged = acknowledged;
        self.behind = batch.behind + (batch.next - acknowledged);
        if acknowledged == batch.next {
            status.acknowledged(std::mem::take(&mut self.pending));
            self.waits_since = None;
        }
        Ok(())
    }
}

/// The ids of all incarnations, in no order that matters.
fn ids(folder: &Path) -> io::Result<BTreeSet<Uuid>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        ids.extend(entry?.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok()));
    }
    Ok(ids)
}

/// Up to a fifth less, so that sinks of many gateways do not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let part = Uuid::new_v4().as_u128() as u8;
    wait.mul_f64(1.0 - f64::from(part) / 255.0 / 5.0)
}
