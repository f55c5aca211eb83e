//! `transcode`: the rules by which plain HTTP calls a method of gRPC.

use super::catalog::{Place, Placed};
use crate::config::{
    Route, raw,
    raw::{At, Transcode},
    value::{Desk, shorten},
};
use mesh::bind::{
    protobuf::Method,
    transcode::{Binding, Rule},
};
use policy::finding::Finding;
use std::{collections::HashMap, ops::Range, sync::Arc};

/// Most rules of one function.
const RULES_MAX: usize = 64;

/// Reads the rules, each with the place that it is reported at.
pub(crate) fn bindings(
    table: &raw::Function,
    route: Option<&Route>,
    method: Option<&Method>,
    desk: &mut Desk<'_>,
) -> Vec<Arc<Binding>> {
    let Some(At { value, span }) = &table.transcode else { return Vec::new() };
    let Some(method) = method else {
        // What is wrong with route or descriptors has been said already.
        if table.descriptors.is_none() || route.is_some_and(|route| !route.grpc) || table.route.is_none() {
            let message = "`transcode` needs a method of gRPC that is described";
            let help = "such as `route = \"grpc shop.v1.Orders/Create\"` and `descriptors = \"orders.proto\"`";
            desk.error_help("transcode_unfit", span, message, help);
        }
        return Vec::new();
    };
    let rules: Vec<(Rule, Range<usize>)> = match value {
        Transcode::Annotations => match Rule::annotated(method) {
            Ok(rules) => rules.into_iter().map(|rule| (rule, span.clone())).collect(),
            Err(why) => {
                let help = "write rules, such as `transcode = [{ route = \"GET /v1/{name=shelves/*}\" }]`";
                desk.error_help("bad_transcode", span, why, help);
                return Vec::new();
            }
        },
        Transcode::Rules(rules) if rules.is_empty() => {
            desk.error("bad_transcode", span, "there is no rule");
            return Vec::new();
        }
        Transcode::Rules(rules) => rules.iter().filter_map(|written| rule(written, span, desk)).collect(),
    };
    if rules.len() > RULES_MAX {
        desk.error("too_many", span, format!("a function has at most {RULES_MAX} rules"));
        return Vec::new();
    }
    let mut bindings: Vec<Arc<Binding>> = Vec::new();
    for (rule, place) in rules {
        let shown = rule.path.clone();
        match Binding::new(method, rule) {
            Ok(binding) => bindings.push(Arc::new(binding)),
            Err(why) => desk.error("bad_transcode", &place, format!("`{}`: {why}", shorten(&shown))),
        }
    }
    bindings
}

/// What targets may use in their URLs: the fields that the first rule's path holds.
pub(crate) fn parameters(route: Option<&Route>) -> Vec<String> {
    let first = route.filter(|route| !route.bytes).and_then(|route| route.bindings.first());
    first.map(|binding| binding.parameters().collect()).unwrap_or_default()
}

fn rule(written: &raw::Rule, span: &Range<usize>, desk: &mut Desk<'_>) -> Option<(Rule, Range<usize>)> {
    let route = desk.required("route", &written.route, span)?;
    let (method, path) = match route.value.split_once(' ') {
        Some((method, path)) => match http::Method::from_bytes(method.as_bytes()) {
            Ok(method) => (Some(method), path),
            Err(_) => {
                desk.error("bad_transcode", &route.span, format!("`{}` is no method", shorten(method)));
                return None;
            }
        },
        None => (None, route.value.as_str()),
    };
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    let (body, response_body) = (text(&written.body), text(&written.response_body));
    Some((Rule { method, path: path.to_owned(), body, response_body }, route.span.clone()))
}

/// What of one host is claimed: patterns of routes and templates of rules, as the router tells them apart.
#[derive(Default)]
pub(super) struct Bound<'p, 'a>(HashMap<String, Vec<Claim<'p, 'a>>>);

struct Claim<'p, 'a> {
    placed: &'p Placed<'a>,
    method: Option<&'p http::Method>,
    /// `None` for a route.
    binding: Option<&'p Binding>,
}

impl<'p, 'a> Bound<'p, 'a> {
    /// Adds a function's route and rules; says which of them another function, or another rule, has already.
    pub(super) fn add(&mut self, placed: &'p Placed<'a>, route: &'p Route) -> Vec<Finding> {
        let own = Claim { placed, method: route.method.as_ref(), binding: None };
        let mut claims = vec![(shape(&route.pattern), own)];
        claims.extend(route.bindings.iter().map(|binding| {
            let claim = Claim { placed, method: binding.verb(), binding: Some(&**binding) };
            (binding.template().to_string(), claim)
        }));
        let mut findings = Vec::new();
        for (shape, claim) in claims {
            let taken = self.0.entry(shape).or_default();
            // Routes among themselves are told apart elsewhere.
            let clashes = |other: &&Claim<'_, '_>| {
                (claim.binding.is_some() || other.binding.is_some())
                    && (claim.method.is_none() || other.method.is_none() || claim.method == other.method)
            };
            findings.extend(taken.iter().find(clashes).map(|other| claim.clashing(other)));
            taken.push(claim);
        }
        findings
    }
}

impl Claim<'_, '_> {
    fn clashing(&self, other: &Self) -> Finding {
        let Placed { function, transcode, .. } = other.placed;
        let span = transcode.clone().filter(|_| other.binding.is_some()).unwrap_or_else(|| other.placed.route.clone());
        let there = Place { text: other.placed.name.text, span };
        let name = &function.declared.name;
        let message = format!("{} is taken: `{name}` has {} at {}", self.shown(), other.shown(), there.shown());
        let own = self.placed.transcode.clone().filter(|_| self.binding.is_some());
        let span = own.unwrap_or_else(|| self.placed.route.clone());
        self.placed.name.text.error("duplicate_route", &span, message)
    }

    fn shown(&self) -> String {
        match (self.binding, &self.placed.function.route) {
            (Some(binding), _) => format!("the rule `{binding}` of `{}`", self.placed.function.declared.name),
            (None, Some(route)) => format!("the route `{}`", route.pattern),
            (None, None) => "a route".to_owned(),
        }
    }
}

/// A pattern as templates are shown: without names.
fn shape(pattern: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{') {
        Some(name) if name.starts_with('*') => "**".to_owned(),
        Some(_) => "*".to_owned(),
        None => segment.to_owned(),
    };
    pattern.split('/').map(segment).collect::<Vec<_>>().join("/")
}
