//! A permit's text with a narrower head and further conditions.

use super::seen::{FUNCTIONS_MAX, Seen, Uses};
use crate::{
    bundle::{
        split::{self, TokenKind},
        written::Written,
    },
    index::{Actions, Bound},
    question::PrincipalKind,
};
use std::ops::Range;

/// Most callers that are named one by one.
const CALLERS_MAX: usize = 5;
/// Most texts of one member that are named one by one.
const TEXTS_MAX: usize = 8;

/// The piece with narrower permits in it, and what was narrowed, in words. Nothing narrowed: the piece as it was.
pub(super) fn narrowed(written: &Written, uses: &Uses) -> (String, Vec<String>) {
    let text = written.place.text();
    split(written, uses).or_else(|| narrower(text, written, &uses.all)).unwrap_or_else(|| (text.to_owned(), Vec::new()))
}

/// A permit for each function, where a broad one served different callers for different functions.
fn split(written: &Written, uses: &Uses) -> Option<(String, Vec<String>)> {
    let functions = uses.apart().filter(|_| is_broad(written))?;
    let mut each = functions.values().map(|seen| callers(written, seen));
    let first = each.next()?;
    if each.all(|other| other == first) {
        return None;
    }
    let (mut text, mut words) = (String::new(), Vec::new());
    for (function, seen) in functions {
        let id = format!("{}.{function}", written.name);
        let (permit, narrowed) = narrower(&named(written.place.text(), &id)?, written, seen)?;
        // What stood before the permit, such as a comment, is not said again.
        let start = if text.is_empty() { 0 } else { split::tokens(&permit).first()?.range.start };
        text.push_str(if text.is_empty() { "" } else { "\n\n" });
        text.push_str(permit.get(start..)?);
        words.extend(narrowed.into_iter().map(|narrowed| format!("{id}: {narrowed}")));
    }
    Some((text, words))
}

/// A permit under another id.
fn named(text: &str, id: &str) -> Option<String> {
    let tokens = split::tokens(text);
    let word = |i: usize| tokens.get(i).and_then(|token| text.get(token.range.clone()));
    let at =
        (0..tokens.len()).find(|i| word(*i) == Some("@") && word(i + 1) == Some("id") && word(i + 2) == Some("("))?;
    let mut named = text.to_owned();
    named.replace_range(tokens.get(at + 3)?.range.clone(), &format!("\"{}\"", id.escape_debug()));
    Some(named)
}

fn narrower(text: &str, written: &Written, seen: &Seen) -> Option<(String, Vec<String>)> {
    let mut text = text.to_owned();
    let parts = Parts::of(&text)?;
    let (mut words, mut conditions) = (Vec::new(), Vec::new());
    let Callers { head, condition } = callers(written, seen);
    let said = [&head, &condition].into_iter().flatten().cloned().collect::<Vec<_>>().join(" and ");
    if !said.is_empty() {
        words.push(format!("callers: {said}"));
    }
    conditions.extend(condition);
    for (path, condition) in values(&text, seen) {
        words.push(format!("values of {path}: {condition}"));
        conditions.push(condition);
    }
    let action = functions(written, seen);
    words.extend(action.iter().map(|action| format!("functions: {action}")));
    if !conditions.is_empty() {
        let clause = format!("\nwhen {{ {} }}", conditions.join(" && "));
        text.insert_str(parts.end, &clause);
    }
    // From the end, so that places before stay where they are.
    if let Some(action) = action {
        text.replace_range(parts.action, &action);
    }
    if let Some(head) = head {
        text.replace_range(parts.principal, &head);
    }
    Some((text, words))
}

/// Who: a head, a condition, or both.
#[derive(Debug, Default, PartialEq, Eq)]
struct Callers {
    head: Option<String>,
    condition: Option<String>,
}

