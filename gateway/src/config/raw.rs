//! The configuration as written: what TOML may say, before anything is resolved. Positions are kept for messages.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

mod at;
mod audit;
mod budget;
mod calendar;
mod credential;
pub(crate) mod detect;
mod dispatch;
mod protocol;
mod retention;
mod settings;
mod shape;
mod ship;
mod target;
mod telemetry;
mod transcode;
mod warm;

pub(crate) use at::At;
pub(crate) use audit::{Audit, Witness};
pub(crate) use budget::{Budget, Each, Period, Then};
pub(crate) use calendar::{Calendar, Freeze, Weekday};
pub(crate) use credential::{Accepted, ApiKeys, ClientAuth, Form, Key, KeyClient, KeysFile, Mtls, Together, Webhook};
pub(crate) use detect::Detect;
pub(crate) use dispatch::{Dispatch, Order, Price};
pub(crate) use protocol::{SoapAction, Tcp};
pub(crate) use retention::Retention;
pub(crate) use settings::{Admin, Limits, Network, Policy, Rate};
pub(crate) use shape::{Declared, Durability, Expired, Kind, Metrics, QueryType, Selection, Unrecorded};
pub(crate) use ship::{FileSink, NatsSink, ObjectSink, OtlpSink, Ship};
pub(crate) use target::Target;
pub(crate) use telemetry::{Signal, Telemetry};
pub(crate) use transcode::{Messages, Rule, Transcode};
pub(crate) use warm::Warm;

/// Tables by name, each with the place of its name.
pub(crate) type Named<T> = BTreeMap<At<String>, T>;

/// `latchwork.toml`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct File {
    /// Catalog files, which have only `[app.*]`, `[function.*]` and `[price.*]`: paths, with `*` in the last part.
    pub(crate) include: Vec<At<String>>,
    /// This gateway among others.
    pub(crate) node: Node,
    /// Where the gateway listens, and what it takes and shows there.
    pub(crate) listener: Named<Listener>,
    /// Who vouches for callers.
    pub(crate) identity: Identity,
    /// Parts of the network.
    pub(crate) network: Network,
    /// The administrative interface.
    pub(crate) admin: Admin,
    /// Where policies are.
    pub(crate) policy: Policy,
    /// Where and how records are kept.
    pub(crate) audit: Audit,
    /// What one caller and one network may use.
    pub(crate) limits: Limits,
    /// Where traces, metrics and logs go; nowhere when absent.
    pub(crate) telemetry: Option<At<Telemetry>>,
    /// What runs may cost.
    pub(crate) budget: Named<Budget>,
    /// Calendars that apps go by.
    pub(crate) calendar: Named<Calendar>,
    /// Apps: functions of one owner in one environment.
    pub(crate) app: Named<App>,
    /// Functions.
    pub(crate) function: Named<Function>,
    /// What runs cost.
    pub(crate) price: Named<Price>,
}

/// A catalog file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Catalog {
    /// Apps: functions of one owner in one environment.
    pub(crate) app: Named<App>,
    /// Functions.
    pub(crate) function: Named<Function>,
    /// What runs cost.
    pub(crate) price: Named<Price>,
}

/// `[node]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Node {
    /// Id, part of the audit path: letters, digits, `-`, `_`, `.`. Default `"gateway"`.
    pub(crate) id: Option<At<String>>,
    /// No development issuer, no clear text off loopback.
    pub(crate) production: bool,
}

/// `[listener.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listener {
    /// Address and port, such as `"127.0.0.1:8443"` or `"[::]:8443"`; port 0 takes any free one. A Unix socket is
    /// `"unix:PATH"`.
    #[schemars(required)]
    pub(crate) address: Option<At<String>>,
    /// Who may connect to the Unix socket. Default the gateway's user and group.
    pub(crate) socket: Option<At<Socket>>,
    /// Hosts that it answers for, without port; none means any.
    pub(crate) hosts: Vec<At<String>>,
    /// Certificate and key; without it the listener speaks clear text, on loopback only.
    pub(crate) tls: Option<At<Tls>>,
    /// Clear text off loopback is meant.
    pub(crate) clear_text: Option<At<bool>>,
    /// Which credentials count here: aliases of `[identity]`, `"anonymous"` for callers without one, and
    /// `{ all = [...], principal = "…" }` for several together.
    #[schemars(required)]
    pub(crate) identify: Option<At<Vec<Accepted>>>,
    /// Which functions it shows: `"all"` (default) or `{ app = [...], name = [...] }`.
    pub(crate) functions: Option<Selection>,
    /// Networks of proxies whose forwarding header is believed.
    pub(crate) trusted_proxies: Vec<At<String>>,
    /// Its connections are calls, not HTTP.
    pub(crate) tcp: Option<At<Tcp>>,
    /// Time-outs.
    pub(crate) timeouts: Timeouts,
    /// Most connections at once. Default 10000.
    pub(crate) connections_max: Option<At<i64>>,
}

