//! The guard of one call: opened at its arrival, settled by its outcome, even if the caller hangs up.

use super::{
    Unrecorded,
    log::{self, Accepted, Inner},
    queue::{CALL_BYTES, Duty, Entry, Promise, Room},
    record::{Answered, Attempt, Closed, Intent, Kind, Known, Outcome, Refused, Stage, tail},
};
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The longest record that fits what an open call was promised besides its `answered`.
const PROMISED_TAIL_BYTES_MAX: usize = CALL_BYTES - tail::HEAD_BYTES_MAX - 512;
/// The audit word of a call that was dropped before it had an intent: its caller hung up, or the gateway failed.
const ABANDONED: &str = "abandoned";
/// How long a call that runs either way waits for a record to be accepted.
const LATE_WAIT: Duration = Duration::from_millis(500);
/// nginx's word for a caller that hung up; nothing was sent.
const STATUS_ABANDONED: u16 = 499;

/// One call's place in the log. Dropping it settles the call as abandoned.
#[derive(Debug)]
pub struct Guard {
    log: Arc<Inner>,
    call: Uuid,
    arrived: Timestamp,
    opened: Instant,
    known: Known,
    progress: Progress,
    /// It was opened although the log can't be written, since some functions run all the same.
    failing: bool,
    /// It runs whether or not the log takes its records now.
    late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No intent is in the log.
    Opened,
    /// An intent is in the log, or may be.
    Intended,
    /// It runs; its intent will be in the log if there was room for it, and has no promise.
    Late,
    /// The last record is on its way.
    Settled,
}

impl Guard {
    pub(crate) fn new(log: Arc<Inner>, call: Uuid, arrived: Timestamp, failing: bool) -> Self {
        let (opened, known) = (Instant::now(), Known::default());
        Self { log, call, arrived, opened, known, progress: Progress::Opened, failing, late: false }
    }

    /// The call's id.
    #[must_use]
    pub fn call(&self) -> Uuid {
        self.call
    }

    /// When the call arrived.
    #[must_use]
    pub fn arrived(&self) -> Timestamp {
        self.arrived
    }

    /// What is known of the call, to be filled in as it goes along; whatever record comes next has it.
    pub fn known(&mut self) -> &mut Known {
        &mut self.known
    }

    /// From here on the call runs even if the log can't take its records; they are written once it can.
    ///
    /// # Errors
    /// Unless it `may`, when the log could not be written as the call was opened.
    pub fn may_run_late(&mut self, may: bool) -> Result<(), Unrecorded> {
        self.late = may;
        if self.failing && !may { Err(Unrecorded::Failing) } else { Ok(()) }
    }

    /// Records that the call is permitted and about to have an effect. Returns once that is accepted; `true` if it was
    /// not, and the call runs all the same.
    ///
    /// # Errors
    /// When it is not: then the call must not have an effect. Refuse it as unrecorded.
    pub async fn intent(&mut self, intent: &Intent) -> Result<bool, Unrecorded> {
        if self.late {
            return self.intent_late(intent).await;
        }
        let ready = self.log.redaction.ready(&intent.question.principal.id).await;
        if let Err(error) = ready {
            tracing::error!(%error, "there is no key to encrypt the audit record of a call with");
            return Err(Unrecorded::Failing);
        }
        let tail = tail::intent(self.call, &self.known, intent, &self.log.redaction, false);
        let (waiter, accepted) = oneshot::channel();
        self.log.pen.push(log::entry(Kind::Intent, tail, Duty::Refusable, Promise::Begins, Some(waiter)))?;
        // Set before waiting: if this future is dropped meanwhile, the intent may be in the log.
        self.progress = Progress::Intended;
        let done = log::wait(accepted).await;
        if matches!(done, Err(Unrecorded::Failing | Unrecorded::Closed)) {
            self.progress = Progress::Opened;
        }
        done.map(|()| false)
    }

