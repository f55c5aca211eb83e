//! `latchwork check`: is everything that was written consistent? Offline.

use super::{Exit, Format};
use crate::config::{
    load::{Loaded, load},
    schema,
};
use policy::finding::{Finding, Severity};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// What to check.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = "latchwork.toml")]
    pub config: PathBuf,
    /// How to write the findings.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Fail on warnings too.
    #[arg(long)]
    pub deny_warnings: bool,
    /// Print the JSON Schema of latchwork.toml and check nothing.
    #[arg(long)]
    pub print_schema: bool,
}

/// Checks beyond the configuration: policies against the vocabulary, backends against the machine.
pub type Further<'a> = &'a dyn Fn(&Loaded) -> Vec<Finding>;

/// Checks a configuration and writes what was found.
///
/// # Errors
/// Only when nothing can be written.
pub fn run(args: &CheckArgs, further: Further<'_>, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
    if args.print_schema {
        out.write_all(schema::text()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let (findings, counted) = match load(&args.config) {
        Ok(mut loaded) => {
            let mut findings = std::mem::take(&mut loaded.warnings);
            findings.extend(further(&loaded));
            (findings, Some(Counted::of(&loaded)))
        }
        Err(findings) => (findings, None),
    };
    let number = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let ok = errors == 0 && (warnings == 0 || !args.deny_warnings);
    match args.format {
        Format::Json => {
            let report = serde_json::json!({ "ok": ok, "findings": findings });
            writeln!(out, "{report}")?;
        }
        Format::Human => {
            // Notes are many and change nothing; here they are only counted.
            for finding in findings.iter().filter(|finding| finding.severity > Severity::Note) {
                writeln!(out, "{finding}")?;
            }
            let verdict = if ok { "ok" } else { "not ok" };
            let read = counted.map_or(String::new(), |counted| format!(" ({counted})"));
            writeln!(err, "{verdict}: {}, {}{read}", count(errors, "error"), count(warnings, "warning"))?;
            match number(Severity::Note) {
                0 => {}
                notes => writeln!(err, "{}: `latchwork policy check` shows them", count(notes, "note"))?,
            }
        }
    }
    Ok(if ok { Exit::Ok } else { Exit::Invalid })
}

/// How much was read.
#[derive(Debug)]
struct Counted {
    functions: usize,
    listeners: usize,
    policies: usize,
    cases: usize,
}

impl Counted {
    fn of(loaded: &Loaded) -> Self {
        Self {
            functions: loaded.config.functions.len(),
            listeners: loaded.config.listeners.len(),
            policies: loaded.policies.len(),
            cases: loaded.cases.len(),
        }
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listeners = count(self.listeners, "listener");
        let functions = count(self.functions, "function");
        let policies = count(self.policies, "policy file");
        write!(f, "{listeners}, {functions}, {policies}, {}", count(self.cases, "case file"))
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
