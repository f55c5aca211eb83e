//! An instance that asks for its calls: one at a time, over a Runtime API of its own.

use crate::{
    host::{
        instance::{End, Instance, Place, told},
        pool::Pool,
        recipe::Address,
        runtime_api::{Ask, Call, Handed, Outcome, RuntimeApi, Verdict},
        seat::{Phase, Seat},
        usage::{Started, Usage},
        work::{Done, Event, Order, Turn, Work},
    },
    invocation::InvokeError,
};
use jiff::Timestamp;
use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Requests of one instance that wait to be looked at.
const ASKS_MAX: usize = 4;

/// The instance.
pub(super) struct Runtime {
    instance: Instance,
    asks: mpsc::Receiver<Ask>,
    /// Ended with the instance.
    api: JoinSet<()>,
    /// How long it took to ask for its first call, until it has one.
    start: Option<Started>,
}

/// A `next` that waits.
type Next = oneshot::Sender<Handed>;

impl Runtime {
    /// Starts it.
    pub(super) async fn launch(pool: &Arc<Pool>, serial: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = Address::Api(listener.local_addr()?);
        let (sender, asks) = mpsc::channel(ASKS_MAX);
        let mut api = JoinSet::new();
        api.spawn(RuntimeApi { asks: sender, answer_bytes_max: pool.recipe.answer_bytes_max }.serve(listener));
        let (instance, _) = Instance::launch(pool, serial, Place::At(address)).await?;
        Ok(Self { instance, asks, api, start: None })
    }