    async fn intent_late(&mut self, intent: &Intent) -> Result<bool, Unrecorded> {
        if let Err(error) = self.log.redaction.ready(&intent.question.principal.id).await {
            tracing::warn!(%error, "there is no key to encrypt the audit record of a call with; its fields are dropped");
        }
        let failing = self.log.queue.failing().is_some();
        let tail = tail::intent(self.call, &self.known, intent, &self.log.redaction, failing);
        let (waiter, accepted) = oneshot::channel();
        // No room on disk is promised: that is taken back while the disk refuses, and this is owed anyway.
        let entry = log::entry(Kind::Intent, tail, Duty::Owed, Promise::None, Some(waiter));
        let queued = self.log.pen.push_late(entry);
        if queued == Err(Unrecorded::Closed) {
            // There is nobody left who would write it later.
            return Err(Unrecorded::Closed);
        }
        self.progress = Progress::Late;
        let late = queued.is_err() || failing || self.accepted_soon(accepted).await.is_err();
        if late {
            self.log.queue.ran_late(queued.is_err());
        }
        Ok(late)
    }

    /// Waits for a record on which nothing depends.
    async fn accepted_soon(&self, accepted: Accepted) -> Result<(), Unrecorded> {
        if self.log.queue.failing().is_some() {
            return Err(Unrecorded::Failing);
        }
        tokio::time::timeout(LATE_WAIT, log::wait(accepted)).await.unwrap_or(Err(Unrecorded::TimedOut))
    }

    /// Records that another target is about to be asked.
    ///
    /// # Errors
    /// When it is not accepted: then the target must not be asked.
    pub async fn attempt(&mut self, attempt: &Attempt) -> Result<(), Unrecorded> {
        if self.late {
            return self.follow_late(Kind::Attempt, tail::attempt(self.call, attempt)).await;
        }
        self.log.refusable(Kind::Attempt, tail::attempt(self.call, attempt)).await
    }

    /// Records that a streamed reply is about to start.
    ///
    /// # Errors
    /// When it is not accepted: then nothing of the reply must be sent.
    pub async fn answered(&mut self, answered: Answered) -> Result<(), Unrecorded> {
        let promise = if self.progress == Progress::Intended { Promise::Uses } else { Promise::None };
        let tail = tail::of_call(self.call, &answered);
        if self.late {
            return self.follow_late(Kind::Answered, tail).await;
        }
        let (waiter, accepted) = oneshot::channel();
        let entry = log::entry(Kind::Answered, tail, Duty::Refusable, promise, Some(waiter));
        self.log.pen.push_promised(entry)?;
        log::wait(accepted).await
    }

    /// What comes after the intent of a call that runs either way.
    async fn follow_late(&self, kind: Kind, tail: Vec<u8>) -> Result<(), Unrecorded> {
        let (waiter, accepted) = oneshot::channel();
        // Where there is no room, the end of the call is recorded all the same.
        match self.log.pen.push_late(log::entry(kind, tail, Duty::Owed, Promise::None, Some(waiter))) {
            Ok(()) => drop(self.accepted_soon(accepted).await),
            Err(Unrecorded::Closed) => return Err(Unrecorded::Closed),
            Err(_) => {}
        }
        Ok(())
    }

    /// Records the end of the call. Returns once that is accepted.
    ///
    /// # Errors
    /// When it is not accepted in time. It is owed all the same and will be written as soon as that is possible.
    pub async fn closed(mut self, closed: &Closed) -> Result<(), Unrecorded> {
        let (waiter, accepted) = oneshot::channel();
        self.settle_closed(closed, Some(waiter))?;
        if self.late {
            let _ = self.accepted_soon(accepted).await;
            return Ok(());
        }
        drop(self);
        log::wait(accepted).await
    }

    /// Records the end of the call, without waiting.
    pub fn close_later(mut self, closed: &Closed) {
        // It fails only when the log is closed, and then nobody is left to tell.
        let _ = self.settle_closed(closed, None);
    }

    /// Records that the call was refused. Returns once that is accepted.
    ///
    /// After an intent it is recorded as closed: failed, with the refusal's word.
    ///
    /// # Errors
    /// When it is not accepted in time. It is owed all the same and will be written as soon as that is possible.
    pub async fn refused(mut self, refused: &Refused) -> Result<(), Unrecorded> {
        if let Some(question) = &refused.question
            && let Err(error) = self.log.redaction.ready(&question.principal.id).await
        {
            tracing::warn!(%error, "there is no key to encrypt the audit record of a refusal with; its fields are dropped");
        }
        let accepted = self.settle_refused(refused, true)?;
        drop(self);
        match accepted {
            Some(accepted) => log::wait(accepted).await,
            None => Ok(()),
        }
    }

