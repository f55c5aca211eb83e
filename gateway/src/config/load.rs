//! Loading: `latchwork.toml`, its includes and every file they name, offline, with all that is wrong in one go.

use super::{
    ApiKeys, Config,
    check::{self, Written},
    files, parse, raw,
    report::Report,
    text::Text,
    value::Desk,
};
use crate::{
    shadow,
    signed::{self, Signed},
};
use jiff::Timestamp;
use policy::{bundle::Source, finding::Finding};
use std::{path::Path, sync::Arc};

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
    /// The bundle that the policies are from.
    pub signed: Option<Arc<Signed>>,
    /// What is asked beside, if anything is, or what is wrong with it.
    pub shadow: Option<shadow::Read>,
}

/// Loads a configuration. Reads files, opens no socket.
///
/// # Errors
/// Everything that is wrong, and the warnings besides, by file and place.
pub fn load(path: &Path) -> Result<Loaded, Vec<Finding>> {
    let mut report = Report::default();
    let loaded = read(path, &mut report).and_then(|written| {
        let config = check::check(written, &mut report)?;
        let Some(wanted) = &config.policy.signed else {
            let (policies, cases) = files::policies(&config.policy.path, &mut report);
            return Some((config, policies, cases, None));
        };
        let now = Timestamp::now();
        let (signed, policies) = report.take(signed::read(wanted, now))?;
        signed.notes(wanted, now).into_iter().for_each(|note| report.push(note));
        Some((config, policies, Vec::new(), Some(Arc::new(signed))))
    });
    finish(loaded, report)
}

/// Loads a configuration with the policies of its folder, whatever bundle it names: what a bundle is made from.
///
/// # Errors
/// As [`load`].
pub fn unsigned(path: &Path) -> Result<Loaded, Vec<Finding>> {
    let mut report = Report::default();
    let loaded = read(path, &mut report).and_then(|written| {
        let config = check::check(written, &mut report)?;
        let (policies, cases) = files::policies(&config.policy.path, &mut report);
        Some((config, policies, cases, None))
    });
    finish(loaded, report)
}

type Parts = (Config, Vec<Source>, Vec<Source>, Option<Arc<Signed>>);

fn finish(loaded: Option<Parts>, report: Report) -> Result<Loaded, Vec<Finding>> {
    match loaded {
        Some((config, policies, cases, signed)) if !report.failed() => {
            let shadow = config.policy.shadow.as_ref().map(|wanted| shadow::read(wanted, Timestamp::now()));
            Ok(Loaded { config, policies, cases, warnings: report.finish(), signed, shadow })
        }
        _ => Err(report.finish()),
    }
}

/// The files of a folder of policies, without a configuration.
///
/// # Errors
/// When a file or folder can't be read.
pub fn policies(folder: &Path) -> Result<Vec<Source>, Vec<Finding>> {
    let mut report = Report::default();
    let (policies, _) = files::policies(folder, &mut report);
    if report.failed() { Err(report.finish()) } else { Ok(policies) }
}

/// The file of API keys of an alias, read again by itself.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn keys_again(known: &ApiKeys, directory: &Path) -> Result<ApiKeys, Vec<Finding>> {
    let mut report = Report::default();
    let text = report.take(Text::read(&known.file));
    let keys = text.and_then(|text| check::api_keys::keys(&known.alias, &text, &known.groups, directory, &mut report));
    match keys {
        Some(keys) if !report.failed() => Ok(ApiKeys { keys, ..known.clone() }),
        _ => Err(report.finish()),
    }
}

/// The files of API keys that a configuration names, whatever else is wrong with it.
///
/// # Errors
/// When the configuration can't be read at all.
pub(crate) fn key_files(path: &Path) -> Result<Vec<ApiKeys>, Vec<Finding>> {
    let mut report = Report::default();
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let text = report.take(Text::read(path));
    let file: Option<raw::File> = text.as_ref().and_then(|text| parse::parse(text, &mut report));
    let (Some(text), Some(file)) = (text, file) else { return Err(report.finish()) };
    let mut desk = Desk { text: &text, directory: &directory, report: &mut report };
    let mut files = Vec::new();
    for (alias, table) in &file.identity.api_keys {
        files.extend(check::api_keys::named(alias, table, &mut desk));
    }
    Ok(files)
}

fn read(path: &Path, report: &mut Report) -> Option<Written> {
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let text = report.take(Text::read(path))?;
    let file: raw::File = parse::parse(&text, report)?;
    let mut catalogs = Vec::new();
    for path in files::included(&file.include, path, &text, report) {
        let Some(text) = report.take(Text::read(&path)) else { continue };
        let Some(catalog) = parse::parse::<raw::Catalog>(&text, report) else { continue };
        if catalog.app.is_empty() && catalog.function.is_empty() && catalog.price.is_empty() {
            let message = "the catalog has neither apps nor functions nor prices";
            report.push(Finding::error("empty_catalog", text.file.as_ref(), message).warning());
        }
        catalogs.push((text, catalog));
    }
    Some(Written { path: path.to_owned(), directory, text, file, catalogs })
}
