//! Which places of the context policies look at: what a decision can depend on, and so what a record keeps.

use super::{
    Snapshot,
    reads::{of_context, parts},
};
use crate::question::{FunctionName, Principal, Question};
use cedar_policy_core::ast::Expr;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

/// Most unions of one function that are kept.
const JOINED_MAX: usize = 64;

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

/// What of an input the policies of one function look at, made when they are loaded.
#[derive(Debug, Default)]
pub(super) struct InputLooks {
    /// What differs. Mostly there is one, for whomever a policy is.
    distinct: Vec<Looks>,
    /// Which of them a policy has, by its place.
    of: HashMap<u32, usize>,
    /// What callers of several have, by the bits of those; joined when the first such caller comes.
    joined: RwLock<HashMap<u64, Looks>>,
}

impl InputLooks {
    /// Of the policies in these places.
    pub(super) fn new<'a>(readers: impl Iterator<Item = (u32, &'a Looks)>) -> Self {
        let mut made = Self::default();
        for (place, looks) in readers {
            let looks = looks.within("input");
            let known = made.distinct.iter().position(|known| *known == looks);
            let known = known.unwrap_or_else(|| {
                made.distinct.push(looks);
                made.distinct.len() - 1
            });
            made.of.insert(place, known);
        }
        made
    }

    /// What the policies in these places look at together.
    fn together(&self, places: impl Iterator<Item = u32>) -> Looks {
        let reached: BTreeSet<_> = places.filter_map(|place| self.of.get(&place).copied()).collect();
        let join = || Looks::union(reached.iter().filter_map(|place| self.distinct.get(*place)));
        let bit = |place: &usize| 1_u64.checked_shl(u32::try_from(*place).ok()?);
        let Some(bits) = reached.iter().map(bit).try_fold(0, |bits, bit| Some(bits | bit?)) else { return join() };
        if let Some(joined) = self.joined.read().unwrap_or_else(PoisonError::into_inner).get(&bits) {
            return joined.clone();
        }
        let looks = join();
        let mut joined = self.joined.write().unwrap_or_else(PoisonError::into_inner);
        if joined.len() < JOINED_MAX {
            joined.insert(bits, looks.clone());
        }
        looks
    }
}

impl Snapshot {
    /// What of an input the policies look at that concern a caller: nothing else of it can count.
    #[must_use]
    pub fn input_looks(&self, function: &FunctionName, principal: &Principal) -> Looks {
        let Some(function) = self.functions.get(function) else { return Looks::default() };
        match function.input_looks.distinct.as_slice() {
            [] => Looks::default(),
            [same] => same.clone(),
            _ => {
                let candidates = self.candidates(&function.call.slice, principal);
                function.input_looks.together(candidates.map(|(place, _)| place))
            }
        }
    }

    /// Everything of the context that a decision on a question can depend on.
    #[must_use]
    pub fn looks(&self, question: &Question) -> Looks {
        let Some(function) = self.functions.get(&question.function) else { return Looks::default() };
        let subjects = [&function.call, &function.describe].into_iter().chain(&function.run_on);
        let entries: Vec<_> = subjects.flat_map(|s| self.candidates(&s.slice, &question.principal)).collect();
        Looks::union(entries.iter().map(|(_, entry)| &entry.rule.looks))
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
    use crate::fixture::{RUN_ON, alice, checkout, name, snapshot};
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

    #[test]
    fn of_an_input_counts_what_policies_look_at_that_concern_the_caller() {
        let snapshot = snapshot(&format!(
            "{RUN_ON}@id(\"staff\") permit(principal in Group::\"corp/staff\", action == Action::\"orders.create\", \
             resource) when {{ context.input.amount_cents < 5 }};\n\
             @id(\"all\") permit(principal, action == Action::\"orders.create\", resource) \
             when {{ context.input has currency && principal is User }};\n\
             @id(\"off\") @mode(\"shadow\") forbid(principal, action, resource) when {{ context has input }};"
        ));
        let (create, level) = (name("orders.create"), name("stock.level"));
        let currency = Looks::at([["input", "currency"]]);
        // The second time they are joined already.
        for _ in 0..2 {
            let both = Looks::at([["input", "amount_cents"], ["input", "currency"]]);
            assert_eq!(snapshot.input_looks(&create, &alice()), both);
            assert_eq!(snapshot.input_looks(&create, &checkout()), currency);
            assert_eq!(snapshot.input_looks(&level, &alice()), Looks::default());
        }
        assert_eq!(snapshot.functions[&create].input_looks.joined.read().unwrap().len(), 2);
    }

    #[test]
    fn more_than_can_be_told_apart_is_joined_each_time() {
        let all: Vec<_> = (0..80).map(|place| Looks::at([["input".to_owned(), place.to_string()]])).collect();
        let looks = InputLooks::new((0..).zip(&all));
        assert_eq!(looks.together(70..71), all[70]);
        assert_eq!(looks.together(0..80).places().count(), 80);
        assert!(looks.joined.read().unwrap().is_empty());
    }
}
