//! route: listener, host, method and path name a function, or none.

mod bindings;

use self::bindings::Bindings;
use crate::{
    call::{Arrived, Found, Named, Routed, Unread},
    config::{self, Route, Shown},
    front::path::{self, CanonicalPath},
    generation::Served,
};
use http::Method;
use mesh::soap::action::announced;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use policy::question::FunctionName;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The routes of one listener.
#[derive(Debug, Default)]
pub struct Router {
    hosts: HashMap<Arc<str>, Table>,
    any_host: Table,
    /// Every function that is shown, by name, also those without a route.
    names: HashMap<Arc<str>, Arc<Served>>,
}

/// What one host has.
#[derive(Debug, Default)]
struct Table {
    routes: matchit::Router<Methods>,
    /// Other ways to call methods of gRPC, if there are any.
    bindings: Option<Bindings>,
}

/// The functions at one pattern.
#[derive(Debug, Default)]
struct Methods {
    any: Option<Arc<Served>>,
    each: Vec<(Method, Arc<Served>)>,
    /// What is posted there are messages of SOAP, each for the function of its action.
    soap: Vec<Arc<Served>>,
}

/// Methods that a route without one takes.
const ANY: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Two functions claim one route.
#[derive(Debug, thiserror::Error)]
#[error("route `{pattern}` conflicts: {reason}")]
pub struct RouteConflict {
    /// The pattern that could not be added.
    pub pattern: Arc<str>,
    /// Why.
    pub reason: String,
}

impl Router {
    /// The routes of the functions that a listener shows.
    ///
    /// # Errors
    /// When two functions claim the same requests.
    pub fn new<'a>(shown: &Shown, functions: impl Iterator<Item = &'a Arc<Served>>) -> Result<Self, RouteConflict> {
        let mut patterns: HashMap<(Option<Arc<str>>, Arc<str>), Methods> = HashMap::new();
        let mut router = Self::default();
        for served in functions.filter(|f| shows(shown, &f.config)) {
            router.names.insert(served.config.declared.name.as_str().into(), served.clone());
            let Some(route) = &served.config.route else { continue };
            for binding in &route.bindings {
                router.table(route.host.clone()).bindings.get_or_insert_default().add(binding, served);
            }
            let methods = patterns.entry((route.host.clone(), route.pattern.clone())).or_default();
            match &route.method {
                _ if route.soap.is_some() => methods.soap.push(served.clone()),
                Some(method) => methods.each.push((method.clone(), served.clone())),
                None => methods.any = Some(served.clone()),
            }
        }
        for ((host, pattern), methods) in patterns {
            let routes = &mut router.table(host).routes;
            routes
                .insert(pattern.to_string(), methods)
                .map_err(|e| RouteConflict { pattern, reason: e.to_string() })?;
        }
        Ok(router)
    }

    fn table(&mut self, host: Option<Arc<str>>) -> &mut Table {
        match host {
            Some(host) => self.hosts.entry(host).or_default(),
            None => &mut self.any_host,
        }
    }

    fn find<T>(&self, host: &str, path: &str, of: impl Fn(&Methods) -> Option<T>) -> Option<(T, Params)> {
        let on_host = self.hosts.get(host).and_then(|table| at(&table.routes, path, &of));
        on_host.or_else(|| at(&self.any_host.routes, path, &of))
    }

    fn named(
        &self,
        host: &str,
        method: &Method,
        path: &str,
        of: impl Fn(&Methods) -> Option<Arc<Served>>,
    ) -> Option<Found> {
        let on_host = self.hosts.get(host).and_then(|table| table.named(method, path, &of));
        on_host.or_else(|| self.any_host.named(method, path, &of))
    }
}

/// Names the function, if there is one.
#[must_use]
pub fn pass(mut arrived: Arrived) -> Routed {
    if let Some(named) = arrived.named.take() {
        return by_name(arrived, named);
    }
    let found = named(&arrived, &arrived.head.method);
    Routed { arrived, found }
}

/// The function that a request of this method would name.
pub(crate) fn named(arrived: &Arrived, method: &Method) -> Option<Found> {
    let router = arrived.generation.routers.get(&arrived.envelope.listener.name)?;
    let of = |methods: &Methods| match methods.soap.is_empty() || *method != Method::POST {
        true => methods.of(method).cloned(),
        false => methods.of_action(arrived),
    };
    router.named(&arrived.head.host, method, arrived.head.path.as_str(), of)
}

/// The largest message that a function of SOAP takes there, in bytes; `None` where a request is for none.
pub(crate) fn operations(arrived: &Arrived) -> Option<u64> {
    if arrived.head.method != Method::POST || arrived.named.is_some() {
        return None;
    }
    let router = arrived.generation.routers.get(&arrived.envelope.listener.name)?;
    let largest = |methods: &Methods| methods.soap.iter().map(|served| served.function.request_bytes_max).max();
    router.find(&arrived.head.host, arrived.head.path.as_str(), largest).map(|(largest, _)| largest)
}

