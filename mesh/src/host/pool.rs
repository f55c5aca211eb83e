//! The instances of one function: who is free, who waits, and whether another may be started.

use crate::{
    host::{
        Host, instance,
        recipe::Recipe,
        seat::{Phase, Seat},
        stats::{Counters, ProcessStats},
        work::{Hand, Turn, Work},
    },
    invocation::InvokeError,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc::UnboundedSender, watch},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

/// Most calls that wait for one function's instances.
pub(crate) const QUEUE_MAX: usize = 128;

/// A call waits this long for an instance that has just answered before another is started.
pub(crate) const RETURN_MAX: Duration = Duration::from_millis(50);

/// After a start that failed, the next waits this long; doubled at each further failure.
const REST_MIN: Duration = Duration::from_millis(250);

/// Longest wait between two starts.
const REST_MAX: Duration = Duration::from_secs(8);

/// Numbers of pools so far.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// The instances.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) recipe: Recipe,
    pub(super) host: Host,
    pub(super) counters: Counters,
    /// Tells it from others of this process.
    pub(super) number: u64,
    /// The configuration is gone: instances end once they are free.
    closing: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    starting: usize,
    busy: usize,
    returning: usize,
    /// The most recently used is last, and used first: the others may become idle long enough to stop.
    idle: Vec<Idle>,
    /// Serials of those that end since nobody needed them, and are still counted as running.
    leaving: Vec<u64>,
    /// Instances are kept ready though nobody calls.
    warm: bool,
    queue: VecDeque<Work>,
    rest: Option<Rest>,
}

/// Room for one call in an instance.
#[derive(Debug)]
struct Idle {
    serial: u64,
    hand: UnboundedSender<Work>,
}

/// Starts that failed in a row.
#[derive(Debug)]
struct Rest {
    until: Instant,
    failures: u32,
    reason: String,
}

impl Pool {
    /// A pool without instances.
    pub(crate) fn new(recipe: Recipe, host: &Host) -> Arc<Self> {
        let pool = Arc::new(Self {
            recipe,
            host: host.clone(),
            counters: Counters::default(),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            closing: watch::Sender::new(false),
            state: Mutex::default(),
        });
        host.register(&pool);
        pool
    }

    /// Gives the call to a free instance, or lets it wait and starts another instance if one may be started.
    pub(crate) fn submit(self: &Arc<Self>, mut work: Work) -> Result<(), InvokeError> {
        if self.host.is_stopping() {
            return Err(InvokeError::Unreachable("the gateway is shutting down".into()));
        }
        let mut state = self.lock();
        while let Some(idle) = state.idle.pop() {
            match idle.hand.send(work) {
                Ok(()) => return Ok(()),
                Err(back) => work = back.0,
            }
        }
        if let Some(rest) = state.resting().filter(|_| state.running == 0) {
            return Err(InvokeError::Unreachable(rest.reason.clone().into()));
        }
        if state.queue.len() >= QUEUE_MAX {
            state.queue.retain(|work| !work.answer.is_closed());
        }
        if state.queue.len() >= QUEUE_MAX {
            return Err(InvokeError::Busy);
        }
        state.queue.push_back(work);
        // An instance that has just answered is back sooner than another has started.
        let awaited = state.returning;
        self.scale_up(state, awaited);
        Ok(())
    }

    /// Starts an instance for a call that is about to be submitted, if there is none at all. Others are started for calls
    /// that wait: until then one may become free.
    pub(crate) fn expect_call(self: &Arc<Self>) {
        let Some(runtime) = self.host.runtime() else { return };
        let mut state = self.lock();
        let starts = usize::from(state.running == 0 && self.may_start(&state));
        state.running += starts;
        state.starting += starts;
        drop(state);
        self.launch(starts, &runtime);
    }

    /// Starts an instance for a call that has waited for [`RETURN_MAX`].
    pub(crate) fn hurry(self: &Arc<Self>) {
        self.scale_up(self.lock(), 0);
    }

    /// Takes a waiting call back; `false` when an instance has it already.
    pub(crate) fn withdraw(&self, call_id: Uuid) -> bool {
        let mut state = self.lock();
        let place = state.queue.iter().position(|work| work.call_id == call_id);
        place.and_then(|place| state.queue.remove(place)).is_some()
    }

    /// Starts the instances that are kept ready, and keeps them so.
    pub(crate) fn warm(self: &Arc<Self>) {
        let mut state = self.lock();
        state.warm = self.recipe.instances_min > 0;
        self.scale_up(state, 0);
    }

    /// Lets instances end once they are free.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Fails the calls that wait: no instance will be started for them.
    pub(super) fn refuse_waiting(&self) {
        self.lock().refuse_waiting("the gateway is shutting down");
    }

    /// Numbers of now.
    pub(crate) fn stats(&self) -> ProcessStats {
        let state = self.lock();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProcessStats {
            function: self.recipe.function.clone(),
            running: state.running,
            starting: state.starting,
            idle: state.free(),
            busy: state.busy,
            queued: state.queue.len(),
            starts: read(&self.counters.starts),
            start_failures: read(&self.counters.start_failures),
            crashes: read(&self.counters.crashes),
            time_outs: read(&self.counters.time_outs),
            memory_kills: read(&self.counters.memory_kills),
        }
    }

    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// What an instance that is free does next.
    pub(super) fn turn(&self, hand: &Hand) -> Turn {
        let mut state = self.lock();
        let now = Instant::now();
        state.leaving.retain(|serial| *serial != hand.serial);
        while let Some(work) = state.queue.pop_front() {
            // Nobody waits for it any more, and it has not begun: it never runs.
            if !work.answer.is_closed() && work.deadline > now {
                return Turn::Work(Box::new(work));
            }
        }
        if *self.closing.borrow() || self.host.is_stopping() {
            return Turn::Stop;
        }
        state.idle.push(Idle { serial: hand.serial, hand: hand.sender.clone() });
        Turn::Wait
    }

