//! Which fields of a call are recorded, and how: a mode by place, the most particular one counts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most places that have a mode of their own.
pub const FIELDS_MAX: usize = 1_000;
/// The classes of fields that have modes.
pub const CLASSES: [&str; 4] = ["facts", "path", "query", "input"];
/// Every fact, from `facts` down. Each is one field.
pub const FACTS: [&str; 23] = [
    "call",
    "network/source",
    "network/provenance",
    "network/zone",
    "transport/mtls",
    "transport/tls",
    "transport/sealed",
    "token/scopes",
    "token/audiences",
    "token/issued",
    "token/authenticated",
    "token/acr",
    "token/amr",
    "token/sender_bound",
    "clock/now",
    "clock/weekday",
    "clock/minute",
    "clock/business_day",
    "clock/frozen",
    "via/workload",
    "via/client",
    "via/depth",
    "approval",
];

/// How a field is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FieldMode")]
pub enum Mode {
    /// As it is.
    #[default]
    Plain,
    /// As a keyed hash: equal values have equal ones, and a value that is held can be looked up.
    Hmac,
    /// Encrypted with a key of the caller's own, until that is erased.
    Encrypted,
    /// Not at all, but for the fact that it was there.
    Drop,
}

/// Modes by place. What every call asks is found when they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    root: Node,
    count: usize,
    used: Vec<Mode>,
    /// Classes that have any mode besides `plain`.
    concealed: Vec<&'static str>,
    /// Facts that are not `plain`.
    facts: Vec<(&'static str, Mode)>,
}

/// A place with what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    mode: Option<Mode>,
    members: BTreeMap<String, Node>,
    /// Whatever the member or element.
    any: Option<Box<Node>>,
}

/// A text is no JSON pointer (RFC 6901).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a JSON pointer; one is like `/input/customer/iban`, and `*` stands for any member or element")]
pub struct NotAPointer(pub String);

impl Fields {
    /// Modes of these places. In a pointer `*` stands for any member or element.
    ///
    /// # Errors
    /// When a text is no JSON pointer.
    pub fn new<'a>(modes: impl IntoIterator<Item = (&'a str, Mode)>) -> Result<Self, NotAPointer> {
        let mut fields = Self::default();
        for (text, mode) in modes {
            let mut node = &mut fields.root;
            for word in words(text)? {
                node = match word.as_str() {
                    "*" => node.any.get_or_insert_with(Box::default),
                    _ => node.members.entry(word).or_default(),
                };
            }
            node.mode = Some(mode);
            fields.count += 1;
        }
        let Self { root, used, concealed, .. } = &mut fields;
        let modes = [Mode::Plain, Mode::Hmac, Mode::Encrypted, Mode::Drop];
        used.extend(modes.into_iter().filter(|mode| root.has(&|found| found == *mode)));
        let conceals =
            |class: &&str| root.members.get(*class).is_some_and(|node| node.has(&|mode| mode != Mode::Plain));
        concealed.extend(CLASSES.into_iter().filter(conceals));
        let facts = fields.of("facts");
        let modes: Vec<_> = FACTS.into_iter().map(|fact| (fact, facts.at(fact.split('/')).mode())).collect();
        fields.facts.extend(modes.into_iter().filter(|(_, mode)| *mode != Mode::Plain));
        Ok(fields)
    }

    /// How many places have a mode.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether any place has this mode.
    #[must_use]
    pub fn use_mode(&self, mode: Mode) -> bool {
        self.used.contains(&mode)
    }

    /// Whether a class has any mode besides `plain`.
    #[must_use]
    pub(crate) fn conceal(&self, class: &str) -> bool {
        self.concealed.contains(&class)
    }

    /// The facts that are not recorded as they are, and how they are.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (&'static str, Mode)> {
        self.facts.iter().copied()
    }

    /// How a fact is recorded.
    pub(crate) fn of_fact(&self, fact: &str) -> Mode {
        self.facts().find(|(known, _)| *known == fact).map_or(Mode::Plain, |(_, mode)| mode)
    }

    /// The modes of a class.
    pub(crate) fn of(&self, class: &str) -> Rules<'_> {
        if self.count == 0 {
            return Rules::default();
        }
        let start = Rules { nodes: vec![&self.root], mode: Mode::Plain, named: false };
        start.below(class)
    }
}

