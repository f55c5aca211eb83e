//! Which calls are meant.

use super::field::OPEN;
use crate::audit::{
    index::{
        Reach,
        block::{Block, Other, Row},
        entry::Word,
    },
    record::Kind,
};
use jiff::Timestamp;
use std::ops::RangeInclusive;
use uuid::Uuid;

/// What stands for any text in a pattern.
const ANY: char = '*';

/// All that a call must be; several values of one thing are alternatives. A text may have `*` for any text within it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Begun at this moment or later.
    pub since: Option<Timestamp>,
    /// Begun before this moment.
    pub until: Option<Timestamp>,
    /// Call ids.
    pub calls: Vec<Uuid>,
    /// Callers' ids.
    pub callers: Vec<String>,
    /// Functions.
    pub functions: Vec<String>,
    /// How it ended: `completed`, `failed`, `timed_out`, `abandoned`, `revoked`, `denied` (by policy), `refused`
    /// (otherwise), `open`.
    pub outcomes: Vec<String>,
    /// Policies of which one decided.
    pub policies: Vec<String>,
    /// Numbers of the target that was asked last.
    pub targets: Vec<u16>,
    /// Audit words of the refusal.
    pub refusals: Vec<String>,
    /// Why policy said no, also where that was only observed.
    pub reasons: Vec<String>,
    /// HTTP statuses.
    pub statuses: Vec<Statuses>,
    /// Listeners.
    pub listeners: Vec<String>,
    /// Tenants.
    pub tenants: Vec<String>,
    /// Callers' addresses, or what stands for them.
    pub sources: Vec<String>,
    /// Nodes.
    pub nodes: Vec<String>,
    /// Texts that its records must have, each in one of them, as they stand in the log.
    pub texts: Vec<String>,
}

/// HTTP statuses: one, or all that begin with a digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(RangeInclusive<u16>);

impl std::str::FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let class = text.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok()).filter(|d| (1..=5).contains(d));
        let one = text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
        match (class, one) {
            (Some(class), _) => Ok(Self(class * 100..=class * 100 + 99)),
            (None, Some(one)) => Ok(Self(one..=one)),
            (None, None) => Err(format!("`{text}` is no HTTP status; one is like `503`, or `5xx` for all of them")),
        }
    }
}

impl Filter {
    pub(crate) fn takes_node(&self, node: &str) -> bool {
        among(&self.nodes, node)
    }

    /// Whether calls that begin and end in a segment could be meant.
    pub(crate) fn may_take(&self, reach: &Reach) -> bool {
        let Some((from, to)) = reach.times else { return false };
        let in_time = self.since.is_none_or(|since| to >= since.as_microsecond())
            && self.until.is_none_or(|until| from < until.as_microsecond());
        in_time && (self.calls.is_empty() || self.calls.iter().any(|call| reach.may_have(call.into_bytes())))
    }

    fn takes_time(&self, at: i64) -> bool {
        // Records have microseconds; a moment between two is after the first.
        let from = |moment: Timestamp| moment.as_nanosecond() <= i128::from(at) * 1000;
        self.since.is_none_or(from) && !self.until.is_some_and(from)
    }

    fn takes_call(&self, call: Option<[u8; 16]>) -> bool {
        self.calls.is_empty() || call.is_some_and(|call| self.calls.contains(&Uuid::from_bytes(call)))
    }

    fn words(&self) -> [(Word, &[String]); 8] {
        [
            (Word::Caller, &self.callers),
            (Word::Function, &self.functions),
            (Word::Outcome, &self.outcomes),
            (Word::Refusal, &self.refusals),
            (Word::Reason, &self.reasons),
            (Word::Listener, &self.listeners),
            (Word::Tenant, &self.tenants),
            (Word::Source, &self.sources),
        ]
    }
}

/// A filter in the words of one block.
#[derive(Debug)]
pub(crate) struct On<'a> {
    filter: &'a Filter,
    /// Which words count, for each kind of word that is asked for.
    words: Vec<(Word, Vec<bool>)>,
    /// Which sets of policies count.
    policies: Option<Vec<bool>>,
}

