//! Grants as data: each table of a `*.grants.toml` file becomes one permit, `grants.<name>`, validated like any other.

use super::{
    Source,
    kept::{self, Piece},
    written::{self, Place, Written},
};
use crate::{
    declared::Declared,
    finding::{Finding, nearest},
    question::{FunctionName, PrincipalKind},
    vocabulary::{Vocabulary, Words},
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use toml::{Spanned, Value};

mod limit;

/// How the name of a file of grants ends.
pub const SUFFIX: &str = ".grants.toml";

/// What names in grants are looked up in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) declared: &'a Declared,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    grant: BTreeMap<Spanned<String>, Grant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    caller: Option<String>,
    group: Option<String>,
    kind: Option<PrincipalKind>,
    function: Option<Spanned<String>>,
    action_group: Option<String>,
    app: Option<String>,
    owner: Option<String>,
    description: Option<String>,
    expires: Option<Spanned<Value>>,
    mode: Option<Mode>,
    lint: Option<String>,
    #[serde(default)]
    limit: BTreeMap<Spanned<String>, Spanned<Value>>,
}

/// Whether a grant grants, or is only asked and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Enforce,
    Shadow,
}

/// Reads one file; every grant that can be read is, whatever is wrong with the others.
pub(crate) fn read(source: &Source, around: Surroundings<'_>, findings: &mut Vec<Finding>) -> Vec<Piece> {
    let file: File = match toml::from_str(&source.text) {
        Ok(file) => file,
        Err(error) => {
            findings.push(syntax(source, &error));
            return Vec::new();
        }
    };
    let mut grants: Vec<_> = file.grant.into_iter().collect();
    grants.sort_by_key(|(name, _)| name.span().start);
    let mut policies = Vec::new();
    for (name, grant) in grants {
        let at = name.span();
        let error =
            |code, message: String| Finding::error(code, source.file.as_ref(), message).at(&source.text, at.clone());
        match grant.text(name.get_ref(), around) {
            Ok(text) => {
                let written = permit(source, &name, text, findings);
                policies.extend(written.map(|written| Piece::new(written, kept::digest(&source.text))));
            }
            Err(Fault { code, message, help, at: place }) => {
                let finding = match place {
                    Some(range) => Finding::error(code, source.file.as_ref(), message).at(&source.text, range),
                    None => error(code, message),
                };
                findings.push(match help {
                    Some(help) => finding.help(help),
                    None => finding,
                });
            }
        }
    }
    policies
}

fn syntax(source: &Source, error: &toml::de::Error) -> Finding {
    let message = error.message().lines().next().unwrap_or_default().to_owned();
    let code = if message.starts_with("unknown field") { "unknown_key" } else { "grant_syntax" };
    let finding = Finding::error(code, source.file.as_ref(), message.clone());
    let finding = finding.at(&source.text, error.span().unwrap_or(0..0));
    // Serde says "unknown field `x`, expected one of `a`, `b`".
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next().and_then(|given| nearest(given, quoted)) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding,
    }
}

fn permit(source: &Source, name: &Spanned<String>, text: String, findings: &mut Vec<Finding>) -> Option<Written> {
    let place = Place {
        source: source.clone(),
        piece: name.span(),
        range: name.span(),
        line: source.text.get(..name.span().start).unwrap_or_default().matches('\n').count() + 1,
        generated: Some(Arc::from(text.as_str())),
    };
    match written::parse(&text) {
        Ok(parsed) => written::written(parsed, place, findings),
        Err(error) => {
            let message = format!("the grant `{}` makes no policy: {error}", name.get_ref());
            findings.push(place.finding("grant_syntax", message, None));
            None
        }
    }
}

/// What is wrong with a grant.
#[derive(Debug)]
struct Fault {
    code: &'static str,
    message: String,
    help: Option<String>,
    /// Where, unless the whole grant is meant.
    at: Option<std::ops::Range<usize>>,
}

impl Fault {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, at: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn at(self, range: std::ops::Range<usize>) -> Self {
        Self { at: Some(range), ..self }
    }
}