    /// Its life, to the end.
    pub(super) async fn live(mut self, seat: &mut Seat) {
        let pool = seat.pool.clone();
        let mut next = match self.first(pool.recipe.start_timeout).await {
            Ok(next) => next,
            Err(reason) => return self.instance.failed(&reason).await,
        };
        self.start = Some(Started::now(self.instance.launched));
        let end = loop {
            seat.set(Phase::Free);
            self.instance.current.set(None);
            let work = match self.rest(&pool, &mut next).await {
                Ok(work) => work,
                Err(end) => break end,
            };
            seat.set(Phase::Busy);
            self.instance.current.set(Some(work.call_id));
            match self.work(seat, work, next).await {
                Ok(after) => next = after,
                Err(end) => break end,
            }
        };
        seat.set(Phase::Free);
        self.instance.finish(end).await;
        self.api.abort_all();
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
                    Ask::Streamed => {}
                },
                () = self.instance.group.ended() => {
                    return Err(format!("{} before it asked for a call", self.instance.how_it_ended()));
                }
                () = sleep_until(deadline) => return Err(format!("it asked for no call within {limit:?}")),
                () = told(&mut self.instance.stopping) => return Err("the gateway is shutting down".to_owned()),
            }
        }
    }

    /// Waits for a call.
    async fn rest(&mut self, pool: &Arc<Pool>, next: &mut Next) -> Result<Work, End> {
        match pool.turn(&self.instance.hand) {
            Turn::Work(work) if self.instance.group.has_ended() => {
                pool.give_back(*work);
                return Err(End::Ended);
            }
            Turn::Work(work) => return Ok(*work),
            Turn::Wait => {}
            Turn::Stop => return Err(End::Unneeded),
        }
        let mut idle_end = Instant::now() + pool.recipe.idle_timeout;
        let end = loop {
            tokio::select! {
                biased;
                () = self.instance.group.ended() => break End::Ended,
                Some(ask) = self.asks.recv() => match ask {
                    // The last connection broke, and the runtime asks again.
                    Ask::Next(again) => *next = again,
                    Ask::Answer { verdict, .. } => drop(verdict.send(Verdict::NotRunning)),
                    Ask::InitError(_) | Ask::Streamed => {}
                },
                work = self.instance.hand.given() => match self.instance.group.has_ended() {
                    true => {
                        pool.give_back(work);
                        break End::Ended;
                    }
                    false => return Ok(work),
                },
                () = sleep_until(idle_end) => match pool.may_leave(&self.instance.hand) {
                    true => break End::Unneeded,
                    false => idle_end = Instant::now() + pool.recipe.idle_timeout,
                },
                () = told(&mut self.instance.stopping) => break End::Unneeded,
                () = told(&mut self.instance.closing) => break End::Unneeded,
            }
        };
        pool.leave_idle(&self.instance.hand);
        // A call may have been given to it in this very moment.
        match self.instance.hand.left() {
            Some(work) if end == End::Unneeded && !pool.host.is_stopping() => Ok(work),
            left => {
                if let Some(work) = left {
                    pool.give_back(work);
                }
                Err(end)
            }
        }
    }

    /// Runs a call until the instance asks for another one.
    async fn work(&mut self, seat: &mut Seat, work: Work, next: Next) -> Result<Next, End> {
        let pool = seat.pool.clone();
        let init = self.start.take().and_then(|start| start.awaited_since(work.expected));
        let Work { call_id, deadline, order, reporting, answer, .. } = work;
        let Order::Event(event) = order else {
            let _ = answer.send(Err(InvokeError::Unsupported("what is no event")));
            return Ok(next);
        };
        let call_id = call_id.to_string();
        let mut untaken = next.send(Handed::Call(call(&pool, &call_id, event, deadline))).err();
        let (mut waiting, mut streaming) = (Some(answer), false);
        let mut limit = deadline;
        let instance = &mut self.instance;
        let usage = Usage::begin(init, &pool.recipe, instance.memory.clone(), reporting);
        let (end, error) = loop {
            tokio::select! {
                biased;
                Some(ask) = self.asks.recv() => match ask {
                    Ask::Next(next) if waiting.is_none() && !streaming => return Ok(next),
                    Ask::Next(next) => match untaken.take() {
                        Some(handed) => untaken = next.send(handed).err(),
                        None => drop(next.send(Handed::NotYet)),
                    },
                    Ask::Answer { call_id: named, outcome, verdict } if named == call_id => match waiting.take() {
                        Some(answer) => {
                            streaming = matches!(outcome, Outcome::Streaming(_));
                            if !streaming {
                                limit = returning(seat, &usage);
                            }
                            // The caller may have hung up: then nobody reads the answer, and the instance is free again.
                            let _ = answer.send(result(outcome, &pool));
                            let _ = verdict.send(Verdict::Accepted);
                        }
                        None => drop(verdict.send(Verdict::NotRunning)),
                    },
                    Ask::Answer { verdict, .. } => drop(verdict.send(Verdict::UnknownId)),
                    Ask::Streamed if streaming => {
                        streaming = false;
                        limit = returning(seat, &usage);
                    }
                    Ask::Streamed | Ask::InitError(_) => {}
                },
                () = instance.group.ended() => break (End::Ended, match untaken {
                    Some(_) => InvokeError::Unreachable(instance.how_it_ended().into()),
                    None => InvokeError::FunctionFailed(instance.how_it_ended()),
                }),
                () = sleep_until(limit) => {
                    pool.counters.time_outs.fetch_add(u64::from(waiting.is_some() || streaming), Ordering::Relaxed);
                    break (End::Stuck, InvokeError::TimedOut);
                }
                () = told(&mut instance.stopping) => {
                    break (End::Unneeded, InvokeError::FunctionFailed("the gateway is shutting down".to_owned()));
                }
            }
        };
        // Told before the process is ended: a caller need not wait for that.
        usage.end();
        if let Some(answer) = waiting {
            let _ = answer.send(Err(error));
        }
        Err(end)
    }
}

/// The call is over; the instance will soon ask for the next one, until when is answered.
fn returning(seat: &mut Seat, usage: &Usage) -> Instant {
    seat.set(Phase::Returning);
    usage.end();
    Instant::now() + seat.pool.recipe.start_timeout
}

fn result(outcome: Outcome, pool: &Pool) -> Result<Done, InvokeError> {
    match outcome {
        Outcome::Answered(answered) => Ok(Done::Event(answered)),
        Outcome::Streaming(pieces) => Ok(Done::Pieces(pieces)),
        Outcome::Failed(words) => Err(InvokeError::FunctionFailed(words)),
        Outcome::TooLarge => Err(InvokeError::AnswerTooLarge { bytes_max: pool.recipe.answer_bytes_max as u64 }),
    }
}

fn call(pool: &Pool, call_id: &str, event: Event, deadline: Instant) -> Call {
    let left = deadline.saturating_duration_since(Instant::now());
    let deadline = Timestamp::now().as_millisecond().saturating_add(left.as_millis().try_into().unwrap_or(i64::MAX));
    let mut headers = vec![
        ("lambda-runtime-aws-request-id", call_id.to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", pool.recipe.arn()),
        ("lambda-runtime-trace-id", event.trace_id),
    ];
    headers.extend(event.client_context.map(|context| ("lambda-runtime-client-context", context)));
    Call { headers, event: event.event }
}
