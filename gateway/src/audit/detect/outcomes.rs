//! Calls that began and have no end in time, or the other way round.

use super::{
    Why,
    finding::{Detector, Finding, Unit},
    scene::{SECOND, Scene, micros, whole},
    sight::{Place, Used},
};
use crate::config::detect::Outcomes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// Most calls whose end is awaited: twice as many as a gateway lets be open at once.
const OPEN_MAX: usize = 32 * 1024;

/// See the file's first line.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    open: BTreeMap<Uuid, Open>,
    /// In the order in which they began; some are over.
    order: VecDeque<(Uuid, i64)>,
    /// Those that have had their time, in that order, and may still end.
    late: VecDeque<(Uuid, i64)>,
    /// The first record that was seen of each incarnation that has not ended.
    began: BTreeMap<Uuid, i64>,
    /// When the newest of those began that there was no room for.
    horizon: Option<i64>,
    forgotten: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Open {
    at: i64,
    place: Place,
    caller: Option<String>,
    function: Option<String>,
    /// Its reply has started, and may take as long as it likes.
    answered: bool,
    /// It was told that it has no end.
    told: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// A call was permitted.
    pub(super) fn began(&mut self, used: &Used<'_>, scene: &mut Scene<'_>) {
        self.seen(scene);
        while self.open.len() >= OPEN_MAX {
            let Some((oldest, at)) = self.late.pop_front().or_else(|| self.order.pop_front()) else { break };
            if self.open.remove(&oldest).is_some() {
                self.horizon = self.horizon.max(Some(at));
                self.forgotten += 1;
            }
        }
        for queue in [&mut self.order, &mut self.late] {
            if queue.len() >= 2 * OPEN_MAX {
                queue.retain(|(call, _)| self.open.contains_key(call));
            }
        }
        let (caller, function) = (Finding::text(&used.who.id), Finding::text(&used.function));
        let open = Open { at: scene.at, place: scene.place, caller, function, answered: false, told: false };
        self.open.insert(used.call, open);
        self.order.push_back((used.call, scene.at));
    }

    /// The reply of a call starts.
    pub(super) fn answered(&mut self, call: Uuid) {
        if let Some(open) = self.open.get_mut(&call) {
            open.answered = true;
        }
    }

    /// A call is over.
    pub(super) fn closed(&mut self, call: Uuid, took: i64, scene: &mut Scene<'_>) {
        let first = self.seen(scene);
        if self.open.remove(&call).is_some() {
            return;
        }
        let arrived = scene.at.saturating_sub(took);
        // What was before the first record, or had to be forgotten, can't be told from what never was.
        if arrived <= first {
            return;
        }
        if self.horizon.is_some_and(|horizon| arrived <= horizon) {
            return scene.not_judged(Detector::Outcomes, Why::Memory);
        }
        let mut finding = scene.finding(Detector::Outcomes, (1, 1, Unit::Unbegun), arrived);
        finding.of_call = Some(call);
        scene.found.push(finding);
    }

    /// Whatever is open for too long and was not answered.
    pub(super) fn overdue(&mut self, config: &Outcomes, scene: &mut Scene<'_>) {
        let within = micros(config.within);
        while let Some((call, at)) = self.order.front().copied() {
            let over = self.open.get(&call).is_none_or(|open| open.at != at);
            if !over && scene.age(at) <= within {
                return;
            }
            self.order.pop_front();
            let Some(open) = self.open.get_mut(&call).filter(|_| !over) else { continue };
            self.late.push_back((call, at));
            if open.answered {
                continue;
            }
            open.told = true;
            let numbers = (whole(scene.age(at), SECOND), whole(within, SECOND), Unit::Seconds);
            let mut finding = scene.finding(Detector::Outcomes, numbers, at);
            (finding.caller, finding.function) = (open.caller.clone(), open.function.clone());
            (finding.of_call, finding.record) = (Some(call), open.place);
            scene.found.push(finding);
        }
    }

    /// A gateway began: what those before it left open has no end.
    pub(super) fn started(&mut self, ended: &[Uuid], scene: &mut Scene<'_>) {
        self.seen(scene);
        for incarnation in ended {
            self.ended(*incarnation, scene);
        }
    }

    /// A gateway ended.
    pub(super) fn stopped(&mut self, scene: &mut Scene<'_>) {
        self.ended(scene.place.incarnation, scene);
    }

    fn ended(&mut self, incarnation: Uuid, scene: &mut Scene<'_>) {
        self.began.remove(&incarnation);
        let of = |open: &Open| open.place.incarnation == incarnation;
        self.open.retain(|_, open| !(of(open) && open.told));
        let first = self.open.iter().filter(|(_, open)| of(open)).min_by_key(|(_, open)| open.place.seq);
        let Some((call, open)) = first.map(|(call, open)| (*call, (open.at, open.place))) else { return };
        let before = self.open.len();
        self.open.retain(|_, open| !of(open));
        let left = before - self.open.len();
        let mut finding = scene.finding(Detector::Outcomes, (left as u64, 1, Unit::Unended), open.0);
        (finding.of_call, finding.record) = (Some(call), open.1);
        scene.found.push(finding);
    }

    /// When the first record of this incarnation was seen.
    fn seen(&mut self, scene: &Scene<'_>) -> i64 {
        *self.began.entry(scene.place.incarnation).or_insert(scene.at)
    }
}
