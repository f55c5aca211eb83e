//! What a run is estimated to cost, by a price list that the operator keeps.

use crate::report::Report;
use jiff::civil::Date;
use std::{sync::Arc, time::Duration};

/// What one unit of the currency is in [`Cost`]s.
pub const PICO: f64 = 1e12;
/// MiB of a GiB.
const MIB: u64 = 1024;

/// An amount in millionths of a millionth of the price list's currency.
pub type Cost = u64;

/// One entry of a price list. All amounts are in [`Cost`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Its name, as targets refer to it.
    pub name: Arc<str>,
    /// Three letters (ISO 4217).
    pub currency: Arc<str>,
    /// Where it is published.
    pub source: Arc<str>,
    /// When it was looked up.
    pub date: Date,
    /// For each call.
    pub call: Cost,
    /// For each GiB of memory and second.
    pub gib_second: Cost,
    /// For each second.
    pub second: Cost,
    /// For each unit of the request's body, and what a unit is, in bytes. A begun unit counts whole, and so does an empty body.
    pub unit: Option<(Cost, u64)>,
    /// What times are rounded up to.
    pub time_step: Duration,
    /// The shortest time that is billed.
    pub time_min: Duration,
    /// What memory is rounded up to, in MiB.
    pub memory_step_mib: u32,
    /// The least memory that is billed, in MiB.
    pub memory_min_mib: u32,
    /// Whether the time of a cold start is billed.
    pub init_billed: bool,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What its provider told.
    pub report: Report,
    /// How long it took to the end of the answer, as the gateway saw it.
    pub took: Duration,
    /// The memory of its target, as configured, in MiB.
    pub memory_mib: Option<u32>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
}

impl Price {
    /// The estimate; `None` when memory is billed and nobody says how much there is.
    #[must_use]
    pub fn estimate(&self, usage: &Usage) -> Option<Cost> {
        let nanos = self.billed(usage).as_nanos();
        let memory = match usage.report.memory_mib.or(usage.memory_mib) {
            Some(mib) => up(mib.max(self.memory_min_mib).into(), self.memory_step_mib.into())?,
            None if self.gib_second == 0 => 0,
            None => return None,
        };
        let by_memory = u128::from(self.gib_second) * u128::from(memory) / u128::from(MIB);
        let by_time = (by_memory + u128::from(self.second)).checked_mul(nanos)? / 1_000_000_000;
        let units = self
            .unit
            .map_or(0, |(cost, bytes)| u128::from(cost) * u128::from(usage.bytes_in.div_ceil(bytes.max(1)).max(1)));
        u64::try_from(u128::from(self.call) + by_time + units).ok()
    }

    /// What the provider says that it bills, or what it would.
    fn billed(&self, usage: &Usage) -> Duration {
        if let Some(billed) = usage.report.billed {
            return billed;
        }
        let ran = usage.report.ran.unwrap_or(usage.took);
        let init = usage.report.init.filter(|_| self.init_billed && usage.report.ran.is_some());
        let time = (ran + init.unwrap_or_default()).max(self.time_min);
        up(time.as_nanos(), self.time_step.as_nanos()).map_or(time, Duration::from_nanos)
    }
}

/// Rounded up to whole steps.
fn up(value: u128, step: u128) -> Option<u64> {
    let steps = value.div_ceil(step.max(1));
    u64::try_from(steps.checked_mul(step.max(1))?).ok()
}

#[cfg(test)]
mod tests;
