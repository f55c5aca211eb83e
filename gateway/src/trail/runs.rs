//! Where a call ran, how, and what that is estimated to have cost.

use crate::{
    audit::record::{Run, Spent},
    telemetry::CostMeters,
    warm::{Running, Seen, Warmer},
};
use mesh::{
    cost::Usage,
    dispatch::Attempted,
    function::{Function, Target},
    report::{Report, Reporting},
};
use policy::permit::TargetIndex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The attempts of one call, as far as they ended.
#[derive(Debug)]
pub(super) struct Runs {
    function: Arc<Function>,
    /// The last that ended and is not in a record yet.
    last: Option<Last>,
    /// More than one was made.
    several: bool,
    /// Who keeps the function warm sees how callers find it.
    warmer: Option<Running>,
}

#[derive(Debug)]
struct Last {
    target: TargetIndex,
    reporting: Reporting,
    asked: Instant,
    /// How long the answer took to begin.
    answered: Option<Duration>,
    /// The function may have run.
    ran: bool,
}

impl Runs {
    pub(super) fn new(function: Arc<Function>, warmer: Option<&Arc<Warmer>>) -> Self {
        Self { function, last: None, several: false, warmer: warmer.map(Warmer::running) }
    }

    /// A further attempt is about to be made.
    pub(super) fn further(&mut self) {
        self.several = true;
    }

    /// An attempt ended.
    pub(super) fn ended(&mut self, attempted: &Attempted<'_>, (meters, name): (&CostMeters, &Arc<str>)) {
        let now = Instant::now();
        let asked = now.checked_sub(attempted.took).unwrap_or(now);
        let failed = attempted.result.is_err();
        let ran = attempted.result.as_ref().err().is_none_or(|error| !error.had_no_effect());
        let (target, reporting) = (attempted.target, attempted.reporting.clone());
        let answered = (!failed).then_some(attempted.took);
        self.last = Some(Last { target, reporting, asked, answered, ran });
        if self.function.targets.len() > 1 {
            meters.attempted(name, attempted.target, !failed);
        }
    }

    /// What the next record says of the last attempt, if there is more to say than that it was made. Counts it once.
    pub(super) fn told(&mut self, bytes_in: u64, (meters, name): (&CostMeters, &Arc<str>)) -> Option<Run> {
        let Last { target, reporting, asked, answered, ran } = self.last.take()?;
        let target = self.function.target(target)?;
        let report = reporting.told();
        if let Some(warmer) = &self.warmer {
            warmer.seen(&Seen { target: target.index, asked, ended: Instant::now(), answered, report });
        }
        let priced = target.price.is_some() && (ran || report.is_some());
        if report.is_none() && !priced && !(self.several && ran) {
            return None;
        }
        let report = report.unwrap_or_default();
        let spent = priced.then(|| spent(target, report, asked.elapsed(), bytes_in)).flatten();
        meters.ran(name, target.index, &report, spent.as_ref());
        Some(run(target, report, spent))
    }
}

/// What one run is estimated to have cost; also what orders by price go by.
fn spent(target: &Target, report: Report, took: Duration, bytes_in: u64) -> Option<Spent> {
    let price = target.price.as_ref()?;
    let pico = price.estimate(&Usage { report, took, memory_mib: target.memory_mib, bytes_in })?;
    target.measured.costs(pico);
    Some(Spent { pico, currency: price.currency.clone() })
}

fn run(target: &Target, report: Report, cost: Option<Spent>) -> Run {
    let micros = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    Run {
        target: target.index,
        provider: target.backend.kind().into(),
        start: report.start.map(|start| start.as_str().into()),
        init_us: micros(report.init),
        ran_us: micros(report.ran),
        billed_us: micros(report.billed),
        memory_mib: report.memory_mib,
        cost,
    }
}
