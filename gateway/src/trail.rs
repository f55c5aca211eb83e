//! What a call leaves behind, whatever becomes of it: its records, its metrics, one log line. Settled exactly once.

mod runs;
mod words;

use crate::{
    audit::{
        Unrecorded,
        guard::Guard,
        record::{Answered, Attempt, Closed, Intent, Outcome, Refused, Request, Run, Stage},
    },
    budget::Budgets,
    call::{Arrived, Envelope, Identified, Permitted, Routed},
    config,
    front::body::BodyFault,
    identify::pass::Unidentified,
    refusal::{Refusal, Row},
    server::Gateway,
    telemetry::{
        FunctionMeters,
        export::Exporter,
        lines::CALL,
        span::{CallSpan, Ended},
    },
};
use jiff::Timestamp;
use mesh::dispatch::{Attempted, Chosen, Further, Plan};
use policy::{
    permit::{Denial, TargetIndex, Terms},
    question::{FunctionName, Principal},
};
use runs::Runs;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use words::{outcome, reason, version, word};

/// The trail of one call. Dropping it unsettled records that the caller hung up.
#[derive(Debug)]
pub struct Trail {
    guard: Option<Guard>,
    envelope: Envelope,
    meters: FunctionMeters,
    function: Option<FunctionName>,
    principal: Option<Arc<Principal>>,
    terms: Option<Terms>,
    intended: bool,
    runs: Option<Runs>,
    budgets: Option<Arc<Budgets>>,
    span: Option<Box<(CallSpan, Arc<Exporter>)>>,
}

/// A refusal, where it fell, and what policy said if it was policy.
#[derive(Debug)]
pub struct Stopped {
    stage: Stage,
    refusal: Refusal,
    denial: Option<Box<Denial>>,
}

impl Stopped {
    /// A refusal at a stage.
    pub fn at(stage: Stage) -> impl Fn(Refusal) -> Self {
        move |refusal| Self { stage, refusal, denial: None }
    }

    /// A denial of policy.
    #[must_use]
    pub fn denied((refusal, denial): (Refusal, Box<Denial>)) -> Self {
        Self { stage: Stage::Authorize, refusal, denial: Some(denial) }
    }
}