impl Grant {
    /// The permit as Cedar.
    fn text(&self, name: &str, around: Surroundings<'_>) -> Result<String, Fault> {
        let function = self.function(around)?;
        let mut text = format!("@id({})\n", quoted(&format!("grants.{name}")));
        let notes = [("owner", &self.owner), ("description", &self.description), ("lint", &self.lint)];
        for (note, value) in notes.into_iter().filter_map(|(note, value)| Some((note, value.as_ref()?))) {
            text.push_str(&format!("@{note}({})\n", quoted(value)));
        }
        if let Some(expires) = &self.expires {
            let day = match expires.get_ref() {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            text.push_str(&format!("@expires({})\n", quoted(&day)));
        }
        if self.mode == Some(Mode::Shadow) {
            text.push_str("@mode(\"shadow\")\n");
        }
        let (action, resource) = self.what(name)?;
        text.push_str(&format!("permit ({}, {action}, {resource})", self.who(name)?));
        let limits: Result<Vec<_>, _> =
            self.limit.iter().map(|(field, limit)| limit::condition(field, limit, function)).collect();
        let limits = limits?;
        if !limits.is_empty() {
            text.push_str(&format!("\nwhen {{ {} }}", limits.join(" && ")));
        }
        text.push(';');
        Ok(text)
    }

    /// The words of the function that it names.
    fn function<'a>(&self, around: Surroundings<'a>) -> Result<Option<&'a Words>, Fault> {
        let Some(written) = &self.function else { return Ok(None) };
        let given = written.get_ref();
        let words = FunctionName::parse(given).ok().and_then(|name| around.vocabulary.function(&name));
        words.map(Some).ok_or_else(|| {
            let fault = Fault::new("unknown_function", format!("there is no function `{given}`")).at(written.span());
            match nearest(given, around.declared.functions.iter().map(|function| function.name.as_str())) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            }
        })
    }

    fn who(&self, name: &str) -> Result<String, Fault> {
        match (&self.caller, &self.group, self.kind) {
            (Some(caller), None, kind) => {
                let usual = if caller.starts_with("spiffe://") { PrincipalKind::Workload } else { PrincipalKind::User };
                Ok(format!("principal == {}::{}", kind.unwrap_or(usual).as_str(), quoted(caller)))
            }
            (None, Some(group), None) => Ok(format!("principal in Group::{}", quoted(group))),
            (None, Some(group), Some(kind)) => {
                Ok(format!("principal is {} in Group::{}", kind.as_str(), quoted(group)))
            }
            (Some(_), Some(_), _) => {
                Err(Fault::new("contradiction", format!("the grant `{name}` is for a caller and for a group"))
                    .help("write two grants"))
            }
            (None, None, _) => Err(Fault::new("missing_key", format!("the grant `{name}` is for nobody"))
                .help("`caller = \"<issuer>/<subject>\"` or `group = \"<issuer>/<group>\"`")),
        }
    }

    fn what(&self, name: &str) -> Result<(String, String), Fault> {
        match (&self.function, &self.action_group) {
            (Some(_), Some(_)) => Err(Fault::new(
                "contradiction",
                format!("the grant `{name}` is for a function and for an action group"),
            )
            .help("write two grants")),
            (Some(function), None) if self.app.is_none() => {
                let function = quoted(function.get_ref());
                Ok((format!("action == Action::{function}"), format!("resource == Function::{function}")))
            }
            (Some(_), None) => {
                Err(Fault::new("contradiction", "a function is of its own app already").help("remove `app`"))
            }
            (None, Some(group)) => {
                let resource = self
                    .app
                    .as_ref()
                    .map_or_else(|| "resource".to_owned(), |app| format!("resource in App::{}", quoted(app)));
                Ok((format!("action in Action::{}", quoted(group)), resource))
            }
            (None, None) => Err(Fault::new("missing_key", format!("the grant `{name}` is for no function"))
                .help("`function = \"orders.create\"`, or `action_group = \"read\"`, with `app` to narrow it")),
        }
    }
}

/// A text as Cedar writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_default())
}

#[cfg(test)]
mod tests;
