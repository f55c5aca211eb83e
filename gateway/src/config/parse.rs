//! From text to the as-written types, reporting every unknown key and wrong type, not only the first.

use super::{report::Report, text::Text};
use policy::finding::{Finding, nearest};
use serde::de::DeserializeOwned;
use std::ops::Range;
use toml::de::{DeArray, DeTable, DeValue};

/// Most problems that are looked for in one file.
const PROBLEMS_MAX: usize = 100;

/// Reads a file as `T`. What is refused is reported, taken out and the rest read again.
pub(crate) fn parse<T: DeserializeOwned>(text: &Text, report: &mut Report) -> Option<T> {
    let (mut table, errors) = DeTable::parse_recoverable(&text.text);
    if !errors.is_empty() {
        let mut line = 0;
        for finding in errors.iter().take(PROBLEMS_MAX).map(|error| syntax(text, error)) {
            // What follows on the same line is most often the same slip.
            if finding.line != line {
                line = finding.line;
                report.push(finding);
            }
        }
        return None;
    }
    for _ in 0..PROBLEMS_MAX {
        match T::deserialize(toml::Deserializer::from(table.clone())) {
            Ok(value) => return Some(value),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let finding = refused(text, &span, error.message(), report);
                report.push(finding);
                if !prune(table.get_mut(), &span, report) {
                    return None;
                }
            }
        }
    }
    None
}

fn syntax(text: &Text, error: &toml::de::Error) -> Finding {
    let message = error.message();
    let code = if message.starts_with("duplicate key") { "duplicate_key" } else { "toml_syntax" };
    let message = message.lines().next().unwrap_or_default();
    text.error(code, &error.span().unwrap_or(0..0), lower(message))
}

/// Puts serde's words into ours.
fn refused(text: &Text, span: &Range<usize>, message: &str, report: &mut Report) -> Finding {
    let mut words = message.split('`').skip(1).step_by(2);
    let given = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    if message.starts_with("unknown field") {
        let finding = text.error("unknown_key", span, format!("unknown key `{given}`"));
        if let Some(near) = nearest(given, known.iter().copied()) {
            report.prune(near);
        }
        return suggest(finding, given, &known, "keys here");
    }
    if message.starts_with("unknown variant") {
        let finding = text.error("unknown_value", span, format!("`{given}` is not known here"));
        return suggest(finding, given, &known, "known values");
    }
    if message.starts_with("missing field") {
        return text.error("missing_key", span, format!("`{given}` is missing"));
    }
    text.error("wrong_type", span, mistyped(message))
}

fn suggest(finding: Finding, given: &str, known: &[&str], what: &str) -> Finding {
    match nearest(given, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => finding,
        None => finding.help(format!("{what}: {}", known.join(", "))),
    }
}

/// Takes the smallest entry or element out that has this place, and remembers its key.
fn prune(table: &mut DeTable<'_>, span: &Range<usize>, report: &mut Report) -> bool {
    // Inner entries first: a table's place may equal that of its only entry.
    for (key, value) in table.iter_mut() {
        let inner = match value.get_mut() {
            DeValue::Table(inner) => prune(inner, span, report),
            DeValue::Array(elements) => prune_element(key.get_ref(), elements, span, report),
            _ => false,
        };
        if inner {
            return true;
        }
    }
    let mut entries = table.iter();
    let hit = entries.find(|(key, value)| key.span() == *span || value.span() == *span);
    let Some(key) = hit.map(|(key, _)| key.get_ref().to_string()) else { return false };
    report.prune(&key);
    table.remove(key.as_str()).is_some()
}

fn prune_element(key: &str, elements: &mut DeArray<'_>, span: &Range<usize>, report: &mut Report) -> bool {
    for element in elements.iter_mut() {
        let inner = match element.get_mut() {
            DeValue::Table(inner) => prune(inner, span, report),
            DeValue::Array(inner) => prune_element(key, inner, span, report),
            _ => false,
        };
        if inner {
            return true;
        }
    }
    let before = elements.len();
    *elements = std::mem::replace(elements, DeArray::new()).into_iter().filter(|e| e.span() != *span).collect();
    let removed = elements.len() < before;
    if removed {
        report.prune(key);
    }
    removed
}

/// `invalid type: string "500", expected i64` in words for people.
fn mistyped(message: &str) -> String {
    let rest = message.split_once(": ").map_or(message, |(_, rest)| rest);
    let Some((found, expected)) = rest.rsplit_once(", expected ") else { return lower(message) };
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "a string" => "text in quotes",
        "a boolean" => "`true` or `false`",
        "i64" | "u64" | "usize" | "u32" => "a whole number",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    let found = match found.split_once('"') {
        Some((kind, text)) => format!("{kind}`{}`", text.trim_end_matches('"')),
        None if found == "map" => "a table".to_owned(),
        None if found == "sequence" => "a list".to_owned(),
        None => found.to_owned(),
    };
    format!("expected {expected}, found {found}")
}

fn lower(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}