impl<'a> On<'a> {
    pub(crate) fn new(filter: &'a Filter, block: &Block) -> Self {
        let texts = |patterns: &[String], none: bool| -> Vec<bool> {
            let known = block.words.iter().skip(1).map(|text| among(patterns, text));
            std::iter::once(none).chain(known).collect()
        };
        let asked = filter.words().into_iter().filter(|(_, patterns)| !patterns.is_empty());
        let words = asked.map(|(word, patterns)| {
            let none = word == Word::Outcome && among(patterns, OPEN);
            (word, texts(patterns, none))
        });
        let words = words.collect();
        let policies = (!filter.policies.is_empty()).then(|| {
            let names = texts(&filter.policies, false);
            let is_named = |word: &u32| names.get(*word as usize).copied().unwrap_or(false);
            block.sets.iter().map(|set| set.iter().any(is_named)).collect()
        });
        Self { filter, words, policies }
    }

    /// Whether a call is meant, but for its texts.
    pub(crate) fn takes(&self, row: &Row) -> bool {
        let filter = self.filter;
        let has = |flags: &[bool], place: u32| flags.get(place as usize).copied().unwrap_or(false);
        filter.takes_time(row.at())
            && filter.takes_call(Some(row.call))
            && self.words.iter().all(|(word, flags)| has(flags, row.word(*word)))
            && self.policies.as_ref().is_none_or(|flags| has(flags, row.policies))
            && (filter.targets.is_empty() || row.target.is_some_and(|target| filter.targets.contains(&target)))
            && (filter.statuses.is_empty()
                || row.status.is_some_and(|status| filter.statuses.iter().any(|wanted| wanted.0.contains(&status))))
    }

    /// Whether a record that is no call's story is meant, but for its texts. What it does not have, it can't be asked for.
    pub(crate) fn takes_other(&self, other: &Other, kinds: &[Kind]) -> bool {
        let filter = self.filter;
        let has = |(word, flags): &(Word, Vec<bool>)| {
            let place = match word {
                Word::Caller => other.who,
                Word::Function => other.function,
                _ => return false,
            };
            flags.get(place as usize).copied().unwrap_or(false)
        };
        filter.takes_time(other.at)
            && filter.takes_call(other.call)
            && (kinds.is_empty() || kinds.contains(&other.kind))
            && self.words.iter().all(has)
            && self.policies.is_none()
            && filter.targets.is_empty()
            && filter.statuses.is_empty()
    }
}

/// Whether a text is one of these patterns; any is, where there are none.
fn among(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| is_like(pattern, text))
}

/// Whether a text is like a pattern with `*`.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once(ANY) else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut pieces = rest.split(ANY);
    let end = pieces.next_back().unwrap_or_default();
    for piece in pieces {
        // The first place is the best one: it leaves the most for those that follow.
        match text.split_once(piece) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        let cases = [
            ("corp/ada", "corp/ada", true),
            ("corp/ada", "corp/adam", false),
            ("corp/*", "corp/ada", true),
            ("*", "", true),
            ("*/ada", "corp/ada", true),
            ("c*p/*a", "corp/ada", true),
            ("c*p/*b*a", "corp/ada", false),
            ("aba*aba", "aba", false),
            ("**", "x", true),
            ("a**b", "ab", true),
            ("", "x", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(is_like(pattern, text), expected, "`{pattern}` and `{text}`");
        }
    }

    #[test]
    fn statuses_are_one_or_a_class() {
        let of = |text: &str| text.parse::<Statuses>();
        assert_eq!(of("503").unwrap().0, 503..=503);
        assert_eq!(of("5xx").unwrap().0, 500..=599);
        for bad in ["", "xx", "6xx", "99", "600", "5x", "0xx", "55xx"] {
            assert!(of(bad).unwrap_err().contains("no HTTP status"), "{bad}");
        }
    }
}
