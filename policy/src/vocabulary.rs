//! The words of policy: the Cedar schema made from what is declared, a fixed base and one fragment per function.

use crate::{
    declared::{Declared, Function, QueryType},
    finding::Finding,
    question::{FunctionName, PrincipalKind},
};
use base::Base;
use cedar_policy::Schema;
use shape::Shape;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

pub(crate) mod base;
mod declared;
mod locate;
pub use locate::locate_pointer;
pub(crate) mod property;
mod schema;
pub(crate) mod shape;

/// The name that findings about the declarations carry instead of a file.
pub(crate) const DECLARED_FILE: &str = "catalog";

/// The base vocabulary and the words of every declared function.
#[derive(Debug)]
pub struct Vocabulary {
    pub(crate) base: Base,
    /// Declared action groups that the base doesn't have.
    groups: BTreeSet<Arc<str>>,
    functions: BTreeMap<FunctionName, Words>,
    /// What administrators do, by the names of the actions.
    verbs: BTreeMap<FunctionName, Words>,
}

/// What one function adds.
#[derive(Debug)]
pub(crate) struct Words {
    /// Kinds of caller that may be asked about.
    pub(crate) principals: Vec<PrincipalKind>,
    /// Every group its action is in, directly or not.
    pub(crate) groups: BTreeSet<Arc<str>>,
    /// Path parameters.
    pub(crate) path: Vec<Arc<str>>,
    /// Query parameters.
    pub(crate) query: BTreeMap<Arc<str>, QueryType>,
    /// Type of the input, if policy can see it.
    pub(crate) input: Option<Shape>,
    /// All of its action's declaration except the name: equal for functions that validate alike.
    pub(crate) shape: Arc<str>,
    /// The part of the declaration before the context: groups and kinds of caller.
    pub(crate) kind: Arc<str>,
}

impl Vocabulary {
    /// Makes the vocabulary; the second part are warnings about what policy can't see.
    ///
    /// # Errors
    /// When a declaration can't be said in Cedar, or says two things with one name.
    pub fn new(declared: &Declared) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let base = Base::new().map_err(|finding| vec![finding])?;
        let verbs = base.verbs().filter_map(|verb| Words::of_verb(verb, &base)).collect();
        let mut vocabulary = Self { base, groups: BTreeSet::new(), functions: BTreeMap::new(), verbs };
        let mut errors = declared::check(declared, &vocabulary.base);
        let mut warnings = Vec::new();
        for function in &declared.functions {
            for group in &function.action_groups {
                if !vocabulary.base.is_action(group) {
                    vocabulary.groups.insert(Arc::clone(group));
                }
            }
        }
        for function in &declared.functions {
            let (words, found) = vocabulary.words(function);
            warnings.extend(found);
            if vocabulary.functions.insert(function.name.clone(), words).is_some() {
                let message = format!("function `{}` is declared twice", function.name);
                errors.push(Finding::error("duplicate_function", DECLARED_FILE, message));
            }
        }
        if errors.is_empty() { Ok((vocabulary, warnings)) } else { Err(errors) }
    }

    fn words(&self, function: &Function) -> (Words, Vec<Finding>) {
        let (input, warnings) = function.input.as_ref().map_or((None, Vec::new()), shape::read);
        let mut principals = function.principals.clone();
        principals.sort_unstable();
        principals.dedup();
        let mut direct: BTreeSet<Arc<str>> = function.action_groups.iter().cloned().collect();
        direct.insert("call".into());
        let mut groups = direct.clone();
        for group in &direct {
            groups.extend(self.base.ancestors(group));
        }
        let query: BTreeMap<_, _> = function.query.iter().cloned().collect();
        let shape = declaration(&direct, &principals, &function.path, &query, input.as_ref());
        let kind = shape.split_once("context:").map_or(shape.as_str(), |(kind, _)| kind).into();
        let path = function.path.clone();
        (Words { principals, groups, path, query, input, shape: shape.into(), kind }, warnings)
    }

    /// The whole schema as Cedar schema text, for editors and tools.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from(base::TEXT);
        text.push_str("\n// Generated from the catalog.\n");
        text.push_str(&self.groups_text());
        for name in self.functions.keys() {
            text.push_str(&self.function_text(name).unwrap_or_default());
        }
        text
    }

    /// The schema of the base and one function, if it exists.
    #[must_use]
    pub fn text_of(&self, name: &FunctionName) -> Option<String> {
        let own = self.function_text(name)?;
        Some(format!("{}\n// Generated from the catalog.\n{}{own}", base::TEXT, self.groups_text()))
    }

    /// The base vocabulary alone, as it was written.
    #[must_use]
    pub fn base_text() -> &'static str {
        base::TEXT
    }

    /// The declaration of one function's action, if the function exists.
    #[must_use]
    pub fn function_text(&self, name: &FunctionName) -> Option<String> {
        self.functions.get(name).map(|words| format!("action \"{name}\" {}\n", words.shape))
    }

    /// Base, groups and the given functions as one schema to validate against.
    pub(crate) fn slice<'a>(&self, names: impl IntoIterator<Item = &'a FunctionName>) -> Schema {
        schema::of(&self.base, &self.groups, &self.known(names), true)
    }

    /// The same without the fixed actions, for policies over functions alone.
    pub(crate) fn slice_of_calls<'a>(&self, names: impl IntoIterator<Item = &'a FunctionName>) -> Schema {
        schema::of(&self.base, &self.groups, &self.known(names), false)
    }

    fn known<'a>(&self, names: impl IntoIterator<Item = &'a FunctionName>) -> BTreeMap<&FunctionName, &Words> {
        names.into_iter().filter_map(|name| self.functions.get_key_value(name)).collect()
    }

    pub(crate) fn function(&self, name: &FunctionName) -> Option<&Words> {
        self.functions.get(name)
    }

    /// What can be asked about under this name: a function, or a verb of administrators.
    pub(crate) fn askable(&self, name: &FunctionName) -> Option<&Words> {
        self.functions.get(name).or_else(|| self.verbs.get(name))
    }

    /// What administrators do: each is asked like a function of that name.
    pub fn verbs(&self) -> impl Iterator<Item = &FunctionName> {
        self.verbs.keys()
    }

    /// Names of all functions and verbs of administrators.
    pub(crate) fn askables(&self) -> impl Iterator<Item = &str> {
        self.functions().chain(self.verbs().map(FunctionName::as_str))
    }

    /// Names of all functions.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(FunctionName::as_str)
    }

    /// Whether an action of this name exists: a function, a fixed action or a group.
    pub(crate) fn has_action(&self, name: &str) -> bool {
        self.base.is_action(name)
            || self.groups.contains(name)
            || FunctionName::parse(name).is_ok_and(|name| self.functions.contains_key(&name))
    }

    /// Names of all actions.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &str> {
        let groups = self.groups.iter().map(AsRef::as_ref);
        self.base.actions().chain(groups).chain(self.functions())
    }

    fn groups_text(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            let _ = writeln!(text, "action \"{group}\" in [\"call\"];");
        }
        text
    }
}

