//! One instance from start to end: a process, its port, its log, and one call at a time.

use crate::{
    host::{
        STOP_GRACE,
        group::Group,
        output::{self, Current, Source},
        pool::{Answered, Pool, Turn, Work},
        runtime_api::{Ask, Call, Handed, Outcome, RuntimeApi, Verdict},
        seat::{Phase, Seat},
    },
    invocation::InvokeError,
};
use jiff::Timestamp;
use std::{
    io,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

/// Requests of one instance that wait to be looked at.
const ASKS_MAX: usize = 4;

/// After the end of the process, its log is read on for at most this time.
const LOG_DRAIN_MAX: Duration = Duration::from_millis(500);

/// The instance's life, as a task.
pub(super) async fn run(mut seat: Seat) {
    let pool = seat.pool.clone();
    match Instance::launch(&pool, seat.serial).await {
        Ok(instance) => instance.live(&mut seat).await,
        Err(error) => pool.start_failed(&format!("the process can't be started: {error}")),
    }
    drop(seat);
    pool.refill();
}

struct Instance {
    group: Group,
    asks: mpsc::Receiver<Ask>,
    current: Current,
    /// The runtime API and the log; ended with the instance.
    api: JoinSet<()>,
    log: JoinSet<()>,
    stopping: watch::Receiver<bool>,
    closing: watch::Receiver<bool>,
}

/// A `next` that waits.
type Next = oneshot::Sender<Handed>;

/// Why an instance ends.
enum End {
    /// By itself.
    Ended,
    /// Its call took too long, or it does not ask for another.
    Stuck,
    /// It is not needed any more.
    Unneeded,
}

impl Instance {
    async fn launch(pool: &Pool, serial: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let command = pool.recipe.command(pool.host.tools(), listener.local_addr()?, serial);
        let mut group = Group::start(pool.host.spawner(), command).await?;
        let (sender, asks) = mpsc::channel(ASKS_MAX);
        let (mut api, mut log) = (JoinSet::new(), JoinSet::new());
        api.spawn(RuntimeApi { asks: sender, answer_bytes_max: pool.recipe.answer_bytes_max }.serve(listener));
        let (current, pid) = (Current::default(), group.pid().as_raw_nonzero().get());
        let source = |stream| Source { function: pool.recipe.function.clone(), pid, stream, current: current.clone() };
        let (stdout, stderr) = group.pipes();
        for (pipe, stream) in [(stdout.map(OwnedFd::from), "stdout"), (stderr.map(OwnedFd::from), "stderr")] {
            pipe.map(|pipe| log.spawn(output::capture(pipe, source(stream))));
        }
        let (stopping, closing) = (pool.host.stopping(), pool.closing());
        Ok(Self { group, asks, current, api, log, stopping, closing })
    }

    async fn live(mut self, seat: &mut Seat) {
        let pool = seat.pool.clone();
        let mut next = match self.first(pool.recipe.start_timeout).await {
            Ok(next) => next,
            Err(reason) => {
                pool.start_failed(&reason);
                tracing::warn!(function = %pool.recipe.function, reason, "a function process did not start");
                return self.end(Duration::ZERO).await;
            }
        };
        let end = loop {
            seat.set(Phase::Free);
            self.current.set(None);
            let work = match self.rest(&pool, seat.serial, &mut next).await {
                Ok(work) => work,
                Err(end) => break end,
            };
            seat.set(Phase::Busy);
            self.current.set(Some(work.call_id));
            match self.work(seat, work, next).await {
                Ok(after) => next = after,
                Err(end) => break end,
            }
        };
        seat.set(Phase::Free);
        let grace = match end {
            End::Ended => {
                pool.counters.crashes.fetch_add(1, Ordering::Relaxed);
                Duration::ZERO
            }
            End::Stuck => Duration::ZERO,
            End::Unneeded => STOP_GRACE,
        };
        self.end(grace).await;
    }

    /// Waits for the first `next`.
    async fn first(&mut self, limit: Duration) -> Result<Next, String> {
        let deadline = Instant::now() + limit;
        loop {
            tokio::select! {
                biased;
                Some(ask) = self.asks.recv() => match ask {
                    Ask::Next(next) => return Ok(next),
                    Ask::InitError(reason) => return Err(reason),
                    Ask::Answer { verdict, .. } => drop(verdict.send(Verdict::NotRunning)),
                },
                () = self.group.ended() => {
                    return Err(format!("{} before it asked for a call", self.group.how_it_ended()));
                }
                () = sleep_until(deadline) => return Err(format!("it asked for no call within {limit:?}")),
                () = told(&mut self.stopping) => return Err("the gateway is shutting down".to_owned()),
            }
        }
    }

    /// Waits for a call.
    async fn rest(&mut self, pool: &Arc<Pool>, serial: u64, next: &mut Next) -> Result<Work, End> {
        let mut work = match pool.turn(serial) {
            Turn::Work(work) => return Ok(work),
            Turn::Wait(work) => work,
            Turn::Stop => return Err(End::Unneeded),
        };
        let idle_end = Instant::now() + pool.recipe.idle_timeout;
        let end = loop {
            tokio::select! {
                biased;
                () = self.group.ended() => break End::Ended,
                Some(ask) = self.asks.recv() => match ask {
                    // The last connection broke, and the runtime asks again.
                    Ask::Next(again) => *next = again,
                    Ask::Answer { verdict, .. } => drop(verdict.send(Verdict::NotRunning)),
                    Ask::InitError(_) => {}
                },
                Ok(work) = &mut work => return Ok(work),
                () = sleep_until(idle_end) => break End::Unneeded,
                () = told(&mut self.stopping) => break End::Unneeded,
                () = told(&mut self.closing) => break End::Unneeded,
            }
        };
        if !pool.leave_idle(serial) {
            // A call was given to it in this very moment.
            if let Ok(work) = work.await {
                match end {
                    End::Unneeded if !pool.host.is_stopping() => return Ok(work),
                    End::Unneeded | End::Ended | End::Stuck => pool.give_back(work),
                }
            }
        }
        Err(end)
    }

    /// Runs a call until the instance asks for another one.
    async fn work(&mut self, seat: &mut Seat, work: Work, next: Next) -> Result<Next, End> {
        let pool = seat.pool.clone();
        let call_id = work.call_id.to_string();
        let mut untaken = next.send(Handed::Call(call(&pool, &work))).err();
        let mut waiting = Some(work.answer);
        let mut limit = work.deadline;
        let (end, error) = loop {
            tokio::select! {
                biased;
                Some(ask) = self.asks.recv() => match ask {
                    Ask::Next(next) if waiting.is_none() => return Ok(next),
                    Ask::Next(next) => match untaken.take() {
                        Some(handed) => untaken = next.send(handed).err(),
                        None => drop(next.send(Handed::NotYet)),
                    },
                    Ask::Answer { call_id: named, outcome, verdict } if named == call_id => match waiting.take() {
                        Some(answer) => {
                            seat.set(Phase::Returning);
                            // The caller may have hung up: then nobody reads the answer, and the instance is free again.
                            let _ = answer.send(result(outcome, &pool));
                            let _ = verdict.send(Verdict::Accepted);
                            limit = Instant::now() + pool.recipe.start_timeout;
                        }
                        None => drop(verdict.send(Verdict::NotRunning)),
                    },
                    Ask::Answer { verdict, .. } => drop(verdict.send(Verdict::UnknownId)),
                    Ask::InitError(_) => {}
                },
                () = self.group.ended() => break (End::Ended, match untaken {
                    Some(_) => InvokeError::Unreachable(self.group.how_it_ended().into()),
                    None => InvokeError::FunctionFailed(self.group.how_it_ended()),
                }),
                () = sleep_until(limit) => {
                    pool.counters.time_outs.fetch_add(u64::from(waiting.is_some()), Ordering::Relaxed);
                    break (End::Stuck, InvokeError::TimedOut);
                }
                () = told(&mut self.stopping) => {
                    break (End::Unneeded, InvokeError::FunctionFailed("the gateway is shutting down".to_owned()));
                }
            }
        };
        // Told before the process is ended: a caller need not wait for that.
        waiting.map(|answer| answer.send(Err(error)));
        Err(end)
    }

    /// Ends the process group, the port and the log.
    async fn end(mut self, grace: Duration) {
        self.group.end(grace).await;
        self.api.abort_all();
        let _ = timeout(LOG_DRAIN_MAX, async { while self.log.join_next().await.is_some() {} }).await;
    }
}

/// Waits until the switch is on.
async fn told(switch: &mut watch::Receiver<bool>) {
    let _ = switch.wait_for(|on| *on).await;
}

fn result(outcome: Outcome, pool: &Pool) -> Result<Answered, InvokeError> {
    match outcome {
        Outcome::Answered(answered) => Ok(answered),
        Outcome::Failed(words) => Err(InvokeError::FunctionFailed(words)),
        Outcome::TooLarge => Err(InvokeError::AnswerTooLarge { bytes_max: pool.recipe.answer_bytes_max as u64 }),
    }
}

fn call(pool: &Pool, work: &Work) -> Call {
    let left = work.deadline.saturating_duration_since(Instant::now());
    let deadline = Timestamp::now().as_millisecond().saturating_add(left.as_millis().try_into().unwrap_or(i64::MAX));
    let mut headers = vec![
        ("lambda-runtime-aws-request-id", work.call_id.to_string()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", pool.recipe.arn()),
        ("lambda-runtime-trace-id", work.trace_id.clone()),
    ];
    headers.extend(work.client_context.clone().map(|context| ("lambda-runtime-client-context", context)));
    Call { headers, event: work.event.clone() }
}
