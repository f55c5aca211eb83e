//! Many denials within a short time: of one caller, or of one network, whoever calls from there.

use super::{
    Why,
    finding::{Detector, Finding, Unit},
    level::Level,
    memory::Memory,
    network::Network,
    scene::{Scene, micros},
    sight::{Refusal, Source},
};
use crate::config::detect::Denials;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most callers whose denials are counted apart.
const CALLERS_MAX: usize = 20_000;
/// Most networks whose denials are.
const NETWORKS_MAX: usize = 20_000;
/// Summaries count an IPv4 address by itself, and an IPv6 address with all of its /64.
const PREFIXES: (u8, u8) = (32, 64);

/// See the file's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    callers: Memory<Arc<str>, Level>,
    networks: Memory<Network, Level>,
}

impl State {
    pub(super) fn new(remember: i64) -> Self {
        Self { callers: Memory::new(CALLERS_MAX, remember), networks: Memory::new(NETWORKS_MAX, remember) }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.callers.forgotten() + self.networks.forgotten()
    }

    /// A call was refused.
    pub(super) fn refused(&mut self, config: &Denials, refused: &Refusal<'_>, scene: &mut Scene<'_>) {
        if !refused.denied {
            return;
        }
        let within = micros(config.within);
        if let Some(who) = refused.who.as_ref().filter(|who| who.is_known()) {
            let level = match self.callers.get(&*who.id, scene.at) {
                Some(level) => level,
                None => {
                    self.callers.insert(who.id.as_ref().into(), Level::new(scene.at, within), scene.at);
                    let Some(level) = self.callers.get(&*who.id, scene.at) else { return };
                    level
                }
            };
            let found = denied(config, level, (1, config.caller), scene);
            let burst = level.found;
            if let Some(mut finding) = found {
                finding.caller = Finding::text(&who.id);
                finding.function = refused.function.as_deref().and_then(Finding::text);
                finding.of_call = Some(refused.call);
                scene.found.push(finding);
            }
            // A burst of one caller is not one of its network, too.
            if burst {
                return;
            }
        }
        self.of_network(config, &refused.source, 1, scene);
    }

    /// Refusals of a network were counted.
    pub(super) fn counted(&mut self, config: &Denials, network: &Source<'_>, denials: u32, scene: &mut Scene<'_>) {
        if denials > 0 {
            self.of_network(config, network, denials, scene);
        }
    }

    fn of_network(&mut self, config: &Denials, source: &Source<'_>, many: u32, scene: &mut Scene<'_>) {
        let Some(network) = Network::of(source, PREFIXES) else {
            if matches!(source, Source::Hidden(_)) {
                scene.not_judged(Detector::Denials, Why::Concealed);
            }
            return;
        };
        let within = micros(config.within);
        if self.networks.get(&network, scene.at).is_none() {
            self.networks.insert(network.clone(), Level::new(scene.at, within), scene.at);
        }
        let Some(level) = self.networks.get(&network, scene.at) else { return };
        if let Some(mut finding) = denied(config, level, (many, config.network), scene) {
            finding.network = Finding::text(&network.to_string());
            scene.found.push(finding);
        }
    }
}

fn denied(config: &Denials, level: &mut Level, (many, least): (u32, u32), scene: &Scene<'_>) -> Option<Finding> {
    let within = micros(config.within);
    let count = level.add(many, scene.at, within);
    let threshold = least.max((f64::from(level.most()) * config.factor) as u32);
    let numbers = (count.into(), threshold.into(), Unit::Denials);
    level.exceeds(threshold).then(|| scene.finding(Detector::Denials, numbers, scene.at.saturating_sub(within)))
}
