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
        for error in errors.into_iter().take(PROBLEMS_MAX) {
            report.push(syntax(text, &error));
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
                let pruned = prune(table.get_mut(), &span)?;
                report.prune(&pruned);
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
    text.error("wrong_type", span, lower(message))
}

fn suggest(finding: Finding, given: &str, known: &[&str], what: &str) -> Finding {
    match nearest(given, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => finding,
        None => finding.help(format!("{what}: {}", known.join(", "))),
    }
}

/// Takes the smallest entry or element out that has this place; its key.
fn prune(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    // Inner entries first: a table's place may equal that of its only entry.
    for (key, value) in table.iter_mut() {
        let inner = match value.get_mut() {
            DeValue::Table(inner) => prune(inner, span),
            DeValue::Array(elements) => prune_element(elements, span).then(|| key.get_ref().to_string()),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
    }
    let mut entries = table.iter();
    let hit = entries.find(|(key, value)| key.span() == *span || value.span() == *span);
    let key = hit.map(|(key, _)| key.get_ref().to_string())?;
    table.remove(key.as_str());
    Some(key)
}

fn prune_element(elements: &mut DeArray<'_>, span: &Range<usize>) -> bool {
    for element in elements.iter_mut() {
        let inner = match element.get_mut() {
            DeValue::Table(inner) => prune(inner, span).is_some(),
            DeValue::Array(inner) => prune_element(inner, span),
            _ => false,
        };
        if inner {
            return true;
        }
    }
    let before = elements.len();
    *elements =
        std::mem::replace(elements, DeArray::new()).into_iter().filter(|element| element.span() != *span).collect();
    elements.len() < before
}

fn lower(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}
