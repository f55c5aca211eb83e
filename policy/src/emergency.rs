//! Emergency forbids: one function, caller or issuer is refused at once, whatever the bundle permits.
//!
//! Each becomes policies of a file of its own, so that decisions, explanations and records name it like any other.

use crate::{
    bundle::Source,
    declared::Declared,
    finding::Finding,
    question::{FunctionName, PrincipalKind, WARMER},
};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The file that generated policies are said to be in.
pub const FILE: &str = "(emergency)";
/// What their ids begin with; no other policy's id may.
pub const PREFIX: &str = "emergency.";
/// Most emergency forbids at once.
pub const EMERGENCIES_MAX: usize = 1_000;
/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 500;
/// Longest id of a caller, in bytes.
const CALLER_BYTES_MAX: usize = 1_024;

/// One emergency forbid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// Its number; never given twice.
    pub id: u64,
    /// What is forbidden.
    #[serde(flatten)]
    pub subject: Subject,
    /// Why, in the words of whoever asked for it.
    pub reason: Arc<str>,
    /// Who asked for it.
    pub by: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` is until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What an emergency forbids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Every call of a function.
    Function(FunctionName),
    /// Every call of a caller, also those that it forwards or that its agents make.
    Caller(Arc<str>),
    /// Every call of callers that an issuer vouches for.
    Issuer(Arc<str>),
}

/// An emergency forbid that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmergencyError {
    /// The function is not in the catalog.
    #[error("there is no function `{0}`")]
    UnknownFunction(FunctionName),
    /// The issuer is not configured.
    #[error("there is no issuer `{0}`")]
    UnknownIssuer(Arc<str>),
    /// The caller's id is none.
    #[error("`{0}` is no caller: write `ISSUER/SUBJECT` or a SPIFFE ID, as in records")]
    InvalidCaller(Arc<str>),
    /// The reason is empty, too long or of several lines.
    #[error("a reason is one line of 1 to {REASON_BYTES_MAX} bytes")]
    InvalidReason,
    /// It would end before it begins.
    #[error("`until` has passed")]
    Over,
    /// There are too many.
    #[error("there are {EMERGENCIES_MAX} emergency forbids already")]
    TooMany,
}

impl Emergency {
    /// Whether it still forbids.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it can be put in force over what is declared.
    ///
    /// # Errors
    /// [`EmergencyError`].
    pub fn check(&self, declared: &Declared, now: Timestamp) -> Result<(), EmergencyError> {
        if !(1..=REASON_BYTES_MAX).contains(&self.reason.trim().len()) || self.reason.chars().any(char::is_control) {
            return Err(EmergencyError::InvalidReason);
        }
        if !self.is_in_force(now) {
            return Err(EmergencyError::Over);
        }
        self.subject.check(declared)
    }

    /// The policies that say it.
    fn policies(&self) -> String {
        let until = self.until.map(|until| format!("context.facts.clock.now < datetime(\"{}\")", instant(until)));
        let note = quoted(&format!("{} ({})", self.reason, self.by));
        let rules = self.subject.rules();
        let mut text = String::new();
        for Rule { suffix, head, condition } in rules {
            let conditions: Vec<String> = condition.into_iter().chain(until.clone()).collect();
            let when =
                if conditions.is_empty() { String::new() } else { format!(" when {{ {} }}", conditions.join(" && ")) };
            let id = self.id;
            text.push_str(&format!("@id(\"{PREFIX}{id}{suffix}\") @description({note})\nforbid({head}){when};\n"));
        }
        text
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(name) => write!(f, "function `{name}`"),
            Self::Caller(id) => write!(f, "caller `{id}`"),
            Self::Issuer(alias) => write!(f, "issuer `{alias}`"),
        }
    }
}

/// One generated policy.
struct Rule {
    suffix: String,
    head: String,
    condition: Option<String>,
}

impl Rule {
    fn new(suffix: impl Into<String>, principal: &str, condition: Option<String>) -> Self {
        Self { suffix: suffix.into(), head: format!("principal{principal}, action, resource"), condition }
    }
}

impl Subject {
    fn check(&self, declared: &Declared) -> Result<(), EmergencyError> {
        let is_issuer = |alias: &str| declared.issuers.iter().any(|issuer| issuer.alias.as_ref() == alias);
        match self {
            Self::Function(name) if declared.functions.iter().any(|function| function.name == *name) => Ok(()),
            Self::Function(name) => Err(EmergencyError::UnknownFunction(name.clone())),
            Self::Issuer(alias) if is_issuer(alias) => Ok(()),
            Self::Issuer(alias) => Err(EmergencyError::UnknownIssuer(alias.clone())),
            Self::Caller(id) => {
                let sound = id.len() <= CALLER_BYTES_MAX && !id.chars().any(char::is_control);
                match id.split_once('/') {
                    _ if !sound => Err(EmergencyError::InvalidCaller("…".into())),
                    _ if matches!(id.as_ref(), "anonymous" | WARMER) || id.starts_with("spiffe://") => Ok(()),
                    Some((alias, rest)) if !rest.is_empty() && is_issuer(alias) => Ok(()),
                    Some((alias, rest)) if !rest.is_empty() => Err(EmergencyError::UnknownIssuer(alias.into())),
                    _ => Err(EmergencyError::InvalidCaller(id.clone())),
                }
            }
        }
    }

    fn rules(&self) -> Vec<Rule> {
        match self {
            Self::Function(name) => {
                let head = format!("principal, action == Action::\"{name}\", resource == Function::\"{name}\"");
                vec![Rule { suffix: String::new(), head, condition: None }]
            }
            Self::Caller(id) if id.as_ref() == "anonymous" => vec![Rule::new("", " is Anonymous", None)],
            Self::Caller(id) if id.as_ref() == WARMER => vec![Rule::new("", " is System", None)],
            Self::Caller(id) if id.starts_with("spiffe://") => {
                let uid = format!("Workload::{}", quoted(id));
                vec![
                    Rule::new(".workload", &format!(" == {uid}"), None),
                    Rule::new(".via-workload", "", Some(via("workload", &format!(" == {uid}")))),
                ]
            }
            // The id does not say of which kind its bearer is.
            Self::Caller(id) => {
                let uid = |kind: PrincipalKind| format!(" == {}::{}", kind.as_str(), quoted(id));
                let owner = format!("principal.owner{}", uid(PrincipalKind::User));
                vec![
                    Rule::new(".user", &uid(PrincipalKind::User), None),
                    Rule::new(".client", &uid(PrincipalKind::Client), None),
                    Rule::new(".agent", &uid(PrincipalKind::Agent), None),
                    Rule::new(".agent-of-user", " is Agent", Some(owner)),
                    Rule::new(".via-client", "", Some(via("client", &uid(PrincipalKind::Client)))),
                    Rule::new(".via-agent", "", Some(via("agent", &uid(PrincipalKind::Agent)))),
                ]
            }
            Self::Issuer(alias) => {
                let is = format!(".issuer == Issuer::{}", quoted(alias));
                let workload = format!("principal has issuer && principal{is}");
                let via_workload = via("workload", &format!(" has issuer && context.facts.via.workload{is}"));
                vec![
                    Rule::new(".user", " is User", Some(format!("principal{is}"))),
                    Rule::new(".client", " is Client", Some(format!("principal{is}"))),
                    Rule::new(".workload", " is Workload", Some(workload)),
                    Rule::new(".agent-of-user", " is Agent", Some(format!("principal.owner{is}"))),
                    Rule::new(".via-client", "", Some(via("client", &is))),
                    Rule::new(".via-workload", "", Some(via_workload)),
                ]
            }
        }
    }
}

/// The file of policies of these emergencies; those over what is declared no more are reported and left out, as nothing
/// of it can be called.
#[must_use]
pub fn source(emergencies: &[Emergency], declared: &Declared, now: Timestamp) -> (Option<Source>, Vec<Finding>) {
    let (mut text, mut findings) = (String::new(), Vec::new());
    for emergency in emergencies.iter().filter(|emergency| emergency.is_in_force(now)) {
        let (id, subject, reason) = (emergency.id, &emergency.subject, &emergency.reason);
        if let Err(error) = emergency.check(declared, now) {
            let message = format!("emergency forbid {id} of {subject} has nothing to forbid: {error}");
            findings.push(Finding::error("emergency_moot", FILE, message).warning());
            continue;
        }
        let until = emergency.until.map_or_else(String::new, |until| format!(" until {until}"));
        let message = format!("emergency forbid {id} of {subject} is in force{until}: {reason}");
        findings.push(Finding::error("emergency_in_force", FILE, message).warning());
        text.push_str(&emergency.policies());
    }
    let source = (!text.is_empty()).then(|| Source { file: FILE.into(), text: text.into() });
    (source, findings)
}

fn via(what: &str, is: &str) -> String {
    format!("context.facts.via has {what} && context.facts.via.{what}{is}")
}

/// A string of policy text.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_ascii_graphic() || c == ' ' => quoted.push(c),
            c => quoted.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// An instant as Cedar reads it, to the millisecond: never before the one that was asked for.
fn instant(at: Timestamp) -> String {
    let whole = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    at.round(whole).unwrap_or(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests;
