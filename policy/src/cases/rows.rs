//! A matrix of values unfolded: one row for each combination, in the order of the names, the last changing fastest.

use super::raw::{Case, Expect, Expects};
use crate::{bundle::Source, finding::Finding};
use toml::Value;

/// Most rows of one case.
const ROWS_MAX: usize = 10_000;

/// One question of a case: what stands for each name of its matrix, and what is expected.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    values: Vec<(&'a str, &'a Value)>,
    pub(super) expect: Expect,
}

/// The rows of a case; a case without a matrix has one.
pub(super) fn rows<'a>(source: &Source, case: &'a Case) -> Result<Vec<Row<'a>>, Box<Finding>> {
    let finding = |code, message: String, at: std::ops::Range<usize>| {
        Box::new(Finding::error(code, source.file.as_ref(), message).at(&source.text, at))
    };
    let mut combined: Vec<Vec<(&str, &Value)>> = vec![Vec::new()];
    for (name, values) in case.matrix.iter().flatten() {
        let list = values.get_ref();
        if list.is_empty() {
            return Err(finding("empty_matrix", format!("`{name}` of the matrix has no value"), values.span()));
        }
        if combined.len().saturating_mul(list.len()) > ROWS_MAX {
            return Err(finding("too_many_rows", format!("a matrix has at most {ROWS_MAX} rows"), values.span()));
        }
        let longer = |row: &Vec<(&'a str, &'a Value)>| -> Vec<Vec<_>> {
            list.iter().map(|value| [row.as_slice(), &[(name.as_str(), value)]].concat()).collect()
        };
        combined = combined.iter().flat_map(longer).collect();
    }
    let expects: Vec<Expect> = match case.expect.get_ref() {
        Expects::All(expect) => vec![*expect; combined.len()],
        Expects::Each(list) if list.len() == combined.len() => list.clone(),
        Expects::Each(list) => {
            let message = format!("there are {} rows, but {} answers are expected", combined.len(), list.len());
            let help = "rows are in the order of the names in the matrix, the last changing fastest";
            return Err(Box::new(finding("row_count", message, case.expect.span()).help(help)));
        }
    };
    Ok(combined.into_iter().zip(expects).map(|(values, expect)| Row { values, expect }).collect())
}

impl Row<'_> {
    /// The name of the row: the case's, and what is special to it.
    pub(super) fn name(&self, case: &str) -> String {
        if self.values.is_empty() {
            return case.to_owned();
        }
        let pairs: Vec<_> = self.values.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        format!("{case} [{}]", pairs.join(", "))
    }

    /// The places of the question that the matrix sets itself: names with a dot.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().copied().filter(|(name, _)| name.contains('.'))
    }

    /// What a text stands for: `$name` for the row's value.
    pub(super) fn text(&self, text: &str) -> String {
        self.named(text).map_or_else(|| text.to_owned(), plain)
    }

    /// A value with every `$name` in it replaced.
    pub(super) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.named(text).cloned().unwrap_or_else(|| value.clone()),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Value::Table(members) => {
                Value::Table(members.iter().map(|(name, member)| (name.clone(), self.value(member))).collect())
            }
            _ => value.clone(),
        }
    }

    fn named(&self, text: &str) -> Option<&Value> {
        let wanted = text.strip_prefix('$')?;
        self.values.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Only rows of which this may hold: an allow has no reason, a deny no targets.
pub(super) fn contradicts(case: &Case, rows: &[Row<'_>]) -> Option<(std::ops::Range<usize>, &'static str)> {
    let all = |expect| rows.iter().all(|row| row.expect == expect);
    match (&case.reason, &case.targets) {
        (Some(reason), _) if all(Expect::Allow) => Some((reason.span(), "an allow has no reason; it has `because`")),
        (_, Some(targets)) if all(Expect::Deny) => Some((targets.span(), "a denied call runs on no target")),
        _ => None,
    }
}
