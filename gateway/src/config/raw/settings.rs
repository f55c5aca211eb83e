//! What concerns the gateway as a whole, as written: network, administration, policy, limits.

use super::{Accepted, At, Expired, Metrics, Named, Socket};
use schemars::JsonSchema;
use serde::Deserialize;

/// `[network]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Network {
    /// Zones by name; the first as written that holds an address wins.
    pub(crate) zone: Named<Zone>,
}

/// `[network.zone.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Zone {
    /// Networks, such as `"10.0.0.0/8"` or `"2001:db8::/32"`.
    #[schemars(required)]
    pub(crate) networks: Option<At<Vec<At<String>>>>,
}

/// `[admin]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Address and port on loopback, or a Unix socket, `"unix:PATH"`. Default `"127.0.0.1:9443"`.
    pub(crate) address: Option<At<String>>,
    /// Who may connect to the Unix socket. Default the gateway's user alone.
    pub(crate) socket: Option<At<Socket>>,
    /// Which credentials count here: aliases of issuers and API keys, and `"unix"` for the user at the other end of the
    /// Unix socket. Policy is then asked of everything that administrators do. Default none: whoever reaches it may do all.
    pub(crate) identify: Option<At<Vec<Accepted>>>,
    /// Who may read metrics: everybody who reaches it (`"open"`, default), or as policy says (`"policy"`).
    pub(crate) metrics: Option<At<Metrics>>,
}

/// `[policy]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    /// Folder of `*.cedar`, `*.grants.toml`, `team.toml` and `*.cases.toml` files, read with its folders. Default
    /// `"policies"`.
    pub(crate) path: Option<At<String>>,
    /// Folder of what must be known again after a restart, such as emergency forbids. Default `".latchwork"`.
    pub(crate) state: Option<At<String>>,
    /// A signed bundle, which policies come from instead of the folder; needs `keys` and `threshold`. Production has one.
    pub(crate) bundle: Option<At<String>>,
    /// TOML file of the keys that count: `[key.NAME]` with `public`, `person` and `revoked`.
    pub(crate) keys: Option<At<String>>,
    /// How many different people must have signed the bundle.
    pub(crate) threshold: Option<At<i64>>,
    /// Policies that are asked beside those in force and decide nothing: a signed bundle, which needs `keys` and
    /// `threshold`, or outside production a folder.
    pub(crate) shadow: Option<At<String>>,
    /// What a bundle does whose time is over: `"deny"` every call (default) or `"keep"` deciding.
    pub(crate) expired: Option<Expired>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Calls of one caller. Default 100 per second, bursts of 200.
    pub(crate) caller_rate: Option<Rate>,
    /// Calls of one network (IPv4 /32, IPv6 /64) before it is identified. Default 500 per second, bursts of 1000.
    pub(crate) network_rate: Option<Rate>,
    /// Bytes of request bodies held in memory at once. Default 256 MiB.
    pub(crate) buffered_bytes_max: Option<At<i64>>,
    /// Calls that may wait for admission, per function. Default 128.
    pub(crate) queue_max: Option<At<i64>>,
}

/// `{ per_second = 100, burst = 200 }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rate {
    /// Calls per second.
    #[schemars(required)]
    pub(crate) per_second: Option<At<i64>>,
    /// Calls at once. Default twice as many.
    pub(crate) burst: Option<At<i64>>,
}