/// One caller, one group that all share, or a few callers.
fn callers(written: &Written, seen: &Seen) -> Callers {
    let bound = &written.scope.principal;
    if matches!(bound, Bound::Eq(_)) || seen.kinds.contains(&PrincipalKind::Anonymous) {
        return Callers::default();
    }
    let known = matches!(bound, Bound::In(_) | Bound::IsIn(..));
    let uid = |kind: PrincipalKind, id: &str| format!("{}::\"{}\"", kind.as_str(), id.escape_debug());
    let few = seen.callers.few(CALLERS_MAX);
    let one = few.and_then(|few| few.first().filter(|_| few.len() == 1));
    if let Some((kind, id)) = one.filter(|_| !known) {
        return Callers { head: Some(format!("principal == {}", uid(*kind, id))), condition: None };
    }
    let group = seen.shared_groups.as_ref().and_then(|groups| groups.first()).filter(|_| !known);
    // A set of entities has one type, so the head must have it too.
    let kind = seen.kinds.first().filter(|_| seen.kinds.len() == 1);
    if let Some(group) = group {
        let is = kind.map(|kind| format!("is {} ", kind.as_str())).unwrap_or_default();
        return Callers {
            head: Some(format!("principal {is}in Group::\"{}\"", group.escape_debug())),
            condition: None,
        };
    }
    let (Some(kind), Some(few)) = (kind, few) else { return Callers::default() };
    let head = match bound {
        Bound::Any => Some(format!("principal is {}", kind.as_str())),
        Bound::In(group) => Some(format!("principal is {} in {group}", kind.as_str())),
        Bound::Is(_) | Bound::IsIn(..) | Bound::Eq(_) => None,
    };
    let list: Vec<_> = few.iter().map(|(kind, id)| uid(*kind, id)).collect();
    // Whoever leaves the group of the head must lose the permit as before, so callers never replace it.
    let condition = match list.as_slice() {
        [one] => format!("principal == {one}"),
        all => format!("[{}].contains(principal)", all.join(", ")),
    };
    Callers { head, condition: Some(condition) }
}

/// Whether the head names a group of functions, or none.
fn is_broad(written: &Written) -> bool {
    match &written.scope.action {
        Actions::Any => true,
        Actions::Eq(_) => false,
        Actions::In(names) => names.iter().any(|name| !name.contains('.')),
    }
}

/// Which functions, where the head names a group of them.
fn functions(written: &Written, seen: &Seen) -> Option<String> {
    let few = seen.functions.few(FUNCTIONS_MAX).filter(|_| is_broad(written))?;
    let names: Vec<_> = few.iter().map(|name| format!("Action::\"{name}\"")).collect();
    Some(match names.as_slice() {
        [one] => format!("action == {one}"),
        all => format!("action in [{}]", all.join(", ")),
    })
}

/// Conditions on the values at which the permit already looks.
fn values(text: &str, seen: &Seen) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, values) in &seen.values {
        let last = path.rsplit('.').next().unwrap_or_default();
        let read = split::tokens(text)
            .iter()
            .any(|token| token.kind == TokenKind::Word && text.get(token.range.clone()) == Some(last));
        if !read || !text.contains(&format!("context.{path}")) {
            continue;
        }
        let condition = if let Some((low, high)) = values.numbers(seen.calls) {
            match low == high {
                true => format!("context.{path} == {low}"),
                false => format!("context.{path} >= {low} && context.{path} <= {high}"),
            }
        } else if let Some(words) = values.words(seen.calls, TEXTS_MAX) {
            let words: Vec<_> = words.iter().map(|word| format!("\"{}\"", word.escape_debug())).collect();
            match words.as_slice() {
                [one] => format!("context.{path} == {one}"),
                all => format!("[{}].contains(context.{path})", all.join(", ")),
            }
        } else {
            continue;
        };
        found.push((path.clone(), format!("context has {path} && {condition}")));
    }
    found
}

/// Where the parts of a permit's text are.
struct Parts {
    principal: Range<usize>,
    action: Range<usize>,
    /// Before the semicolon.
    end: usize,
}

impl Parts {
    fn of(text: &str) -> Option<Self> {
        let tokens = split::tokens(text);
        let word = |i: usize| tokens.get(i).and_then(|token| text.get(token.range.clone()));
        let effect = (0..tokens.len()).find(|i| word(*i) == Some("permit") && word(i + 1) == Some("("))?;
        let (mut depth, mut commas, mut close) = (0_usize, Vec::new(), None);
        for i in effect + 1..tokens.len() {
            match word(i)? {
                "(" | "[" => depth += 1,
                ")" | "]" => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        close = Some(i);
                        break;
                    }
                }
                "," if depth == 1 => commas.push(i),
                _ => {}
            }
        }
        close?;
        let (first, second) = (*commas.first()?, *commas.get(1)?);
        let range = |from: usize, to: usize| Some(tokens.get(from)?.range.start..tokens.get(to)?.range.end);
        let end = tokens.iter().rev().find(|token| text.get(token.range.clone()) == Some(";"))?.range.start;
        Some(Self { principal: range(effect + 2, first - 1)?, action: range(first + 1, second - 1)?, end })
    }
}
