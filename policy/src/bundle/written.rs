//! One policy as it was written: parsed, named, with its place in its file.

use super::{
    Source,
    kept::{self, Earlier, Piece},
    split::{self, Constant, Token, TokenKind},
};
use crate::{finding::Finding, index::Scope, lint::allow, permit::PolicyName};
use cedar_policy::{Effect, ParseErrors, Policy, PolicyId, PolicySet, Template, ffi::DetailedError, pst};
use cedar_policy_core::{est, parser::parse_policy_to_est_and_ast};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    str::FromStr,
    sync::Arc,
};

/// Annotations that Latchwork reads.
const ANNOTATIONS: [&str; 6] = ["id", "owner", "expires", "description", "lint", "mode"];
/// Longest `@id`, in bytes.
const ID_BYTES_MAX: usize = 256;

/// A parsed policy and where it stands.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) name: PolicyName,
    pub(crate) policy: Policy,
    pub(crate) tree: pst::Template,
    pub(crate) scope: Scope,
    pub(crate) constants: Vec<Constant>,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) description: Option<Arc<str>>,
    /// When a permit stops granting.
    pub(crate) expires: Option<Timestamp>,
    /// It is asked and counted, and decides nothing.
    pub(crate) shadowed: bool,
    /// Lints that it may offend.
    pub(crate) allowed: BTreeSet<&'static str>,
    pub(crate) place: Place,
}

/// Where a policy stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) source: Source,
    /// The piece that was parsed, to which Cedar's offsets are relative.
    pub(crate) piece: Range<usize>,
    /// From its first annotation to its semicolon.
    pub(crate) range: Range<usize>,
    /// The policy's text when it is not the file's own: then all of it stands at `range`.
    pub(crate) generated: Option<Arc<str>>,
    /// Line of its first word, from 1.
    pub(crate) line: usize,
}

impl Place {
    /// A finding at a byte range of the piece, or at the policy's first line.
    pub(crate) fn finding(
        &self,
        code: &'static str,
        message: impl Into<String>,
        within: Option<Range<usize>>,
    ) -> Finding {
        let range = match within.filter(|_| self.generated.is_none()) {
            Some(range) => self.piece.start + range.start..self.piece.start + range.end,
            None => self.range.clone(),
        };
        Finding::error(code, self.source.file.as_ref(), message).at(&self.source.text, range)
    }

    /// Text of the piece.
    pub(crate) fn text(&self) -> &str {
        match &self.generated {
            Some(text) => text,
            None => self.source.text.get(self.piece.clone()).unwrap_or_default(),
        }
    }

    /// Range of a word right after an `@` within the piece.
    fn annotation_name(&self, name: &str) -> Option<Range<usize>> {
        let text = self.text();
        let tokens = split::tokens(text);
        let word = |token: &Token| text.get(token.range.clone());
        let mut pairs = tokens.windows(2);
        let found =
            pairs.find(|pair| pair.first().and_then(word) == Some("@") && pair.get(1).and_then(word) == Some(name));
        found.and_then(|pair| pair.get(1)).map(|token| token.range.clone())
    }

    /// Range of an annotation's value within the piece, or of its name if it has none.
    pub(crate) fn annotation(&self, name: &str) -> Option<Range<usize>> {
        let found = self.annotation_name(name)?;
        let tokens = split::tokens(self.text());
        let mut after = tokens.into_iter().filter(|token| token.range.start >= found.end);
        let value = after.nth(1).filter(|token| token.kind == TokenKind::Text);
        Some(value.map_or(found, |token| token.range))
    }

    /// Range of the first word of this text within the piece.
    pub(crate) fn word(&self, wanted: &str) -> Option<Range<usize>> {
        let text = self.text();
        split::tokens(text).into_iter().map(|token| token.range).find(|range| text.get(range.clone()) == Some(wanted))
    }
}

/// Parses one file; every policy that can be read is, whatever is wrong with the others.
pub(crate) fn read(source: &Source, findings: &mut Vec<Finding>) -> Vec<Written> {
    read_again(source, &Earlier::new(), findings).into_iter().filter_map(|piece| piece.written).collect()
}

/// Parses what `earlier` does not have.
pub(crate) fn read_again(source: &Source, earlier: &Earlier, findings: &mut Vec<Finding>) -> Vec<Piece> {
    let mut policies = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for piece in split::pieces(&source.text) {
        let text = source.text.get(piece.clone()).unwrap_or_default();
        let first = split::each(text).next().map_or(0, |token| token.range.start);
        let range = piece.start + first..piece.end;
        line += source.text.get(counted..range.start).unwrap_or_default().matches('\n').count();
        counted = range.start;
        let place = Place { source: source.clone(), range, piece, line, generated: None };
        let digest = kept::digest(text);
        if let Some(kept) = earlier.get(&digest) {
            policies.push(Piece { kept: Arc::clone(kept), place, digest, written: None });
            continue;
        }
        if split::depth(text) > split::DEPTH_MAX {
            let message = "this policy is nested too deeply";
            findings.push(place.finding("too_nested", message, None).help("split it into several policies"));
            continue;
        }
        match parse(text) {
            Ok(parsed) => policies.extend(written(parsed, place, findings).map(|written| Piece::new(written, digest))),
            // Blanks and comments after the last policy: Cedar itself must find nothing there.
            Err(_) if PolicySet::from_str(text).is_ok_and(|set| set.is_empty()) => {}
            Err(_) if Template::parse(None, text).is_ok_and(|t| t.slots().next().is_some()) => {
                let slot = text.find('?').map(|at| at..at + 1);
                let message = "this is a template (it has a slot), and templates are not supported";
                let help = "write one policy for each caller or function, or name a group";
                findings.push(place.finding("template", message, slot).help(help));
            }
            Err(errors) => findings.extend(errors.iter().map(|error| syntax(&place, &DetailedError::from(error)))),
        }
    }
    policies
}

