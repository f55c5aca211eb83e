//! Limits of a grant: what a field may hold, as a condition.

use super::{Fault, quoted};
use crate::{
    declared::QueryType,
    finding::nearest,
    vocabulary::{Words, shape::Shape},
};
use toml::{Spanned, Value};

/// What a limit can say.
const WORDS: [&str; 6] = ["min", "max", "in", "like", "after", "before"];

/// The condition that keeps a field within a limit. A field that is missing is not within it.
pub(super) fn condition(
    field: &Spanned<String>,
    limit: &Spanned<Value>,
    function: Option<&Words>,
) -> Result<String, Fault> {
    let path: Vec<&str> = field.get_ref().split('.').collect();
    let fault = |code, message: String| Fault::new(code, message).at(field.span());
    if path.len() < 2 || !matches!(path.first(), Some(&("input" | "query" | "path"))) || path.contains(&"") {
        let message = format!("`{}` is no field of a call", field.get_ref());
        return Err(
            fault("unknown_field", message).help("such as `input.amount_cents`, `query.months` or `path.account`")
        );
    }
    let kind = match function {
        Some(words) => Some(kind(words, &path).map_err(|fault| fault.at(field.span()))?),
        None => None,
    };
    let (mut at, mut guards) = ("context".to_owned(), Vec::new());
    for step in &path {
        guards.push(format!("{at} has {}", quoted(step)));
        at = format!("{at}[{}]", quoted(step));
    }
    let at_limit = |message: String| Fault::new("invalid_limit", message).at(limit.span());
    let mut tests = Vec::new();
    match limit.get_ref() {
        Value::Table(words) if !words.is_empty() => {
            for (word, value) in words {
                tests.push(test(&at, word, value, kind.as_ref()).map_err(at_limit)?);
            }
        }
        Value::Table(_) => return Err(at_limit(format!("the limit of `{}` says nothing", field.get_ref()))),
        value => tests.push(format!("{at} == {}", literal(value, kind.as_ref()).map_err(at_limit)?)),
    }
    Ok(guards.into_iter().chain(tests).collect::<Vec<_>>().join(" && "))
}

fn test(at: &str, word: &str, value: &Value, kind: Option<&Shape>) -> Result<String, String> {
    let constant = || literal(value, kind);
    match word {
        "min" | "max" => {
            let constant = constant()?;
            let decimal = constant.starts_with("decimal");
            Ok(match (word, decimal) {
                ("min", true) => format!("{at}.greaterThanOrEqual({constant})"),
                ("min", false) => format!("{at} >= {constant}"),
                (_, true) => format!("{at}.lessThanOrEqual({constant})"),
                (_, false) => format!("{at} <= {constant}"),
            })
        }
        "after" => Ok(format!("{at} > {}", constant()?)),
        "before" => Ok(format!("{at} < {}", constant()?)),
        "in" => match value.as_array() {
            Some(values) if !values.is_empty() => {
                let values: Result<Vec<_>, _> = values.iter().map(|value| literal(value, kind)).collect();
                Ok(format!("[{}].contains({at})", values?.join(", ")))
            }
            _ => Err("`in` takes a list of values".to_owned()),
        },
        "like" => match value.as_str() {
            Some(pattern) => Ok(format!("{at} like {}", quoted(pattern))),
            None => Err("`like` takes a text with `*`".to_owned()),
        },
        other => Err(match nearest(other, WORDS) {
            Some(near) => format!("a limit has no `{other}`; did you mean `{near}`?"),
            None => format!("a limit has no `{other}`: it has {}", WORDS.join(", ")),
        }),
    }
}

/// A value as Cedar writes it, of the field's type where that is known.
fn literal(value: &Value, kind: Option<&Shape>) -> Result<String, String> {
    match (value, kind) {
        (Value::Integer(n), Some(Shape::Decimal)) => Ok(format!("decimal(\"{n}.0\")")),
        (Value::Integer(n), _) if *n >= 0 => Ok(n.to_string()),
        (Value::Integer(n), _) => Ok(format!("({n})")),
        (Value::Float(n), _) => {
            let text = format!("{n:?}");
            let places = text.split_once('.').map_or(usize::MAX, |(_, places)| places.len());
            if places > 4 || text.contains('e') {
                return Err(format!("`{n}` has more than four decimal places, or is too large"));
            }
            Ok(format!("decimal(\"{text}\")"))
        }
        (Value::Boolean(b), _) => Ok(b.to_string()),
        (Value::String(text), Some(Shape::Datetime | Shape::Date)) => Ok(format!("datetime({})", quoted(text))),
        (Value::String(text), Some(Shape::Ip)) => Ok(format!("ip({})", quoted(text))),
        (Value::String(text), _) => Ok(quoted(text)),
        (Value::Datetime(at), _) => Ok(format!("datetime({})", quoted(&at.to_string()))),
        (Value::Array(_) | Value::Table(_), _) => {
            Err("a limit is a value, or a table of `min`, `max`, `in` …".to_owned())
        }
    }
}

/// The type of a field; a misspelt one would never be there, and the grant would never grant.
fn kind(words: &Words, path: &[&str]) -> Result<Shape, Fault> {
    let missing = |at: &str, name: &str, known: Vec<&str>| {
        let fault = Fault::new("unknown_field", format!("there is no field `{name}` in `{at}`"));
        match nearest(name, known) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        }
    };
    let (first, rest) = path.split_first().map_or(("", path), |(first, rest)| (*first, rest));
    if first == "input" {
        let mut shape = words
            .input
            .clone()
            .ok_or_else(|| Fault::new("unknown_field", "the function has no input that policy can see"))?;
        let mut at = first.to_owned();
        for step in rest {
            let fields = match &shape {
                Shape::Record(fields) => fields.clone(),
                _ => return Err(missing(&at, step, Vec::new())),
            };
            let field = fields.iter().find(|field| field.name.as_ref() == *step);
            let field = field.ok_or_else(|| missing(&at, step, fields.iter().map(|f| f.name.as_ref()).collect()))?;
            shape = field.shape.clone();
            at = format!("{at}.{step}");
        }
        return Ok(shape);
    }
    let name = rest.join(".");
    let query = words.query.get(name.as_str()).filter(|_| first == "query").map(|kind| match kind {
        QueryType::String => Shape::String,
        QueryType::Long => Shape::Long,
        QueryType::Bool => Shape::Bool,
    });
    let path = (first == "path" && words.path.iter().any(|known| known.as_ref() == name)).then_some(Shape::String);
    query.or(path).ok_or_else(|| {
        let known = if first == "query" {
            words.query.keys().map(AsRef::as_ref).collect()
        } else {
            words.path.iter().map(AsRef::as_ref).collect()
        };
        missing(first, &name, known)
    })
}
