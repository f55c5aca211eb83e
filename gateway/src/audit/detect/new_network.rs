//! A caller who is known comes from a network in which neither it nor several others were seen.

use super::{
    Why,
    finding::{Detector, Finding, Unit},
    memory::Memory,
    network::Network,
    scene::{DAY, Scene, whole},
    sight::{Source, Who},
};
use crate::config::detect::NewNetwork;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};
use uuid::Uuid;

/// Most callers whose networks are known.
const CALLERS_MAX: usize = 20_000;
/// Most networks whose callers are counted.
const NETWORKS_MAX: usize = 50_000;

/// See the file's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    callers: Memory<Arc<str>, Homes>,
    /// By how many callers each is used.
    networks: Memory<Network, u32>,
}

/// Where a caller comes from.
#[derive(Debug, Serialize, Deserialize)]
struct Homes {
    since: i64,
    /// On how many days it was seen, and the last of them.
    days: u32,
    day: i64,
    networks: Vec<Network>,
}

impl State {
    pub(super) fn new(remember: i64) -> Self {
        Self { callers: Memory::new(CALLERS_MAX, remember), networks: Memory::new(NETWORKS_MAX, remember) }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.callers.forgotten() + self.networks.forgotten()
    }

    /// A caller came from somewhere.
    pub(super) fn came(
        &mut self,
        config: &NewNetwork,
        call: Uuid,
        (who, function): (&Who<'_>, Option<&Cow<'_, str>>),
        source: &Source<'_>,
        scene: &mut Scene<'_>,
    ) {
        if !who.is_known() {
            return;
        }
        let Some(network) = Network::of(source, (config.ipv4_prefix, config.ipv6_prefix)) else {
            if matches!(source, Source::Hidden(_)) {
                scene.not_judged(Detector::NewNetwork, Why::Concealed);
            }
            return;
        };
        let (forgotten, begins) =
            (self.callers.horizon(), Homes { since: scene.at, days: 0, day: i64::MIN, networks: Vec::new() });
        if self.callers.get(&*who.id, scene.at).is_none() {
            self.callers.insert(who.id.as_ref().into(), begins, scene.at);
        }
        let Some(homes) = self.callers.get(&*who.id, scene.at) else { return };
        let day = scene.at.div_euclid(DAY);
        if day > homes.day {
            (homes.days, homes.day) = (homes.days.saturating_add(1), day);
        }
        if homes.networks.contains(&network) {
            return;
        }
        let learned = homes.days > config.days;
        let (since, roams) = (homes.since, homes.networks.len() >= config.networks_max as usize);
        if !roams {
            homes.networks.push(network.clone());
        }
        let others = self.networks.get(&network, scene.at).map(|callers| {
            *callers = callers.saturating_add(u32::from(!roams));
            *callers - u32::from(!roams)
        });
        if others.is_none() {
            self.networks.insert(network.clone(), 1, scene.at);
        }
        let known = matches!(source, Source::Address(address) if is_known(config, (*address).into()));
        if known || others.is_some_and(|others| others >= config.shared) || !learned {
            return;
        }
        if roams {
            scene.not_judged(Detector::NewNetwork, Why::Roaming);
        } else if scene.has_learned(forgotten, Detector::NewNetwork) {
            let days = (whole(scene.age(since), DAY), config.days.into(), Unit::Days);
            let mut finding = scene.finding(Detector::NewNetwork, days, since);
            finding.caller = Finding::text(&who.id);
            finding.function = function.and_then(|function| Finding::text(function));
            finding.network = Finding::text(&network.to_string());
            finding.of_call = Some(call);
            scene.found.push(finding);
        }
    }
}

fn is_known(config: &NewNetwork, address: IpNet) -> bool {
    config.known.iter().any(|known| known.contains(&address))
}
