//! Cases as they are written: unknown keys are errors, every name keeps its place.

use crate::{
    bundle::Source,
    finding::{Finding, nearest},
    permit::DenialReason,
    question::{CallKind, PrincipalKind, Verb},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer as _, Visitor},
};
use std::{collections::BTreeMap, net::IpAddr};
use toml::{Spanned, Value};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) principal: BTreeMap<String, Principal>,
    #[serde(default)]
    pub(super) facts: Facts,
    /// Inputs, by a name of their own.
    #[serde(default)]
    pub(super) input: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Principal {
    pub(super) kind: PrincipalKind,
    pub(super) id: String,
    pub(super) issuer: Option<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    pub(super) tenant: Option<String>,
    pub(super) clearance: Option<i64>,
    pub(super) employed: Option<bool>,
    pub(super) tier: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: Spanned<String>,
    pub(super) principal: Spanned<String>,
    pub(super) function: Spanned<String>,
    #[serde(default = "call")]
    pub(super) verb: Verb,
    /// As if the policies in shadow were in force.
    #[serde(default)]
    pub(super) shadow: bool,
    #[serde(default)]
    pub(super) path: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) query: BTreeMap<String, Values>,
    pub(super) input: Option<Spanned<Value>>,
    #[serde(default)]
    pub(super) facts: Facts,
    /// Values by name: the case is asked once for each combination.
    pub(super) matrix: Option<BTreeMap<String, Spanned<Vec<Value>>>>,
    pub(super) expect: Spanned<Expects>,
    pub(super) because: Option<Vec<Spanned<String>>>,
    pub(super) reason: Option<Spanned<DenialReason>>,
    pub(super) targets: Option<Spanned<Vec<u16>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expect {
    Allow,
    Deny,
}

/// One answer for every row of the matrix, or one for each.
#[derive(Clone, Debug)]
pub(super) enum Expects {
    All(Expect),
    Each(Vec<Expect>),
}

impl<'de> Deserialize<'de> for Expects {
    /// By hand, as an untagged enum would not say which words there are.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Expects;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`allow`, `deny`, or a list of them")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Expects, E> {
                Expect::deserialize(word.into_deserializer()).map(Expects::All)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut words: A) -> Result<Expects, A::Error> {
                let mut all = Vec::new();
                while let Some(word) = words.next_element()? {
                    all.push(word);
                }
                Ok(Expects::Each(all))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Values {
    Many(Vec<Scalar>),
    One(Scalar),
}

/// A query value; numbers and truth are written as the URL writes them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Bool(bool),
    Long(i64),
    Text(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) call: Option<CallKind>,
    pub(super) network: Network,
    pub(super) transport: Transport,
    pub(super) token: Option<Token>,
    pub(super) clock: Clock,
    pub(super) via: Via,
    pub(super) approval: Option<Approval>,
}

/// Who approved, and when the first did: at the time of the case unless it says so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    pub(super) by: Vec<String>,
    pub(super) oldest: Option<Spanned<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Network {
    pub(super) source: Option<IpAddr>,
    /// Over a Unix socket, so that there is no source.
    pub(super) unix: Option<bool>,
    pub(super) zone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Transport {
    pub(super) mtls: Option<bool>,
    pub(super) tls: Option<i64>,
    pub(super) sealed: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Token {
    pub(super) scopes: Option<Vec<String>>,
    pub(super) audiences: Option<Vec<String>>,
    pub(super) issued: Option<Spanned<Value>>,
    pub(super) authenticated: Option<Spanned<Value>>,
    pub(super) acr: Option<String>,
    pub(super) amr: Option<Vec<String>>,
    pub(super) sender_bound: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Clock {
    pub(super) now: Option<Spanned<Value>>,
    pub(super) weekday: Option<i64>,
    pub(super) minute: Option<i64>,
    pub(super) business_day: Option<bool>,
    pub(super) frozen: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Via {
    pub(super) workload: Option<Spanned<String>>,
    pub(super) client: Option<Spanned<String>>,
    pub(super) depth: Option<i64>,
}

/// Reads a file.
pub(super) fn read(source: &Source) -> Result<File, Finding> {
    toml::from_str(&source.text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        let code = if message.starts_with("unknown field") { "unknown_key" } else { "case_syntax" };
        let finding = Finding::error(code, source.file.as_ref(), message.clone());
        let finding = finding.at(&source.text, error.span().unwrap_or(0..0));
        // Serde says "unknown field `x`, expected one of `a`, `b`".
        let mut quoted = message.split('`').skip(1).step_by(2);
        match quoted.next().and_then(|given| nearest(given, quoted)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding,
        }
    })
}

fn call() -> Verb {
    Verb::Call
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}
