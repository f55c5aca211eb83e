//! So many findings of a detector in an hour are told one by one; more are counted, so that no flood fills the log.

use super::{
    Told,
    finding::{Counted, Detector, Finding},
    scene::{HOUR, instant},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// See the file's first line.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Limits {
    hour: i64,
    at: i64,
    of: BTreeMap<Detector, Hour>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Hour {
    told: u32,
    counted: Option<(u64, i64, i64)>,
}

impl Limits {
    /// Tells what was counted in an hour that is over.
    pub(super) fn advance(&mut self, at: i64, told: &mut Vec<Told>) {
        let hour = at.div_euclid(HOUR);
        self.at = at;
        if hour == self.hour {
            return;
        }
        self.hour = hour;
        for (detector, Hour { counted, .. }) in std::mem::take(&mut self.of) {
            told.extend(
                counted.map(|(count, from, to)| {
                    Told::Sum(Counted { detector, count, from: instant(from), to: instant(to) })
                }),
            );
        }
    }

    /// Tells of a finding, or counts it.
    pub(super) fn take(&mut self, finding: Finding, most: u32, told: &mut Vec<Told>) {
        let hour = self.of.entry(finding.detector).or_default();
        if hour.told < most {
            hour.told += 1;
            told.push(Told::One(finding));
            return;
        }
        let (count, from, _) = hour.counted.unwrap_or((0, self.at, self.at));
        hour.counted = Some((count + 1, from, self.at));
        told.push(Told::More(finding));
    }
}
