//! What runs cost so far in each budget's period, and what becomes of calls once that is too much.

#[cfg(test)]
mod tests;

use crate::{
    audit::{charges::Charges, query},
    config::{Budget, Each, Period, Then},
    refusal::Refusal,
    telemetry::BudgetMeters,
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use mesh::cost::Cost;
use policy::question::FunctionName;
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Most functions or callers of which one budget keeps what they spent; what is spent by others is counted together.
const KEYS_MAX: usize = 100_000;

/// Every budget. A reload keeps what was spent by those that did not change their period and whom they are for.
#[derive(Debug, Default)]
pub struct Budgets {
    all: Vec<Kept>,
    meters: BudgetMeters,
}

#[derive(Clone, Debug)]
struct Kept {
    budget: Arc<Budget>,
    spent: Arc<Mutex<Spent>>,
    /// Whose the amount is where all have it together.
    all: Arc<str>,
}

/// What was spent in the period that began at `since`.
#[derive(Debug, Default)]
struct Spent {
    since: Timestamp,
    amounts: HashMap<Arc<str>, Amount>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    pico: Cost,
    /// That it is used up has been said.
    said: bool,
}

impl Budgets {
    /// Those of a configuration.
    #[must_use]
    pub(crate) fn new(budgets: &[Arc<Budget>], meters: BudgetMeters, previous: Option<&Self>) -> Self {
        let kept = |budget: &Arc<Budget>| {
            let same = |old: &&Kept| {
                let (now, then) = (budget, &old.budget);
                now.name == then.name
                    && (now.per, now.each) == (then.per, then.each)
                    && (&now.functions, &now.callers) == (&then.functions, &then.callers)
            };
            let old = previous.and_then(|previous| previous.all.iter().find(same));
            let spent = old.map(|old| old.spent.clone()).unwrap_or_default();
            Kept { budget: budget.clone(), spent, all: "".into() }
        };
        Self { all: budgets.iter().map(kept).collect(), meters }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a call may still run.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`], with the time until the budget's next period.
    pub fn admit(&self, function: &FunctionName, caller: &Arc<str>, now: Timestamp) -> Result<(), Refusal> {
        for kept in self.of(function, caller) {
            let budget = &kept.budget;
            let key = kept.key(function, caller);
            let over = {
                let mut spent = kept.lock(now);
                let amount = spent.amount(&key);
                let over = amount.pico >= budget.amount;
                let first = over && !std::mem::replace(&mut amount.said, over);
                if first {
                    tracing::warn!(budget = &*budget.name, of = &*key, "a budget is used up");
                }
                over
            };
            if !over {
                continue;
            }
            match budget.then {
                Then::Warn => self.meters.over(&budget.name, "warned"),
                Then::Shadow => self.meters.over(&budget.name, "shadowed"),
                Then::Refuse => {
                    self.meters.over(&budget.name, "refused");
                    let left = budget.per.next(now).as_second() - now.as_second();
                    let retry_after = Duration::from_secs(u64::try_from(left).unwrap_or(0).max(1));
                    return Err(Refusal::OverBudget { budget: budget.name.clone(), retry_after });
                }
            }
        }
        Ok(())
    }

    /// A run was estimated to cost so much.
    pub fn spend(&self, function: &FunctionName, caller: &Arc<str>, pico: Cost, now: Timestamp) {
        self.add((function, caller), pico, now, now);
    }

    /// Adds what the log says was spent before this process began, so that a restart fills no budget.
    ///
    /// # Errors
    /// When the folder of the log can't be read.
    pub fn recall(&self, folder: &Path, before: Timestamp) -> io::Result<()> {
        let Some(since) = self.all.iter().map(|kept| kept.budget.per.begin(before)).min() else { return Ok(()) };
        let mut charges = Charges::default();
        for line in query::Records::of_node(folder)? {
            let Ok(Some(charge)) = line.and_then(|line| charges.take(&line)) else { continue };
            if let Some(cost) = charge.run.cost.filter(|_| (since..before).contains(&charge.at)) {
                self.add((&charge.function, &charge.caller), cost.pico, charge.at, Timestamp::now());
            }
        }
        Ok(())
    }

    /// The same on a thread of its own. Until it has ended, what was spent before counts for nothing.
    pub(crate) fn recall_in_background(self: &Arc<Self>, folder: PathBuf, before: Timestamp) {
        if self.is_empty() {
            return;
        }
        let budgets = self.clone();
        let read = move || match budgets.recall(&folder, before) {
            Ok(()) => tracing::debug!("what was spent before is known"),
            Err(error) => tracing::error!(%error, "the log can't be read: budgets begin with nothing spent"),
        };
        if let Err(error) = thread::Builder::new().name("latchwork-budget".into()).spawn(read) {
            tracing::error!(%error, "no thread can be started: budgets begin with nothing spent");
        }
    }

    fn add(&self, (function, caller): (&FunctionName, &Arc<str>), pico: Cost, at: Timestamp, now: Timestamp) {
        for kept in self.of(function, caller) {
            let mut spent = kept.lock(now);
            // What is read from the log can be of a period that is over.
            if at >= spent.since {
                let amount = spent.amount(&kept.key(function, caller));
                amount.pico = amount.pico.saturating_add(pico);
                self.meters.spent(&kept.budget.name, pico);
            }
        }
    }

    fn of<'a>(&'a self, function: &'a FunctionName, caller: &'a str) -> impl Iterator<Item = &'a Kept> {
        self.all.iter().filter(move |kept| kept.budget.is_for(function.as_str(), caller))
    }
}

impl Kept {
    fn key(&self, function: &FunctionName, caller: &Arc<str>) -> Arc<str> {
        match self.budget.each {
            Each::All => self.all.clone(),
            Each::Function => function.as_str().into(),
            Each::Caller => caller.clone(),
        }
    }

    /// What was spent in the period of that moment; a new one begins with nothing.
    fn lock(&self, now: Timestamp) -> MutexGuard<'_, Spent> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = self.budget.per.begin(now);
        if begin > spent.since {
            *spent = Spent { since: begin, amounts: HashMap::new() };
        }
        spent
    }
}

impl Spent {
    fn amount(&mut self, key: &Arc<str>) -> &mut Amount {
        let known = self.amounts.len() < KEYS_MAX || self.amounts.contains_key(key);
        self.amounts.entry(if known { key.clone() } else { "".into() }).or_default()
    }
}

impl Period {
    /// When the period of that moment began.
    fn begin(self, at: Timestamp) -> Timestamp {
        let civil = TimeZone::UTC.to_datetime(at);
        let begin = match self {
            Self::Hour => civil.date().at(civil.hour(), 0, 0, 0),
            Self::Day => civil.date().at(0, 0, 0, 0),
            Self::Month => civil.date().first_of_month().at(0, 0, 0, 0),
        };
        TimeZone::UTC.to_timestamp(begin).unwrap_or(at)
    }

    /// When the next one begins.
    fn next(self, at: Timestamp) -> Timestamp {
        let begin = self.begin(at);
        let date =
            |date: Result<Date, _>| date.ok().and_then(|date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok());
        let today = TimeZone::UTC.to_datetime(at).date();
        match self {
            Self::Hour => begin.checked_add(1.hour()).ok(),
            Self::Day => date(today.tomorrow()),
            Self::Month => date(today.last_of_month().tomorrow()),
        }
        .unwrap_or(begin)
    }
}
