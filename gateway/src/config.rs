//! The checked configuration: every value parsed, every reference resolved. It can't be deserialised; see `config/raw.rs`.

pub mod load;
pub mod schema;

mod admin;
mod audit;
mod budget;
mod calendar;
mod check;
mod credential;
pub mod detect;
mod files;
mod function;
mod parse;
mod policy;
mod raw;
mod report;
mod retention;
mod route;
mod ship;
mod tcp;
mod telemetry;
pub(crate) mod text;
pub(crate) mod value;
mod warm;

pub use admin::Admin;
pub use audit::{Audit, Checkpoints, Durability, Privacy, Witness};
pub use budget::{Budget, Each, Period, Then};
pub use calendar::{Calendar, Freeze};
pub(crate) use check::validity::not_after;
pub use function::{BackendConfig, Function, Target, Unrecorded};
pub(crate) use text::{FILE_BYTES_MAX, Text};

pub use self::policy::{Policy, ShadowBundle, SignedBundle};
pub use credential::{
    ApiKey, ApiKeys, ClientAuth, Credential, Credentials, Form, KeyClient, Mtls, Secret, UNIX_ALIAS, Webhook,
};
pub use retention::{Archive, Retention};
pub use route::{Route, SoapAction};
pub use ship::{FileSink, NatsSink, ObjectSink, Ship, Sink};
pub use tcp::Tcp;
pub use telemetry::{Collector, Sampling, Signals, Telemetry};
pub use warm::Warm;

use crate::address::Address;
use ::policy::{declared, question::PrincipalKind};
use ipnet::IpNet;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

/// Everything that `latchwork.toml`, its includes and the files they name say.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that was read.
    pub file: PathBuf,
    /// Its folder; relative paths start here.
    pub directory: PathBuf,
    /// This gateway among others.
    pub node: Node,
    /// Where it listens, at least one.
    pub listeners: Vec<Listener>,
    /// Issuers of tokens.
    pub issuers: Vec<Issuer>,
    /// Credentials other than tokens.
    pub credentials: Credentials,
    /// Named zones of the network; the first that holds an address wins.
    pub zones: Vec<Zone>,
    /// The administrative interface.
    pub admin: Admin,
    /// Where policies are.
    pub policy: Policy,
    /// Where and how records are kept.
    pub audit: Audit,
    /// What one caller and one network may use.
    pub limits: Limits,
    /// Where traces, metrics and logs go; `None` is nowhere.
    pub telemetry: Option<Telemetry>,
    /// Apps.
    pub apps: Vec<App>,
    /// Functions.
    pub functions: Vec<Function>,
    /// What runs may cost.
    pub budgets: Vec<Arc<Budget>>,
}

/// `[node]`
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Id, part of the audit path: letters, digits, `-`, `_`, `.`.
    pub id: Arc<str>,
    /// No development issuer, no clear text off loopback.
    pub production: bool,
}

/// `[listener.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Name.
    pub name: Arc<str>,
    /// Address; port 0 takes any free one.
    pub address: Address,
    /// Who may connect, if it is a Unix socket.
    pub access: Access,
    /// Hosts that it answers for, lowercase, without port; empty means any.
    pub hosts: Vec<Arc<str>>,
    /// Certificate and key; `None` is clear text (loopback only, unless `clear_text = true`).
    pub tls: Option<Tls>,
    /// Which credentials count here.
    pub identify: Vec<Credential>,
    /// Which functions it shows.
    pub functions: Shown,
    /// Proxies whose forwarding header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Its connections are calls.
    pub tcp: Option<Arc<Tcp>>,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Most connections at once.
    pub connections_max: usize,
}

/// `socket = { mode, owner, group }` of a Unix socket: whoever may write to it may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permission bits of its file.
    pub mode: u32,
    /// User id that owns it; `None` is the gateway's own.
    pub owner: Option<u32>,
    /// Group id that owns it; `None` is the gateway's own.
    pub group: Option<u32>,
}

/// `tls = { certificate, key, client_ca, client_auth }`
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// Client certificates; `None` means that none is asked for.
    pub clients: Option<ClientAuth>,
}

/// Which functions a listener shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All.
    All,
    /// Those of these apps and those named.
    Only {
        /// Apps.
        apps: BTreeSet<Arc<str>>,
        /// Function names.
        names: BTreeSet<Arc<str>>,
    },
}

