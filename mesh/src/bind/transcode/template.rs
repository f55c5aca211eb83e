//! Path templates of google.api.http: `/v1/{name=shelves/*}:archive`. Read at load, matched by the router segment by
//! segment, filled in for backends.

use crate::bind::SEGMENT;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use std::fmt;

/// Longest template, in bytes.
const BYTES_MAX: usize = 1024;

/// Most segments of a template.
const SEGMENTS_MAX: usize = 64;

/// What is percent-encoded in a filled-in segment: all that a canonical path encodes, and `:`, which begins a verb.
const ENCODED: &AsciiSet = &SEGMENT.add(b':');

/// One template, flat: variables are ranges of its segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
    variables: Vec<Variable>,
}

/// What one segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// One segment that is not empty.
    Any,
    /// All that is left, also nothing.
    Rest,
}

/// A field and the segments that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// Names of fields, from the message inwards.
    pub(super) field: Vec<String>,
    start: usize,
    end: usize,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > BYTES_MAX {
            return Err(error(format!("it is longer than {BYTES_MAX} bytes")));
        }
        let rest = text.strip_prefix('/').ok_or_else(|| error("it does not begin with `/`"))?;
        let mut reader = Reader { rest, template: Self { segments: Vec::new(), verb: None, variables: Vec::new() } };
        reader.segments(false)?;
        if let Some(verb) = reader.rest.strip_prefix(':') {
            reader.template.verb = Some(literal(verb)?.to_owned());
            reader.rest = "";
        }
        match reader.rest.chars().next() {
            None => reader.template.sound(),
            Some(odd) => Err(error(format!("`{odd}` is not expected where it stands"))),
        }
    }

    /// What its segments must be, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What its last segment must end in, after a colon.
    #[must_use]
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    pub(super) fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The segments of a path that a variable holds, if the path is one of this template's.
    pub(super) fn captured<'p, 's>(&self, variable: &Variable, path: &'p [&'s str]) -> &'p [&'s str] {
        // What `**` stands for begins where it stands, and nothing follows it.
        let open = self.segments.get(variable.end.wrapping_sub(1)) == Some(&Segment::Rest);
        let end = if open { path.len() } else { variable.end };
        path.get(variable.start..end).unwrap_or_default()
    }

    /// The path in which each variable holds what is given for it, percent-encoded; `None` if that does not fit.
    pub(super) fn filled(&self, values: &[String]) -> Option<String> {
        let mut path = String::new();
        let mut at = 0;
        for (variable, value) in self.variables.iter().zip(values) {
            self.plain(&mut path, at, variable.start)?;
            let parts: Vec<&str> = value.split('/').collect();
            let parts = if value.is_empty() { &[][..] } else { parts.as_slice() };
            let wanted = self.segments.get(variable.start..variable.end)?;
            let least = wanted.iter().filter(|segment| **segment != Segment::Rest).count();
            if parts.len() < least || (parts.len() > least && wanted.last() != Some(&Segment::Rest)) {
                return None;
            }
            for (index, part) in parts.iter().enumerate() {
                let fits = match wanted.get(index.min(wanted.len() - 1)) {
                    Some(Segment::Literal(text)) => text == part,
                    Some(Segment::Any | Segment::Rest) => !part.is_empty() && !matches!(*part, "." | ".."),
                    None => false,
                };
                fits.then_some(())?;
                path.push('/');
                path.extend(utf8_percent_encode(part, ENCODED));
            }
            at = variable.end;
        }
        self.plain(&mut path, at, self.segments.len())?;
        if let Some(verb) = &self.verb {
            path.push(':');
            path.push_str(verb);
        }
        Some(path)
    }

    /// Literal segments outside of variables; `None` for wildcards, which nothing is given for.
    fn plain(&self, path: &mut String, start: usize, end: usize) -> Option<()> {
        for segment in self.segments.get(start..end)? {
            let Segment::Literal(text) = segment else { return None };
            path.push('/');
            path.push_str(text);
        }
        Some(())
    }

    fn sound(self) -> Result<Self, TemplateError> {
        if self.segments.len() > SEGMENTS_MAX {
            return Err(error(format!("it has more than {SEGMENTS_MAX} segments")));
        }
        let rest = self.segments.iter().position(|segment| *segment == Segment::Rest);
        if rest.is_some_and(|place| place + 1 != self.segments.len()) {
            return Err(error("`**` is not its last segment"));
        }
        let fields: Vec<_> = self.variables.iter().map(|variable| &variable.field).collect();
        let twice = |(index, field): (usize, &&Vec<String>)| fields.get(..index).unwrap_or_default().contains(field);
        match fields.iter().enumerate().find(|(index, field)| twice((*index, field))) {
            Some((_, field)) => Err(error(format!("`{}` stands in it twice", field.join(".")))),
            None => Ok(self),
        }
    }
}

