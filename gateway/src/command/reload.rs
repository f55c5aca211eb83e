//! `latchwork reload`: puts what is on disk in force in the running gateway, or says what would change.

use super::{Exit, Format, administer::Place, tell};
use http::Method;
use serde_json::Value;
use std::io::Write;

/// `latchwork reload`
#[derive(Debug, clap::Args)]
pub struct ReloadArgs {
    #[command(flatten)]
    place: Place,
    /// Return when it is in force (this is always so; the flag says it)
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Say what would change; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also if a forbid or a file of policies vanishes with it: that grants
    #[arg(long, conflicts_with = "dry_run")]
    accept_removals: bool,
}

/// Reloads.
pub fn run(args: &ReloadArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let path = match (args.dry_run, args.accept_removals) {
        (true, _) => "reload?dry_run=true",
        (false, true) => "reload?accept_removals=true",
        (false, false) => "reload",
    };
    match args.place.ask(Method::POST, path, None, talk) {
        Ok(answer) => {
            if args.place.format == Format::Json {
                tell(out, format_args!("{}", answer.body));
            } else {
                human(&answer.body, out, talk);
            }
            answer.exit()
        }
        Err(exit) => exit,
    }
}

fn human(outcome: &Value, out: &mut dyn Write, talk: &mut dyn Write) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |name: &str| outcome.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for finding in list("findings") {
        let part = |name: &str| finding.get(name).map(text).unwrap_or_default();
        tell(
            talk,
            format_args!(
                "{}:{}:{}: {}: {}",
                part("file"),
                part("line"),
                part("column"),
                part("severity"),
                part("message")
            ),
        );
    }
    for loss in list("losses") {
        tell(talk, format_args!("note: {}", text(&loss)));
    }
    if let Some(title) = outcome.get("title") {
        tell(talk, format_args!("latchwork: {}", text(title)));
        return;
    }
    let part = |name: &str| outcome.get(name).map(text).unwrap_or_default();
    if part("result") == "held" {
        tell(talk, format_args!("help: `latchwork reload --accept-removals` if that is meant"));
    }
    tell(out, format_args!("{}: bundle {} (generation {})", part("result"), part("bundle"), part("generation")));
}