/// `socket = { mode = "0660", owner = "latchwork", group = "app" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Socket {
    /// Permissions of its file, octal: whoever may write to it may connect. Default `"0660"`, of `[admin]` `"0600"`.
    pub(crate) mode: Option<At<String>>,
    /// The user that owns it: a name in `/etc/passwd`, or an id.
    pub(crate) owner: Option<At<String>>,
    /// The group that owns it: a name in `/etc/group`, or an id.
    pub(crate) group: Option<At<String>>,
}

/// `tls = { certificate = "…", key = "file:…", client_ca = "…" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file: the chain, leaf first.
    #[schemars(required)]
    pub(crate) certificate: Option<At<String>>,
    /// The private key by reference: `"file:PATH"` of a PEM file.
    #[schemars(required)]
    pub(crate) key: Option<At<String>>,
    /// PEM file of the authorities that may vouch for client certificates.
    pub(crate) client_ca: Option<At<String>>,
    /// Whether there is a connection without a client certificate: `"required"` or `"optional"`. Default `"required"` if
    /// every entry of `identify` has one, else `"optional"`.
    pub(crate) client_auth: Option<At<ClientAuth>>,
}

/// `timeouts = { … }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// TLS handshake. Default `"5s"`.
    pub(crate) handshake: Option<At<String>>,
    /// Request head. Default `"7s"`.
    pub(crate) header: Option<At<String>>,
    /// Between two frames of a request body. Default `"30s"`.
    pub(crate) body: Option<At<String>>,
    /// A connection without a request. Default `"60s"`.
    pub(crate) idle: Option<At<String>>,
}

/// `[identity]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Identity {
    /// Issuers of tokens, by alias: the first part of the ids and groups of their subjects.
    pub(crate) issuer: Named<Issuer>,
    /// Client certificates (SPIFFE X509-SVIDs), by alias.
    pub(crate) mtls: Named<Mtls>,
    /// API keys, by alias.
    pub(crate) api_keys: Named<ApiKeys>,
    /// Senders of signed webhooks, by alias.
    pub(crate) webhook: Named<Webhook>,
}

/// `[identity.issuer.ALIAS]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Issuer {
    /// Issuer identifier; the `iss` claim must equal it, byte for byte.
    #[schemars(required)]
    pub(crate) issuer: Option<At<String>>,
    /// Address of its keys; found by OpenID Connect Discovery when absent.
    pub(crate) jwks_uri: Option<At<String>>,
    /// Accepted audiences; one must be in `aud`.
    #[schemars(required)]
    pub(crate) audiences: Option<At<Vec<At<String>>>>,
    /// Kind of principal that its tokens name. Default `"User"`.
    pub(crate) principal: Option<At<Kind>>,
    /// SPIFFE trust domain of its workloads, such as `prod.example`; needed with `principal = "Workload"`.
    pub(crate) trust_domain: Option<At<String>>,
    /// Accepted signature algorithms, asymmetric only. Default `["RS256", "PS256", "ES256", "ES384", "EdDSA"]`.
    pub(crate) algorithms: Option<At<Vec<At<String>>>>,
    /// The claim that holds groups, and which groups may come.
    pub(crate) groups: Option<At<Groups>>,
    /// Attributes of the principal, each with the claim that holds it.
    pub(crate) attributes: BTreeMap<At<String>, At<String>>,
    /// PEM file of the authorities that may vouch for the issuer's server, instead of the system's.
    pub(crate) ca: Option<At<String>>,
    /// Clock skew that is forgiven. Default `"30s"`.
    pub(crate) leeway: Option<At<String>>,
    /// How often keys are fetched again. Default `"5m"`.
    pub(crate) refresh: Option<At<String>>,
    /// How long the last good keys serve when the issuer can't be reached. Default `"1h"`.
    pub(crate) grace: Option<At<String>>,
    /// The issuer is the development issuer of this folder.
    pub(crate) development: Option<At<bool>>,
}

/// `groups = { claim = "groups", declared = … }` or `groups = { claim = "groups", external = true }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Groups {
    /// The claim: an array of names.
    #[schemars(required)]
    pub(crate) claim: Option<At<String>>,
    /// The groups that may come, as the claim names them: a list, or a TOML file with `groups = [...]`.
    pub(crate) declared: Option<Declared>,
    /// Groups are managed elsewhere: any may come.
    pub(crate) external: bool,
}

/// A file of groups.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GroupsFile {
    /// The groups, as the claim names them.
    pub(crate) groups: Vec<At<String>>,
}

