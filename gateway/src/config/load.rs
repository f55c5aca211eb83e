//! Loading: `latchwork.toml`, its includes and every file they name, offline, with all that is wrong in one go.

use super::{
    Config,
    check::{self, Written},
    files, parse, raw,
    report::Report,
    text::Text,
};
use policy::{bundle::Source, finding::Finding};
use std::path::Path;

/// What was loaded, and what is odd but not wrong.
#[derive(Debug)]
pub struct Loaded {
    /// The checked configuration.
    pub config: Config,
    /// Files of policies, in lexical order.
    pub policies: Vec<Source>,
    /// Files of policy cases, in lexical order.
    pub cases: Vec<Source>,
    /// Warnings.
    pub warnings: Vec<Finding>,
}

/// Loads a configuration. Reads files, opens no socket.
///
/// # Errors
/// Everything that is wrong, and the warnings besides, by file and place.
pub fn load(path: &Path) -> Result<Loaded, Vec<Finding>> {
    let mut report = Report::default();
    let loaded = read(path, &mut report).and_then(|written| {
        let config = check::check(written, &mut report)?;
        let (policies, cases) = files::policies(&config.policy.path, &mut report);
        Some((config, policies, cases))
    });
    match loaded {
        Some((config, policies, cases)) if !report.failed() => {
            Ok(Loaded { config, policies, cases, warnings: report.finish() })
        }
        _ => Err(report.finish()),
    }
}

fn read(path: &Path, report: &mut Report) -> Option<Written> {
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let text = report.take(Text::read(path))?;
    let file: raw::File = parse::parse(&text, report)?;
    let mut catalogs = Vec::new();
    for path in files::included(&file.include, path, &text, report) {
        let Some(text) = report.take(Text::read(&path)) else { continue };
        let Some(catalog) = parse::parse::<raw::Catalog>(&text, report) else { continue };
        if catalog.app.is_empty() && catalog.function.is_empty() {
            let message = "the catalog has neither apps nor functions";
            report.push(Finding::error("empty_catalog", text.file.as_ref(), message).warning());
        }
        catalogs.push((text, catalog));
    }
    Some(Written { path: path.to_owned(), directory, text, file, catalogs })
}
