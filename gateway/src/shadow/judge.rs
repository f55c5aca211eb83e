//! Asks the shadow on a thread of its own. Calls hand over and go on; what there is no room for is counted and dropped.

use super::{
    copied::{Copied, Held},
    input::Input,
};
use crate::{
    audit::{log::Log, record::Shadow as Record},
    telemetry::{Metrics, ShadowMeters, lines::CALL},
    trace::Ids,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use policy::{
    engine::looks::Looks,
    permit::PolicyName,
    question::Question,
    shadow::{Decided, Disagreement, Shadow},
};
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Most decisions that wait to be compared.
const JOBS_MAX: usize = 1024;
/// Kibibytes of bodies that are held for the shadow at once.
const COPIED_KIB_MAX: usize = 16 * 1024;
/// Most denied calls whose bodies are read on at once.
const READERS_MAX: usize = 128;
/// Longest time that the body of a denied call is read on.
const READ_ON_MAX: Duration = Duration::from_secs(2);

/// See the file's first line.
#[derive(Debug)]
pub struct Judge {
    jobs: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    meters: ShadowMeters,
    bytes: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

/// A decision that is to be compared.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) call: Uuid,
    pub(super) trace: Ids,
    pub(super) shadows: Arc<[Shadow]>,
    pub(super) question: Arc<Question>,
    /// What of its input is in the record of the call.
    pub(super) looks: Looks,
    pub(super) decided: Decided,
}

/// Why a decision is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotJudged {
    /// The input could not be read: broken off, too long, or not what policy is given.
    Input,
    /// There was no room for it.
    Busy,
    /// Cedar's own authorizer contradicted the answer.
    Contradicted,
}

#[derive(Debug)]
enum Message {
    Compare(Box<(Job, Input)>),
    Stop,
}

impl NotJudged {
    /// The word in records and metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Busy => "busy",
            Self::Contradicted => "contradicted",
        }
    }
}

impl Judge {
    /// Starts the thread. Without one nothing is compared, and everything counted: calls do not depend on it.
    #[must_use]
    pub fn start(log: Log, metrics: &Metrics) -> Arc<Self> {
        let (jobs, receiver) = mpsc::sync_channel(JOBS_MAX);
        let worker = Worker { log, meters: metrics.shadow.clone() };
        let spawned =
            std::thread::Builder::new().name("latchwork-shadow".to_owned()).spawn(move || worker.run(&receiver));
        let thread = spawned.map_err(|error| tracing::error!(%error, "nothing is asked in shadow: no thread")).ok();
        Arc::new(Self {
            jobs,
            thread: Mutex::new(thread),
            meters: metrics.shadow.clone(),
            bytes: Arc::new(Semaphore::new(COPIED_KIB_MAX)),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        })
    }

    /// Hands a decision over, or counts that there was no room.
    pub(super) fn submit(&self, job: Job, input: Input) {
        if self.jobs.try_send(Message::Compare(Box::new((job, input)))).is_err() {
            self.meters.not_judged(NotJudged::Busy.as_str());
        }
    }

    /// A copy of bytes that are in memory already, if there is room for one.
    pub(super) fn copy(&self, bytes: &[u8]) -> Option<Bytes> {
        let mut held = Held::new();
        held.add(bytes, &self.bytes).then(|| Bytes::from_owner(held))
    }

    pub(super) fn bytes(&self) -> &Arc<Semaphore> {
        &self.bytes
    }

    /// Reads what is still to come of a body that nobody else wants.
    pub(super) fn read_on(&self, mut body: Copied) {
        // Dropping it says that the input was not to be had.
        let Ok(place) = self.readers.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            let reading = async { while body.is_wanted() && matches!(body.frame().await, Some(Ok(_))) {} };
            // A body that takes longer is given up, and dropped.
            let _ = tokio::time::timeout(READ_ON_MAX, reading).await;
            drop((body, place));
        });
    }

    /// Compares what waits, then ends.
    pub async fn stop(self: Arc<Self>) {
        let stop = move || {
            let _ = self.jobs.send(Message::Stop);
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("the shadow's thread failed");
            }
        };
        // It can't fail: the closure does not panic and is not cancelled.
        let _ = tokio::task::spawn_blocking(stop).await;
    }
}

struct Worker {
    log: Log,
    meters: ShadowMeters,
}

impl Worker {
    fn run(self, jobs: &Receiver<Message>) {
        while let Ok(Message::Compare(next)) = jobs.recv() {
            let (job, input) = *next;
            CALL.sync_scope(job.trace, || self.compare(&job, &input));
        }
    }

    fn compare(&self, job: &Job, input: &Input) {
        let read = input.value();
        for shadow in job.shadows.iter() {
            self.meters.asked();
            let judged = given(job, shadow, &read).and_then(|question| {
                let judged = shadow.judge(&question, &job.decided).map_err(|_| NotJudged::Contradicted)?;
                Ok(judged.map(|found| Disagreement {
                    errors: self.log.shown(&found.errors, &question, &job.looks),
                    ..found
                }))
            });
            match judged {
                Ok(None) => {}
                Ok(Some(disagreement)) => self.disagrees(job, shadow, disagreement),
                Err(why) => self.not_judged(job, shadow, why),
            }
        }
    }

    fn disagrees(&self, job: &Job, shadow: &Shadow, disagreement: Disagreement) {
        let (kind, would) = (shadow.kind().as_str(), disagreement.would.as_str());
        // No policy has an empty id: it stands for the permit that is missing.
        let nobody = [PolicyName("".into())];
        let names = if disagreement.determining.is_empty() { &nobody[..] } else { &disagreement.determining };
        for name in names {
            self.meters.disagreed(&name.0, would, kind);
        }
        let policies: Vec<&str> = disagreement.determining.iter().map(|name| &*name.0).collect();
        let policies = policies.join(", ");
        // The record first: whoever reads the line may look for it.
        self.record(job, &Record::of(&job.question.function, &job.decided, shadow, Ok(disagreement)));
        let (call, function) = (job.call, job.question.function.as_str());
        let enforced = if job.decided.is_allowed() { "allow" } else { "deny" };
        tracing::info!(%call, function, shadow = kind, enforced, would, policies, "the shadow would decide otherwise");
    }

    fn not_judged(&self, job: &Job, shadow: &Shadow, why: NotJudged) {
        self.meters.not_judged(why.as_str());
        let (call, function, shadow_kind) = (job.call, job.question.function.as_str(), shadow.kind().as_str());
        if why == NotJudged::Contradicted {
            tracing::error!(%call, function, "cedar's own authorizer contradicts this gateway, in shadow");
        }
        tracing::debug!(%call, function, shadow = shadow_kind, why = why.as_str(), "not judged in shadow");
        self.record(job, &Record::of(&job.question.function, &job.decided, shadow, Err(why.as_str())));
    }

    fn record(&self, job: &Job, record: &Record) {
        if self.log.shadow(job.call, record).is_err() {
            self.meters.unrecorded();
        }
    }
}

/// What one shadow is asked: with the input if its answer can depend on it.
fn given(job: &Job, shadow: &Shadow, read: &Result<Option<Arc<Value>>, NotJudged>) -> Result<Arc<Question>, NotJudged> {
    let question = &job.question;
    match read {
        Ok(None) => Ok(question.clone()),
        _ if !shadow.needs_input(&question.function, &question.principal) => Ok(question.clone()),
        Ok(Some(input)) => Ok(Arc::new(Question { input: Some(input.clone()), ..Question::clone(question) })),
        Err(why) => Err(*why),
    }
}
