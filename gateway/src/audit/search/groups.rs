//! Calls that have something in common, counted.

use super::{GROUP_FIELDS_MAX, SearchError, field::Field};
use crate::audit::index::{
    block::{Block, Row},
    entry::{DENIED, REFUSED, Word},
};
use hdrhistogram::Histogram;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use std::{collections::HashMap, sync::Arc};

/// Most groups of one answer.
const GROUPS_MAX: usize = 100_000;
/// Most groups whose latencies are kept: each takes some kilobytes.
const TIMED_MAX: usize = 5_000;
/// Significant digits of latencies.
const DIGITS: u8 = 2;

/// Calls that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The fields and what the calls have of them, in the order that was asked for.
    #[serde(serialize_with = "members", deserialize_with = "of_members")]
    pub by: Vec<(String, String)>,
    /// How many.
    pub calls: u64,
    /// Of those, how many policy denied.
    pub denied: u64,
    /// How many were refused otherwise.
    pub refused: u64,
    /// How many failed or were not answered in time.
    pub failed: u64,
    /// When the last began.
    pub last: Timestamp,
    /// How long those took that ran, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// How long calls took from arrival to end, in microseconds, to two digits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many ran to an end.
    pub ran: u64,
    /// The part of them that failed.
    pub error_rate: f64,
    /// Half took no longer.
    pub p50_us: u64,
    /// 95 of 100 took no longer.
    pub p95_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
}

fn members<S: Serializer>(by: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(by.len()))?;
    by.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
    map.end()
}

fn of_members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let map = serde_json::Map::deserialize(deserializer)?;
    let text = |value: serde_json::Value| value.as_str().map(ToOwned::to_owned).unwrap_or_default();
    Ok(map.into_iter().map(|(name, value)| (name, text(value))).collect())
}

type Key = [i64; GROUP_FIELDS_MAX];

/// What is counted.
#[derive(Clone, Debug, Default)]
struct Tally {
    calls: u64,
    denied: u64,
    refused: u64,
    failed: u64,
    last: i64,
    ran: u64,
    times: Option<Histogram<u64>>,
}

/// All groups of an answer.
#[derive(Debug)]
pub(crate) struct Groups {
    fields: Vec<Field>,
    timed: bool,
    tallies: HashMap<Vec<String>, Tally>,
    /// How many calls there were.
    pub(crate) found: u64,
}

/// Outcomes of a block, as its words.
#[derive(Debug)]
pub(crate) struct Outcomes {
    denied: Option<u32>,
    refused: Option<u32>,
    failed: [Option<u32>; 2],
}

impl Outcomes {
    pub(crate) fn of(block: &Block) -> Self {
        let place = |word: &str| {
            let place = block.words.iter().skip(1).position(|text| **text == *word)?;
            u32::try_from(place + 1).ok()
        };
        Self { denied: place(DENIED), refused: place(REFUSED), failed: [place("failed"), place("timed_out")] }
    }
}

/// The groups of one block, by its numbers.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    block: &'a Block,
    fields: &'a [Field],
    timed: bool,
    outcomes: Outcomes,
    tallies: HashMap<Key, Tally>,
    found: u64,
}

impl<'a> Local<'a> {
    /// Counts a call.
    pub(crate) fn add(&mut self, row: &Row) {
        self.found += 1;
        let by_policy = self.fields.contains(&Field::Policy);
        let set = self.block.sets.get(row.policies as usize).map(Vec::as_slice).filter(|_| by_policy);
        match set {
            Some(set) if !set.is_empty() => set.iter().for_each(|policy| self.count(row, *policy)),
            _ => self.count(row, 0),
        }
    }

