//! Watches the log: detectors of what is unusual, deterministic, fed one record at a time.
//!
//! Nothing here reads a clock: time is what records say, so the same log gives the same findings. What is remembered is
//! bounded, and who is forgotten for want of room is known as such: then nothing is said that would need that memory.

mod denials;
pub mod finding;
mod first_seen;
mod kept;
mod level;
mod limit;
mod memory;
mod network;
mod new_network;
mod off_hours;
mod outcomes;
mod policy_change;
mod scene;
pub mod sight;
mod volume;
mod watcher;

#[cfg(test)]
mod tests;

use crate::config::detect as config;
use finding::{Counted, Detector, Finding};
use limit::Limits;
use scene::{Scene, micros};
use serde::{Deserialize, Serialize};
use sight::{Seen, Sight, Used};
use std::collections::BTreeMap;

pub use watcher::Watcher;

/// All detectors of one log.
#[derive(Debug)]
pub struct Detectors {
    config: config::Detect,
    state: State,
}

/// What they remember. It depends on the records and the thresholds alone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    began: Option<i64>,
    first_seen: first_seen::State,
    denials: denials::State,
    volume: volume::State,
    off_hours: off_hours::State,
    new_network: new_network::State,
    policy_change: policy_change::State,
    outcomes: outcomes::State,
    limits: Limits,
    unjudged: Unjudged,
}

/// How often a detector could not judge, by the reason.
pub type Unjudged = BTreeMap<Detector, BTreeMap<Why, u64>>;

/// Why a detector could not judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// What it looks at is not in the record: hidden, or cut.
    Concealed,
    /// It had to forget too much.
    Memory,
    /// The caller is at home in too many networks.
    Roaming,
}

impl Why {
    /// The word in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Concealed => "concealed",
            Self::Memory => "memory",
            Self::Roaming => "roaming",
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Concealed => "the network is hidden in them",
            Self::Memory => "too much had to be forgotten",
            Self::Roaming => "the caller comes from everywhere",
        }
    }
}

/// What a record led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A finding that is recorded.
    One(Finding),
    /// One more in an hour that has had enough of them: it is counted.
    More(Finding),
    /// What was counted in an hour that is over.
    Sum(Counted),
}

impl Detectors {
    /// Detectors that have seen nothing yet.
    #[must_use]
    pub fn new(config: config::Detect) -> Self {
        let remember = micros(config.remember);
        let state = State {
            began: None,
            first_seen: first_seen::State::new(remember),
            denials: denials::State::new(remember),
            volume: volume::State::new(remember),
            off_hours: off_hours::State::new(remember),
            new_network: new_network::State::new(remember),
            policy_change: policy_change::State::new(remember),
            outcomes: outcomes::State::new(),
            limits: Limits::default(),
            unjudged: Unjudged::new(),
        };
        Self { config, state }
    }

    /// Detectors that go on where others with the same thresholds were.
    pub(crate) fn resumed(config: config::Detect, state: State) -> Self {
        Self { config, state }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// How often a detector could not judge.
    #[must_use]
    pub fn unjudged(&self) -> &Unjudged {
        &self.state.unjudged
    }

    /// How many callers, functions, networks and pairs of them were forgotten for want of room.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        let state = &self.state;
        state.first_seen.forgotten()
            + state.denials.forgotten()
            + state.volume.forgotten()
            + state.off_hours.forgotten()
            + state.new_network.forgotten()
            + state.policy_change.forgotten()
            + state.outcomes.forgotten()
    }

    /// Takes the next record; what it leads to is added to `told`.
    pub fn see(&mut self, sight: &Sight<'_>, told: &mut Vec<Told>) {
        let Self { config, state } = self;
        let began = *state.began.get_or_insert(sight.at);
        let mut findings = Vec::new();
        let learn = micros(config.learn);
        let mut unjudged = std::mem::take(&mut state.unjudged);
        let (found, place) = (&mut findings, sight.place);
        let mut scene = Scene { at: sight.at, began, learn, place, found, unjudged: &mut unjudged };
        state.limits.advance(scene.at, told);
        match &sight.seen {
            Seen::Used(used) => state.used(config, used, &mut scene),
            Seen::Refused(refused) => {
                if config.policy_change.is_some() {
                    state.policy_change.refused(refused, &mut scene);
                }
                if let Some(config) = &config.denials {
                    state.denials.refused(config, refused, &mut scene);
                }
                if let (Some(config), Some(who)) = (&config.new_network, &refused.who) {
                    let function = refused.function.as_ref();
                    state.new_network.came(config, refused.call, (who, function), &refused.source, &mut scene);
                }
            }
            Seen::Counted { network, denials } => {
                if let Some(config) = &config.denials {
                    state.denials.counted(config, network, *denials, &mut scene);
                }
            }
            Seen::Answered(call) => state.outcomes.answered(*call),
            Seen::Closed { call, took } => {
                if config.outcomes.is_some() {
                    state.outcomes.closed(*call, *took, &mut scene);
                }
            }
            Seen::Policy { bundle, who } => {
                state.policy_change.changed(bundle, Some(who), &scene);
                state.first_seen.changed(bundle, &scene);
            }
            Seen::Started { ended } => state.outcomes.started(ended, &mut scene),
            Seen::Stopped => state.outcomes.stopped(&mut scene),
            Seen::Nothing => {}
        }
        if let Some(config) = &config.outcomes {
            state.outcomes.overdue(config, &mut scene);
        }
        state.unjudged = unjudged;
        for finding in findings {
            state.limits.take(finding, config.findings_per_hour, told);
        }
    }
}

impl State {
    /// A call was permitted.
    fn used(&mut self, config: &config::Detect, used: &Used<'_>, scene: &mut Scene<'_>) {
        if let Some(config) = &config.policy_change {
            self.policy_change.used(config, used, scene);
        }
        if let Some(config) = &config.first_seen {
            self.first_seen.used(config, used, scene);
        }
        if let Some(config) = &config.volume {
            self.volume.used(config, used, scene);
        }
        if let Some(config) = &config.off_hours {
            self.off_hours.used(config, used, scene);
        }
        if let Some(config) = &config.new_network {
            self.new_network.came(config, used.call, (&used.who, Some(&used.function)), &used.source, scene);
        }
        if config.outcomes.is_some() {
            self.outcomes.began(used, scene);
        }
    }
}
