//! meter: how often one caller and one network may call, and how many bytes may be held at once.

use crate::{
    call::{Identified, Metered},
    config::{Limits, Rate},
    refusal::Refusal,
};
use governor::{
    DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

/// Bits of an IPv6 address that count as one network.
const IPV6_PREFIX_BITS: u32 = 64;

/// Budgets shared by all calls. Made once; a reload that changes `[limits]` makes a new one.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    /// Made once: making one asks the processor what it is, which costs a virtual machine dearly.
    clock: DefaultClock,
    callers: DefaultKeyedRateLimiter<Arc<str>>,
    /// Callers over Unix sockets have no address and count as one network.
    networks: DefaultKeyedRateLimiter<Option<IpAddr>>,
    /// Bytes of request bodies in memory, in units of [`BUDGET_UNIT_BYTES`].
    buffered: Arc<Semaphore>,
}

/// The budget of buffered bytes is counted in pieces of this size.
pub const BUDGET_UNIT_BYTES: usize = 1024;

impl Meter {
    /// Full budgets.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let clock = DefaultClock::default();
        let units = usize::try_from(limits.buffered_bytes_max).unwrap_or(usize::MAX) / BUDGET_UNIT_BYTES;
        Self {
            limits,
            callers: RateLimiter::dashmap_with_clock(quota(limits.caller_rate), clock.clone()),
            networks: RateLimiter::dashmap_with_clock(quota(limits.network_rate), clock.clone()),
            clock,
            buffered: Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// The limits it was made with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The budget of bytes that may be held in memory.
    #[must_use]
    pub fn buffered(&self) -> &Arc<Semaphore> {
        &self.buffered
    }

    /// Charges one call to its caller and its network.
    ///
    /// # Errors
    /// [`Refusal::TooMany`], with the time until the next call would be let in.
    pub fn pass(&self, identified: Identified) -> Result<Metered, Refusal> {
        let wait = |until: NotUntil<_>| Refusal::TooMany { retry_after: ceil(until.wait_time_from(self.clock.now())) };
        self.networks.check_key(&identified.arrived.envelope.peer.source.map(network)).map_err(wait)?;
        let principal = &identified.identity.principal;
        if principal.issuer.is_some() {
            self.callers.check_key(&principal.id).map_err(wait)?;
        }
        Ok(Metered { identified })
    }

    /// Forgets callers and networks that have been quiet; called now and then.
    pub fn sweep(&self) {
        self.callers.retain_recent();
        self.networks.retain_recent();
        self.callers.shrink_to_fit();
        self.networks.shrink_to_fit();
    }
}

/// The part of an address that counts as one network: an IPv4 address, or a /64.
#[must_use]
pub fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - IPV6_PREFIX_BITS)))),
        },
    }
}

fn quota(rate: Rate) -> Quota {
    let per_second = NonZeroU32::new(rate.per_second).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(per_second).allow_burst(NonZeroU32::new(rate.burst).unwrap_or(per_second))
}

/// Whole seconds, at least one: `Retry-After` has no fractions.
fn ceil(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(Duration::from_secs(1))
}
