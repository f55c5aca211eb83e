//! Questions for commands: given by hand, or asked again from the records of a call.

use crate::{
    audit::{
        record::{Body, kept::Kept},
        redact::REDACTED,
    },
    build,
    config::load::Loaded,
    emergency::Emergencies,
};
use jiff::Timestamp;
use policy::{
    engine::Snapshot,
    explain::hidden::Hidden,
    finding::Finding,
    permit::{BundleId, DenialReason},
    question::{Principal, PrincipalKind, Question, sketch},
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Largest question that is read, in bytes.
const QUESTION_BYTES_MAX: u64 = 4 << 20;

/// A question given by hand.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Given {
    /// A question as JSON (`-`: standard input), such as {"principal": "corp/ada", "function": "orders.create", "input": {…}}
    #[arg(long, value_name = "FILE", conflicts_with_all = ["principal", "group", "function", "input"])]
    pub question: Option<PathBuf>,
    /// Who asks: `User::"corp/ada"`, `corp/ada`, `spiffe://…`, `anonymous`, a client of the configuration or a caller of
    /// the cases
    #[arg(long, value_name = "CALLER", requires = "function")]
    pub principal: Option<String>,
    /// A group of the caller; may be repeated
    #[arg(long, value_name = "GROUP", requires = "principal")]
    pub group: Vec<String>,
    /// What is to be called
    #[arg(long, value_name = "FUNCTION", requires = "principal")]
    pub function: Option<String>,
    /// Its input as JSON
    #[arg(long, value_name = "JSON", requires = "function")]
    pub input: Option<String>,
}

/// A question of a recorded call, as far as the records tell.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) question: Question,
    pub(crate) hidden: Hidden,
    pub(crate) bundle: BundleId,
    /// Why it was denied, if it was.
    pub(crate) denied: Option<DenialReason>,
}

impl Given {
    /// Whether anything was given.
    pub(crate) fn is_some(&self) -> bool {
        self.question.is_some() || self.function.is_some()
    }

    /// The question.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(&self, snapshot: &Snapshot, known: &BTreeMap<String, Principal>) -> Result<Question, String> {
        let json = match &self.question {
            Some(path) => {
                let text = text(path).map_err(|error| format!("`{}` can't be read: {error}", path.display()))?;
                serde_json::from_str(&text).map_err(|error| format!("`{}` is not JSON: {error}", path.display()))?
            }
            None => self.flags(known)?,
        };
        sketch::read(&json, snapshot, known, Timestamp::now())
    }

    fn flags(&self, known: &BTreeMap<String, Principal>) -> Result<Value, String> {
        let caller = self.principal.as_deref().unwrap_or_default();
        let mut members = Map::new();
        members.insert("function".to_owned(), self.function.as_deref().unwrap_or_default().into());
        let caller = caller_in(caller, &self.group, known)?;
        members.insert("principal".to_owned(), serde_json::to_value(caller).map_err(|error| error.to_string())?);
        if let Some(input) = &self.input {
            let input = serde_json::from_str(input).map_err(|error| format!("`--input` is not JSON: {error}"))?;
            members.insert("input".to_owned(), input);
        }
        Ok(Value::Object(members))
    }
}

/// A caller by name, with groups besides those that are known of it.
pub(crate) fn caller_in(
    name: &str,
    groups: &[String],
    known: &BTreeMap<String, Principal>,
) -> Result<Principal, String> {
    let mut caller = sketch::caller(&Value::from(name), known)?;
    if !groups.is_empty() {
        let more = groups.iter().map(|group| Arc::from(group.as_str()));
        let mut all: Vec<Arc<str>> = caller.groups.iter().cloned().chain(more).collect();
        all.sort_unstable();
        all.dedup();
        caller.groups = all.into();
    }
    Ok(caller)
}

/// What a gateway would have in force of what is on disk: the policies, and the emergency forbids of its state.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn snapshot(loaded: &Loaded) -> Result<Snapshot, Vec<Finding>> {
    let emergencies = Emergencies::read(&loaded.config).map_err(|finding| vec![finding])?;
    build::policy(&loaded.policies, &emergencies, &loaded.config, None).map(|(snapshot, _)| snapshot)
}

/// The callers that are known without a call: clients with API keys, and those whom the cases name.
pub(crate) fn known(loaded: &Loaded) -> BTreeMap<String, Principal> {
    let mut known = policy::cases::principals(&loaded.cases);
    for ring in &loaded.config.credentials.api_keys {
        for key in ring.keys.values() {
            let client = &key.client;
            let id = format!("{}/{}", ring.alias, client.name);
            let mut principal = Principal::named(PrincipalKind::Client, &id);
            principal.groups = client.groups.clone();
            principal.attributes.tenant.clone_from(&client.tenant);
            principal.attributes.tier.clone_from(&client.tier);
            known.insert(id, principal);
        }
    }
    for webhook in &loaded.config.credentials.webhooks {
        let id = format!("{}/{}", webhook.alias, webhook.client);
        let principal = Principal::named(PrincipalKind::Client, &id);
        known.insert(id, principal);
    }
    known
}

/// What was asked in a call whose records these are.
///
/// # Errors
/// Why it can't be asked again.
pub(crate) fn recorded(bodies: &[&Body], snapshot: &Snapshot) -> Result<Recorded, String> {
    let found = bodies.iter().find_map(|body| match body {
        Body::Intent(intent) => {
            let decided = (intent.bundle.clone(), intent.observed);
            Some(of(Kept::of_intent(intent), &intent.truncated, decided, snapshot))
        }
        Body::Refused(refused) => {
            let decided = (refused.bundle.clone()?, Some(refused.reason?));
            Some(of(Kept::of_refused(refused)?, &refused.truncated, decided, snapshot))
        }
        _ => None,
    });
    found.unwrap_or_else(|| Err("policy did not decide this call, or its record was cut".to_owned()))
}

fn of(
    Kept { mut question, lost, recorded }: Kept,
    truncated: &[String],
    (bundle, denied): (BundleId, Option<DenialReason>),
    snapshot: &Snapshot,
) -> Result<Recorded, String> {
    if let Some(cut) = truncated.iter().find(|name| !matches!(name.as_str(), "input" | "determining" | "targets")) {
        return Err(format!("the record was too large, and `{cut}` was cut"));
    }
    let said = serde_json::to_string(&(&question.principal, &question.facts)).map_err(|error| error.to_string())?;
    if said.contains(REDACTED) {
        return Err("who asked or what was known of the call is redacted".to_owned());
    }
    let mut hidden = Hidden::default();
    lost.into_iter().for_each(|(place, _)| hidden.hide(place));
    if let Some(recorded) = recorded {
        hidden.hide_beyond(&recorded, &snapshot.looks_of(&question.function));
        snapshot.complete(&mut question);
    }
    Ok(Recorded { question, hidden, bundle, denied })
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(QUESTION_BYTES_MAX + 1).read_to_string(&mut text)?
    } else {
        fs::File::open(path)?.take(QUESTION_BYTES_MAX + 1).read_to_string(&mut text)?
    };
    if read as u64 > QUESTION_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {QUESTION_BYTES_MAX} bytes")));
    }
    Ok(text)
}
