//! Which places of the context policies look at: what a decision can depend on, and so what a record keeps.

use super::{
    Snapshot,
    reads::{of_context, parts},
};
use crate::question::{FunctionName, Principal, Question};
use cedar_policy_core::ast::Expr;
use std::{collections::BTreeSet, sync::Arc};

/// A place from the context down: `["input", "customer", "tier"]`.
type Place = Vec<Arc<str>>;

/// A set of places of the context, each with all that is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks(Arc<BTreeSet<Place>>);

impl Looks {
    /// The whole context.
    #[must_use]
    pub fn everything() -> Self {
        Self(Arc::new([Place::new()].into()))
    }

    /// Places by their words.
    #[must_use]
    pub fn at<P: IntoIterator<Item = W>, W: Into<Arc<str>>>(places: impl IntoIterator<Item = P>) -> Self {
        Self::of_places(places.into_iter().map(|place| place.into_iter().map(Into::into).collect()).collect())
    }

    /// What an expression looks at.
    pub(super) fn of(expr: &Expr) -> Self {
        let mut places = BTreeSet::new();
        looks(expr, &mut places);
        Self::of_places(places)
    }

    /// Keeps no place below another one.
    fn of_places(mut places: BTreeSet<Place>) -> Self {
        let all = places.clone();
        places.retain(|place| !(0..place.len()).any(|words| place.get(..words).is_some_and(|up| all.contains(up))));
        Self(Arc::new(places))
    }

    fn union<'a>(mut all: impl Iterator<Item = &'a Self>) -> Self {
        let Some(first) = all.next() else { return Self::default() };
        let mut others = all.filter(|looks| *looks != first).peekable();
        match others.peek() {
            // Mostly there is one policy, or several that look at the same.
            None => first.clone(),
            Some(_) => {
                Self::of_places(first.0.iter().chain(others.flat_map(|looks| looks.0.iter())).cloned().collect())
            }
        }
    }

    /// What all of these look at of the input, if it is the same.
    pub(super) fn same_of_input<'a>(mut all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let first = all.next().map(|looks| looks.within("input")).unwrap_or_default();
        all.all(|looks| looks.within("input") == first).then_some(first)
    }

    /// Whether all of a place is looked at.
    #[must_use]
    pub fn covers<W: AsRef<str>>(&self, place: &[W]) -> bool {
        self.0.iter().any(|looked| starts_with(place, looked))
    }

    /// Whether a place is looked at, a part of it, or what it is part of.
    #[must_use]
    pub fn touches<W: AsRef<str>>(&self, place: &[W]) -> bool {
        self.0.iter().any(|looked| starts_with(place, looked) || starts_with(looked, place))
    }

    /// The places, by their words.
    pub fn places(&self) -> impl Iterator<Item = &[Arc<str>]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The same within one member of the context, such as `input`.
    #[must_use]
    pub fn within(&self, first: &str) -> Self {
        let whole = |place: &&Place| place.is_empty();
        let inner = |place: &Place| place.split_first().filter(|(word, _)| word.as_ref() == first).is_some();
        match self.0.iter().any(|place| whole(&place)) {
            true => Self(Arc::new([vec![first.into()]].into())),
            false if self.0.iter().all(inner) => self.clone(),
            false => Self(Arc::new(self.0.iter().filter(|place| inner(place)).cloned().collect())),
        }
    }
}

impl Snapshot {
    /// What of an input the policies look at that concern a caller: nothing else of it can count.
    #[must_use]
    pub fn input_looks(&self, function: &FunctionName, principal: &Principal) -> Looks {
        let Some(function) = self.functions.get(function) else { return Looks::default() };
        if let Some(looks) = &function.input_looks {
            return looks.clone();
        }
        let candidates: Vec<_> = self.candidates(&function.call.slice, principal).collect();
        let reading = candidates.iter().filter(|entry| entry.reads_input);
        Looks::union(reading.map(|entry| &entry.rule.looks)).within("input")
    }

    /// Everything of the context that a decision on a question can depend on.
    #[must_use]
    pub fn looks(&self, question: &Question) -> Looks {
        let Some(function) = self.functions.get(&question.function) else { return Looks::default() };
        let subjects = [&function.call, &function.describe].into_iter().chain(&function.run_on);
        let entries: Vec<_> = subjects.flat_map(|s| self.candidates(&s.slice, &question.principal)).collect();
        Looks::union(entries.iter().map(|entry| &entry.rule.looks))
    }

    /// What of the context any policy looks at whose action and resource fit the call of a function.
    #[must_use]
    pub fn looks_of(&self, function: &FunctionName) -> Looks {
        let Some(function) = self.functions.get(function) else { return Looks::default() };
        let subjects = [&function.call, &function.describe].into_iter().chain(&function.run_on);
        let places: Vec<_> = subjects.flat_map(|s| s.slice.places()).filter_map(|place| self.entry(*place)).collect();
        Looks::union(places.iter().map(|entry| &entry.rule.looks))
    }
}

fn looks(expr: &Expr, found: &mut BTreeSet<Place>) {
    let mut path = Vec::new();
    if of_context(expr, &mut path) {
        found.insert(path.into_iter().map(Arc::from).collect());
    } else {
        parts(expr).into_iter().for_each(|part| looks(part, found));
    }
}

fn starts_with<A: AsRef<str>, B: AsRef<str>>(place: &[A], start: &[B]) -> bool {
    start.len() <= place.len() && start.iter().zip(place).all(|(a, b)| a.as_ref() == b.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    fn check(condition: &str, expected: &[&[&str]]) {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, text).unwrap();
        let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
        let expected = Looks::at(expected.iter().map(|place| place.iter().copied()));
        assert_eq!(Looks::of(policy.non_scope_constraints().unwrap()), expected, "{condition}");
    }

    #[test]
    fn every_place_is_found_and_none_below_another() {
        check("context.input.a == 1 && context.input.b.c like \"x*\"", &[&["input", "a"], &["input", "b", "c"]]);
        check("context.input has a && context.input.a.b > 1", &[&["input", "a"]]);
        check("context has input.a.b || context[\"path\"].sku == \"x\"", &[&["input", "a", "b"], &["path", "sku"]]);
        check("[1, 2].contains(context.input.a)", &[&["input", "a"]]);
        check("(if true then context.input else context.query) has x", &[&["input"], &["query"]]);
        check("{ a: context } == { a: context } && context.input.a == 1", &[&[]]);
        check("principal has name && resource in App::\"shop\"", &[]);
    }

    #[test]
    fn places_are_compared_word_by_word() {
        let looks = Looks::at([vec!["input", "a"], vec!["facts", "clock", "now"]]);
        assert!(looks.covers(&["input", "a", "b"]) && !looks.covers(&["input"]) && looks.touches(&["input"]));
        assert!(!looks.touches(&["input", "ab"]) && !looks.touches(&["path"]));
        assert_eq!(looks.within("input"), Looks::at([["input", "a"]]));
        assert_eq!(Looks::everything().within("input"), Looks::at([["input"]]));
        assert!(Looks::everything().covers(&["anything"]) && !Looks::default().touches(&["anything"]));
    }
}
