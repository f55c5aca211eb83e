//! Refusals before identification: one by one up to a rate, counted beyond it, so that a flood can't fill the disk.

use super::{conceal::Redaction, record::Summary};
use jiff::Timestamp;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Refusals per second of one network that are recorded one by one.
const NETWORK_PER_SECOND: f64 = 20.0;
/// Refusals per second of all networks that are recorded one by one.
const ALL_PER_SECOND: f64 = 500.0;
/// Bytes of such records at once, and per second in the long run: about 1.4 GB a day.
const BYTES_AT_ONCE: f64 = 16.0 * 1024.0 * 1024.0;
/// See [`BYTES_AT_ONCE`].
const BYTES_PER_SECOND: f64 = 16.0 * 1024.0;
/// Most networks whose rate is kept; a further one is counted until an old one has been quiet.
const NETWORKS_MAX: usize = 4096;
/// Most networks that are counted apart.
const COUNTED_MAX: usize = 1024;
/// Most networks that have a summary of their own; the others share one.
const SUMMARIES_MAX: usize = 16;
/// Most words in a summary; the others are counted as `other`.
const WORDS_MAX: usize = 32;
/// The network of all that have no summary of their own, and the word of all that are too many.
const OTHER: &str = "other";

/// See the file's first line.
#[derive(Debug)]
pub(crate) struct Early {
    redaction: Arc<Redaction>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    networks: HashMap<Option<IpAddr>, Bucket>,
    all: Bucket,
    bytes: Bucket,
    counted: HashMap<Option<IpAddr>, Counted>,
    other: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    from: Timestamp,
    to: Timestamp,
    counts: BTreeMap<Cow<'static, str>, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, now: Instant, per_second: f64, most: f64) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * per_second).min(most);
        self.at = now;
    }
}

impl Early {
    pub(crate) fn new(now: Instant, redaction: Arc<Redaction>) -> Self {
        let state = State {
            networks: HashMap::new(),
            all: Bucket { tokens: ALL_PER_SECOND, at: now },
            bytes: Bucket { tokens: BYTES_AT_ONCE, at: now },
            counted: HashMap::new(),
            other: None,
        };
        Self { redaction, state: Mutex::new(state) }
    }

    /// Whether a refusal of this length is recorded by itself.
    pub(crate) fn admit(&self, source: Option<IpAddr>, bytes: usize, now: Instant) -> bool {
        let bytes = u32::try_from(bytes).map_or(f64::MAX, f64::from);
        let mut state = self.lock();
        let state = &mut *state;
        state.all.refill(now, ALL_PER_SECOND, ALL_PER_SECOND);
        state.bytes.refill(now, BYTES_PER_SECOND, BYTES_AT_ONCE);
        if state.all.tokens < 1.0 || state.bytes.tokens < bytes {
            return false;
        }
        let network = source.map(network);
        if !state.networks.contains_key(&network) && state.networks.len() >= NETWORKS_MAX {
            state.networks.retain(|_, bucket| {
                bucket.refill(now, NETWORK_PER_SECOND, NETWORK_PER_SECOND);
                bucket.tokens < NETWORK_PER_SECOND
            });
            if state.networks.len() >= NETWORKS_MAX {
                return false;
            }
        }
        let bucket = state.networks.entry(network).or_insert(Bucket { tokens: NETWORK_PER_SECOND, at: now });
        bucket.refill(now, NETWORK_PER_SECOND, NETWORK_PER_SECOND);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        state.all.tokens -= 1.0;
        state.bytes.tokens -= bytes;
        true
    }

    /// Counts a refusal instead of recording it.
    pub(crate) fn count(&self, source: Option<IpAddr>, word: Cow<'static, str>) {
        let now = Timestamp::now();
        let mut state = self.lock();
        let state = &mut *state;
        let network = source.map(network);
        let fresh = || Counted { from: now, to: now, counts: BTreeMap::new() };
        let counted = if state.counted.len() < COUNTED_MAX || state.counted.contains_key(&network) {
            state.counted.entry(network).or_insert_with(fresh)
        } else {
            state.other.get_or_insert_with(fresh)
        };
        counted.to = now;
        counted.add(word, 1);
    }

    /// Takes what was counted since the last time.
    pub(crate) fn take(&self) -> Vec<Summary> {
        let mut state = self.lock();
        if state.counted.is_empty() && state.other.is_none() {
            return Vec::new();
        }
        let mut counted: Vec<_> = state.counted.drain().collect();
        let mut other = state.other.take();
        drop(state);
        counted.sort_by_key(|(network, counted)| (std::cmp::Reverse(counted.counts.values().sum::<u64>()), *network));
        for (_, rest) in counted.drain(counted.len().min(SUMMARIES_MAX)..) {
            match &mut other {
                Some(other) => other.merge(rest),
                None => other = Some(rest),
            }
        }
        let named =
            counted.into_iter().map(|(network, counted)| counted.summary(self.redaction.network(name(network))));
        let mut summaries: Vec<_> = named.collect();
        summaries.extend(other.map(|other| other.summary(OTHER.to_owned())));
        summaries
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn add(&mut self, word: Cow<'static, str>, number: u64) {
        let known = self.counts.len() < WORDS_MAX || self.counts.contains_key(&word);
        let word = if known { word } else { OTHER.into() };
        *self.counts.entry(word).or_default() += number;
    }

    fn merge(&mut self, other: Self) {
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        for (word, number) in other.counts {
            self.add(word, number);
        }
    }

    fn summary(self, network: String) -> Summary {
        Summary { network, from: self.from, to: self.to, counts: self.counts }
    }
}

/// An IPv4 address by itself, an IPv6 address with all of its /64.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

fn name(network: Option<IpAddr>) -> String {
    match network {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("{address}/64"),
        None => OTHER.to_owned(),
    }
}
