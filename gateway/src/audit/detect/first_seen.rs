//! A caller uses a function that neither it nor its peers ever used, though nothing about the policies is new.

use super::{
    finding::{Detector, Finding, Unit},
    memory::Memory,
    scene::{DAY, Scene, micros, whole},
    sight::{Used, Who},
    volume::pair,
};
use crate::config::detect::FirstSeen;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most callers that are known.
const CALLERS_MAX: usize = 20_000;
/// Most functions, and most permits.
const EACH_MAX: usize = 20_000;
/// Most pairs of caller and function.
const PAIRS_MAX: usize = 100_000;
/// Most pairs of group and function.
const USES_MAX: usize = 50_000;

/// See the file's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pairs: Memory<Arc<str>, ()>,
    callers: Memory<Arc<str>, Caller>,
    functions: Memory<Arc<str>, First>,
    permits: Memory<Arc<str>, First>,
    /// How many members each has.
    groups: Memory<Arc<str>, u32>,
    /// How many members of a group use a function, and since when any does.
    uses: Memory<Arc<str>, (u32, First)>,
    bundle: Option<(Arc<str>, i64)>,
}

/// When a function or permit was seen for the first time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct First {
    at: i64,
    /// Policies had just changed, so that it may have come with them.
    settling: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Caller {
    since: i64,
    groups: Vec<Arc<str>>,
}

impl State {
    pub(super) fn new(remember: i64) -> Self {
        let each = || Memory::new(EACH_MAX, remember);
        Self {
            pairs: Memory::new(PAIRS_MAX, remember),
            callers: Memory::new(CALLERS_MAX, remember),
            functions: each(),
            permits: each(),
            groups: Memory::new(EACH_MAX, remember),
            uses: Memory::new(USES_MAX, remember),
            bundle: None,
        }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.pairs.forgotten()
            + self.callers.forgotten()
            + self.functions.forgotten()
            + self.permits.forgotten()
            + self.groups.forgotten()
            + self.uses.forgotten()
    }

    /// Policies were put in force.
    pub(super) fn changed(&mut self, bundle: &str, scene: &Scene<'_>) {
        let same = self.bundle.as_ref().is_some_and(|(known, _)| **known == *bundle);
        if !same {
            // The first one that is seen is as old as the log.
            let since = if self.bundle.is_some() { scene.at } else { i64::MIN };
            self.bundle = Some((bundle.into(), since));
        }
    }

    /// A call was permitted.
    pub(super) fn used(&mut self, config: &FirstSeen, used: &Used<'_>, scene: &mut Scene<'_>) {
        if self.bundle.is_none() {
            self.changed(&used.bundle, scene);
        }
        let settle = micros(config.settle);
        let came = self.bundle.as_ref().map_or(i64::MIN, |(_, since)| *since);
        let now = First { at: scene.at, settling: scene.age(came) < settle };
        let at = scene.at;
        let fresh = move |first: First| first.settling && at.saturating_sub(first.at) < settle;
        let new = |known: &mut Memory<Arc<str>, First>, name: &str| {
            let first = known.get(name, at).copied();
            if first.is_none() {
                known.insert(name.into(), now, at);
            }
            fresh(first.unwrap_or(now))
        };
        let mut granted = new(&mut self.functions, &used.function);
        for permit in &used.permits {
            granted |= new(&mut self.permits, permit);
        }
        if !used.who.is_known() {
            return;
        }
        let since = self.caller(&used.who, scene.at);
        let pair = pair(&used.function, &used.who.id);
        if self.pairs.get(&*pair, scene.at).is_some() {
            return;
        }
        let forgotten = self.pairs.horizon();
        self.pairs.insert(pair.into(), (), scene.at);
        let expected = self.peers((config.peers, now), used, fresh);
        let settles = used.who.groups.is_empty() && scene.age(since) < scene.learn;
        if granted || expected || settles || !scene.has_learned(forgotten, Detector::FirstSeen) {
            return;
        }
        let since = scene.known_since(forgotten);
        let days = (whole(scene.age(since), DAY), whole(scene.learn, DAY), Unit::Days);
        let mut finding = scene.finding(Detector::FirstSeen, days, since);
        finding.caller = Finding::text(&used.who.id);
        finding.function = Finding::text(&used.function);
        finding.of_call = Some(used.call);
        scene.found.push(finding);
    }

    /// Since when a caller is known; it is counted in each of its groups.
    fn caller(&mut self, who: &Who<'_>, at: i64) -> i64 {
        if self.callers.get(&*who.id, at).is_none() {
            self.callers.insert(who.id.as_ref().into(), Caller { since: at, groups: Vec::new() }, at);
        }
        let Some(caller) = self.callers.get(&*who.id, at) else { return at };
        for group in who.groups.iter().map(|group| &*group.0) {
            if caller.groups.iter().any(|known| **known == *group) {
                continue;
            }
            caller.groups.push(group.into());
            match self.groups.get(group, at) {
                Some(members) => *members += 1,
                None => self.groups.insert(group.into(), 1, at),
            }
        }
        caller.since
    }

    /// Whether enough of a caller's peers use a function. From now on it is one of those who do.
    fn peers(&mut self, (part, now): (f64, First), used: &Used<'_>, fresh: impl Fn(First) -> bool) -> bool {
        let mut expected = false;
        for group in used.who.groups.iter().map(|group| &*group.0) {
            let members = f64::from(self.groups.get(group, now.at).copied().unwrap_or(0));
            let use_of = pair(&used.function, group);
            match self.uses.get(&*use_of, now.at) {
                Some((users, first)) => {
                    // What policies allow since a short while a group takes up one by one.
                    let wanted = if fresh(*first) { (members * part / 2.0).floor() } else { (members * part).ceil() };
                    expected |= f64::from(*users) >= wanted.max(1.0);
                    *users += 1;
                }
                None => self.uses.insert(use_of.into(), (1, now), now.at),
            }
        }
        expected
    }
}
