//! The instances of one function: who is free, who waits, and whether another may be started.

use crate::{
    host::{
        Host, instance,
        recipe::Recipe,
        seat::{Phase, Seat},
    },
    invocation::InvokeError,
};
use bytes::Bytes;
use policy::question::FunctionName;
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
    sync::{oneshot, watch},
    time::Instant,
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

/// A call on its way to an instance.
#[derive(Debug)]
pub(crate) struct Work {
    /// Call id.
    pub(crate) call_id: Uuid,
    /// What the function is given.
    pub(crate) event: Bytes,
    /// When the function must have answered.
    pub(crate) deadline: Instant,
    /// `X-Amzn-Trace-Id` form of the trace.
    pub(crate) trace_id: String,
    /// Whose call it is, where the event doesn't say.
    pub(crate) client_context: Option<String>,
    /// Who waits for the answer; closed when the caller has hung up.
    pub(crate) answer: oneshot::Sender<Result<Answered, InvokeError>>,
}

/// What a function answered.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The body.
    pub(crate) body: Bytes,
    /// Its `content-type`.
    pub(crate) content_type: Option<String>,
    /// Sent with response streaming.
    pub(crate) streamed: bool,
}

/// Numbers of one process function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStats {
    /// Which.
    pub function: FunctionName,
    /// Instances that exist, those that are starting included.
    pub running: usize,
    /// Instances that have not asked for their first call yet.
    pub starting: usize,
    /// Instances that wait for a call.
    pub idle: usize,
    /// Instances that run a call.
    pub busy: usize,
    /// Calls that wait for an instance.
    pub queued: usize,
    /// Starts so far.
    pub starts: u64,
    /// Starts that failed.
    pub start_failures: u64,
    /// Instances that ended by themselves after their start.
    pub crashes: u64,
    /// Calls that were cut at their deadline.
    pub time_outs: u64,
}

/// Events so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) starts: AtomicU64,
    pub(super) start_failures: AtomicU64,
    pub(super) crashes: AtomicU64,
    pub(super) time_outs: AtomicU64,
}

/// The instances.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) recipe: Recipe,
    pub(super) host: Host,
    pub(super) counters: Counters,
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
    queue: VecDeque<Work>,
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Idle {
    serial: u64,
    hand: oneshot::Sender<Work>,
}

/// Starts that failed in a row.
#[derive(Debug)]
struct Rest {
    until: Instant,
    failures: u32,
    reason: String,
}

/// What a free instance gets.
#[derive(Debug)]
pub(super) enum Turn {
    /// A call that waited.
    Work(Work),
    /// The next call that comes.
    Wait(oneshot::Receiver<Work>),
    /// Nothing any more.
    Stop,
}

impl Pool {
    /// A pool without instances.
    pub(crate) fn new(recipe: Recipe, host: &Host) -> Arc<Self> {
        let pool = Arc::new(Self {
            recipe,
            host: host.clone(),
            counters: Counters::default(),
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
                Err(back) => work = back,
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
            idle: state.idle.len(),
            busy: state.busy,
            queued: state.queue.len(),
            starts: read(&self.counters.starts),
            start_failures: read(&self.counters.start_failures),
            crashes: read(&self.counters.crashes),
            time_outs: read(&self.counters.time_outs),
        }
    }

    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// What an instance that is free does next.
    pub(super) fn turn(&self, serial: u64) -> Turn {
        let mut state = self.lock();
        let now = Instant::now();
        while let Some(work) = state.queue.pop_front() {
            // Nobody waits for it any more, and it has not begun: it never runs.
            if !work.answer.is_closed() && work.deadline > now {
                return Turn::Work(work);
            }
        }
        if *self.closing.borrow() || self.host.is_stopping() {
            return Turn::Stop;
        }
        let (hand, work) = oneshot::channel();
        state.idle.push(Idle { serial, hand });
        Turn::Wait(work)
    }

    /// An idle instance wants to end; `false` when a call was just given to it.
    pub(super) fn leave_idle(&self, serial: u64) -> bool {
        let mut state = self.lock();
        let place = state.idle.iter().position(|idle| idle.serial == serial);
        place.map(|place| state.idle.remove(place)).is_some()
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
    pub(super) fn gone(&self, phase: Phase) {
        let mut state = self.lock();
        state.running -= 1;
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
        self.scale_up(state, 0);
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
        let Ok(runtime) = Handle::try_current() else { return };
        let mut starts = 0;
        while state.starting + awaited < state.queue.len()
            && state.running < self.recipe.instances_max
            && state.resting().is_none()
            && !self.host.is_stopping()
        {
            state.running += 1;
            state.starting += 1;
            starts += 1;
        }
        // A runtime that is being taken down drops the task at once, and with it the seat, which needs the lock.
        drop(state);
        for _ in 0..starts {
            let serial = self.counters.starts.fetch_add(1, Ordering::Relaxed);
            runtime.spawn(instance::run(Seat::new(self.clone(), serial)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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
