//! Feeds the detectors of a running gateway with its log, read from the disk on a thread of its own, and tells what they find.

use super::{
    Detectors, Told,
    finding::{Detector, Finding},
    kept::{Found, Keeper},
    sight::{Place, Sight},
};
use crate::{
    audit::{
        follow::Follower,
        log::Log,
        query::{self, Line, Problem, Records, Source, What},
        record::{Body, Kind, System},
    },
    config::detect::Detect,
    telemetry::{DetectMeters, Metrics},
};
use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How often it looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it looks at the end until the log has what was found, and how many times at most.
const LAST_LOOK_EVERY: Duration = Duration::from_millis(25);
/// See [`LAST_LOOK_EVERY`].
const LAST_LOOKS: u32 = 40;
/// How often what is remembered is written down.
const KEEP_EVERY: Duration = Duration::from_secs(600);
/// Most bytes of the log from which is learned anew.
const LEARN_BYTES_MAX: u64 = 4 << 30;
/// What is found at a start is told if it is not older than this, in microseconds: a gateway that was off, or did not
/// watch, does not tell of all that was.
const LATE_MAX: i64 = 24 * 3_600 * 1_000_000;
/// Most findings that wait until the log takes them; more are only logged and counted.
const WAITING_MAX: usize = 1_024;

/// See the file's first line.
#[derive(Debug)]
pub struct Watcher {
    stop: Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a finding is known again by.
type Key = (Detector, Place, Option<String>, Option<String>);

struct Worker {
    log: Log,
    folder: PathBuf,
    incarnation: Uuid,
    keeper: Keeper,
    detectors: Detectors,
    meters: DetectMeters,
    stop: Receiver<()>,
    /// The last record that was seen.
    after: Option<Place>,
    /// Findings that are on their way into the log.
    owed: BTreeSet<Key>,
    /// Findings that the log has already, of records that are seen again.
    recorded: BTreeSet<Key>,
    waiting: VecDeque<System>,
    kept: Instant,
    told: Vec<Told>,
}

impl Watcher {
    /// Starts the thread, if there is something to watch for. The one before ends first. Without a thread nothing is
    /// watched; calls do not depend on it.
    #[must_use]
    pub fn start(
        log: Log,
        (folder, incarnation): (PathBuf, Uuid),
        config: &Detect,
        metrics: &Metrics,
        before: Option<Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let (stop, stopped) = mpsc::channel();
        let meters = metrics.detect.clone();
        let worker = config.enabled.then(|| Worker {
            log,
            keeper: Keeper::new(&folder, config.clone()),
            folder,
            incarnation,
            detectors: Detectors::new(config.clone()),
            meters,
            stop: stopped,
            after: None,
            owed: BTreeSet::new(),
            recorded: BTreeSet::new(),
            waiting: VecDeque::new(),
            kept: Instant::now(),
            told: Vec::new(),
        });
        if worker.is_none() && before.is_none() {
            return None;
        }
        let watch = move || {
            if let Some(before) = before {
                before.stop_blocking();
            }
            if let Some(Err(error)) = worker.map(Worker::run) {
                tracing::error!(%error, "nothing is watched any more: the audit log can't be read");
            }
        };
        let spawned = std::thread::Builder::new().name("latchwork-detect".to_owned()).spawn(watch);
        let thread = spawned.map_err(|error| tracing::error!(%error, "nothing is watched: no thread")).ok();
        Some(Arc::new(Self { stop, thread: Mutex::new(thread) }))
    }

    /// Sees what is in the log, then ends.
    pub fn stop_blocking(&self) {
        // A thread that is gone needs no word.
        let _ = self.stop.send(());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the detectors' thread failed");
        }
    }
}

