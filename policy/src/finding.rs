//! Something wrong in a file that a person wrote: where it is, what it is, what to do.

use std::fmt;

/// One problem found while loading configuration, catalog, schemas or policies.
///
/// `line` and `column` count from 1 (columns in characters); 0 means that the whole file is meant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Fails the load, or only warns.
    pub severity: Severity,
    /// A stable word for the kind of problem, such as `unknown_key` or `policy_validation`.
    pub code: &'static str,
    /// The file as the user named it.
    pub file: String,
    /// Line from 1.
    pub line: usize,
    /// Column from 1, in characters.
    pub column: usize,
    /// What is wrong: lowercase, no full stop, user input in backticks.
    pub message: String,
    /// The offending text, if short.
    pub text: Option<Box<str>>,
    /// What to do instead.
    pub help: Option<Box<str>>,
}

/// Whether a finding stops the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; not even a warning.
    Note,
    /// Reported; the load goes on.
    Warning,
    /// The load fails.
    Error,
}

impl Finding {
    /// An error about a whole file.
    #[must_use]
    pub fn error(code: &'static str, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            file: file.into(),
            line: 0,
            column: 0,
            message: message.into(),
            text: None,
            help: None,
        }
    }

    /// The same finding as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// The same finding as a note.
    #[must_use]
    pub fn note(self) -> Self {
        Self { severity: Severity::Note, ..self }
    }

    /// The same finding at a byte range of `source`; takes the offending text from there.
    #[must_use]
    pub fn at(mut self, source: &str, range: std::ops::Range<usize>) -> Self {
        let start = floor(source, range.start);
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        self.line = before.matches('\n').count() + 1;
        self.column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let text = source.get(start..floor(source, range.end)).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().trim_end();
        self.text = (!first.is_empty()).then(|| first.chars().take(TEXT_CHARS_MAX).collect::<String>().into());
        self
    }

    /// The same finding with a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<Box<str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" if one of `known` is near `given`.
    #[must_use]
    pub fn nearest<'a>(self, given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(given, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// Longest piece of offending text that a finding repeats, in characters.
const TEXT_CHARS_MAX: usize = 120;

/// The known name nearest to a misspelt one, if near enough to be meant.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = (given.chars().count() / 3).max(2);
    let scored = known.into_iter().map(|k| (strsim::damerau_levenshtein(given, k), k));
    scored.filter(|(distance, _)| *distance <= far).min_by_key(|(distance, _)| *distance).map(|(_, k)| k)
}

fn floor(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Finding {
    /// `file:line:column: error: message`, then the offending text and the suggestion on lines of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        if self.line == 0 {
            write!(f, "{}: {severity}: {} [{}]", self.file, self.message, self.code)?;
        } else {
            write!(f, "{}:{}:{}: {severity}: {} [{}]", self.file, self.line, self.column, self.message, self.code)?;
        }
        if let Some(text) = &self.text {
            write!(f, "\n    | {text}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n    = help: {help}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_counts_characters_not_bytes() {
        let source = "é = 1\nnäme = typo\n";
        let start = source.find("typo").unwrap();
        let finding = Finding::error("x", "a.toml", "bad").at(source, start..start + 4);
        assert_eq!((finding.line, finding.column, finding.text.as_deref()), (2, 8, Some("typo")));
    }

    #[test]
    fn a_range_inside_a_character_does_not_panic() {
        let finding = Finding::error("x", "a", "bad").at("é", 1..9);
        assert_eq!((finding.line, finding.column), (1, 1));
    }

    #[test]
    fn nearest_is_near_or_nothing() {
        assert_eq!(nearest("adress", ["address", "audit"]), Some("address"));
        assert_eq!(nearest("zebra", ["address", "audit"]), None);
    }
}
