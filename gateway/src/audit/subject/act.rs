//! What is done with subjects: erasing, holding, revealing. Each is recorded before it is done.

use super::{
    NOBODY, Subjects,
    hold::{Change, Hold, Unchanged},
    seal::{self, Wrapped},
};
use crate::audit::{
    Unrecorded,
    index::look,
    log::Log,
    query::{self, Problem},
    record::{Actor, Admin, Body},
};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeSet, io, sync::Arc};
use uuid::Uuid;

/// The verb of erasing.
pub const ERASE: &str = "audit.erase_subject";
/// The verb of holding.
pub const HOLD: &str = "audit.hold";
/// The verb of lifting a hold.
pub const LIFT: &str = "audit.hold_lift";
/// The verb of revealing.
pub const REVEAL: &str = "audit.reveal";
/// Most records of one call that are revealed.
const RECORDS_MAX: usize = 1000;
/// Longest subject that a record names whole, in bytes; of a longer one it has the start.
const NAMED_BYTES_MAX: usize = 256;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// It is on hold.
    #[error("`{subject}` is on legal hold since {at:.0} by {who}: {reason}", at = hold.at, who = hold.who, reason = hold.reason)]
    Held {
        /// What.
        subject: String,
        /// Since when, by whom and why.
        hold: Box<Hold>,
    },
    /// It was put on hold once its erasure was recorded. That it is not done is recorded, too.
    #[error("`{subject}` was put on legal hold meanwhile, by {who}: {reason}", who = hold.who, reason = hold.reason)]
    HeldMeanwhile {
        /// What.
        subject: String,
        /// By whom and why.
        hold: Box<Hold>,
    },
    /// There is no such change.
    #[error(transparent)]
    Unchanged(#[from] Unchanged),
    /// The log has no such call.
    #[error("the audit log of this node has no record of call {0}")]
    Unknown(Uuid),
    /// It can't be recorded, so it is not done.
    #[error("it is not done, because {0}")]
    Unrecorded(#[from] Unrecorded),
    /// The disk refuses, so that it is done in part at most.
    #[error("the disk refuses: {0}; do it again")]
    Disk(#[from] io::Error),
}

/// A subject was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Whose keys.
    pub subject: String,
    /// How many there were.
    pub keys: usize,
}

/// The records of a call, and the wrapped keys of what is encrypted in them.
#[derive(Debug, Serialize)]
pub struct Revealed {
    /// Which call.
    pub call: Uuid,
    /// Its records, as they stand in the log.
    pub records: Vec<Value>,
    /// The keys, which only the auditor unwraps.
    pub keys: Vec<Wrapped>,
}

/// Destroys the keys of a subject, unless that is on hold.
///
/// # Errors
/// [`NotDone`]; an erasure that was begun is finished at the next start.
pub async fn erase(
    (log, subjects): (&Log, &Arc<Subjects>),
    who: &Actor,
    subject: String,
    reason: &str,
) -> Result<Erased, NotDone> {
    if let Some(hold) = subjects.holds().on(&subject) {
        return Err(NotDone::Held { subject, hold: Box::new(hold.clone()) });
    }
    let name = subject.clone();
    blocking(subjects, move |subjects| subjects.begin_erasing(&name)).await?;
    if let Err(error) = log.admin(&record(ERASE, who, format!("{}: {reason}", named(&subject)))).await {
        let name = subject.clone();
        blocking(subjects, move |subjects| subjects.abandon_erasing(&name)).await?;
        return Err(error.into());
    }
    destroyed((log, subjects), who, subject).await
}

/// Finishes the erasures that a crash cut short, and records that.
///
/// # Errors
/// [`NotDone`]; they are tried again at the next start.
pub async fn finish(log: &Log, subjects: &Arc<Subjects>) -> Result<Vec<Erased>, NotDone> {
    let mut erased = Vec::new();
    for subject in blocking(subjects, Subjects::erasing).await? {
        let detail = format!("{}: begun before this start", named(&subject));
        let process = Actor::named("process");
        log.admin(&record(ERASE, &process, detail)).await?;
        match destroyed((log, subjects), &process, subject).await {
            // It is forgotten: whoever lifts the hold asks again.
            Err(NotDone::HeldMeanwhile { .. }) => {}
            done => erased.push(done?),
        }
    }
    Ok(erased)
}

async fn destroyed((log, subjects): (&Log, &Arc<Subjects>), who: &Actor, subject: String) -> Result<Erased, NotDone> {
    let name = subject.clone();
    match blocking(subjects, move |subjects| subjects.erase(&name)).await? {
        Ok(keys) => Ok(Erased { subject, keys }),
        Err(hold) => {
            let not_done = NotDone::HeldMeanwhile { subject, hold: Box::new(hold) };
            log.admin(&record(ERASE, who, format!("not done: {not_done}"))).await?;
            Err(not_done)
        }
    }
}

/// Puts something on hold, or lifts that.
///
/// # Errors
/// [`NotDone`]
pub async fn hold(
    (log, subjects): (&Log, &Arc<Subjects>),
    who: &Actor,
    change: Change,
    reason: &str,
) -> Result<(), NotDone> {
    subjects.would_hold(&change)?;
    let (verb, subject) = match &change {
        Change::Set(subject, _) => (HOLD, subject),
        Change::Lift(subject) => (LIFT, subject),
    };
    let subject = subject.as_deref().map_or_else(|| "everything".to_owned(), named);
    log.admin(&record(verb, who, format!("{subject}: {reason}"))).await?;
    Ok(blocking(subjects, move |subjects| subjects.hold(&change)).await?)
}

/// The records of a call with the wrapped keys of what is encrypted in them, once it is recorded who asked for them.
///
/// # Errors
/// [`NotDone`]
pub async fn reveal(
    (log, subjects): (&Log, &Arc<Subjects>),
    who: &Actor,
    call: Uuid,
    reason: &str,
) -> Result<Revealed, NotDone> {
    log.admin(&record(REVEAL, who, format!("call {call}: {reason}"))).await?;
    let revealed = blocking(subjects, move |subjects| found(subjects, call)).await?;
    revealed.ok_or(NotDone::Unknown(call))
}

fn found(subjects: &Subjects, call: Uuid) -> io::Result<Option<Revealed>> {
    let (mut records, mut owners, mut wanted) = (Vec::new(), BTreeSet::from([NOBODY.to_owned()]), BTreeSet::new());
    for found in look::records(&query::sources(subjects.node())?, call)? {
        let line = match found {
            Ok(line) => line,
            // What can't be read is for `audit verify` to say.
            Err(Problem { .. }) => continue,
        };
        let Ok(body) = line.body() else { continue };
        let (principal, protected) = match body {
            Body::Intent(intent) => (Some(intent.principal), intent.protected),
            Body::Refused(refused) => (refused.principal, refused.protected),
            _ => continue,
        };
        owners.extend(principal.map(|principal| principal.id.to_string()));
        wanted.extend(protected.values().filter_map(|value| seal::key_of(value)).map(ToOwned::to_owned));
        records.push(serde_json::from_slice(&line.bytes)?);
        if records.len() == RECORDS_MAX {
            break;
        }
    }
    if records.is_empty() {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for owner in owners {
        keys.extend(subjects.wrapped(&owner)?.into_iter().filter(|key| wanted.contains(&key.id)));
    }
    Ok(Some(Revealed { call, records, keys }))
}

fn record(verb: &'static str, who: &Actor, detail: String) -> Admin {
    Admin { detail: Some(detail), ..Admin::by(who, verb) }
}

fn named(subject: &str) -> String {
    if subject.len() <= NAMED_BYTES_MAX {
        return format!("`{subject}`");
    }
    let start: String = subject.chars().take(NAMED_BYTES_MAX / 4).collect();
    format!("`{start}…` (sha256 {})", super::store::digest_of(subject))
}

/// Files are worked on beside the runtime.
async fn blocking<T: Send + 'static>(
    subjects: &Arc<Subjects>,
    work: impl FnOnce(&Subjects) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let subjects = subjects.clone();
    tokio::task::spawn_blocking(move || work(&subjects)).await.map_err(io::Error::other)?
}