impl Node {
    fn has(&self, wanted: &dyn Fn(Mode) -> bool) -> bool {
        self.mode.is_some_and(wanted) || self.below().any(|node| node.has(wanted))
    }

    fn below(&self) -> impl Iterator<Item = &Self> {
        self.members.values().chain(self.any.as_deref())
    }
}

/// What is configured of a place and of those below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules<'a> {
    nodes: Vec<&'a Node>,
    mode: Mode,
    /// The place itself has the mode, not one above it.
    named: bool,
}

impl<'a> Rules<'a> {
    pub(crate) fn below(&self, name: &str) -> Self {
        if self.nodes.is_empty() {
            return Self { nodes: Vec::new(), mode: self.mode, named: false };
        }
        let literal = self.nodes.iter().filter_map(|node| node.members.get(name));
        let any = self.nodes.iter().filter_map(|node| node.any.as_deref());
        let nodes: Vec<&'a Node> = literal.chain(any).collect();
        let named = nodes.iter().find_map(|node| node.mode);
        Self { mode: named.unwrap_or(self.mode), named: named.is_some(), nodes }
    }

    pub(crate) fn at<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Self {
        words.into_iter().fold(self.clone(), |rules, word| rules.below(word))
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether somebody asked by name that a secret be kept in a form that does not show it.
    pub(crate) fn keeps_secret(&self) -> bool {
        self.named && matches!(self.mode, Mode::Hmac | Mode::Encrypted)
    }

    /// Whether nothing below differs.
    pub(crate) fn is_leaf(&self) -> bool {
        self.nodes.iter().all(|node| node.below().next().is_none())
    }
}

/// The words of a JSON pointer.
///
/// # Errors
/// When a text is none.
pub fn words(pointer: &str) -> Result<Vec<String>, NotAPointer> {
    let rest = pointer.strip_prefix('/').ok_or_else(|| NotAPointer(pointer.to_owned()))?;
    Ok(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
}

/// A JSON pointer of words.
#[must_use]
pub fn pointer<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let mut pointer = String::new();
    for word in words {
        pointer.push('/');
        pointer.push_str(&word.as_ref().replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_place_counts() {
        let fields = Fields::new([
            ("/input", Mode::Encrypted),
            ("/input/people/*/name", Mode::Hmac),
            ("/input/people/*", Mode::Drop),
            ("/input/people/0/name", Mode::Plain),
            ("/input/a~1b", Mode::Plain),
        ])
        .unwrap();
        let check = |words: &[&str], mode| assert_eq!(fields.of("input").at(words.iter().copied()).mode(), mode);
        check(&[], Mode::Encrypted);
        check(&["x", "y"], Mode::Encrypted);
        check(&["people"], Mode::Encrypted);
        check(&["people", "1"], Mode::Drop);
        check(&["people", "1", "age"], Mode::Drop);
        check(&["people", "1", "name"], Mode::Hmac);
        check(&["people", "0", "name"], Mode::Plain);
        check(&["a/b"], Mode::Plain);
        assert!(fields.use_mode(Mode::Drop) && fields.conceal("input") && !fields.conceal("facts"));
        assert_eq!(fields.of("facts").mode(), Mode::Plain);
        assert!(!fields.of("input").is_leaf() && fields.of("input").below("x").is_leaf());
        assert_eq!(pointer(["a/b", "c~d"]), "/a~1b/c~0d");
        assert_eq!(words("card").unwrap_err().0, "card");
    }
}
