//! What detectors look at in a record: who used or was refused what, from where, and how it ended.

use crate::audit::{
    query::Line,
    record::{Head, Kind},
};
use policy::question::PrincipalKind;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};
use uuid::Uuid;

/// Most groups of a caller that are looked at.
const GROUPS_MAX: usize = 32;

/// The words of refusals that say no to a caller who is known.
const DENIED: [&str; 5] = ["denied", "denied_unseen", "policy_error", "undeclared_group", "not_found"];
/// The word of refusals of callers that nobody vouched for.
const UNAUTHENTICATED: &str = "unauthenticated";

/// Which record, among all of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Whose log.
    pub incarnation: Uuid,
    /// Its number.
    pub seq: u64,
}

/// One record, as detectors see it.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// When it was handed to the log, in microseconds since 1970.
    pub at: i64,
    /// Which record.
    pub place: Place,
    /// What it says.
    pub seen: Seen<'a>,
}

/// What a record says.
#[derive(Clone, Debug)]
pub enum Seen<'a> {
    /// A call was permitted.
    Used(Used<'a>),
    /// Its reply starts.
    Answered(Uuid),
    /// It is over.
    Closed {
        /// Which.
        call: Uuid,
        /// How long it took, in microseconds.
        took: i64,
    },
    /// A call was refused.
    Refused(Refusal<'a>),
    /// Refusals of strangers were counted.
    Counted {
        /// Of which network.
        network: Source<'a>,
        /// Those that are denials.
        denials: u32,
    },
    /// Policies were put in force.
    Policy {
        /// Which.
        bundle: Cow<'a, str>,
        /// By whom.
        who: Cow<'a, str>,
    },
    /// A gateway began, after others that had ended.
    Started {
        /// Those.
        ended: Vec<Uuid>,
    },
    /// It ended.
    Stopped,
    /// Nothing that matters here.
    Nothing,
}

/// A call that was permitted.
#[derive(Clone, Debug)]
pub struct Used<'a> {
    /// Which.
    pub call: Uuid,
    /// By whom.
    pub who: Who<'a>,
    /// What.
    pub function: Cow<'a, str>,
    /// From where.
    pub source: Source<'a>,
    /// Under which policies.
    pub bundle: Cow<'a, str>,
    /// The permits among them.
    pub permits: Vec<Cow<'a, str>>,
}

/// A call that was refused.
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    /// Which.
    pub call: Uuid,
    /// Whose, if that is known.
    pub who: Option<Who<'a>>,
    /// Of what, if that is known.
    pub function: Option<Cow<'a, str>>,
    /// From where.
    pub source: Source<'a>,
    /// Under which policies, if it came to that.
    pub bundle: Option<Cow<'a, str>>,
    /// It was policy that said no, or nobody vouched for the caller.
    pub denied: bool,
}

/// A caller.
#[derive(Clone, Debug, Deserialize)]
pub struct Who<'a> {
    /// Of which kind.
    pub kind: PrincipalKind,
    /// Its id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Its groups.
    #[serde(borrow, default)]
    pub groups: Vec<Text<'a>>,
    /// The record has only a part of its id.
    #[serde(skip)]
    pub cut: bool,
}

/// A text that is borrowed from the record where it can be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Where a call came from.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// An address.
    Address(IpAddr),
    /// There is one, and the record has only what stands for it.
    Hidden(Cow<'a, str>),
    /// There is none: over a Unix socket.
    Nowhere,
}

impl Who<'_> {
    /// Whether it is somebody in particular, whose id is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.kind != PrincipalKind::Anonymous && !self.cut
    }
}

#[derive(Deserialize)]
struct Intent<'a> {
    #[serde(borrow)]
    function: Cow<'a, str>,
    #[serde(borrow)]
    principal: Who<'a>,
    #[serde(default)]
    facts: Facts,
    #[serde(borrow, default)]
    protected: Protected<'a>,
    #[serde(borrow)]
    bundle: Cow<'a, str>,
    #[serde(borrow, default)]
    determining: Vec<Text<'a>>,
    #[serde(borrow, default)]
    truncated: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Refused<'a> {
    #[serde(borrow)]
    refusal: Cow<'a, str>,
    source: Option<IpAddr>,
    #[serde(borrow)]
    function: Option<Text<'a>>,
    #[serde(borrow)]
    principal: Option<Who<'a>>,
    #[serde(borrow)]
    bundle: Option<Text<'a>>,
    #[serde(borrow, default)]
    protected: Protected<'a>,
    #[serde(borrow, default)]
    truncated: Vec<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Facts {
    network: Address,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    source: Option<IpAddr>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Protected<'a> {
    #[serde(borrow, rename = "/facts/network/source")]
    fact: Option<Text<'a>>,
    #[serde(borrow, rename = "/source")]
    source: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Closed {
    duration_us: u64,
}

#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(borrow)]
    network: Cow<'a, str>,
    #[serde(borrow)]
    counts: BTreeMap<Text<'a>, u64>,
}

