//! `latchwork policy approve`: one person's word for a bundle, kept by the running gateway until it is in force.

use crate::{
    command::{Exit, administer::Place, findings_told, tell},
    signed,
};
use http::Method;
use serde_json::Value;
use std::{io::Write, path::PathBuf};

/// `latchwork policy approve`
#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &ApproveArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let text = match signed::text(&args.bundle) {
        Ok(text) => text,
        Err(finding) => return findings_told(&[finding], talk),
    };
    let answer = match args.place.send(Method::POST, "bundle/approval", text.into(), talk) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if !answer.told(args.place.format, out, talk) {
        let part = |name: &str| answer.body.get(name).map(Value::to_string).unwrap_or_default().replace('"', "");
        let by = answer.body.get("by").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let by = by.collect::<Vec<_>>().join(", ");
        tell(out, format_args!("approved by {by}: version {} {}", part("version"), part("approved")));
    }
    answer.exit()
}
