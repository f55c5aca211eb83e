//! Questions as they are asked from outside: names and values, the same for commands, JSON and gRPC.

use super::{Field, Filter, GROUP_FIELDS_MAX, LIMIT_MAX, Question, TEXTS_MAX, View, time};
use crate::audit::record::Kind;
use jiff::ZonedDateTime;
use uuid::Uuid;

/// How a call can have ended.
pub const OUTCOMES: [&str; 8] =
    ["completed", "failed", "timed_out", "abandoned", "revoked", "denied", "refused", "open"];
/// Names of ready-made reports.
pub const REPORTS: [&str; 3] = ["callers", "denials", "functions"];
/// How many parts an answer has at most, unless said otherwise.
pub const LIMIT: usize = 100;
/// Most pairs of one question.
const PAIRS_MAX: usize = 256;
/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 4 * 1024;

/// A name and a value.
pub type Pair = (String, String);

/// What pairs ask; moments are in the zone of `now`.
///
/// # Errors
/// What is wrong with them.
pub fn question(pairs: &[Pair], now: &ZonedDateTime) -> Result<Question, String> {
    if pairs.len() > PAIRS_MAX || pairs.iter().any(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        return Err(format!("a question has up to {PAIRS_MAX} values of up to {VALUE_BYTES_MAX} bytes"));
    }
    let mut asked = Asked { question: Question { limit: LIMIT, ..Question::default() }, ..Asked::default() };
    for (name, value) in pairs {
        asked.take(name, value, now).map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    asked.end()
}

#[derive(Default)]
struct Asked {
    question: Question,
    group_by: Vec<Field>,
    report: Option<View>,
    records: bool,
    kinds: Vec<Kind>,
}

impl Asked {
    fn take(&mut self, name: &str, value: &str, now: &ZonedDateTime) -> Result<(), String> {
        if value.is_empty() {
            return Err("nothing is said".to_owned());
        }
        let filter = &mut self.question.filter;
        if let Some(texts) = texts(filter, name) {
            texts.push(value.to_owned());
            return Ok(());
        }
        match name {
            "since" => filter.since = Some(time::parse(value, now)?),
            "until" => filter.until = Some(time::parse(value, now)?),
            "outcome" => filter.outcomes.push(one_of(&OUTCOMES, value)?.to_owned()),
            "target" => filter.targets.push(value.parse().map_err(|_| format!("`{value}` is no number of a target"))?),
            "status" => filter.statuses.push(value.parse()?),
            "call" => {
                filter.calls.push(Uuid::try_parse(value).map_err(|_| format!("`{value}` is no call id"))?);
            }
            "group_by" => {
                let field = || Field::parse(value).ok_or_else(|| format!("there is no field `{value}`"));
                self.group_by.push(field()?);
            }
            "report" => {
                self.report = Some(match one_of(&REPORTS, value)? {
                    "callers" => View::Callers,
                    "denials" => View::Denials,
                    _ => View::Functions,
                });
            }
            "records" => self.records = flag(value)?,
            "oldest" => self.question.oldest = flag(value)?,
            "kind" => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == value);
                self.kinds.push(kind.ok_or_else(|| format!("there is no kind `{value}`"))?);
            }
            "limit" => self.question.limit = limit(value)?,
            _ => return Err("nothing is asked by this name".to_owned()),
        }
        Ok(())
    }

    fn end(mut self) -> Result<Question, String> {
        let views = [self.report.is_some(), self.records, !self.group_by.is_empty()];
        if views.into_iter().filter(|view| *view).count() > 1 {
            return Err("report, records, group_by: only one of them".to_owned());
        }
        if self.group_by.len() > GROUP_FIELDS_MAX {
            return Err(format!("group_by: there are up to {GROUP_FIELDS_MAX} fields"));
        }
        if self.question.filter.texts.len() > TEXTS_MAX {
            return Err(format!("text: there are up to {TEXTS_MAX}"));
        }
        if !self.kinds.is_empty() && !self.records {
            return Err("kind: only with records".to_owned());
        }
        self.question.view = match self.report {
            Some(report) => report,
            None if self.records => View::Records(self.kinds),
            None if !self.group_by.is_empty() => View::Groups(self.group_by),
            None => View::Calls,
        };
        Ok(self.question)
    }
}

/// What is any text.
fn texts<'f>(filter: &'f mut Filter, name: &str) -> Option<&'f mut Vec<String>> {
    Some(match name {
        "caller" => &mut filter.callers,
        "function" => &mut filter.functions,
        "policy" => &mut filter.policies,
        "refusal" => &mut filter.refusals,
        "reason" => &mut filter.reasons,
        "listener" => &mut filter.listeners,
        "tenant" => &mut filter.tenants,
        "source" => &mut filter.sources,
        "node" => &mut filter.nodes,
        "text" => &mut filter.texts,
        _ => return None,
    })
}

fn one_of<'n>(names: &[&'n str], value: &str) -> Result<&'n str, String> {
    let found = names.iter().find(|name| **name == value);
    found.copied().ok_or_else(|| format!("`{value}` is none of {}", names.join(", ")))
}

fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| format!("`{value}` is neither true nor false"))
}

/// A number of parts.
///
/// # Errors
/// When it is none, or too large.
pub fn limit(value: &str) -> Result<usize, String> {
    let number = value.parse::<usize>().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
    number.ok_or_else(|| format!("it is a number from 1 to {LIMIT_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Timestamp, tz::TimeZone};

    fn asked(pairs: &[(&str, &str)]) -> Result<Question, String> {
        let pairs: Vec<Pair> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        question(&pairs, &Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC))
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&[(&str, &str)], &str); 12] = [
            (&[("since", "soon")], "since: `soon` is no moment"),
            (&[("outcome", "good")], "outcome: `good` is none of completed"),
            (&[("target", "-1")], "target: `-1` is no number"),
            (&[("status", "6xx")], "status: `6xx` is no HTTP status"),
            (&[("call", "x")], "call: `x` is no call id"),
            (&[("group_by", "colour")], "group_by: there is no field `colour`"),
            (&[("limit", "0")], "limit: it is a number from 1 to 100000"),
            (&[("kind", "admin")], "kind: only with records"),
            (&[("report", "callers"), ("records", "true")], "only one of them"),
            (&[("caller", "")], "caller: nothing is said"),
            (&[("colour", "red")], "colour: nothing is asked by this name"),
            (&[("text", "x"); 9], "text: there are up to 8"),
        ];
        for (pairs, expected) in cases {
            let wrong = asked(pairs).unwrap_err();
            assert!(wrong.contains(expected), "{pairs:?}: {wrong}");
        }
        let question = asked(&[("caller", "a"), ("caller", "b"), ("records", "true"), ("kind", "admin")]).unwrap();
        assert_eq!(question.filter.callers, ["a", "b"]);
        assert_eq!((question.view, question.limit), (View::Records(vec![Kind::Admin]), LIMIT));
    }
}