    /// Records that the call was refused, without waiting: for answers that say the log can't be written.
    pub fn refuse_later(mut self, refused: &Refused) {
        // It fails only when the log is closed, and then nobody is left to tell.
        let _ = self.settle_refused(refused, false);
    }

    /// Records that the call was refused before it was identified: by itself up to a rate, counted beyond it.
    ///
    /// # Errors
    /// When the record was not accepted; then it is counted.
    pub async fn refused_early(mut self, refused: &Refused) -> Result<(), Unrecorded> {
        self.progress = Progress::Settled;
        self.log.queue.give_back(Room::CALL);
        let tail = tail::refused(self.call, &self.known, refused, self.duration_us(), &self.log.redaction, false);
        if !self.log.admits_early(&self.known, &tail) {
            self.log.count_early(&self.known, refused);
            return if self.log.queue.failing().is_some() { Err(Unrecorded::Failing) } else { Ok(()) };
        }
        let done = self.log.refusable(Kind::Refused, tail).await;
        if done.is_err() {
            self.log.count_early(&self.known, refused);
        }
        done
    }

    fn settle_closed(&mut self, closed: &Closed, waiter: Waiter) -> Result<(), Unrecorded> {
        let promise = if self.progress == Progress::Intended { Promise::Ends } else { Promise::None };
        self.progress = Progress::Settled;
        let tail = tail::closed(self.call, closed, self.duration_us());
        self.log.pen.push_promised(last(Kind::Closed, tail, promise, waiter))
    }

    fn settle_refused(&mut self, refused: &Refused, waits: bool) -> Result<Option<Accepted>, Unrecorded> {
        let (waiter, accepted) = oneshot::channel();
        let (waiter, accepted) = if waits { (Some(waiter), Some(accepted)) } else { (None, None) };
        if self.progress != Progress::Opened {
            let closed = Closed {
                outcome: Outcome::Failed,
                status: Some(refused.status),
                bytes_in: refused.bytes_in,
                bytes_out: 0,
                error: Some(refused.refusal.clone()),
                run: None,
            };
            return self.settle_closed(&closed, waiter).map(|()| accepted);
        }
        self.progress = Progress::Settled;
        let (duration, redaction) = (self.duration_us(), &self.log.redaction);
        let tail = tail::refused(self.call, &self.known, refused, duration, redaction, false);
        if tail.len() <= PROMISED_TAIL_BYTES_MAX {
            self.log.pen.push_promised(last(Kind::Refused, tail, Promise::None, waiter))?;
        } else if let Err(entry) = self.log.pen.push_large(last(Kind::Refused, tail, Promise::None, waiter)) {
            let tail = tail::refused(self.call, &self.known, refused, duration, redaction, true);
            self.log.pen.push_promised(Entry { tail, ..entry })?;
        }
        Ok(accepted)
    }

    fn duration_us(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A log that is closed has nobody left to tell.
        let _ = match self.progress {
            Progress::Settled => Ok(()),
            Progress::Opened => {
                let refused = Refused::worded(ABANDONED, STATUS_ABANDONED, Stage::Front);
                self.settle_refused(&refused, false).map(drop)
            }
            Progress::Intended | Progress::Late => {
                let outcome = Outcome::Abandoned;
                let closed = Closed { outcome, status: None, bytes_in: 0, bytes_out: 0, error: None, run: None };
                self.settle_closed(&closed, None)
            }
        };
    }
}

type Waiter = Option<oneshot::Sender<Result<(), Unrecorded>>>;

/// The last record of a call gives all of its room back.
fn last(kind: Kind, tail: Vec<u8>, promise: Promise, waiter: Waiter) -> Entry {
    Entry { room: Room::CALL, ..log::entry(kind, tail, Duty::Owed, promise, waiter) }
}
