//! What of a record is indexed, read without building the rest.

use crate::audit::record::{Kind, Outcome, kept};
use jiff::Timestamp;
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap};
use uuid::Uuid;

/// A text of the line itself where it has no escapes.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A record, as far as it is indexed.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry<'a> {
    pub(crate) v: u8,
    pub(crate) kind: Kind,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) incarnation: Uuid,
    #[serde(default)]
    pub(crate) call: Option<Uuid>,
    #[serde(borrow, default)]
    function: Option<Text<'a>>,
    #[serde(borrow, default)]
    tenant: Option<Text<'a>>,
    #[serde(borrow, default)]
    principal: Option<Principal<'a>>,
    #[serde(borrow, default)]
    facts: Option<Facts<'a>>,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(borrow, default)]
    listener: Option<Text<'a>>,
    #[serde(borrow, default)]
    bundle: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    observed: Option<Text<'a>>,
    #[serde(borrow, default)]
    stage: Option<Text<'a>>,
    /// Of `closed` and `attempt`; in `system` it is a text of the disk.
    #[serde(borrow, default)]
    error: Option<Text<'a>>,
    #[serde(borrow, default)]
    determining: Vec<Text<'a>>,
    #[serde(borrow, default)]
    protected: BTreeMap<Cow<'a, str>, Text<'a>>,
    #[serde(borrow, default)]
    who: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) outcome: Option<Outcome>,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    target: Option<u16>,
    /// Of a `closed` that says where the call ran.
    #[serde(default)]
    run: Option<Ran>,
    #[serde(default)]
    pub(crate) duration_us: u64,
    #[serde(default)]
    pub(crate) bytes_in: u64,
    #[serde(default)]
    pub(crate) bytes_out: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Ran {
    target: u16,
}

#[derive(Debug, Deserialize)]
struct Principal<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Facts<'a> {
    #[serde(borrow, default)]
    network: Option<Network<'a>>,
}

#[derive(Debug, Deserialize)]
struct Network<'a> {
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
}

/// What of a call is a word, and so is kept once per block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    Caller,
    Principal,
    Function,
    Tenant,
    Listener,
    Source,
    Bundle,
    Refusal,
    Reason,
    Stage,
    Error,
    Outcome,
}

/// How many there are.
pub(crate) const WORDS: usize = 12;

impl Word {
    pub(crate) const ALL: [Self; WORDS] = [
        Self::Caller,
        Self::Principal,
        Self::Function,
        Self::Tenant,
        Self::Listener,
        Self::Source,
        Self::Bundle,
        Self::Refusal,
        Self::Reason,
        Self::Stage,
        Self::Error,
        Self::Outcome,
    ];

    /// Whether what a later record of a call says counts, not what the first one said.
    pub(crate) fn is_of_the_last(self) -> bool {
        matches!(self, Self::Error | Self::Outcome)
    }
}

/// The outcome of a call that policy denied.
pub(crate) const DENIED: &str = "denied";
/// That of one that was refused otherwise.
pub(crate) const REFUSED: &str = "refused";

impl Entry<'_> {
    /// The target that it names. What an `attempt` says of the one before is not it.
    pub(crate) fn target(&self) -> Option<u16> {
        self.target.or(self.run.map(|run| run.target))
    }

    /// Reads a line.
    pub(crate) fn read(line: &[u8]) -> Result<Entry<'_>, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// Whether it is one of those that tell the story of a call. What the shadow says comes before or after it, and is
    /// none.
    pub(crate) fn story(&self) -> Option<Uuid> {
        match self.kind {
            Kind::Intent | Kind::Attempt | Kind::Answered | Kind::Closed | Kind::Refused => self.call,
            Kind::Shadow | Kind::Summary | Kind::Admin | Kind::System => None,
        }
    }

    /// Whether a call of which it is must be named and is not.
    pub(crate) fn is_nobodys(&self) -> bool {
        !matches!(self.kind, Kind::Summary | Kind::Admin | Kind::System) && self.call.is_none()
    }

    pub(crate) fn begins(&self) -> bool {
        matches!(self.kind, Kind::Intent | Kind::Refused)
    }

    pub(crate) fn ends(&self) -> bool {
        matches!(self.kind, Kind::Closed | Kind::Refused)
    }

    /// A word of it.
    pub(crate) fn word(&self, word: Word) -> Option<&str> {
        let text = match word {
            Word::Caller => self.principal.as_ref().map(|principal| &principal.id).or(self.who.as_ref()),
            Word::Principal => self.principal.as_ref().map(|principal| &principal.kind),
            Word::Function => self.function.as_ref(),
            Word::Tenant => self.tenant.as_ref(),
            Word::Listener => self.listener.as_ref(),
            Word::Source => return self.address(),
            Word::Bundle => self.bundle.as_ref(),
            Word::Refusal => self.refusal.as_ref(),
            Word::Reason => self.reason.as_ref().or(self.observed.as_ref()),
            Word::Stage => self.stage.as_ref(),
            Word::Error => self.error.as_ref().filter(|_| self.kind == Kind::Closed),
            Word::Outcome => return self.outcome(),
        };
        text.map(|text| &*text.0)
    }

    /// The policies that decided.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &str> {
        self.determining.iter().map(|name| &*name.0)
    }

    /// The caller's address, or what stands for it.
    fn address(&self) -> Option<&str> {
        let of_facts = || self.facts.as_ref()?.network.as_ref()?.source.as_ref();
        let concealed = || ["/facts/network/source", "/source"].iter().find_map(|place| self.protected.get(*place));
        match self.source.as_ref().or_else(of_facts) {
            Some(plain) => Some(&plain.0),
            None => concealed().map(|value| kept::shown(&value.0)),
        }
    }

    fn outcome(&self) -> Option<&str> {
        match (self.kind, &self.reason) {
            (Kind::Refused, Some(_)) => Some(DENIED),
            (Kind::Refused, None) => Some(REFUSED),
            _ => self.outcome.map(Outcome::as_str),
        }
    }
}