    /// Whether an instance that had nothing to do for long may end, and then it is taken to do so: not if it is one of
    /// those that are kept. Of several that ask at once only as many may as are too many.
    pub(super) fn may_leave(&self, hand: &Hand) -> bool {
        let mut state = self.lock();
        let may = !state.warm || state.running.saturating_sub(state.leaving.len()) > self.recipe.instances_min;
        if may {
            state.leaving.push(hand.serial);
        }
        may
    }

    /// No more calls are given to this hand. Those that were are still in it.
    pub(super) fn leave_idle(&self, hand: &Hand) {
        self.lock().idle.retain(|idle| idle.serial != hand.serial);
    }

    /// A call that its instance never took goes to another one, before all others.
    pub(super) fn give_back(self: &Arc<Self>, work: Work) {
        let mut state = self.lock();
        state.queue.push_front(work);
        self.scale_up(state, 0);
    }

    /// An instance moves on.
    pub(super) fn moved(&self, from: Phase, to: Phase) {
        let mut state = self.lock();
        if from == Phase::Starting {
            state.rest = None;
        }
        state.leave(from);
        match to {
            Phase::Busy => state.busy += 1,
            Phase::Returning => state.returning += 1,
            Phase::Starting | Phase::Free => {}
        }
    }

    /// An instance is gone. Only decrements: also called when a runtime is taken down, where nothing may be started.
    pub(super) fn gone(&self, serial: u64, phase: Phase) {
        let mut state = self.lock();
        state.running -= 1;
        state.leaving.retain(|leaving| *leaving != serial);
        state.leave(phase);
    }

    /// After an instance is gone, another may be needed.
    pub(super) fn refill(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.running == 0 {
            // Nothing is left that the waiting calls could wait for.
            if self.host.is_stopping() || *self.closing.borrow() {
                state.refuse_waiting("the function's instances are being stopped");
            } else if let Some(reason) = state.resting().map(|rest| rest.reason.clone()) {
                state.refuse_waiting(&reason);
            }
        }
        let rest = state.resting().map(|rest| rest.until).filter(|_| self.lacks(&state));
        self.scale_up(state, 0);
        if let (Some(until), Some(runtime)) = (rest, self.host.runtime()) {
            let pool = Arc::downgrade(self);
            runtime.spawn(async move {
                sleep_until(until).await;
                if let Some(pool) = pool.upgrade() {
                    pool.scale_up(pool.lock(), 0);
                }
            });
        }
    }

    /// A start failed: the next one waits, and calls that have no other instance to wait for are told why.
    pub(super) fn start_failed(&self, reason: &str) {
        self.counters.start_failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        let failures = state.rest.as_ref().map_or(0, |rest| rest.failures);
        let rest = REST_MIN.saturating_mul(1 << failures.min(8)).min(REST_MAX);
        state.rest = Some(Rest { until: Instant::now() + rest, failures: failures + 1, reason: reason.to_owned() });
        // The one that failed is still counted.
        if state.running <= 1 {
            state.refuse_waiting(reason);
        }
    }

    fn scale_up(self: &Arc<Self>, mut state: MutexGuard<'_, State>, awaited: usize) {
        let Some(runtime) = self.host.runtime() else { return };
        let mut starts = 0;
        let each = self.recipe.calls_max;
        while (state.starting.saturating_mul(each) + awaited < state.queue.len() || self.lacks(&state))
            && self.may_start(&state)
        {
            state.running += 1;
            state.starting += 1;
            starts += 1;
        }
        // A runtime that is being taken down drops the task at once, and with it the seat, which needs the lock.
        drop(state);
        self.launch(starts, &runtime);
    }

    /// Whether another instance may be started now.
    fn may_start(&self, state: &State) -> bool {
        state.running < self.recipe.instances_max && state.resting().is_none() && !self.host.is_stopping()
    }

    /// Launches instances that are counted already.
    fn launch(self: &Arc<Self>, starts: usize, runtime: &Handle) {
        for _ in 0..starts {
            let serial = self.counters.starts.fetch_add(1, Ordering::Relaxed);
            runtime.spawn(instance::run(Seat::new(self.clone(), serial)));
        }
    }

    /// Whether there are fewer instances than are kept ready.
    fn lacks(&self, state: &State) -> bool {
        state.warm && state.running < self.recipe.instances_min && !*self.closing.borrow()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Instances with room and without a call.
    fn free(&self) -> usize {
        let mut serials: Vec<u64> = self.idle.iter().map(|idle| idle.serial).collect();
        serials.sort_unstable();
        serials.dedup();
        // One that has room besides its calls is not free.
        serials.len().min(self.running.saturating_sub(self.starting + self.busy + self.returning))
    }

    fn leave(&mut self, phase: Phase) {
        match phase {
            Phase::Starting => self.starting -= 1,
            Phase::Busy => self.busy -= 1,
            Phase::Returning => self.returning -= 1,
            Phase::Free => {}
        }
    }

    fn resting(&self) -> Option<&Rest> {
        self.rest.as_ref().filter(|rest| rest.until > Instant::now())
    }

    fn refuse_waiting(&mut self, reason: &str) {
        for work in self.queue.drain(..) {
            let _ = work.answer.send(Err(InvokeError::Unreachable(reason.into())));
        }
    }
}
