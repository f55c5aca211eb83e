//! Metrics of targets: attempts, starts, what is billed, what it is estimated to cost.

use crate::audit::record::Spent;
use mesh::{
    cost::{Cost, PICO},
    report::{Report, Start},
};
use policy::permit::TargetIndex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

/// Most callers that have metrics of their own; the others are counted together.
const CALLERS_MAX: usize = 500;
/// The label of those.
const OTHERS: &str = "(others)";

/// Seconds, or an amount of money.
type Fractions = Counter<f64, AtomicU64>;

/// The families.
#[derive(Clone, Debug, Default)]
pub(crate) struct CostMeters {
    attempts: Family<AttemptLabels, Counter>,
    starts: Family<StartLabels, Counter>,
    starting: Family<TargetLabels, Fractions>,
    billed: Family<TargetLabels, Fractions>,
    costs: Family<CostLabels, Fractions>,
    callers: Family<CallerLabels, Fractions>,
    known: Arc<Mutex<HashSet<Arc<str>>>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AttemptLabels {
    function: Arc<str>,
    target: u16,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StartLabels {
    function: Arc<str>,
    target: u16,
    start: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TargetLabels {
    function: Arc<str>,
    target: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CostLabels {
    function: Arc<str>,
    target: u16,
    currency: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallerLabels {
    caller: Arc<str>,
    currency: Arc<str>,
}

impl CostMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("target_attempts", "Attempts by target, of functions with several", self.attempts.clone());
        registry.register(
            "target_starts",
            "Runs whose backend told whether an instance was started",
            self.starts.clone(),
        );
        registry.register_with_unit("target_init", "How long such starts took", Unit::Seconds, self.starting.clone());
        registry.register_with_unit(
            "target_billed",
            "Time that providers say they bill",
            Unit::Seconds,
            self.billed.clone(),
        );
        registry.register("cost", "What runs are estimated to have cost, in the currency", self.costs.clone());
        registry.register(
            "caller_cost",
            "The same by caller; those of many callers are counted together",
            self.callers.clone(),
        );
    }

    /// An attempt ended.
    pub(crate) fn attempted(&self, function: &Arc<str>, target: TargetIndex, good: bool) {
        let result = if good { "answered" } else { "failed" };
        let labels = AttemptLabels { function: function.clone(), target: target.0, result };
        self.attempts.get_or_create(&labels).inc();
    }

    /// A run was told of, or estimated.
    pub(crate) fn ran(&self, function: &Arc<str>, target: TargetIndex, report: &Report, spent: Option<&Spent>) {
        let (function, target) = (function.clone(), target.0);
        let labels = TargetLabels { function: function.clone(), target };
        if let Some(start) = report.start {
            let labels = StartLabels { function: function.clone(), target, start: start.as_str() };
            self.starts.get_or_create(&labels).inc();
        }
        let add = |family: &Family<TargetLabels, Fractions>, time: Option<Duration>| {
            if let Some(time) = time {
                family.get_or_create(&labels).inc_by(time.as_secs_f64());
            }
        };
        add(&self.starting, report.init.filter(|_| report.start == Some(Start::Cold)));
        add(&self.billed, report.billed);
        if let Some(spent) = spent {
            let labels = CostLabels { function, target, currency: spent.currency.clone() };
            self.costs.get_or_create(&labels).inc_by(units(spent.pico));
        }
    }

    /// A call of that caller was estimated to cost so much.
    pub(crate) fn caller(&self, caller: &Arc<str>, spent: &Spent) {
        let labels = CallerLabels { caller: caller.clone(), currency: spent.currency.clone() };
        if let Some(known) = self.callers.get(&labels) {
            known.inc_by(units(spent.pico));
            return;
        }
        let caller = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.contains(caller) || known.len() < CALLERS_MAX && known.insert(caller.clone()) {
                caller.clone()
            } else {
                OTHERS.into()
            }
        };
        let labels = CallerLabels { caller, currency: spent.currency.clone() };
        self.callers.get_or_create(&labels).inc_by(units(spent.pico));
    }
}

/// Metrics of budgets.
#[derive(Clone, Debug, Default)]
pub(crate) struct BudgetMeters {
    over: Family<OverLabels, Counter>,
    spent: Family<BudgetLabels, Fractions>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OverLabels {
    budget: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BudgetLabels {
    budget: Arc<str>,
}

impl BudgetMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("budget_over", "Calls that came when a budget was used up", self.over.clone());
        registry.register("budget_spent", "What counted against a budget, in the currency", self.spent.clone());
    }

    /// A call came when it was used up.
    pub(crate) fn over(&self, budget: &Arc<str>, result: &'static str) {
        self.over.get_or_create(&OverLabels { budget: budget.clone(), result }).inc();
    }

    /// So much counted against it.
    pub(crate) fn spent(&self, budget: &Arc<str>, pico: Cost) {
        self.spent.get_or_create(&BudgetLabels { budget: budget.clone() }).inc_by(units(pico));
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn units(pico: Cost) -> f64 {
    pico as f64 / PICO
}
