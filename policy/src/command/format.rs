//! `policy format`: policies in one style. Comments and annotations stay, and so does the meaning.

use super::{Exit, Format, findings};
use crate::{
    bundle::{FILE_BYTES_MAX, Source, split, written},
    finding::Finding,
};
use cedar_policy::{Policy, PolicySet, pst};
use cedar_policy_formatter::{Config, policies_str_to_pretty};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    str::FromStr,
    sync::Arc,
};

/// Where lines are broken, and how far they are indented.
const STYLE: Config = Config { line_width: 100, indent_width: 2 };

/// A file whose text is to be another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Its new text.
    pub text: String,
}

/// Formats one text.
///
/// # Errors
/// Where it is no policy, or when the meaning would not stay.
pub fn text(source: &Source) -> Result<String, Vec<Finding>> {
    let error = |code, message: String| vec![Finding::error(code, source.file.as_ref(), message)];
    if source.text.len() > FILE_BYTES_MAX {
        return Err(error("file_too_large", format!("a file of policies has at most {FILE_BYTES_MAX} bytes")));
    }
    let mut findings = Vec::new();
    written::read(source, &mut findings);
    // What has no id or a strange date can be formatted all the same.
    findings.retain(|finding| matches!(finding.code, "policy_syntax" | "too_nested" | "template"));
    if !findings.is_empty() {
        return Err(findings);
    }
    if split::tokens(&source.text).is_empty() {
        return Ok(source.text.to_string());
    }
    let text = policies_str_to_pretty(&source.text, &STYLE)
        .map_err(|report| error("not_formatted", format!("the file can't be formatted: {report}")))?;
    if meaning(&text) != meaning(&source.text) || split::comments(&text) != split::comments(&source.text) {
        let message = "formatting would change what the file says, so it stays as it is";
        return Err(error("not_formatted", message.to_owned()));
    }
    Ok(text)
}

type Meaning = Vec<(BTreeMap<String, String>, pst::Template)>;

/// Annotations and body of each policy, in order, by Cedar's own reading.
fn meaning(text: &str) -> Option<Meaning> {
    let mut meaning = Meaning::new();
    for piece in split::pieces(text) {
        let piece = text.get(piece)?;
        if PolicySet::from_str(piece).is_ok_and(|set| set.is_empty()) {
            continue;
        }
        let policy = Policy::parse(None, piece).ok()?;
        let annotations = policy.annotations().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        meaning.push((annotations, policy.to_pst().ok()?.body().clone()));
    }
    Some(meaning)
}

/// Formats files and says which are not as they should be. The caller writes them, unless it only asked.
///
/// # Errors
/// When `out` can't be written.
pub fn format(
    policies: impl IntoIterator<Item = Source>,
    only_check: bool,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<(Exit, Vec<Formatted>)> {
    let (mut changed, mut broken, mut all) = (Vec::new(), Vec::new(), 0_usize);
    for source in policies {
        all += 1;
        match text(&source) {
            Ok(text) if text == *source.text => {}
            Ok(text) => changed.push(Formatted { file: source.file, text }),
            Err(found) => broken.extend(found),
        }
    }
    let exit = match (broken.is_empty(), only_check && !changed.is_empty()) {
        (false, _) => Exit::Invalid,
        (true, true) => Exit::Failed,
        (true, false) => Exit::Ok,
    };
    match format {
        Format::Json => {
            let files: Vec<_> = changed.iter().map(|formatted| &formatted.file).collect();
            let report = serde_json::json!({ "ok": exit == Exit::Ok, "changed": files, "findings": broken });
            writeln!(out, "{report:#}")?;
        }
        Format::Human => {
            findings::write(&broken, false, format, out)?;
            let word = if only_check { "not formatted" } else { "formatted" };
            for formatted in &changed {
                writeln!(out, "{word}: {}", formatted.file)?;
            }
            let (changed, plural) = (changed.len(), if all == 1 { "" } else { "s" });
            writeln!(out, "{all} file{plural}: {changed} {word}, {} faults", broken.len())?;
        }
    }
    Ok((exit, if only_check { Vec::new() } else { changed }))
}

#[cfg(test)]
mod tests;
