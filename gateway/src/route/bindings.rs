//! Bindings of methods of gRPC, found by the path of a request: a tree of segments, in which text goes before `*`, and
//! that before `**`.

use crate::generation::Served;
use http::Method;
use mesh::bind::transcode::{Binding, template::Segment};
use std::{collections::HashMap, sync::Arc};

/// The bindings of one host.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    root: Node,
}

/// A binding and its function.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) binding: Arc<Binding>,
    pub(super) function: Arc<Served>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    any: Option<Box<Node>>,
    /// Bindings that end here.
    ends: Vec<Leaf>,
    /// Bindings that take all that is left.
    rest: Vec<Leaf>,
}

/// How closely a pattern says what a path is, segment by segment: less is closer.
pub(super) type Closeness = Vec<u8>;

const LITERAL: u8 = 0;
const ANY_WITH_VERB: u8 = 1;
const ANY: u8 = 2;
const REST_WITH_VERB: u8 = 3;
const REST: u8 = 4;

impl Bindings {
    /// Adds a binding. That no other takes the same requests was seen when the configuration was read.
    pub(super) fn add(&mut self, binding: &Arc<Binding>, function: &Arc<Served>) {
        let leaf = Leaf { binding: binding.clone(), function: function.clone() };
        let mut node = &mut self.root;
        for segment in binding.template().segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.as_str().into()).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
                Segment::Rest => return node.rest.push(leaf),
            };
        }
        node.ends.push(leaf);
    }

    /// The binding of a request, and how closely its template fits.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<(&Leaf, Closeness)> {
        let path = path.strip_prefix('/')?;
        // What stands behind the last colon is a verb where a template has it, and else part of a value.
        let verbs = path.rsplit_once(':').filter(|(_, verb)| !verb.is_empty() && !verb.contains('/'));
        let with_verb = verbs.and_then(|(path, verb)| self.under(method, path, Some(verb)));
        with_verb.or_else(|| self.under(method, path, None))
    }

    fn under(&self, method: &Method, path: &str, verb: Option<&str>) -> Option<(&Leaf, Closeness)> {
        let segments: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        let takes = |leaf: &&Leaf| leaf.binding.template().verb() == verb && leaf.binding.takes(method);
        let (leaf, mut closeness) = self.root.find(&segments, &takes, Vec::new())?;
        if let (Some(last), true) = (closeness.last_mut(), verb.is_some()) {
            *last = match *last {
                ANY => ANY_WITH_VERB,
                REST => REST_WITH_VERB,
                other => other,
            };
        }
        Some((leaf, closeness))
    }
}

impl Node {
    /// Each node is looked at once at most, since the tree has no second way to it.
    fn find(
        &self,
        segments: &[&str],
        takes: &impl Fn(&&Leaf) -> bool,
        closeness: Closeness,
    ) -> Option<(&Leaf, Closeness)> {
        let with = |kind: u8| [closeness.as_slice(), &[kind]].concat();
        let inner = match segments.split_first() {
            None => self.ends.iter().find(takes).map(|leaf| (leaf, closeness.clone())),
            Some((first, left)) => {
                let literal = || self.literals.get(*first).and_then(|node| node.find(left, takes, with(LITERAL)));
                let any = || self.any.as_ref().filter(|_| !first.is_empty())?.find(left, takes, with(ANY));
                literal().or_else(any)
            }
        };
        // An empty segment is the slash at the end of a path, which no template has.
        let rest = || self.rest.iter().find(takes).filter(|_| !segments.contains(&""));
        inner.or_else(|| Some((rest()?, with(REST))))
    }
}

/// How closely the pattern of a route says what a path is.
pub(super) fn closeness(pattern: &str) -> Closeness {
    let kind = |segment: &str| match segment.strip_prefix('{') {
        Some(name) if name.starts_with('*') => REST,
        Some(_) => ANY,
        None => LITERAL,
    };
    pattern.split('/').skip(1).map(kind).collect()
}