    fn count(&mut self, row: &Row, policy: u32) {
        let mut key = Key::default();
        for (place, field) in key.iter_mut().zip(self.fields) {
            *place = field.number(row, policy);
        }
        let tally = self.tallies.entry(key).or_default();
        let outcome = Some(row.word(Word::Outcome)).filter(|word| *word != 0);
        tally.calls += 1;
        tally.last = if tally.calls == 1 { row.at() } else { tally.last.max(row.at()) };
        if outcome.is_none() {
            return;
        }
        if outcome == self.outcomes.denied {
            tally.denied += 1;
        } else if outcome == self.outcomes.refused {
            tally.refused += 1;
        } else {
            tally.failed += u64::from(self.outcomes.failed.contains(&outcome));
            tally.ran += 1;
            if self.timed
                && let Some(times) = times(&mut tally.times)
            {
                // The histogram grows by itself; what it can't take, it can't show either.
                let _ = times.record(row.duration_us);
            }
        }
    }
}

fn times(times: &mut Option<Histogram<u64>>) -> Option<&mut Histogram<u64>> {
    if times.is_none() {
        *times = Histogram::new(DIGITS).ok();
    }
    times.as_mut()
}

impl Groups {
    pub(crate) fn new(fields: Vec<Field>, timed: bool) -> Self {
        Self { fields, timed, tallies: HashMap::new(), found: 0 }
    }

    /// Counts those of the calls of a block that `each` gives.
    pub(crate) fn add(
        &mut self,
        (block, node): (&Block, &Arc<str>),
        each: impl FnOnce(&mut Local<'_>),
    ) -> Result<(), SearchError> {
        let (fields, timed) = (self.fields.clone(), self.timed);
        let outcomes = Outcomes::of(block);
        let mut local = Local { block, fields: &fields, timed, outcomes, tallies: HashMap::new(), found: 0 };
        each(&mut local);
        self.found += local.found;
        for (key, tally) in local.tallies {
            let key = fields.iter().zip(key).map(|(field, number)| field.text(number, block, node)).collect();
            self.join(key, tally)?;
        }
        Ok(())
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), SearchError> {
        self.found += other.found;
        other.tallies.into_iter().try_for_each(|(key, tally)| self.join(key, tally))
    }

    fn join(&mut self, key: Vec<String>, other: Tally) -> Result<(), SearchError> {
        let most = if self.timed { TIMED_MAX } else { GROUPS_MAX };
        if self.tallies.len() >= most && !self.tallies.contains_key(&key) {
            return Err(SearchError::Groups(most));
        }
        let tally = self.tallies.entry(key).or_insert_with(|| Tally { last: i64::MIN, ..Tally::default() });
        tally.calls += other.calls;
        tally.denied += other.denied;
        tally.refused += other.refused;
        tally.failed += other.failed;
        tally.ran += other.ran;
        tally.last = tally.last.max(other.last);
        if let Some(more) = other.times {
            match &mut tally.times {
                // Both grow by themselves.
                Some(times) => drop(times.add(more)),
                none => *none = Some(more),
            }
        }
        Ok(())
    }

    /// The largest groups, the largest first.
    pub(crate) fn largest(self, limit: usize) -> Vec<Group> {
        let names: Vec<_> = self.fields.iter().map(|field| field.as_str().to_owned()).collect();
        let timed = self.timed;
        let mut all: Vec<_> = self.tallies.into_iter().collect();
        all.sort_by(|(a, one), (b, other)| other.calls.cmp(&one.calls).then_with(|| a.cmp(b)));
        all.truncate(limit);
        let group = |(key, tally): (Vec<String>, Tally)| Group {
            by: names.iter().cloned().zip(key).collect(),
            calls: tally.calls,
            denied: tally.denied,
            refused: tally.refused,
            failed: tally.failed,
            last: Timestamp::from_microsecond(tally.last).unwrap_or_default(),
            latency: timed.then(|| tally.latency()),
        };
        all.into_iter().map(group).collect()
    }
}

impl Tally {
    fn latency(&self) -> Latency {
        let at = |part: f64| self.times.as_ref().map_or(0, |times| times.value_at_quantile(part));
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown to few digits")]
        let error_rate = if self.ran == 0 { 0.0 } else { self.failed as f64 / self.ran as f64 };
        Latency { ran: self.ran, error_rate, p50_us: at(0.5), p95_us: at(0.95), p99_us: at(0.99) }
    }
}