#[derive(Deserialize)]
struct Admin<'a> {
    #[serde(borrow)]
    who: Cow<'a, str>,
    #[serde(borrow)]
    bundle_after: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct System<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    predecessor: Option<Before>,
    #[serde(default)]
    others: Vec<Before>,
}

#[derive(Deserialize)]
struct Before {
    incarnation: Uuid,
    running: bool,
}

impl<'a> Sight<'a> {
    /// What a line of the log says; members that do not matter here are not read.
    ///
    /// # Errors
    /// When a member that matters is missing or malformed.
    pub fn of(line: &'a Line) -> Result<Self, serde_json::Error> {
        let (Head { kind, seq, at, incarnation, call, .. }, bytes) = (&line.head, line.bytes.as_slice());
        let seen = match (kind, call) {
            (Kind::Intent, Some(call)) => Seen::Used(used(*call, serde_json::from_slice(bytes)?)),
            (Kind::Answered, Some(call)) => Seen::Answered(*call),
            (Kind::Closed, Some(call)) => {
                let Closed { duration_us } = serde_json::from_slice(bytes)?;
                Seen::Closed { call: *call, took: i64::try_from(duration_us).unwrap_or(i64::MAX) }
            }
            (Kind::Refused, Some(call)) => Seen::Refused(refused(*call, serde_json::from_slice(bytes)?)),
            (Kind::Summary, _) => counted(serde_json::from_slice(bytes)?),
            (Kind::Admin, _) => {
                let Admin { who, bundle_after } = serde_json::from_slice(bytes)?;
                bundle_after.map_or(Seen::Nothing, |Text(bundle)| Seen::Policy { bundle, who })
            }
            (Kind::System, _) => system(serde_json::from_slice(bytes)?),
            (Kind::Intent | Kind::Answered | Kind::Closed | Kind::Refused | Kind::Attempt | Kind::Shadow, _) => {
                Seen::Nothing
            }
        };
        Ok(Self { at: at.as_microsecond(), place: Place { incarnation: *incarnation, seq: *seq }, seen })
    }
}

fn used<'a>(call: Uuid, intent: Intent<'a>) -> Used<'a> {
    let Intent { function, principal, facts, protected, bundle, determining, truncated } = intent;
    let source = source(facts.network.source, protected);
    let permits = determining.into_iter().map(|Text(name)| name).collect();
    Used { call, who: who(principal, &truncated), function, source, bundle, permits }
}

fn refused<'a>(call: Uuid, refused: Refused<'a>) -> Refusal<'a> {
    let Refused { refusal, source, function, principal, bundle, protected, truncated } = refused;
    let denied = DENIED.contains(&&*refusal) || refusal == UNAUTHENTICATED;
    let who = principal.map(|principal| who(principal, &truncated));
    let (function, bundle) = (function.map(|Text(name)| name), bundle.map(|Text(id)| id));
    Refusal { call, who, function, source: self::source(source, protected), bundle, denied }
}

fn who<'a>(mut who: Who<'a>, truncated: &[Text<'_>]) -> Who<'a> {
    who.cut = truncated.iter().any(|name| name.0 == "principal.id");
    who.groups.truncate(GROUPS_MAX);
    who
}

fn source(address: Option<IpAddr>, protected: Protected<'_>) -> Source<'_> {
    match (address, protected.fact.or(protected.source)) {
        (Some(address), _) => Source::Address(address),
        (None, Some(Text(hidden))) => Source::Hidden(hidden),
        (None, None) => Source::Nowhere,
    }
}

fn counted(Summary { network, counts }: Summary<'_>) -> Seen<'_> {
    let denials: u64 = counts
        .iter()
        .filter(|(word, _)| DENIED.contains(&&*word.0) || word.0 == UNAUTHENTICATED)
        .map(|(_, count)| *count)
        .fold(0, u64::saturating_add);
    let address = network.split('/').next().and_then(|address| address.parse().ok());
    let network = address.map_or(Source::Hidden(network), Source::Address);
    Seen::Counted { network, denials: u32::try_from(denials).unwrap_or(u32::MAX) }
}

fn system(System { event, predecessor, others }: System<'_>) -> Seen<'static> {
    match &*event {
        "started" => {
            let before = predecessor.into_iter().chain(others).filter(|before| !before.running);
            Seen::Started { ended: before.map(|before| before.incarnation).collect() }
        }
        "stopped" => Seen::Stopped,
        _ => Seen::Nothing,
    }
}
