//! `latchwork policy what-if`: finds the question; the work is the policy crate's.

use crate::command::{
    Exit, Format,
    asked::{self, Given},
    default_config, explain, findings_told, loaded, tell, written,
};
use policy::{
    command::what_if::{Change, what_if},
    engine::Snapshot,
    explain::hidden::Hidden,
    question::Question,
};
use std::{io::Write, path::PathBuf};

/// `latchwork policy what-if`
#[derive(Debug, clap::Args)]
pub struct WhatIfArgs {
    /// A call of the audit log
    #[arg(value_name = "CALL-ID", required_unless_present_any = ["last", "question", "function"])]
    #[arg(conflicts_with_all = ["last", "question", "function"])]
    call: Option<String>,
    /// The newest call
    #[arg(long, conflicts_with_all = ["question", "function"])]
    last: bool,
    #[command(flatten)]
    given: Given,
    /// A place and its value, such as `input.amount_cents=5` or `facts.transport.mtls=true`; may be repeated
    #[arg(long, value_name = "PLACE=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A place that is to be empty, such as `facts.token`; may be repeated
    #[arg(long, value_name = "PLACE")]
    unset: Vec<String>,
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (place, value) = text.split_once('=').ok_or("write it like `input.amount_cents=5`")?;
    Ok((place.trim().to_owned(), value.to_owned()))
}

pub(super) fn run(args: &WhatIfArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let snapshot = match asked::snapshot(&loaded) {
        Ok(snapshot) => snapshot,
        Err(findings) => return findings_told(&findings, talk),
    };
    let found = if args.given.is_some() {
        let question = args.given.read(&snapshot, &asked::known(&loaded));
        question.map(|question| (question, Hidden::default())).map_err(|error| (Exit::Invalid, error))
    } else {
        recorded(args, &loaded, &snapshot, talk)
    };
    let (question, hidden) = match found {
        Ok(found) => found,
        Err((exit, error)) => {
            tell(talk, format_args!("error: {error}"));
            return exit;
        }
    };
    let set = args.set.iter().map(|(place, value)| Change::Set(place.clone(), value.clone()));
    let changes: Vec<_> = set.chain(args.unset.iter().cloned().map(Change::Unset)).collect();
    written(what_if(&snapshot, (&question, &hidden), &changes, args.format.into(), out).map(Exit::from))
}

fn recorded(
    args: &WhatIfArgs,
    loaded: &crate::config::load::Loaded,
    snapshot: &Snapshot,
    talk: &mut dyn Write,
) -> Result<(Question, Hidden), (Exit, String)> {
    let log = (&*loaded.config.audit.path, &*loaded.config.node.id);
    let found = explain::found(args.call.as_deref(), log, talk);
    let (_, records) = found.map_err(|error| (error.exit(), error.to_string()))?;
    let bodies: Vec<_> = records.iter().map(|(_, body)| body).collect();
    let recorded = asked::recorded(&bodies, snapshot).map_err(|error| (Exit::Failed, error))?;
    if recorded.bundle != *snapshot.id() {
        tell(talk, format_args!("warning: the policies have changed since the call; both answers are today's"));
    }
    Ok((recorded.question, recorded.hidden))
}
