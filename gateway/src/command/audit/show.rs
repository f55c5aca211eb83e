//! Answers about the log as people and programs read them.

use super::line::{duration, printable};
use crate::{
    audit::search::{Call, End, Group, Question, View},
    command::{Exit, Format, tell},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Writes a table whose first columns are texts and whose others are numbers.
pub(crate) fn columns(table: &[Vec<String>], texts: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        table.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in table {
        let mut line = String::new();
        for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
            // Texts begin where the one above does, numbers end there. Writing to a string can't fail.
            let _ = if column < texts { write!(line, "{text:<width$}  ") } else { write!(line, "{text:>width$}  ") };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

/// Writes the parts of an answer as they come; a table only once it is whole, as its columns must fit.
#[derive(Debug)]
pub(crate) struct Shown {
    format: Format,
    zone: TimeZone,
    view: View,
    table: Vec<Vec<String>>,
}

impl Shown {
    pub(crate) fn new(format: Format, view: &View, zone: TimeZone) -> Self {
        Self { format, zone, view: view.clone(), table: Vec::new() }
    }

    /// Writes a call.
    pub(crate) fn call(&mut self, call: &Call, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::Human => writeln!(out, "{}", self.line(call)),
            Format::Json => writeln!(out, "{}", serde_json::to_string(call)?),
        }
    }

    /// Writes a group, or takes it into the table.
    pub(crate) fn group(&mut self, group: &Group, out: &mut dyn Write) -> io::Result<()> {
        if self.format == Format::Json {
            return writeln!(out, "{}", serde_json::to_string(group)?);
        }
        if self.table.is_empty() {
            self.table.push(self.columns(group));
        }
        self.table.push(self.row(group));
        Ok(())
    }

    /// Writes what waits.
    pub(crate) fn end(self, out: &mut dyn Write) -> io::Result<()> {
        let all = self.table.first().map_or(0, Vec::len);
        let texts = all - self.numbers().min(all);
        columns(&self.table, texts, out)
    }

    /// How many columns after those that were grouped by.
    fn numbers(&self) -> usize {
        self.heads().len()
    }

    fn heads(&self) -> &'static [&'static str] {
        match self.view {
            View::Callers => &["CALLS", "DENIED", "REFUSED", "FAILED", "LAST"],
            View::Functions => &["CALLS", "DENIED", "REFUSED", "FAILED", "ERRORS", "P50", "P95", "P99"],
            View::Denials => &["CALLS", "LAST"],
            View::Calls | View::Records(_) | View::Groups(_) => &["CALLS"],
        }
    }

    fn columns(&self, group: &Group) -> Vec<String> {
        let names = group.by.iter().map(|(name, _)| name.to_uppercase());
        names.chain(self.heads().iter().map(|head| (*head).to_owned())).collect()
    }

    fn row(&self, group: &Group) -> Vec<String> {
        let mut row: Vec<String> = group.by.iter().map(|(_, value)| printable(value)).collect();
        row.extend(self.heads().iter().map(|head| match (*head, &group.latency) {
            ("CALLS", _) => group.calls.to_string(),
            ("DENIED", _) => group.denied.to_string(),
            ("REFUSED", _) => group.refused.to_string(),
            ("FAILED", _) => group.failed.to_string(),
            ("LAST", _) => self.time(group.last),
            ("ERRORS", Some(latency)) if latency.ran > 0 => format!("{:.1} %", latency.error_rate * 100.0),
            ("P50", Some(latency)) if latency.ran > 0 => duration(latency.p50_us),
            ("P95", Some(latency)) if latency.ran > 0 => duration(latency.p95_us),
            ("P99", Some(latency)) if latency.ran > 0 => duration(latency.p99_us),
            _ => "-".to_owned(),
        }));
        row
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
    }

    fn line(&self, call: &Call) -> String {
        let word = match &*call.outcome {
            "denied" => "deny",
            "refused" => "refuse",
            "open" => "open",
            _ => "allow",
        };
        let shown = |text: &str| printable(text);
        let who = call.caller.as_deref().or(call.source.as_deref()).map_or_else(|| "?".to_owned(), shown);
        let what = call.function.as_deref().map_or_else(|| "?".to_owned(), shown);
        let mut text = format!("{} {word:<6} {who} → {what}", self.time(call.at));
        // Writing to a string can't fail.
        let mut add = |part: std::fmt::Arguments<'_>| {
            let _ = text.write_fmt(part);
        };
        match (call.status, call.duration_us) {
            (Some(status), Some(took)) => add(format_args!("  {status} {}", duration(took))),
            (None, Some(took)) => add(format_args!("  - {}", duration(took))),
            (Some(status), None) => add(format_args!("  {status}")),
            (None, None) => {}
        }
        match word {
            "deny" | "refuse" => {
                let why = call.reason.as_deref().or(call.refusal.as_deref()).unwrap_or_default();
                add(format_args!("  {}", printable(why)));
            }
            "allow" if &*call.outcome != "completed" => add(format_args!("  {}", printable(&call.outcome))),
            _ => {}
        }
        if let Some(error) = &call.error {
            add(format_args!(" ({})", printable(error)));
        }
        if !call.policies.is_empty() {
            let names: Vec<_> = call.policies.iter().map(|name| printable(name)).collect();
            add(format_args!("  by {}", names.join(", ")));
        }
        add(format_args!("  call {}", call.call));
        text
    }
}

/// Writes a record as it is in the log.
pub(crate) fn record(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(bytes)?;
    writeln!(out)
}

/// Says what else there is to know of an answer.
pub(crate) fn ended(end: &End, question: &Question, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let _ = out.flush();
    for problem in &end.problems {
        tell(talk, format_args!("warning: {problem}"));
    }
    let unsaid = end.unreadable.saturating_sub(end.problems.len() as u64);
    if unsaid > 0 {
        tell(talk, format_args!("warning: {unsaid} more records can't be read"));
    }
    let limit = question.limit as u64;
    if matches!(question.view, View::Calls | View::Records(_)) && end.found > limit {
        let least = if end.counted { "" } else { "at least " };
        tell(talk, format_args!("{limit} of {least}{} are shown; --limit shows more", end.found));
    } else if end.items >= limit {
        tell(talk, format_args!("{limit} are shown, and there may be more; --limit shows them"));
    }
    Exit::Ok
}
