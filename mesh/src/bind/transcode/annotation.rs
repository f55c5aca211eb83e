//! Rules of google.api.http: as an annotation of a method says them, and as a configuration does.

use crate::bind::protobuf::Method;
use http::Method as Verb;
use prost_reflect::{DynamicMessage, Value as Field};

/// The extension that holds a method's rule.
const EXTENSION: &str = "google.api.http";

/// Most rules of one method.
const RULES_MAX: usize = 64;

/// How requests of HTTP name a method and hold its message, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The method of HTTP; `None` is any.
    pub method: Option<Verb>,
    /// The template of paths.
    pub path: String,
    /// The field that the body is, `*` for all that the path does not hold; `None` for no body.
    pub body: Option<String>,
    /// The field of the answer that is sent, instead of the whole.
    pub response_body: Option<String>,
}

impl Rule {
    /// The rules of a method's annotation: the one, then its additional bindings.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn annotated(method: &Method) -> Result<Vec<Self>, String> {
        let descriptor = method.descriptor();
        let none = || format!("`{}` has no annotation `{EXTENSION}`", descriptor.full_name());
        let extension = descriptor.parent_pool().get_extension_by_name(EXTENSION).ok_or_else(none)?;
        let options = descriptor.options();
        if !options.has_extension(&extension) {
            return Err(none());
        }
        let rule = options.get_extension(&extension);
        let first = rule.as_message().ok_or_else(none)?;
        let additional = first.get_field_by_name("additional_bindings");
        let additional = additional.as_deref().and_then(Field::as_list).unwrap_or_default();
        if additional.len() >= RULES_MAX {
            return Err(format!("`{}` has more than {RULES_MAX} bindings", descriptor.full_name()));
        }
        let all = [first].into_iter().chain(additional.iter().filter_map(Field::as_message));
        all.map(read).collect()
    }
}

fn read(rule: &DynamicMessage) -> Result<Rule, String> {
    let text = |name: &str| {
        let value = rule.get_field_by_name(name).filter(|_| rule.has_field_by_name(name));
        value.and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.is_empty())
    };
    let fixed = [
        ("get", Verb::GET),
        ("put", Verb::PUT),
        ("post", Verb::POST),
        ("delete", Verb::DELETE),
        ("patch", Verb::PATCH),
    ];
    let (body, response_body) = (text("body"), text("response_body"));
    if let Some((path, method)) = fixed.into_iter().find_map(|(name, method)| Some((text(name)?, method))) {
        return Ok(Rule { method: Some(method), path, body, response_body });
    }
    let custom = rule.get_field_by_name("custom").filter(|_| rule.has_field_by_name("custom"));
    let custom = custom.as_deref().and_then(Field::as_message).ok_or("a rule names no path")?;
    let part = |name: &str| custom.get_field_by_name(name).and_then(|v| v.as_str().map(str::to_owned));
    let (kind, path) = (part("kind").unwrap_or_default(), part("path").unwrap_or_default());
    let method = match kind.as_str() {
        "*" => None,
        kind => Some(Verb::from_bytes(kind.as_bytes()).map_err(|_| format!("`{kind}` is no method of HTTP"))?),
    };
    Ok(Rule { method, path, body, response_body })
}
