//! `latchwork policy emergency`: forbids a function, a caller or an issuer at once in the running gateway.

use crate::command::{Exit, administer::Place, tell};
use http::Method;
use jiff::Timestamp;
use policy::{emergency::Emergency, question::FunctionName};
use serde_json::{Value, json};
use std::io::Write;

/// `latchwork policy emergency …`
#[derive(Debug, clap::Subcommand)]
pub enum EmergencyCommand {
    /// Forbid a function, a caller or an issuer from the next call on; open streams are cut
    Forbid(ForbidArgs),
    /// Show what is forbidden
    List(ListArgs),
    /// Lift an emergency forbid
    Lift(LiftArgs),
}

/// `latchwork policy emergency forbid`
#[derive(Debug, clap::Args)]
pub struct ForbidArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Why, in one line; it is recorded
    #[arg(long)]
    reason: String,
    /// When it ends by itself, such as 2026-12-24T18:00:00Z; otherwise it is lifted by hand
    #[arg(long)]
    until: Option<Timestamp>,
    #[command(flatten)]
    place: Place,
}

/// What to forbid.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// Every call of this function
    #[arg(long)]
    function: Option<FunctionName>,
    /// Every call of this caller: `ISSUER/SUBJECT` or a SPIFFE ID, as in records; also what it forwards
    #[arg(long, value_name = "ID")]
    caller: Option<String>,
    /// Every caller that this issuer vouches for
    #[arg(long, value_name = "ALIAS")]
    issuer: Option<String>,
}

/// `latchwork policy emergency list`
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    place: Place,
}

/// `latchwork policy emergency lift`
#[derive(Debug, clap::Args)]
pub struct LiftArgs {
    /// Its number
    id: u64,
    /// Why, in one line; it is recorded
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(command: &EmergencyCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let answered = match command {
        EmergencyCommand::Forbid(args) => forbid(args, out, talk),
        EmergencyCommand::List(args) => list(&args.place, out, talk),
        EmergencyCommand::Lift(args) => lift(args, out, talk),
    };
    answered.unwrap_or_else(|exit| exit)
}

fn forbid(args: &ForbidArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Exit> {
    let SubjectArgs { function, caller, issuer } = &args.subject;
    let mut body = json!({ "reason": args.reason });
    for (key, value) in [
        ("function", function.as_ref().map(|name| json!(name))),
        ("caller", caller.as_ref().map(|id| json!(id))),
        ("issuer", issuer.as_ref().map(|alias| json!(alias))),
        ("until", args.until.map(|until| json!(until))),
    ] {
        if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
            body.insert(key.to_owned(), value);
        }
    }
    let answer = args.place.ask(Method::POST, "emergency", Some(&body), talk)?;
    if !answer.told(args.place.format, out, talk) {
        one(answer.body.get("emergency"), "in force: ", out);
        problems(&answer.body, talk);
    }
    Ok(answer.exit())
}

fn list(place: &Place, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Exit> {
    let answer = place.ask(Method::GET, "emergency", None, talk)?;
    if !answer.told(place.format, out, talk) {
        let all = answer.body.get("emergencies").and_then(Value::as_array);
        all.into_iter().flatten().for_each(|emergency| one(Some(emergency), "", out));
        if all.is_none_or(Vec::is_empty) {
            tell(talk, format_args!("there is no emergency forbid"));
        }
    }
    Ok(answer.exit())
}

fn lift(args: &LiftArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Exit> {
    let body = json!({ "reason": args.reason });
    let answer = args.place.ask(Method::DELETE, &format!("emergency/{}", args.id), Some(&body), talk)?;
    if !answer.told(args.place.format, out, talk) {
        one(answer.body.get("emergency"), "lifted: ", out);
    }
    Ok(answer.exit())
}

fn one(emergency: Option<&Value>, what: &str, out: &mut dyn Write) {
    let Some(Ok(emergency)) = emergency.cloned().map(serde_json::from_value::<Emergency>) else { return };
    let Emergency { id, subject, reason, by, since, until } = emergency;
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    tell(out, format_args!("{what}{id}: {subject} since {since:.0}{until} by {by}: {reason}"));
}

fn problems(body: &Value, talk: &mut dyn Write) {
    for problem in body.get("problems").and_then(Value::as_array).into_iter().flatten() {
        tell(talk, format_args!("warning: {}", problem.as_str().unwrap_or_default()));
    }
}
