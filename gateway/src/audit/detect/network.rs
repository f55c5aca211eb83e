//! Networks by which callers are told apart: prefixes of addresses, or what stands for an address where it is hidden.

use super::sight::Source;
use crate::audit::hash;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// See the file's first line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Network {
    /// The first address, and how many bits it shares with the others.
    V4(Ipv4Addr, u8),
    /// The same.
    V6(Ipv6Addr, u8),
    /// The keyed hash of an address: equal ones are of equal addresses, and no two are known to be near.
    Hashed(Arc<str>),
}

impl Network {
    /// The network of a source; `None` where there is none, or nothing is known of it.
    pub(super) fn of(source: &Source<'_>, (v4, v6): (u8, u8)) -> Option<Self> {
        Some(match source {
            Source::Address(address) => match address.to_canonical() {
                IpAddr::V4(address) => Self::V4(Ipv4Net::new(address, v4).ok()?.network(), v4),
                IpAddr::V6(address) => Self::V6(Ipv6Net::new(address, v6).ok()?.network(), v6),
            },
            Source::Hidden(text) if text.starts_with(hash::PREFIX) => Self::Hashed(text.as_ref().into()),
            Source::Hidden(_) | Source::Nowhere => return None,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address, 32) => write!(f, "{address}"),
            Self::V4(address, prefix) => write!(f, "{address}/{prefix}"),
            Self::V6(address, prefix) => write!(f, "{address}/{prefix}"),
            Self::Hashed(hash) => f.write_str(hash),
        }
    }
}
