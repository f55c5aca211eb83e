//! A call that the policies before would not have allowed, soon after they changed: the first of its caller to that
//! function, after a denial under older policies or by a permit that never decided before.

use super::{
    finding::{Detector, Finding, Unit},
    memory::Memory,
    scene::{SECOND, Scene, micros, whole},
    sight::{Refusal, Used},
    volume::pair,
};
use crate::config::detect::PolicyChange;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most bundles and most permits that are known.
const EACH_MAX: usize = 20_000;
/// Most pairs of caller and function that were used, and most that were denied.
const PAIRS_MAX: usize = 100_000;

/// See the file's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    bundles: Memory<Arc<str>, Bundle>,
    /// When each decided for the first time.
    permits: Memory<Arc<str>, i64>,
    used: Memory<Arc<str>, ()>,
    /// When each was denied last.
    denied: Memory<Arc<str>, i64>,
    current: Option<Arc<str>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Bundle {
    /// When it came into force; `None` if it was there before the log was watched.
    since: Option<i64>,
    by: Option<Arc<str>>,
}

impl State {
    pub(super) fn new(remember: i64) -> Self {
        Self {
            bundles: Memory::new(EACH_MAX, remember),
            permits: Memory::new(EACH_MAX, remember),
            used: Memory::new(PAIRS_MAX, remember),
            denied: Memory::new(PAIRS_MAX, remember),
            current: None,
        }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.bundles.forgotten() + self.permits.forgotten() + self.used.forgotten() + self.denied.forgotten()
    }

    /// Policies were put in force.
    pub(super) fn changed(&mut self, bundle: &str, who: Option<&str>, scene: &Scene<'_>) {
        if self.current.as_deref() == Some(bundle) {
            return;
        }
        let since = self.current.is_some().then_some(scene.at);
        self.current = Some(bundle.into());
        // Older policies that come back are as new as others.
        self.bundles.insert(bundle.into(), Bundle { since, by: who.map(Into::into) }, scene.at);
    }

    /// A call was permitted.
    pub(super) fn used(&mut self, config: &PolicyChange, used: &Used<'_>, scene: &mut Scene<'_>) {
        // A call that was decided just before a change may be recorded just after it.
        if self.bundles.get(&*used.bundle, scene.at).is_none() {
            self.changed(&used.bundle, None, scene);
        }
        let mut by_new = None;
        let Some(bundle) = self.bundles.get(&*used.bundle, scene.at) else { return };
        let (since, by) = (bundle.since, bundle.by.clone());
        for permit in &used.permits {
            let first = self.permits.get(&**permit, scene.at).copied();
            if first.is_none() {
                self.permits.insert(permit.as_ref().into(), scene.at, scene.at);
            }
            let new = since.is_some_and(|since| first.is_none_or(|first| first >= since));
            by_new = by_new.max(Some(new));
        }
        if !used.who.is_known() {
            return;
        }
        let pair = pair(&used.function, &used.who.id);
        if self.used.get(&*pair, scene.at).is_some() {
            return;
        }
        let forgotten = self.used.horizon();
        let denied = self.denied.look(&*pair).copied();
        self.used.insert(pair.into(), (), scene.at);
        let Some(since) = since.filter(|since| scene.age(*since) <= micros(config.within)) else { return };
        let was_denied = denied.is_some_and(|denied| denied <= since);
        let granted =
            was_denied || by_new == Some(true) && scene.has_learned(self.permits.horizon(), Detector::PolicyChange);
        if !granted || forgotten.is_some() && !scene.has_learned(forgotten, Detector::PolicyChange) {
            return;
        }
        let seconds = (whole(scene.age(since), SECOND), config.within.as_secs(), Unit::Seconds);
        let mut finding = scene.finding(Detector::PolicyChange, seconds, since);
        finding.caller = Finding::text(&used.who.id);
        finding.function = Finding::text(&used.function);
        finding.bundle = Finding::text(&used.bundle);
        finding.by = by.as_deref().and_then(Finding::text);
        finding.of_call = Some(used.call);
        scene.found.push(finding);
    }

    /// A call was refused.
    pub(super) fn refused(&mut self, refused: &Refusal<'_>, scene: &mut Scene<'_>) {
        // Only policy's own refusals have a bundle.
        let (Some(who), Some(function), Some(_)) = (&refused.who, &refused.function, &refused.bundle) else { return };
        if !who.is_known() || !refused.denied {
            return;
        }
        let pair = pair(function, &who.id);
        match self.denied.get(&*pair, scene.at) {
            Some(last) => *last = scene.at,
            None => self.denied.insert(pair.into(), scene.at, scene.at),
        }
    }
}