fn by_name(mut arrived: Arrived, named: Named) -> Routed {
    let generation = &arrived.generation;
    let served = match &arrived.envelope.pass {
        None => generation.routers.get(&arrived.envelope.listener.name).and_then(|r| r.names.get(&named.function)),
        // It came through no listener, so none hides a function from it.
        Some(_) => FunctionName::parse(&named.function).ok().and_then(|name| generation.served.get(&name)),
    };
    let served = served.cloned();
    // Parameters that do not fit are an unknown path, as they would be over HTTP.
    let bound = served.and_then(|served| Some((bind(served.config.route.as_ref(), &named.path)?, served)));
    let found = bound.map(|(path, function)| {
        let route = function.config.route.as_ref();
        let method = if matches!(arrived.body, Unread::Empty) { Method::GET } else { Method::POST };
        arrived.head.method = route.map_or(Method::POST, |r| r.method.clone().unwrap_or(method));
        arrived.head.path = path;
        if let Some(host) = route.and_then(|r| r.host.clone()) {
            arrived.head.host = host;
        }
        Found { function, parameters: named.path, binding: None }
    });
    Routed { arrived, found }
}

/// The path of a route with its parameters filled in: all of them and no others, each in its one spelling.
fn bind(route: Option<&Route>, given: &BTreeMap<Arc<str>, Arc<str>>) -> Option<CanonicalPath> {
    let mut text = String::new();
    let mut used = 0;
    for segment in route.map_or("/", |r| &r.pattern).split('/').skip(1) {
        text.push('/');
        let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
            text.push_str(segment);
            continue;
        };
        let value = given.get(name.trim_start_matches('*'))?;
        used += 1;
        let mut parts: Vec<String> = Vec::new();
        for part in value.split('/') {
            let encoded = utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
            path::decode(&encoded).ok().filter(|decoded| !decoded.is_empty())?;
            parts.push(encoded);
        }
        if parts.len() > 1 && !name.starts_with('*') {
            return None;
        }
        text.push_str(&parts.join("/"));
    }
    (used == given.len()).then_some(())?;
    CanonicalPath::parse(&text).ok()
}

fn shows(shown: &Shown, function: &config::Function) -> bool {
    match shown {
        Shown::All => true,
        Shown::Only { apps, names } => {
            apps.contains(&function.declared.app) || names.contains(function.declared.name.as_str())
        }
    }
}

impl Table {
    /// What says most closely what the path is.
    fn named(&self, method: &Method, path: &str, of: impl Fn(&Methods) -> Option<Arc<Served>>) -> Option<Found> {
        let route = at(&self.routes, path, of);
        let route = route.map(|(function, parameters)| Found { function, parameters, binding: None });
        let Some((leaf, closeness)) = self.bindings.as_ref().and_then(|bindings| bindings.find(method, path)) else {
            return route;
        };
        let pattern =
            route.as_ref().and_then(|found| found.function.config.route.as_ref()).map(|route| &*route.pattern);
        // A route for HEAD itself is meant before a binding's GET without its body.
        let closer = |pattern| match *method == Method::HEAD {
            true => bindings::closeness(pattern) <= closeness,
            false => bindings::closeness(pattern) < closeness,
        };
        if pattern.is_some_and(closer) {
            return route;
        }
        let (function, binding) = (leaf.function.clone(), Some(leaf.binding.clone()));
        // Its variables are fields of the input, whichever way it came.
        Some(Found { function, parameters: BTreeMap::new(), binding })
    }
}

/// Path parameters, decoded.
type Params = BTreeMap<Arc<str>, Arc<str>>;

fn at<T>(table: &matchit::Router<Methods>, path: &str, of: impl Fn(&Methods) -> Option<T>) -> Option<(T, Params)> {
    let matched = table.at(path).ok()?;
    let function = of(matched.value)?;
    let mut parameters = BTreeMap::new();
    for (name, value) in matched.params.iter() {
        // A tail parameter may hold slashes; its segments are decoded one by one.
        let decoded: Result<Vec<String>, _> = value.split('/').map(path::decode).collect();
        parameters.insert(Arc::from(name), Arc::from(decoded.ok()?.join("/")));
    }
    Some((function, parameters))
}

impl Methods {
    /// The one function of the action that the headers name, or else of the element in the body.
    fn of_action(&self, arrived: &Arrived) -> Option<Arc<Served>> {
        let said = announced(&arrived.head.headers).ok()??.action;
        let means = |served: &&Arc<Served>| {
            served.soap().is_some_and(|soap| match &said {
                Some(action) => *soap.action == **action,
                None => arrived.operation.is_some() && soap.element == arrived.operation,
            })
        };
        let mut meant = self.soap.iter().filter(means);
        let (Some(function), None) = (meant.next(), meant.next()) else { return None };
        Some(function.clone())
    }

    fn of(&self, method: &Method) -> Option<&Arc<Served>> {
        let exact = |m: &Method| self.each.iter().find(|(of, _)| of == m).map(|(_, f)| f);
        let head = || (*method == Method::HEAD).then(|| exact(&Method::GET)).flatten();
        exact(method).or_else(head).or_else(|| self.any.as_ref().filter(|_| ANY.contains(method)))
    }
}
