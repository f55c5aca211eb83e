//! Far more calls than ever at this hour: of a caller to a function, of a caller, or of all callers to a function.

use super::{
    finding::{Detector, Finding, Unit},
    level::Level,
    memory::Memory,
    scene::{HOUR, Scene},
    sight::Used,
};
use crate::config::detect::Volume;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most callers, and most functions, whose calls are counted apart.
const EACH_MAX: usize = 20_000;
/// Most pairs of them.
const PAIRS_MAX: usize = 50_000;

/// See the file's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pairs: Memory<Arc<str>, Level>,
    callers: Memory<Arc<str>, Level>,
    functions: Memory<Arc<str>, Level>,
    /// The caller who uses a function most, how much, and when that was.
    loudest: Memory<Arc<str>, (u32, i64)>,
}

impl State {
    pub(super) fn new(remember: i64) -> Self {
        let each = || Memory::new(EACH_MAX, remember);
        Self {
            pairs: Memory::new(PAIRS_MAX, remember),
            callers: each(),
            functions: each(),
            loudest: Memory::new(EACH_MAX, remember),
        }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.pairs.forgotten() + self.callers.forgotten() + self.functions.forgotten()
    }

    /// A call was permitted.
    ///
    /// What is too much is told of the narrowest that it is true of: its calls count no further.
    pub(super) fn used(&mut self, config: &Volume, used: &Used<'_>, scene: &mut Scene<'_>) {
        let loud = |levels: &Memory<Arc<str>, Level>, key: &str| levels.look(key).is_some_and(|level| level.found);
        let (caller, function) = (&*used.who.id, &*used.function);
        let mut one = 0;
        if used.who.is_known() {
            let wide = loud(&self.callers, caller) || loud(&self.functions, function);
            let pair = pair(function, caller);
            let (many, found) = count(&mut self.pairs, &pair, (wide, 0), config, scene);
            if tell(found, Some(caller), Some(function), used, scene) {
                // What led to it counts for the caller, too, and is told.
                if let Some(level) = self.callers.get(caller, scene.at) {
                    level.found = true;
                }
            }
            if loud(&self.pairs, &pair) {
                return;
            }
            let wide = loud(&self.functions, function);
            let (_, found) = count(&mut self.callers, caller, (wide, 0), config, scene);
            if tell(found, Some(caller), None, used, scene) || loud(&self.callers, caller) {
                return;
            }
            one = self.loudest(function, many, scene);
        }
        let (_, found) = count(&mut self.functions, function, (false, one), config, scene);
        tell(found, None, Some(function), used, scene);
    }

    /// How much one caller alone used a function within the hour.
    fn loudest(&mut self, function: &str, many: u32, scene: &Scene<'_>) -> u32 {
        match self.loudest.get(function, scene.at) {
            None => self.loudest.insert(function.into(), (many, scene.at), scene.at),
            Some(loudest) if many >= loudest.0 || scene.age(loudest.1) > HOUR => *loudest = (many, scene.at),
            Some((most, _)) => return *most,
        }
        many
    }
}

/// A key of a pair; no function has a space in its name.
pub(super) fn pair(function: &str, other: &str) -> String {
    [function, " ", other].concat()
}

/// Counts a call; it is too much if it is without `one` of the callers, too.
fn count(
    levels: &mut Memory<Arc<str>, Level>,
    key: &str,
    (known_wider, one): (bool, u32),
    config: &Volume,
    scene: &mut Scene<'_>,
) -> (u32, Option<Finding>) {
    if levels.get(key, scene.at).is_none() {
        levels.insert(key.into(), Level::new(scene.at, HOUR), scene.at);
    }
    let Some(level) = levels.get(key, scene.at) else { return (0, None) };
    let calls = level.add(1, scene.at, HOUR);
    let threshold = config.calls_min.max((f64::from(level.usual(scene.at)) * config.factor) as u32);
    // A level that had to be forgotten learns anew.
    let judged = !known_wider && scene.age(level.since) >= scene.learn && calls.saturating_sub(one) >= threshold;
    if !(judged || level.found) || !level.exceeds(threshold) {
        return (calls, None);
    }
    let since = scene.at.saturating_sub(HOUR);
    (calls, Some(scene.finding(Detector::Volume, (calls.into(), threshold.into(), Unit::Calls), since)))
}

fn tell(
    found: Option<Finding>,
    caller: Option<&str>,
    function: Option<&str>,
    used: &Used<'_>,
    scene: &mut Scene<'_>,
) -> bool {
    let Some(mut finding) = found else { return false };
    finding.caller = caller.and_then(Finding::text);
    finding.function = function.and_then(Finding::text);
    finding.of_call = Some(used.call);
    scene.found.push(finding);
    true
}
