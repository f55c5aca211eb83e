//! All that a decision depends on, as recorded facts. Nothing here reads a clock or a socket.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr, sync::Arc};

pub mod places;
pub mod sketch;

/// The id of the principal that keeps functions warm: `System::"warmer"`.
pub const WARMER: &str = "warmer";
/// Longest function name, in bytes.
pub const FUNCTION_NAME_BYTES_MAX: usize = 128;

/// The name of a function: lowercase words (`a-z 0-9 _ -`) joined by at least one dot, such as `orders.create`.
///
/// The dot keeps function names apart from action groups, which never have one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct FunctionName(Arc<str>);

/// Why a text is no function name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionNameError {
    /// No dot.
    #[error("`{0}` has no dot; a function's name is like `orders.create`")]
    NoDot(String),
    /// A character outside `a-z 0-9 _ - .`, an empty word, or too long.
    #[error(
        "`{0}` is not a function name: lowercase letters, digits, `_` and `-` in words joined by dots, at most 128 bytes"
    )]
    Malformed(String),
}

impl FunctionName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it has no dot or a character that is not allowed.
    pub fn parse(text: &str) -> Result<Self, FunctionNameError> {
        let word = |w: &str| {
            w.starts_with(|c: char| c.is_ascii_lowercase())
                && w.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        };
        if text.len() > FUNCTION_NAME_BYTES_MAX || !text.split('.').all(word) {
            return Err(FunctionNameError::Malformed(text.chars().take(FUNCTION_NAME_BYTES_MAX).collect()));
        }
        if !text.contains('.') {
            return Err(FunctionNameError::NoDot(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FunctionName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The kinds of caller that policy can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A service, by its SPIFFE ID.
    Workload,
    /// A third party's application.
    Client,
    /// An AI agent that has an owner.
    Agent,
    /// Nobody in particular: the one principal `Anonymous::"anonymous"`.
    Anonymous,
    /// The gateway itself: no credential makes one.
    System,
}

impl PrincipalKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::User, Self::Workload, Self::Client, Self::Agent, Self::Anonymous, Self::System];

    /// The kinds that come from outside. A function is for all of them unless it says otherwise.
    pub const CALLERS: [Self; 5] = [Self::User, Self::Workload, Self::Client, Self::Agent, Self::Anonymous];

    /// The Cedar entity type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Workload => "Workload",
            Self::Client => "Client",
            Self::Agent => "Agent",
            Self::Anonymous => "Anonymous",
            Self::System => "System",
        }
    }
}

/// Who calls, as a verified credential said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The kind of caller.
    pub kind: PrincipalKind,
    /// `<issuer alias>/<subject>`; a workload's is its SPIFFE ID verbatim; `anonymous` for nobody; `warmer` for the
    /// gateway itself.
    pub id: Arc<str>,
    /// The alias of the issuer that vouched; `None` for nobody and for the gateway itself.
    pub issuer: Option<Arc<str>>,
    /// Groups, each `<issuer alias>/<group>`.
    pub groups: Arc<[Arc<str>]>,
    /// Typed attributes; an absent one is absent in policy too.
    #[serde(default)]
    pub attributes: PrincipalAttributes,
}

impl Principal {
    /// The caller without a credential.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            kind: PrincipalKind::Anonymous,
            id: "anonymous".into(),
            issuer: None,
            groups: Arc::new([]),
            attributes: PrincipalAttributes::default(),
        }
    }

    /// The gateway itself, when it keeps functions warm.
    #[must_use]
    pub fn warmer() -> Self {
        Self { kind: PrincipalKind::System, id: WARMER.into(), ..Self::anonymous() }
    }
}

/// What else a credential said of its subject. Which of them a kind has is in the base vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrincipalAttributes {
    /// Tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    /// Clearance, 0 public to 3 restricted (`User`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearance: Option<i64>,
    /// Whether the person is employed (`User`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employed: Option<bool>,
    /// Contract tier (`Client`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Arc<str>>,
}

/// What policy is asked to allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Run the function: the action of the function's own name.
    Call,
    /// Know that the function exists.
    Describe,
}

