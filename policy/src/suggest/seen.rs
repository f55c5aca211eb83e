//! What was seen of one permit: callers, functions and values, each within limits.

use crate::question::{FunctionName, PrincipalKind, Question};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Most callers, functions and values of one kind that are told apart; with more nothing is concluded.
const DISTINCT_MAX: usize = 64;
/// Most functions of one permit that are named one by one.
pub(super) const FUNCTIONS_MAX: usize = 20;
/// Most values that are looked at in one input.
const LEAVES_MAX: usize = 64;

/// Uses of one permit: all together, and function by function while these are few.
#[derive(Clone, Debug)]
pub(super) struct Uses {
    pub(super) all: Seen,
    by_function: Option<BTreeMap<FunctionName, Seen>>,
}

/// Calls that have something in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) calls: u64,
    pub(super) kinds: BTreeSet<PrincipalKind>,
    pub(super) callers: Distinct<(PrincipalKind, Arc<str>)>,
    /// Groups that every caller is in.
    pub(super) shared_groups: Option<BTreeSet<Arc<str>>>,
    pub(super) functions: Distinct<FunctionName>,
    /// Values by their paths, such as `input.amount`.
    pub(super) values: BTreeMap<String, Values>,
}

impl Default for Uses {
    fn default() -> Self {
        Self { all: Seen::default(), by_function: Some(BTreeMap::new()) }
    }
}

/// Different things, until they are too many.
#[derive(Clone, Debug)]
pub(super) struct Distinct<T>(Option<BTreeSet<T>>);

/// The values of one path.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// In how many calls it was there.
    pub(super) calls: u64,
    pub(super) range: Option<(i64, i64)>,
    pub(super) texts: Distinct<String>,
    /// Something that is neither a whole number nor a text, or both were seen.
    pub(super) mixed: bool,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self(Some(BTreeSet::new()))
    }
}

impl<T: Ord> Distinct<T> {
    fn add(&mut self, item: T) {
        if let Some(items) = &mut self.0 {
            items.insert(item);
            if items.len() > DISTINCT_MAX {
                self.0 = None;
            }
        }
    }

    fn merge(&mut self, other: Self) {
        match other.0 {
            Some(items) => items.into_iter().for_each(|item| self.add(item)),
            None => self.0 = None,
        }
    }

    /// All of them, if they are at most so many.
    pub(super) fn few(&self, most: usize) -> Option<&BTreeSet<T>> {
        self.0.as_ref().filter(|items| !items.is_empty() && items.len() <= most)
    }
}

impl Uses {
    pub(super) fn add(&mut self, question: &Question, input_lost: bool) {
        self.all.add(question, input_lost);
        if let Some(functions) = &mut self.by_function {
            functions.entry(question.function.clone()).or_default().add(question, input_lost);
        }
        self.limit();
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.all.merge(other.all);
        self.by_function = match (self.by_function.take(), other.by_function) {
            (Some(mut ours), Some(theirs)) => {
                for (function, seen) in theirs {
                    ours.entry(function).or_default().merge(seen);
                }
                Some(ours)
            }
            _ => None,
        };
        self.limit();
    }

    fn limit(&mut self) {
        self.by_function = self.by_function.take().filter(|functions| functions.len() <= FUNCTIONS_MAX);
    }

    /// Function by function, if there are several and not too many.
    pub(super) fn apart(&self) -> Option<&BTreeMap<FunctionName, Seen>> {
        self.by_function.as_ref().filter(|functions| functions.len() > 1)
    }
}

impl Seen {
    fn add(&mut self, question: &Question, input_lost: bool) {
        self.calls += 1;
        let principal = &question.principal;
        self.kinds.insert(principal.kind);
        self.callers.add((principal.kind, Arc::clone(&principal.id)));
        let groups: BTreeSet<Arc<str>> = principal.groups.iter().cloned().collect();
        self.shared_groups = Some(match self.shared_groups.take() {
            None => groups,
            Some(shared) => shared.intersection(&groups).cloned().collect(),
        });
        self.functions.add(question.function.clone());
        if let (Some(input), false) = (&question.input, input_lost) {
            let mut left = LEAVES_MAX;
            self.leaves("input", input, &mut left);
        }
        let facts = &question.facts;
        self.value("facts.network.zone", &facts.network.zone.as_ref().into());
        self.value("facts.transport.tls", &facts.transport.tls.into());
        self.value("facts.via.depth", &facts.via.depth.into());
    }

    fn leaves(&mut self, path: &str, value: &Value, left: &mut usize) {
        let Value::Object(members) = value else { return };
        for (name, value) in members {
            *left = left.saturating_sub(1);
            // Other names would have to be quoted, which `has` with a path can't.
            let plain = !name.is_empty() && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
            if *left == 0 || !plain || name.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let path = format!("{path}.{name}");
            match value {
                Value::Object(_) => self.leaves(&path, value, left),
                _ => self.value(&path, value),
            }
        }
    }

    fn value(&mut self, path: &str, value: &Value) {
        let values = self.values.entry(path.to_owned()).or_default();
        values.calls += 1;
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(n) => values.range = Some(values.range.map_or((n, n), |(low, high)| (low.min(n), high.max(n)))),
                None => values.mixed = true,
            },
            Value::String(text) => values.texts.add(text.clone()),
            _ => values.mixed = true,
        }
    }

    fn merge(&mut self, other: Self) {
        self.calls += other.calls;
        self.kinds.extend(other.kinds);
        self.callers.merge(other.callers);
        self.functions.merge(other.functions);
        self.shared_groups = match (self.shared_groups.take(), other.shared_groups) {
            (Some(a), Some(b)) => Some(a.intersection(&b).cloned().collect()),
            (a, b) => a.or(b),
        };
        for (path, values) in other.values {
            let known = self.values.entry(path).or_default();
            known.calls += values.calls;
            known.mixed |= values.mixed;
            known.texts.merge(values.texts);
            known.range = match (known.range, values.range) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (a, b) => a.or(b),
            };
        }
    }
}

impl Values {
    /// The range, if all were whole numbers and it was there in every call.
    pub(super) fn numbers(&self, calls: u64) -> Option<(i64, i64)> {
        let no_text = self.texts.0.as_ref().is_some_and(BTreeSet::is_empty);
        self.range.filter(|_| !self.mixed && no_text && self.calls == calls)
    }

    /// The texts, if there were only few, and one in every call.
    pub(super) fn words(&self, calls: u64, most: usize) -> Option<&BTreeSet<String>> {
        self.texts.few(most).filter(|_| !self.mixed && self.range.is_none() && self.calls == calls)
    }
}