/// `[app.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct App {
    /// Owning group, `<issuer alias>/<group>`.
    pub(crate) owner: Option<At<String>>,
    /// Environment. Default `"default"`.
    pub(crate) environment: Option<At<String>>,
    /// IANA time zone of its clock facts, such as `"Europe/Berlin"`. Default `"UTC"`.
    pub(crate) zone: Option<At<String>>,
    /// Calendar of its clock facts `business_day` and `frozen`, which are missing without one.
    pub(crate) calendar: Option<At<String>>,
    /// What pages of other origins may do with its functions.
    pub(crate) cors: Option<At<Cors>>,
}

/// `cors = { origins = ["https://app.example.com"], … }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cors {
    /// Origins, such as `"https://app.example.com"`; `"*"` alone for all; an empty list for none.
    #[schemars(required)]
    pub(crate) origins: Option<At<Vec<At<String>>>>,
    /// Methods. Default those of the route.
    pub(crate) methods: Option<Vec<At<String>>>,
    /// Headers that pages may send. Default `["authorization", "content-type"]`.
    pub(crate) headers: Option<Vec<At<String>>>,
    /// Cookies and other credentials of the browser may come along.
    pub(crate) credentials: bool,
    /// How long browsers remember the answer to a preflight. Default `"10m"`.
    pub(crate) max_age: Option<At<String>>,
}

/// `[function."NAME"]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Function {
    /// App.
    #[schemars(required)]
    pub(crate) app: Option<At<String>>,
    /// Owning group, `<issuer alias>/<group>`.
    pub(crate) owner: Option<At<String>>,
    /// Groups of its action, such as `"read"` or `"money"`; every function is in `call` besides.
    pub(crate) action_groups: Vec<At<String>>,
    /// Kinds of caller it is for. Default all.
    pub(crate) principals: Option<At<Vec<At<Kind>>>>,
    /// 0 public to 3 restricted. Default 1.
    pub(crate) class: Option<At<i64>>,
    /// Labels, such as `"pii"`.
    pub(crate) labels: Vec<At<String>>,
    /// Tenant.
    pub(crate) tenant: Option<At<String>>,
    /// Shared by tenants.
    pub(crate) shared: bool,
    /// May be repeated without further effect.
    pub(crate) idempotent: bool,
    /// Method and path, such as `"GET /stock/{sku}"`; a path alone takes any method. A method of gRPC is written
    /// `"grpc shop.v1.Orders/Create"`.
    pub(crate) route: Option<At<String>>,
    /// Which operation of SOAP the route takes: functions at one route are told apart by their actions.
    pub(crate) soap_action: Option<At<SoapAction>>,
    /// The host of the route; any host of the listener when absent.
    pub(crate) host: Option<At<String>>,
    /// Declared query parameters and their types.
    pub(crate) query: BTreeMap<At<String>, QueryType>,
    /// JSON Schema (draft 2020-12) of the input: a file.
    pub(crate) input: Option<At<String>>,
    /// The messages of its method of gRPC: a `.proto` file, or a compiled set of descriptors with imports. With it the
    /// function takes JSON by name, and policy sees its message as the input unless `input` says otherwise.
    pub(crate) descriptors: Option<At<String>>,
    /// How its method of gRPC is called by plain HTTP besides: `"annotations"` for what `google.api.http` says in its
    /// descriptors, or a list of such rules. Default not at all.
    pub(crate) transcode: Option<At<Transcode>>,
    /// What targets are given that don't speak gRPC: `"json"`, or the message as it is, `"bytes"`. Default `"json"`.
    pub(crate) messages: Option<At<Messages>>,
    /// Longest time for an answer. Default `"30s"`.
    pub(crate) timeout: Option<At<String>>,
    /// Largest request body, in bytes. Default 1 MiB.
    pub(crate) request_bytes_max: Option<At<i64>>,
    /// Largest answer that is buffered, in bytes. Default 8 MiB.
    pub(crate) response_bytes_max: Option<At<i64>>,
    /// Most calls that run at once. Default 64.
    pub(crate) concurrency_max: Option<At<i64>>,
    /// Which of the caller's `authorization` and `cookie` headers reach the backend. Default none.
    pub(crate) forward_headers: Vec<At<String>>,
    /// What pages of other origins may do with it. Default what the app says.
    pub(crate) cors: Option<At<Cors>>,
    /// The last day, such as `"2027-01-31"` (UTC), through which denials are recorded and not enforced. Default none.
    pub(crate) observe: Option<At<String>>,
    /// What becomes of its calls while the audit log can't be written: `"refuse"` (503) or `"run"`. Default `"refuse"`.
    pub(crate) unrecorded: Option<At<Unrecorded>>,
    /// Where it runs, in order of preference.
    #[schemars(required)]
    pub(crate) targets: Option<At<Vec<At<Target>>>>,
    /// How its calls are spread over its targets, and what is tried again.
    pub(crate) dispatch: Option<At<Dispatch>>,
    /// How the gateway keeps it warm by calls of its own, where that helps. Default not at all.
    pub(crate) warm: Option<At<Warm>>,
}