impl Words {
    /// Those of a verb of administrators, which sees facts alone.
    fn of_verb(verb: &str, base: &Base) -> Option<(FunctionName, Self)> {
        let (kinds, _) = base.applies_to(verb)?;
        let principals = PrincipalKind::ALL.into_iter().filter(|kind| kinds.contains(&kind.as_str())).collect();
        let words = Self {
            principals,
            groups: base.ancestors(verb),
            path: Vec::new(),
            query: BTreeMap::new(),
            input: None,
            shape: "administer".into(),
            kind: "administer".into(),
        };
        Some((FunctionName::parse(verb).ok()?, words))
    }
}

fn declaration(
    groups: &BTreeSet<Arc<str>>,
    principals: &[PrincipalKind],
    path: &[Arc<str>],
    query: &BTreeMap<Arc<str>, QueryType>,
    input: Option<&Shape>,
) -> String {
    let groups: Vec<_> = groups.iter().map(|group| format!("\"{group}\"")).collect();
    let principals: Vec<_> = principals.iter().map(|kind| kind.as_str()).collect();
    let path: Vec<_> = path.iter().map(|name| format!("\"{}\": String", name.escape_default())).collect();
    let query: Vec<_> =
        query.iter().map(|(name, kind)| format!("\"{}\"?: {}", name.escape_default(), query_word(*kind))).collect();
    let input = input.map(|shape| format!(", input: {shape}")).unwrap_or_default();
    format!(
        "in [{}] appliesTo {{ principal: [{}], resource: Function, context: {{ facts: Facts, path: {}, query: {}{input} }} }};",
        groups.join(", "),
        principals.join(", "),
        record(&path),
        record(&query),
    )
}

fn record(fields: &[String]) -> String {
    if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
}

fn query_word(kind: QueryType) -> &'static str {
    match kind {
        QueryType::String => "String",
        QueryType::Long => "Long",
        QueryType::Bool => "Bool",
    }
}

#[cfg(test)]
mod tests;
