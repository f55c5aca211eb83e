//! A topic as brokers describe it: its partitions, who leads each, and which of them a record goes to.

use super::{answer::Trouble, partition};
use rskafka::protocol::{error::Error as Code, messages::MetadataResponse};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::time::Instant;

/// What is known of it.
#[derive(Debug)]
pub(super) struct Topic {
    /// Each partition with its leader's address, if it has one; in order.
    leaders: Vec<(i32, Option<String>)>,
    /// Addresses of all brokers.
    pub(super) brokers: Vec<String>,
    /// Since when.
    pub(super) since: Instant,
}

impl Topic {
    /// Reads a broker's description.
    pub(super) fn of(response: MetadataResponse, name: &str) -> Result<Self, Trouble> {
        let brokers: BTreeMap<i32, String> =
            response.brokers.into_iter().map(|b| (b.node_id.0, authority(&b.host.0, b.port.0))).collect();
        let topic = response.topics.into_iter().find(|topic| topic.name.0 == name);
        let topic = topic.ok_or_else(|| Trouble::Refused("the brokers say nothing of the topic".to_owned()))?;
        match topic.error {
            None => {}
            Some(Code::UnknownTopicOrPartition) => return Err(Trouble::Refused("there is no such topic".to_owned())),
            Some(code) => return Err(before(Trouble::of(code))),
        }
        let mut leaders: Vec<(i32, Option<String>)> = topic
            .partitions
            .into_iter()
            .map(|part| (part.partition_index.0, brokers.get(&part.leader_id.0).cloned()))
            .collect();
        leaders.sort_unstable();
        if leaders.is_empty() {
            return Err(Trouble::Unreachable("the topic has no partitions yet".to_owned()));
        }
        Ok(Self { leaders, brokers: brokers.into_values().collect(), since: Instant::now() })
    }

    /// The partition of a record, with its leader: by its key, or the next one that has a leader.
    pub(super) fn place(&self, key: Option<&[u8]>, turn: &AtomicUsize) -> Option<&(i32, Option<String>)> {
        let at = |count: usize| match key {
            Some(key) => partition::of(key, count),
            None => turn.fetch_add(1, Ordering::Relaxed).checked_rem(count).unwrap_or_default(),
        };
        let led = self.leaders.iter().filter(|(_, leader)| leader.is_some()).count();
        match key.is_some() || led == 0 {
            true => self.leaders.get(at(self.leaders.len())),
            false => self.leaders.iter().filter(|(_, leader)| leader.is_some()).nth(at(led)),
        }
    }
}

/// A trouble before any record was sent.
fn before(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused(_) | Trouble::Throttled(_) => trouble,
        other => Trouble::Unreachable(other.to_string()),
    }
}

fn authority(host: &str, port: i32) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