impl Trail {
    /// Reserves room for every record that the call will owe.
    ///
    /// # Errors
    /// [`Refusal::Unrecorded`]: what can't be recorded does not happen.
    pub fn open(gateway: &Gateway, envelope: Envelope) -> Result<Self, Refusal> {
        let late = || gateway.generation().config.runs_unrecorded();
        let guard = gateway.log.open_call_unless(envelope.id, envelope.at, late).map_err(|_| {
            gateway.unnamed.ended(Refusal::Unrecorded.row().word, envelope.started.elapsed());
            Refusal::Unrecorded
        })?;
        let meters = gateway.unnamed.clone();
        let exporter = gateway.exporter().filter(|e| e.sampling().is_some() && envelope.trace.ids().sampled);
        let span = exporter.map(|exporter| Box::new((CallSpan::begin(&envelope), exporter)));
        let mut trail = Self {
            guard: Some(guard),
            envelope,
            meters,
            function: None,
            principal: None,
            terms: None,
            intended: false,
            runs: None,
            budgets: None,
            span,
        };
        let (listener, source) = (trail.envelope.listener.name.clone(), trail.envelope.peer.source);
        let listener = trail.envelope.pass.is_none().then_some(listener);
        let trace = trail.envelope.trace.id();
        trail.know(|known| {
            known.listener = listener;
            known.source = source;
            known.trace = Some(trace.into());
        });
        Ok(trail)
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    pub(crate) fn arrived(&mut self, arrived: &Arrived) {
        let request = Request {
            method: arrived.head.method.as_str().into(),
            path: arrived.head.path.shared(),
            version: version(arrived.head.version).into(),
        };
        if let Some(span) = &mut self.span {
            span.0.arrived(arrived);
        }
        self.know(|known| known.request = Some(request));
    }

    /// # Errors
    /// [`Refusal::Unrecorded`], when the log can't be written and the function does not run without it.
    pub(crate) fn routed(&mut self, routed: &Routed) -> Result<(), Stopped> {
        let may = routed.found.as_ref().is_some_and(|f| f.function.config.unrecorded == config::Unrecorded::Run);
        let recorded = self.guard.as_mut().map_or(Ok(()), |guard| guard.may_run_late(may));
        let Some(found) = &routed.found else { return recorded.map_err(unrecorded) };
        self.meters = found.function.meters.clone();
        let budgets = &routed.arrived.generation.budgets;
        self.budgets = (!budgets.is_empty()).then(|| budgets.clone());
        let warmer = found.function.warmer.as_ref().filter(|_| self.envelope.pass.is_none());
        self.runs = Some(Runs::new(found.function.function.clone(), warmer));
        if let Some(span) = &mut self.span {
            span.0.routed(found);
        }
        let (name, tenant) = (found.function.function.name.clone(), found.function.function.tenant.clone());
        self.function = Some(name.clone());
        self.know(|known| {
            known.function = Some(name);
            known.tenant = tenant;
        });
        recorded.map_err(unrecorded)
    }

    pub(crate) fn identified(&mut self, identified: &Identified) {
        self.principal(identified.identity.principal.clone());
    }

    /// The call ends at identify; whoever is known all the same is named in its record.
    pub(crate) fn unidentified(&mut self, unidentified: Unidentified) -> Stopped {
        if let Some(identity) = unidentified.identity {
            self.principal(identity.principal.clone());
        }
        Stopped::at(Stage::Identify)(unidentified.refusal)
    }

    fn principal(&mut self, principal: Arc<Principal>) {
        self.principal = Some(principal.clone());
        self.know(|known| known.principal = Some(principal));
    }

    pub(crate) fn permitted(&mut self, permitted: &Permitted) {
        let terms = permitted.permit.terms();
        self.terms = Some(terms.clone());
        if let Some(denial) = terms.observed() {
            self.meters.observed(reason(denial));
            let (call, function) = (self.envelope.id, terms.function().as_str());
            tracing::warn!(%call, function, reason = reason(denial), "denied, but only observed: the call runs");
        }
    }

    /// Whether a budget still lets the call run.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`].
    pub(crate) fn affordable(&self) -> Result<(), Refusal> {
        let known = self.budgets.as_ref().zip(self.function.as_ref()).zip(self.principal.as_ref());
        known.map_or(Ok(()), |((budgets, function), caller)| budgets.admit(function, &caller.id, Timestamp::now()))
    }

    /// Before the effect: the decision and everything that it depended on.
    ///
    /// # Errors
    /// [`Refusal::Unrecorded`].
    pub async fn intent(&mut self, terms: &Terms, plan: &Plan) -> Result<(), Refusal> {
        let Some(guard) = &mut self.guard else { return Err(Refusal::Internal) };
        let Some(target) = plan.order().first() else { return Err(Refusal::Unreachable) };
        let mut intent = Intent::of(terms, *target);
        if plan.chosen() != Chosen::Only {
            intent.chosen = Some(plan.chosen().as_str());
            intent.resting = plan.resting().into();
        }
        let late = guard.intent(&intent).await.map_err(|_| Refusal::Unrecorded)?;
        if late {
            self.meters.late();
            let (call, function) = (self.envelope.id, terms.function().as_str());
            tracing::warn!(%call, function, "the audit log can't be written: the call runs all the same");
        }
        self.intended = true;
        Ok(())
    }

    /// Before another target is asked.
    ///
    /// # Errors
    /// [`Refusal::Unrecorded`].
    pub async fn attempt(&mut self, target: TargetIndex, why: &Further<'_>) -> Result<(), Refusal> {
        let (failed, error) = match why {
            Further::Failed(error) => (word(error), Some(error.to_string())),
            Further::Unavailable(status) => ("unavailable", Some(format!("status {status}"))),
            Further::Slow => ("slow", None),
        };
        if let Some(runs) = &mut self.runs {
            runs.further();
        }
        let run = if matches!(why, Further::Slow) { None } else { self.run() };
        let attempt = Attempt { target, failed: failed.into(), error, run };
        let Some(guard) = &mut self.guard else { return Err(Refusal::Internal) };
        guard.attempt(&attempt).await.map_err(|_| Refusal::Unrecorded)
    }

    /// An attempt ended.
    pub(crate) fn ended(&mut self, attempted: &Attempted<'_>) {
        if let Some(runs) = &mut self.runs {
            runs.ended(attempted, self.meters.cost());
        }
    }

    /// How the last attempt ran, once.
    fn run(&mut self) -> Option<Run> {
        let bytes_in = self.envelope.bytes_in.load(Ordering::Relaxed);
        let run = self.runs.as_mut()?.told(bytes_in, self.meters.cost())?;
        if let (Some(principal), Some(spent)) = (&self.principal, &run.cost) {
            self.meters.cost().0.caller(&principal.id, spent);
            if let Some((budgets, function)) = self.budgets.as_ref().zip(self.function.as_ref()) {
                budgets.spend(function, &principal.id, spent.pico, Timestamp::now());
            }
        }
        Some(run)
    }

    /// Before the first byte of a streamed reply.
    ///
    /// # Errors
    /// [`Refusal::Unrecorded`].
    pub async fn answered(&mut self, status: u16, target: TargetIndex) -> Result<(), Refusal> {
        let Some(guard) = &mut self.guard else { return Err(Refusal::Internal) };
        guard.answered(Answered { status, target }).await.map_err(|_| Refusal::Unrecorded)
    }

    /// A unary call ended well: its answer may leave once this returns.
    ///
    /// # Errors
    /// [`Refusal::Unrecorded`].
    pub async fn closed(mut self, status: u16, bytes_out: u64) -> Result<(), Refusal> {
        let Some(guard) = self.guard.take() else { return Err(Refusal::Internal) };
        let closed = self.end(Outcome::Completed, Some(status), bytes_out, None);
        guard.closed(&closed).await.map_err(|_| Refusal::Unrecorded)
    }

    /// A streamed call ended. Its room was reserved, so this neither waits nor fails.
    pub fn close_later(mut self, outcome: Outcome, status: u16, bytes_out: u64) {
        if let Some(guard) = self.guard.take() {
            let closed = self.end(outcome, Some(status), bytes_out, None);
            guard.close_later(&closed);
        }
    }

    /// The call is refused, or failed after its intent. Returns what the caller is told.
    pub async fn stop(mut self, stopped: Stopped) -> Refusal {
        let Some(guard) = self.guard.take() else { return Refusal::Internal };
        let row = stopped.refusal.row();
        let recorded = if self.intended {
            let outcome = outcome(&stopped.refusal);
            let closed = self.end(outcome, Some(row.status), 0, Some(row));
            guard.closed(&closed).await
        } else {
            self.tell("refused", row.status, Some(row));
            if let Some(denial) = &stopped.denial {
                self.meters.denied(reason(denial));
            }
            self.refuse(guard, &stopped).await
        };
        if recorded.is_ok() { stopped.refusal } else { Refusal::Unrecorded }
    }

    /// Before anybody was identified, refusals beyond a rate are counted instead of written one by one.
    async fn refuse(&self, guard: Guard, stopped: &Stopped) -> Result<(), Unrecorded> {
        let refused = self.refused(stopped);
        match self.principal {
            Some(_) => guard.refused(&refused).await,
            None => guard.refused_early(&refused).await,
        }
    }

    fn refused(&self, stopped: &Stopped) -> Refused {
        let seen = self.envelope.bytes_in.load(Ordering::Relaxed);
        let mut refused = Refused::new(&stopped.refusal, stopped.stage).bytes_in(seen);
        if let Some(denial) = &stopped.denial {
            refused = refused.denied(denial);
        } else if let Some(terms) = &self.terms {
            refused = refused.asked(terms);
        }
        if let Refusal::UndeclaredGroup(group) = &stopped.refusal {
            return refused.error(format!("group `{group}` is not declared"));
        }
        match stopped.refusal.detail() {
            Some(detail) => refused.error(detail),
            None => refused,
        }
    }

    fn end(&mut self, outcome: Outcome, status: Option<u16>, bytes_out: u64, error: Option<Row>) -> Closed {
        // What failed because the caller left did not fail.
        let gone = outcome == Outcome::Failed && self.envelope.fault.get() == Some(&BodyFault::Gone);
        let (outcome, error) = if gone { (Outcome::Abandoned, None) } else { (outcome, error) };
        self.tell(outcome.as_str(), status.unwrap_or_default(), error);
        let bytes_in = self.envelope.bytes_in.load(Ordering::Relaxed);
        Closed { outcome, status, bytes_in, bytes_out, error: error.map(|row| row.word.into()), run: self.run() }
    }

    /// Metrics, log line, span: how the call ended.
    fn tell(&mut self, outcome: &'static str, status: u16, refused: Option<Row>) {
        let took = self.envelope.started.elapsed();
        let word = refused.map_or(outcome, |row| row.word);
        self.meters.ended(word, took);
        // The end of a stream is seen by the connection's task, which works for no call in particular.
        CALL.sync_scope(self.envelope.trace.ids(), || self.log_line(word, status, took));
        if let Some(span) = self.span.take() {
            let (span, exporter) = *span;
            exporter.span(span.end(Ended { outcome, status, refused, took }));
        }
    }

    fn log_line(&self, outcome: &'static str, status: u16, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "latchwork::call",
            call = %self.envelope.id,
            function = self.function.as_ref().map(FunctionName::as_str),
            principal = self.principal.as_ref().map(|p| &*p.id),
            outcome,
            status,
            duration_us = micros,
            "call"
        );
    }

    fn know(&mut self, fill: impl FnOnce(&mut crate::audit::record::Known)) {
        if let Some(guard) = &mut self.guard {
            fill(guard.known());
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        // The guard writes the record when it is dropped; metrics and log are ours.
        if self.guard.is_some() {
            self.tell(Outcome::Abandoned.as_str(), 0, None);
        }
    }
}

fn unrecorded(_: Unrecorded) -> Stopped {
    Stopped::at(Stage::Front)(Refusal::Unrecorded)
}