/// Everything that a decision depends on. It is recorded, so that the decision can be repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Who calls.
    pub principal: Principal,
    /// What it wants.
    pub verb: Verb,
    /// Of which function.
    pub function: FunctionName,
    /// What is known of the call besides its input.
    pub facts: Facts,
    /// Path parameters, as text.
    pub path: BTreeMap<Arc<str>, Arc<str>>,
    /// Declared query parameters, all values of each in order.
    pub query: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// The validated input object; `None` when no candidate policy reads it.
    pub input: Option<Arc<serde_json::Value>>,
}

/// What is known of a call besides its input. A missing fact is absent, never a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// How the call came.
    pub call: CallKind,
    /// Where from.
    pub network: Network,
    /// Over what.
    pub transport: Transport,
    /// The token, if one was presented and verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// When.
    pub clock: Clock,
    /// Who acts for the principal.
    pub via: Via,
    /// Who approved this very payload or bundle, if anybody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

/// How a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// The caller waits for the answer.
    Sync,
    /// The caller was told that it will happen.
    Async,
    /// A trigger made it.
    Event,
    /// A workflow step.
    Step,
    /// Delivered again by an operator.
    Redrive,
}

impl CallKind {
    /// The word in policy.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Event => "event",
            Self::Step => "step",
            Self::Redrive => "redrive",
        }
    }
}

/// Where a call came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The caller's address, after trusted proxies; a caller over a Unix socket has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// How the address is known, or why there is none.
    pub provenance: Provenance,
    /// The configured zone that holds the address; `"other"` when none does.
    pub zone: Arc<str>,
}

/// How a caller's address is known. Recorded; not visible to policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The peer of the socket.
    Socket,
    /// A trusted proxy's PROXY protocol header.
    ProxyProtocol,
    /// A trusted proxy's forwarding header.
    TrustedHeader,
    /// The peer of a Unix socket: on this machine, without an address.
    Unix,
    /// There was none: the gateway itself calls.
    Gateway,
}

/// Over what transport a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transport {
    /// A client certificate was verified.
    pub mtls: bool,
    /// 12 for TLS 1.2, 13 for TLS 1.3, 0 for clear text.
    pub tls: i64,
    /// The payload is encrypted for its recipient.
    pub sealed: bool,
}

/// What a verified token said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// OAuth scopes.
    pub scopes: Arc<[Arc<str>]>,
    /// Audiences.
    pub audiences: Arc<[Arc<str>]>,
    /// `iat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<Timestamp>,
    /// `auth_time`: when the person logged in. A refreshed token keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticated: Option<Timestamp>,
    /// `acr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<Arc<str>>,
    /// `amr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amr: Option<Arc<[Arc<str>]>>,
    /// The token is bound to the sender's key (`cnf`) and the binding was checked.
    pub sender_bound: bool,
}

impl Token {
    /// A token that says nothing.
    #[must_use]
    pub fn blank() -> Self {
        Self {
            scopes: Arc::new([]),
            audiences: Arc::new([]),
            issued: None,
            authenticated: None,
            acr: None,
            amr: None,
            sender_bound: false,
        }
    }
}

/// When a call came, in the calendar of the function's app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The instant.
    pub now: Timestamp,
    /// Day of the week, 1 Monday to 7 Sunday.
    pub weekday: i64,
    /// Minute of the day, 0 to 1439.
    pub minute: i64,
    /// Whether it is a business day; absent without a calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_day: Option<bool>,
    /// Whether a freeze is in force; absent without a calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
}

/// Approvals of one payload or bundle, each by somebody whom policy let approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Ids of the users.
    pub by: Arc<[Arc<str>]>,
    /// When the first approved.
    pub oldest: Timestamp,
}

/// Who acts for the principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// The workload that forwards the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Arc<Principal>>,
    /// The application that forwards the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Arc<Principal>>,
    /// How many hops.
    pub depth: i64,
}

impl FromStr for FunctionName {
    type Err = FunctionNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