/// What is left of a text, and what has been read of it.
struct Reader<'a> {
    rest: &'a str,
    template: Template,
}

impl<'a> Reader<'a> {
    /// `Segment { "/" Segment }`
    fn segments(&mut self, inside: bool) -> Result<(), TemplateError> {
        loop {
            self.segment(inside)?;
            match self.rest.strip_prefix('/') {
                Some(rest) => self.rest = rest,
                None => return Ok(()),
            }
        }
    }

    fn segment(&mut self, inside: bool) -> Result<(), TemplateError> {
        if let Some(rest) = self.rest.strip_prefix('{') {
            if inside {
                return Err(error("a variable stands inside of another"));
            }
            self.rest = rest;
            return self.variable();
        }
        let text = self.until(|c| matches!(c, '/' | ':' | '{' | '}'));
        let segment = match text {
            "" => return Err(error("it has an empty segment")),
            "*" => Segment::Any,
            "**" => Segment::Rest,
            text => Segment::Literal(literal(text)?.to_owned()),
        };
        self.template.segments.push(segment);
        Ok(())
    }

    /// `FieldPath [ "=" Segments ] "}"`, after its brace.
    fn variable(&mut self) -> Result<(), TemplateError> {
        let path = self.until(|c| matches!(c, '=' | '}'));
        let field: Vec<String> = path.split('.').map(str::to_owned).collect();
        if !field.iter().all(|name| is_identifier(name)) {
            return Err(error(format!("`{path}` is no path of fields")));
        }
        let start = self.template.segments.len();
        match self.rest.strip_prefix('=') {
            Some(rest) => {
                self.rest = rest;
                self.segments(true)?;
            }
            None => self.template.segments.push(Segment::Any),
        }
        self.rest = self.rest.strip_prefix('}').ok_or_else(|| error(format!("`{{{path}` is not closed")))?;
        let end = self.template.segments.len();
        self.template.variables.push(Variable { field, start, end });
        Ok(())
    }

    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        text
    }
}

/// Text as canonical paths have it, so that what is compared is the same bytes.
fn literal(text: &str) -> Result<&str, TemplateError> {
    let odd = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~!$&'()+,=@".contains(*c)));
    match odd {
        Some(odd) => Err(error(format!("`{odd}` stands in `{text}`, where letters, digits and `-._~!$&'()+,=@` may"))),
        None if matches!(text, "" | "." | "..") => Err(error(format!("`{text}` is no segment of a path"))),
        None => Ok(text),
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn error(message: impl Into<String>) -> TemplateError {
    TemplateError(message.into())
}

impl fmt::Display for Template {
    /// What it takes, without the names of its variables: two that are shown alike take the same paths.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Any => f.write_str("/*")?,
                Segment::Rest => f.write_str("/**")?,
            }
        }
        self.verb.as_ref().map_or(Ok(()), |verb| write!(f, ":{verb}"))
    }
}
