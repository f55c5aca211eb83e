//! `latchwork audit erase`, `hold` and `reveal`: asked of the running gateway, which records them first.

use crate::{
    audit::subject::{
        AuditorKey,
        seal::{self, Sealed, SubjectKey, Wrapped},
    },
    command::{
        Exit, Format,
        administer::{Answer, Place},
        audit::line::printable,
        tell,
    },
};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, io::Write, path::PathBuf};
use uuid::Uuid;

/// `latchwork audit erase`
#[derive(Debug, clap::Args)]
pub struct EraseArgs {
    /// The caller's id as records have it, such as corp/ada or spiffe://prod.example/stock
    subject: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

/// `latchwork audit hold …`
#[derive(Debug, clap::Subcommand)]
pub enum HoldCommand {
    /// From now on what is of a caller, or everything, is neither erased nor removed
    Set(HoldArgs),
    /// It may be again
    Lift(HoldArgs),
    /// Show what is on hold
    List(ListArgs),
}

/// What is held.
#[derive(Debug, clap::Args)]
pub struct HoldArgs {
    /// The caller's id as records have it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    subject: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

/// `latchwork audit hold list`
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    place: Place,
}

/// `latchwork audit reveal`
#[derive(Debug, clap::Args)]
pub struct RevealArgs {
    /// The call's id
    #[arg(value_name = "CALL-ID")]
    call: Uuid,
    /// The auditor's private key, as `audit key auditor` made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

/// Erases what is encrypted of a caller.
pub fn erase(args: &EraseArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let wanted = json!({ "subject": args.subject, "reason": args.reason });
    told(&args.place, ("audit/erasures", &wanted), (out, talk), |answer, out| {
        let keys = answer.body.get("keys").and_then(Value::as_u64).unwrap_or_default();
        tell(out, format_args!("erased `{}`: {keys} keys are destroyed", args.subject));
    })
}

/// Holds, lifts and lists.
pub fn hold(command: &HoldCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let (action, args) = match command {
        HoldCommand::Set(args) => ("set", args),
        HoldCommand::Lift(args) => ("lift", args),
        HoldCommand::List(args) => {
            return match args.place.ask(Method::GET, "audit/holds", None, talk) {
                Ok(answer) => {
                    if !answer.told(args.place.format, out, talk) {
                        listed(&answer.body, out);
                    }
                    answer.exit()
                }
                Err(exit) => exit,
            };
        }
    };
    let wanted = json!({ "action": action, "subject": args.subject, "reason": args.reason });
    told(&args.place, ("audit/holds", &wanted), (out, talk), |answer, out| listed(&answer.body, out))
}

fn listed(holds: &Value, out: &mut dyn Write) {
    let all = holds.get("all").map(|hold| ("everything", hold));
    let subjects = holds.get("subjects").and_then(Value::as_object).into_iter().flatten();
    let mut none = true;
    for (subject, hold) in all.into_iter().chain(subjects.map(|(subject, hold)| (subject.as_str(), hold))) {
        let text = |name: &str| printable(hold.get(name).and_then(Value::as_str).unwrap_or_default());
        let (at, who, reason) = (text("at"), text("who"), text("reason"));
        tell(out, format_args!("{}  since {at} by {who}: {reason}", printable(subject)));
        none = false;
    }
    if none {
        tell(out, format_args!("nothing is on hold"));
    }
}

fn told(
    place: &Place,
    (path, wanted): (&str, &Value),
    (out, talk): (&mut dyn Write, &mut dyn Write),
    done: impl FnOnce(&Answer, &mut dyn Write),
) -> Exit {
    match place.ask(Method::POST, path, Some(wanted), talk) {
        Ok(answer) => {
            if !answer.told(place.format, out, talk) {
                done(&answer, out);
            }
            answer.exit()
        }
        Err(exit) => exit,
    }
}

/// What the gateway hands out.
#[derive(Deserialize)]
struct Handed {
    records: Vec<Record>,
    keys: Vec<Wrapped>,
}

#[derive(Deserialize)]
struct Record {
    kind: String,
    seq: u64,
    #[serde(default)]
    protected: BTreeMap<String, String>,
}

/// Decrypts what is encrypted in the records of a call; the private key stays here.
pub fn reveal(args: &RevealArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let key = match AuditorKey::read(&args.key) {
        Ok(key) => key,
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}"));
            return Exit::Invalid;
        }
    };
    let wanted = json!({ "call": args.call, "reason": args.reason });
    let answer = match args.place.ask(Method::POST, "audit/reveals", Some(&wanted), talk) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if answer.status != StatusCode::OK {
        answer.told(args.place.format, out, talk);
        return answer.exit();
    }
    match serde_json::from_value::<Handed>(answer.body) {
        Ok(handed) => shown(args, &handed, &key, out, talk),
        Err(error) => {
            tell(talk, format_args!("latchwork: the answer is not understood: {error}"));
            Exit::Failed
        }
    }
}

fn shown(args: &RevealArgs, handed: &Handed, key: &AuditorKey, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let (keys, foreign): (Vec<_>, Vec<_>) =
        handed.keys.iter().map(|wrapped| wrapped.unwrapped(key)).partition(Result::is_ok);
    let keys: Vec<SubjectKey> = keys.into_iter().flatten().collect();
    if !foreign.is_empty() {
        tell(talk, format_args!("warning: {} keys are wrapped to another auditor's key", foreign.len()));
    }
    let (mut failed, mut records) = (false, Vec::new());
    for record in &handed.records {
        let mut fields = Map::new();
        for (place, value) in record.protected.iter().filter(|(_, value)| value.starts_with(seal::PREFIX)) {
            let opened = seal::reveal(value, (args.call, place), &keys);
            failed |= opened.is_err();
            if args.place.format == Format::Human {
                let text = match &opened {
                    Ok(text) => format!("= {}", printable(text)),
                    Err(problem) => format!(": {problem}"),
                };
                tell(out, format_args!("{} {}  {} {text}", record.kind, record.seq, printable(place)));
            }
            fields.insert(place.clone(), revealed(opened));
        }
        records.push(json!({ "kind": record.kind, "seq": record.seq, "fields": fields }));
    }
    match args.place.format {
        Format::Json => tell(out, format_args!("{}", json!({ "call": args.call, "records": records }))),
        Format::Human if records.iter().all(|record| record.get("fields") == Some(&json!({}))) => {
            tell(out, format_args!("nothing is encrypted in the records of this call"));
        }
        Format::Human => {}
    }
    if failed { Exit::Failed } else { Exit::Ok }
}

fn revealed(opened: Result<String, Sealed>) -> Value {
    match opened {
        Ok(text) => json!({ "value": serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)) }),
        Err(problem) => json!({ "problem": problem.to_string() }),
    }
}