impl Worker {
    fn run(mut self) -> io::Result<()> {
        let folder = self.folder.clone();
        let Some((records, last)) = self.catch_up()? else { return Ok(()) };
        let mut follower = Follower::after(&folder, records, last);
        loop {
            let stopping = !matches!(self.stop.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout));
            self.look(&mut follower)?;
            let mut looks = 0;
            // What was found just now is in the log in a moment; then it need not be found again.
            while stopping && !self.owed.is_empty() && looks < LAST_LOOKS {
                std::thread::park_timeout(LAST_LOOK_EVERY);
                self.look(&mut follower)?;
                looks += 1;
            }
            if stopping || self.kept.elapsed() >= KEEP_EVERY {
                self.keep();
            }
            if stopping {
                return Ok(());
            }
        }
    }

    /// Sees what has come.
    fn look(&mut self, follower: &mut Follower<'_>) -> io::Result<()> {
        while let Some(found) = follower.next()? {
            self.see(found);
            for told in std::mem::take(&mut self.told) {
                self.tell(told);
            }
        }
        self.hand_over();
        self.meters.state(&self.detectors);
        Ok(())
    }

    /// Learns from what is there, and tells of what was found and not told; `None` when it is to stop.
    fn catch_up(&mut self) -> io::Result<Option<(Records, Option<Source>)>> {
        let mut sources = query::sources(&self.folder)?;
        let mut told_until = None;
        match self.keeper.read() {
            Found::Whole(detectors, place) if sources.iter().any(|source| holds(source, place)) => {
                self.detectors = *detectors;
                (self.after, told_until) = (Some(place), Some(place));
            }
            Found::Whole(_, place) | Found::Place(place) => told_until = Some(place),
            Found::Nothing => {}
        }
        let seen = self.after;
        let begin = seen.and_then(|place| sources.iter().rposition(|source| holds(source, place)));
        sources.drain(..begin.unwrap_or_else(|| newest(&sources)));
        let order: Vec<Uuid> = sources.iter().map(|source| source.incarnation).collect();
        let last = sources.last().cloned();
        let mut records = Records::of_sources(sources);
        let mut late = Vec::new();
        for found in &mut records {
            if self.stop.try_recv().is_ok() {
                return Ok(None);
            }
            let place = found.as_ref().ok().map(place);
            let again = |seen: Place, place: Place| place.incarnation == seen.incarnation && place.seq <= seen.seq;
            if seen.zip(place).is_some_and(|(seen, place)| again(seen, place)) {
                continue;
            }
            self.see(found);
            let new = place.is_some_and(|place| self.is_new(place, told_until, &order));
            late.extend(std::mem::take(&mut self.told).into_iter().filter(|_| new));
        }
        let recorded = std::mem::take(&mut self.recorded);
        let oldest = jiff::Timestamp::now().as_microsecond().saturating_sub(LATE_MAX);
        for told in late {
            if let Told::One(finding) = &told
                && !recorded.contains(&key(finding))
                && finding.since.as_microsecond() >= oldest
            {
                self.tell(told);
            }
        }
        Ok(Some((records, last)))
    }

    /// Whether what is found at a record that is there already may not have been told: it came after the last record
    /// of which that is known, or else after this gateway began.
    fn is_new(&self, place: Place, told_until: Option<Place>, order: &[Uuid]) -> bool {
        let Some(told) = told_until else { return place.incarnation == self.incarnation };
        if place.incarnation == told.incarnation {
            return place.seq > told.seq;
        }
        let at = |incarnation: Uuid| order.iter().position(|known| *known == incarnation);
        at(place.incarnation) > at(told.incarnation)
    }

    /// Shows a record to the detectors.
    fn see(&mut self, found: Result<Line, Problem>) {
        let line = match found {
            Ok(line) => line,
            // The writer may be in the middle of it; it comes again.
            Err(Problem { what: What::Torn(_), .. }) => return,
            Err(problem) => return tracing::warn!(%problem, "a record can't be watched"),
        };
        match Sight::of(&line) {
            Ok(sight) => self.detectors.see(&sight, &mut self.told),
            Err(error) => {
                tracing::warn!(%error, file = %line.file.display(), line = line.line, "a record can't be watched")
            }
        }
        self.meters.seen();
        self.after = Some(place(&line));
        if line.head.kind == Kind::System
            && let Ok(Body::System(System::Finding(finding))) = line.body()
            && !self.owed.remove(&key(&finding))
        {
            self.recorded.insert(key(&finding));
        }
    }

    fn tell(&mut self, told: Told) {
        match told {
            Told::One(finding) => {
                self.meters.found(finding.detector);
                self.owed.insert(key(&finding));
                self.wait(System::Finding(Box::new(finding)));
            }
            Told::More(finding) => self.meters.found(finding.detector),
            Told::Sum(counted) => {
                tracing::warn!(
                    detector = counted.detector.as_str(),
                    count = counted.count,
                    from = %counted.from,
                    to = %counted.to,
                    "more was found than is recorded one by one"
                );
                self.wait(System::FindingsCounted(counted));
            }
        }
        self.hand_over();
    }

    fn wait(&mut self, system: System) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(system);
        } else {
            say(&system, "found, and there is no room in the log to record it");
        }
    }

    /// Gives the log what it takes now. The record comes first: whoever reads the line may look for it.
    fn hand_over(&mut self) {
        while let Some(system) = self.waiting.pop_front() {
            if self.log.found(&system).is_err() {
                self.waiting.push_front(system);
                return;
            }
            say(&system, "something unusual is in the audit log");
        }
    }

    /// Writes down what is remembered, once the log holds all that was found.
    fn keep(&mut self) {
        self.kept = Instant::now();
        let Some(after) = self.after.filter(|_| self.owed.is_empty() && self.waiting.is_empty()) else { return };
        if let Err(error) = self.keeper.write(&self.detectors, after) {
            tracing::warn!(%error, "what detectors remember can't be kept: a restart will learn from the log anew");
        }
    }
}

fn say(system: &System, what: &str) {
    let System::Finding(finding) = system else { return };
    let Finding { detector, caller, function, network, count, threshold, of_call, .. } = &**finding;
    tracing::warn!(
        detector = detector.as_str(),
        caller,
        function,
        network,
        count,
        threshold,
        call = of_call.map(tracing::field::display),
        found = %finding,
        "{what}"
    );
}

fn key(finding: &Finding) -> Key {
    (finding.detector, finding.record, finding.caller.clone(), finding.function.clone())
}

fn place(line: &Line) -> Place {
    Place { incarnation: line.head.incarnation, seq: line.head.seq }
}

/// Whether a segment has, or may have, a record.
fn holds(source: &Source, place: Place) -> bool {
    source.incarnation == place.incarnation
        && source.first <= place.seq
        && source.last.is_none_or(|last| place.seq <= last)
}

/// Where the newest segments begin from which is learned.
fn newest(sources: &[Source]) -> usize {
    let mut bytes = 0_u64;
    let size = |source: &Source| fs::metadata(&source.path).map_or(0, |file| file.len());
    let enough = sources.iter().rposition(|source| {
        bytes = bytes.saturating_add(size(source));
        bytes > LEARN_BYTES_MAX
    });
    enough.map_or(0, |last| last + 1)
}
