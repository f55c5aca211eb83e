//! The part of a JSON Schema that speaks of one property of an input.

use serde_json::Value;

/// How many references are followed one after the other.
const REFERENCES_MAX: usize = 32;

/// Finds it by the names on the way from the input's root; `None` where no single part is meant.
pub(crate) fn property<'a>(root: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let mut at = followed(root, root)?;
    for name in path {
        at = followed(root, at.get("properties")?.get(name)?)?;
    }
    Some(at)
}

fn followed<'a>(root: &'a Value, mut at: &'a Value) -> Option<&'a Value> {
    for _ in 0..REFERENCES_MAX {
        match at.get("$ref").and_then(Value::as_str) {
            Some(reference) => at = root.pointer(reference.strip_prefix('#')?)?,
            None => return Some(at),
        }
    }
    None
}