/// Policy and tree of one text: Cedar would read it again for the tree.
pub(super) fn parse(text: &str) -> Result<(Policy, est::Policy), Box<ParseErrors>> {
    let (tree, policy) = parse_policy_to_est_and_ast(None, text).map_err(|errors| Box::new(errors.into()))?;
    Ok((policy.into(), tree))
}

fn syntax(place: &Place, error: &DetailedError) -> Finding {
    let label = error.source_locations.first();
    let range = label.map(|label| label.loc.start..label.loc.end);
    let message = match label.and_then(|label| label.label.as_deref()) {
        Some(label) if !error.message.contains(label) => format!("{}: {label}", error.message),
        _ => error.message.clone(),
    };
    let finding = place.finding("policy_syntax", message, Some(range.unwrap_or(0..0)));
    match &error.help {
        Some(help) => finding.help(help.clone()),
        None => finding,
    }
}

pub(super) fn written(
    (policy, tree): (Policy, est::Policy),
    place: Place,
    findings: &mut Vec<Finding>,
) -> Option<Written> {
    let mut ok = true;
    let notes: BTreeMap<&str, &str> = policy.annotations().collect();
    for (name, value) in &notes {
        // Notes are printed in lines of their own, so they can't bring lines with them.
        if value.chars().any(char::is_control) {
            let message = format!("`@{name}` has a control character in it");
            findings.push(place.finding("invalid_annotation", message, place.annotation(name)));
            ok = false;
        }
        if !ANNOTATIONS.contains(name) {
            let message = format!("`@{name}` means nothing here");
            let finding = place.finding("unknown_annotation", message, place.annotation_name(name)).warning();
            findings.push(finding.nearest(name, ANNOTATIONS));
        }
    }
    let id = match notes.get("id").copied() {
        None => {
            let help = "begin it with `@id(\"team.what-it-does\")`; records and tests name it so";
            findings.push(place.finding("missing_id", "a policy needs an `@id`", None).help(help));
            None
        }
        Some(id) if !is_id(id) => {
            let message = "an `@id` is 1 to 256 visible ASCII characters without blanks";
            findings.push(place.finding("invalid_id", message, place.annotation("id")));
            None
        }
        Some(id) => Some(id.to_owned()),
    };
    let expires = match notes.get("expires").map(|text| expires(text, policy.effect(), &place)).transpose() {
        Ok(expires) => expires,
        Err(finding) => {
            findings.push(finding);
            ok = false;
            None
        }
    };
    let shadowed = match notes.get("mode").map_or(Ok(false), |mode| shadowed(mode, &place)) {
        Ok(shadowed) => shadowed,
        Err(finding) => {
            findings.push(finding);
            ok = false;
            false
        }
    };
    let tree = match pst::Template::try_from(tree) {
        Ok(tree) => tree,
        Err(error) => {
            findings.push(place.finding("policy_syntax", error.to_string(), None));
            return None;
        }
    };
    let id = id.filter(|_| ok)?;
    let allowed = notes.get("lint").map(|text| allow::read(text, &place, findings)).unwrap_or_default();
    let constants = split::constants(place.text());
    let note = |name: &str| notes.get(name).filter(|text| !text.is_empty()).map(|text| Arc::from(*text));
    Some(Written {
        name: PolicyName(id.as_str().into()),
        scope: Scope::of(&policy),
        owner: note("owner"),
        description: note("description"),
        policy: policy.new_id(PolicyId::new(&id)),
        tree,
        constants,
        expires,
        shadowed,
        allowed,
        place,
    })
}

fn is_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// A mode that is misread would enforce what was only to be watched, or the other way round.
fn shadowed(mode: &str, place: &Place) -> Result<bool, Finding> {
    match mode {
        "enforce" => Ok(false),
        "shadow" => Ok(true),
        other => {
            let finding = place.finding("invalid_mode", format!("`{other}` is no mode"), place.annotation("mode"));
            Err(finding
                .help("`shadow` asks and counts it and decides nothing; `enforce`, or no `@mode`, has it decide"))
        }
    }
}

/// A permit grants through the end of its day, in UTC. A guard that ends by itself would open a door silently.
fn expires(text: &str, effect: Effect, place: &Place) -> Result<Timestamp, Finding> {
    let finding = |code, message: String| place.finding(code, message, place.annotation("expires"));
    if effect == Effect::Forbid {
        let message = "a forbid can't expire: what it guards would open by itself".to_owned();
        return Err(
            finding("forbid_expires", message).help("remove the `@expires`, or the policy once it is not needed")
        );
    }
    let end = Date::from_str(text)
        .ok()
        .filter(|date| date.to_string() == text)
        .and_then(|date| TimeZone::UTC.to_timestamp(date.tomorrow().ok()?.at(0, 0, 0, 0)).ok());
    match end {
        Some(end) => Ok(end),
        None => {
            let message = format!("`{text}` is not a date");
            Err(finding("invalid_expires", message)
                .help("write it like `2027-03-31`; the permit grants through that day, in UTC"))
        }
    }
}