/// Time-outs of a listener.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// TLS handshake.
    pub handshake: Duration,
    /// Request head, from its first byte or from the connection's start.
    pub header: Duration,
    /// Between two frames of a request body.
    pub body: Duration,
    /// A connection without a request.
    pub idle: Duration,
}

/// `[identity.issuer.ALIAS]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Alias: the first part of principal ids and groups.
    pub alias: Arc<str>,
    /// Issuer identifier; the `iss` claim must equal it, byte for byte.
    pub issuer: Arc<str>,
    /// JWKS address; `None` means discovery (OpenID Connect Discovery 1.0).
    pub jwks_uri: Option<Arc<str>>,
    /// Accepted audiences; one must be in `aud`.
    pub audiences: Vec<Arc<str>>,
    /// Kind of principal that its tokens name.
    pub principal: PrincipalKind,
    /// The SPIFFE trust domain whose workloads it may name; always there when `principal` is `Workload`.
    pub trust_domain: Option<Arc<str>>,
    /// Signature algorithms that are accepted, such as `RS256`.
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// Claim that holds groups, and what they may be.
    pub groups: Groups,
    /// Claims that become attributes of the principal: attribute, claim.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
    /// PEM file of the authorities that may vouch for the issuer's server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Clock skew that is forgiven.
    pub leeway: Duration,
    /// How often keys are fetched again.
    pub refresh: Duration,
    /// How long the last good keys serve when the issuer can't be reached.
    pub grace: Duration,
    /// The issuer is the development issuer of this folder.
    pub development: bool,
}

/// Groups of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Claim; `None` means that its tokens have no groups.
    pub claim: Option<Arc<str>>,
    /// Declared groups, each `<alias>/<group>`.
    pub declared: BTreeSet<Arc<str>>,
    /// Groups are managed elsewhere: any may come.
    pub external: bool,
}

/// A named part of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Name.
    pub name: Arc<str>,
    /// Addresses.
    pub networks: Vec<IpNet>,
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Calls per second of one caller, and the burst above it.
    pub caller_rate: Rate,
    /// Calls per second of one network (IPv4 /32, IPv6 /64) before it is identified.
    pub network_rate: Rate,
    /// Bytes of request bodies that may be held in memory at once.
    pub buffered_bytes_max: u64,
    /// Calls that may wait for admission, per function.
    pub queue_max: usize,
}

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}

/// `[app.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// What policy sees of it.
    pub declared: declared::App,
    /// IANA time zone of its clock facts; `UTC` when absent.
    pub zone: jiff::tz::TimeZone,
    /// Calendar of its clock facts.
    pub calendar: Option<Arc<Calendar>>,
    /// What browsers may do with its functions, unless they say so themselves.
    pub cors: Option<Cors>,
}

/// `cors = { … }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Where pages come from that may read answers.
    pub origins: Origins,
    /// Methods that they may use; `None` means those of the route.
    pub methods: Option<Vec<http::Method>>,
    /// Headers that they may send.
    pub headers: Vec<http::HeaderName>,
    /// Cookies and other credentials of the browser may come along.
    pub credentials: bool,
    /// How long browsers remember a preflight's answer.
    pub max_age: Duration,
}

/// Origins of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every one.
    Any,
    /// These, as browsers write them.
    Only(BTreeSet<Arc<str>>),
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(7),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// What the vocabulary and the entities of policy are made from.
    #[must_use]
    pub fn declared(&self) -> declared::Declared {
        declared::Declared {
            gateway: self.node.id.clone(),
            apps: self.apps.iter().map(|a| a.declared.clone()).collect(),
            functions: self.functions.iter().map(|f| f.declared.clone()).collect(),
            issuers: self
                .issuers
                .iter()
                .map(Issuer::declared)
                .chain(self.credentials.declared())
                .chain(self.admin.declared())
                .collect(),
            zones: self.zones.iter().map(|z| z.name.clone()).collect(),
        }
    }
}

impl Listener {
    /// Whether a single credential counts here, alone or with others.
    #[must_use]
    pub fn takes(&self, credential: &Credential) -> bool {
        self.identify.iter().flat_map(Credential::parts).any(|part| part == credential)
    }
}

impl Issuer {
    fn declared(&self) -> declared::Issuer {
        declared::Issuer {
            alias: self.alias.clone(),
            groups: self.groups.declared.clone(),
            external_groups: self.groups.external,
        }
    }
}

#[cfg(test)]
mod tests;
