//! What is cut from records that are too large, in defined places.

use crate::audit::redact;
use policy::{engine::looks::Looks, question::Question};
use std::{borrow::Cow, sync::Arc};

/// Longest identifier, such as a principal's, in a record that had to be cut.
const ID_BYTES_MAX: usize = 512;
/// Most policies, targets and errors that one record names.
pub(super) const LISTED_MAX: usize = 64;
/// How many steps of cutting there are; see [`cut`].
pub(super) const CUTS: u8 = 5;

/// The question with its largest members cut, and the names of those: 1 input, 2 path and query, 3 token and `via`,
/// 4 groups, 5 attributes and the end of the id.
pub(super) fn cut(question: &Question, level: u8) -> (Cow<'_, Question>, Vec<&'static str>) {
    let mut truncated = Vec::new();
    if level == 0 {
        return (Cow::Borrowed(question), truncated);
    }
    let mut cut = question.clone();
    if let Some(input) = &question.input {
        let bytes = redact::bytes(input);
        cut.input = Some(Arc::new(serde_json::json!({"truncated": true, "bytes": bytes})));
        truncated.push("input");
    }
    if level >= 2 {
        cut.path.clear();
        cut.query.clear();
        truncated.extend(["path", "query"]);
    }
    if level >= 3 {
        cut.facts.token = None;
        cut.facts.via.workload = None;
        cut.facts.via.client = None;
        truncated.extend(["facts.token", "facts.via"]);
    }
    if level >= 4 {
        cut.principal.groups = Arc::new([]);
        truncated.push("principal.groups");
    }
    if level >= CUTS {
        cut.principal.id = bounded(&cut.principal.id, ID_BYTES_MAX).into();
        cut.principal.attributes = Default::default();
        truncated.extend(["principal.id", "principal.attributes"]);
    }
    (Cow::Owned(cut), truncated)
}

/// What of an input is recorded: what was looked at, or what is left of it once it was cut.
pub(super) fn looks<'a>(truncated: &[&str], looked: &'a Looks, everything: &'a Looks) -> &'a Looks {
    if truncated.contains(&"input") { everything } else { looked }
}

pub(super) fn first<'a, T>(list: &'a [T], name: &'static str, truncated: &mut Vec<&'static str>) -> &'a [T] {
    match list.get(..LISTED_MAX) {
        Some(some) if list.len() > LISTED_MAX => {
            truncated.push(name);
            some
        }
        _ => list,
    }
}

pub(super) fn bounded(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let mut kept: String = text
        .chars()
        .scan(0, |used, c| {
            *used += c.len_utf8();
            (*used <= bytes_max).then_some(c)
        })
        .collect();
    kept.push('…');
    Cow::Owned(kept)
}
