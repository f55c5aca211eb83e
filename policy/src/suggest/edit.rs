//! A permit's text with a narrower head and further conditions.

use super::seen::Seen;
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
/// Most functions that are named one by one.
const FUNCTIONS_MAX: usize = 20;
/// Most texts of one member that are named one by one.
const TEXTS_MAX: usize = 8;

/// The piece with a narrower permit in it, and what was narrowed, in words. Nothing narrowed: the piece as it was.
pub(super) fn narrowed(written: &Written, seen: &Seen) -> (String, Vec<String>) {
    let mut text = written.place.text().to_owned();
    let Some(parts) = Parts::of(&text) else { return (text, Vec::new()) };
    let (mut words, mut conditions) = (Vec::new(), Vec::new());
    let mut head = None;
    match caller(written, seen) {
        Some(Caller::Head(narrow)) => {
            words.push(format!("callers: {narrow}"));
            head = Some(narrow);
        }
        Some(Caller::Condition(condition)) => {
            words.push(format!("callers: {condition}"));
            conditions.push(condition);
        }
        None => {}
    }
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
    (text, words)
}

enum Caller {
    Head(String),
    Condition(String),
}

/// Who: one caller, one group that all share, or a few callers.
fn caller(written: &Written, seen: &Seen) -> Option<Caller> {
    if matches!(written.scope.principal, Bound::Eq(_)) || seen.kinds.contains(&PrincipalKind::Anonymous) {
        return None;
    }
    let known = matches!(written.scope.principal, Bound::In(_) | Bound::IsIn(..));
    let uid = |kind: PrincipalKind, id: &str| format!("{}::\"{}\"", kind.as_str(), id.escape_debug());
    let few = seen.callers.few(CALLERS_MAX);
    if let Some((kind, id)) = few.and_then(|few| few.first().filter(|_| few.len() == 1)) {
        return Some(Caller::Head(format!("principal == {}", uid(*kind, id))));
    }
    let group = seen.shared_groups.as_ref().and_then(|groups| groups.first()).filter(|_| !known);
    if let Some(group) = group {
        let kind = seen.kinds.first().filter(|_| seen.kinds.len() == 1);
        let is = kind.map(|kind| format!("is {} ", kind.as_str())).unwrap_or_default();
        return Some(Caller::Head(format!("principal {is}in Group::\"{}\"", group.escape_debug())));
    }
    let list: Vec<_> = few?.iter().map(|(kind, id)| uid(*kind, id)).collect();
    // A set of entities has one type.
    (seen.kinds.len() == 1).then(|| Caller::Condition(format!("[{}].contains(principal)", list.join(", "))))
}

/// Which functions, where the head names a group of them.
fn functions(written: &Written, seen: &Seen) -> Option<String> {
    let broad = match &written.scope.action {
        Actions::Any => true,
        Actions::Eq(_) => false,
        Actions::In(names) => names.iter().any(|name| !name.contains('.')),
    };
    let few = seen.functions.few(FUNCTIONS_MAX).filter(|_| broad)?;
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
