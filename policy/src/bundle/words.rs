//! Words that an input can't hold: compared with a field of closed values, such a text is never equal to it.

use super::{tree, written::Written};
use crate::{
    declared::{Declared, Function},
    finding::{Finding, nearest},
    index::Actions,
    vocabulary::property,
};
use cedar_policy::pst::{BinaryOp, Expr, Literal, Var};
use std::collections::HashMap;

/// Reports texts that are none of the values that the field of a function's input may have.
pub(crate) fn check(policies: &[&Written], declared: &Declared, findings: &mut Vec<Finding>) {
    let functions: HashMap<&str, &Function> = declared.functions.iter().map(|f| (f.name.as_str(), f)).collect();
    for policy in policies {
        let Actions::Eq(action) = &policy.scope.action else { continue };
        let Some(input) = functions.get(action.as_ref()).and_then(|function| function.input.as_ref()) else { continue };
        let mut compared = Vec::new();
        tree::conditions(&policy.tree).for_each(|condition| comparisons(condition, &mut compared));
        for (path, text) in compared {
            let known = property::property(&input.json, &path).and_then(|field| field.get("enum")?.as_array());
            let Some(known) = known else { continue };
            let known: Vec<&str> = known.iter().filter_map(serde_json::Value::as_str).collect();
            if known.contains(&text.as_str()) {
                continue;
            }
            let message = format!("`input.{}` is never `{text}`", path.join("."));
            let range = policy.place.word(&format!("\"{text}\""));
            let finding = policy.place.finding("unknown_value", message, range);
            findings.push(match nearest(&text, known.iter().copied()) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(format!("it is one of `{}`", known.join("`, `"))),
            });
        }
    }
}

/// Fields of the input and the texts with which they are compared.
fn comparisons<'a>(expr: &'a Expr, found: &mut Vec<(Vec<&'a str>, String)>) {
    if let Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::Contains, left, right } = expr {
        for (field, other) in [(left, right), (right, left)] {
            if let Some(path) = input_path(field) {
                found.extend(texts(other).into_iter().map(|text| (path.clone(), text)));
            }
        }
    }
    for part in tree::parts(expr) {
        comparisons(part, found);
    }
}

fn texts(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Literal(Literal::String(text)) => vec![text.to_string()],
        Expr::Set(items) => items.iter().flat_map(|item| texts(item)).collect(),
        _ => Vec::new(),
    }
}

fn input_path(expr: &Expr) -> Option<Vec<&str>> {
    let mut path = Vec::new();
    let mut at = expr;
    while let Expr::GetAttr { expr, attr } = at {
        path.push(attr.as_str());
        at = expr;
    }
    path.reverse();
    match (at, path.split_first()) {
        (Expr::Var(Var::Context), Some((&"input", rest))) if !rest.is_empty() => Some(rest.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{declared, input, now, sources};
    use std::sync::Arc;

    fn check(condition: &str, expected: &[(&str, Option<&str>)]) {
        let mut declared = declared();
        declared.functions[0].input = input(
            r##"{ "type": "object", "required": ["currency", "to"], "properties": { "currency": { "enum": ["EUR", "CHF"] },
            "to": { "$ref": "#/$defs/to" }, "free": { "type": "string" } },
            "$defs": { "to": { "type": "object", "required": ["zone"], "properties": { "zone": { "type": "string", "enum": ["north", "south"] } } } } }"##,
        );
        let text = format!(
            "@id(\"p\") forbid(principal, action == Action::\"orders.create\", resource)\nwhen {{ {condition} }};"
        );
        let found = match crate::bundle::load(&sources(&text), Arc::new(declared), now()) {
            Ok((_, warnings)) => warnings,
            Err(findings) => findings,
        };
        let found: Vec<_> = found.iter().filter(|f| f.code == "unknown_value").collect();
        let shown: Vec<_> = found.iter().map(|f| (f.message.as_str(), f.text.as_deref())).collect();
        assert_eq!(shown, expected, "{condition}");
        assert!(found.iter().all(|f| f.line == 2 && f.help.is_some()));
    }

    #[test]
    fn a_text_that_a_field_never_holds_guards_nothing() {
        check("context.input.currency == \"EURO\"", &[("`input.currency` is never `EURO`", Some("\"EURO\""))]);
        check("!(\"USD\" != context.input.currency)", &[("`input.currency` is never `USD`", Some("\"USD\""))]);
        check(
            "[\"EUR\", \"USD\"].contains(context.input.currency)",
            &[("`input.currency` is never `USD`", Some("\"USD\""))],
        );
        check("context.input.to.zone == \"nord\"", &[("`input.to.zone` is never `nord`", Some("\"nord\""))]);
        check("context.input.currency == \"EUR\" && context.input has free && context.input.free == \"x\"", &[]);
    }
}
