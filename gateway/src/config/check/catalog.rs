//! `[app.*]` and `[function.*]` of `latchwork.toml` and of every catalog it includes.

use super::{
    cors, function,
    price::{self, Prices},
};
use crate::config::{App, Calendar, Function, Issuer, raw, raw::At, report::Report, text::Text, value::Desk};
use mesh::bind::protobuf::Descriptions;
use policy::{
    declared,
    question::{FunctionName, FunctionNameError},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most functions of one gateway.
const FUNCTIONS_MAX: usize = 10_000;

/// Everything in the catalog, with its places.
#[derive(Debug, Default)]
pub(crate) struct Catalog<'a> {
    pub(crate) apps: Vec<PlacedApp<'a>>,
    pub(crate) functions: Vec<Placed<'a>>,
    /// Names that were written, also of functions that were refused.
    pub(crate) names: BTreeMap<Arc<str>, Place<'a>>,
}

/// Where something was written.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) text: &'a Text,
    pub(crate) span: Range<usize>,
}

/// An app and where it was written.
#[derive(Debug)]
pub(crate) struct PlacedApp<'a> {
    pub(crate) app: App,
    pub(crate) place: Place<'a>,
}

/// A function and where its name and route were written.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) function: Function,
    pub(crate) name: Place<'a>,
    pub(crate) route: Range<usize>,
    /// Where its `transcode` was written, if it was.
    pub(crate) transcode: Option<Range<usize>>,
}

/// What functions refer to.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(crate) apps: &'a BTreeMap<Arc<str>, Place<'a>>,
    pub(crate) issuers: &'a [Issuer],
    pub(crate) production: bool,
    pub(crate) prices: Prices,
    /// Files of descriptors that were read; `None` for those that can't be used, of which it was told.
    pub(crate) descriptions: RefCell<BTreeMap<PathBuf, Option<Descriptions>>>,
}

impl Place<'_> {
    /// `file:line`
    pub(crate) fn shown(&self) -> String {
        format!("{}:{}", self.text.file, self.text.line(&self.span))
    }
}

/// Checks apps first, since functions of one file may belong to apps of another.
pub(crate) fn catalog<'a>(
    parts: Vec<(&'a Text, &'a raw::Catalog)>,
    (issuers, calendars): (&[Issuer], &[Arc<Calendar>]),
    production: bool,
    directory: &Path,
    report: &mut Report,
) -> Catalog<'a> {
    let mut catalog = Catalog::default();
    let mut apps: BTreeMap<Arc<str>, Place<'a>> = BTreeMap::new();
    for (text, part) in &parts {
        let mut desk = Desk { text, directory, report };
        for (name, table) in &part.app {
            let Some(app) = app(name, table, (issuers, calendars), &mut desk) else { continue };
            let place = Place { text, span: name.span.clone() };
            match apps.get(&app.declared.name) {
                Some(first) => {
                    let message = format!("app `{}` is declared at {} too", name.value, first.shown());
                    desk.error("duplicate_app", &name.span, message);
                }
                None => {
                    apps.insert(app.declared.name.clone(), place.clone());
                    catalog.apps.push(PlacedApp { app, place });
                }
            }
        }
    }
    let mut prices = Prices::new();
    for (text, part) in &parts {
        price::prices(&part.price, &mut prices, &mut Desk { text, directory, report });
    }
    let known = Known { apps: &apps, issuers, production, prices, descriptions: RefCell::default() };
    for (text, part) in &parts {
        let mut desk = Desk { text, directory, report };
        let mut tables: Vec<_> = part.function.iter().collect();
        tables.sort_by_key(|(name, _)| name.span.start);
        for (name, table) in tables {
            add(&mut catalog, name, table, &known, text, &mut desk);
        }
    }
    let Catalog { apps, functions, .. } = &mut catalog;
    for function in functions.iter_mut().map(|placed| &mut placed.function).filter(|f| f.cors.is_none()) {
        let app = apps.iter().find(|placed| placed.app.declared.name == function.declared.app);
        function.cors = app.and_then(|placed| placed.app.cors.clone());
    }
    catalog
}

fn add<'a>(
    catalog: &mut Catalog<'a>,
    name: &At<String>,
    table: &raw::Function,
    known: &Known<'_>,
    text: &'a Text,
    desk: &mut Desk<'_>,
) {
    let parsed = match FunctionName::parse(&name.value) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            let help = "words joined by dots, in quotes: `[function.\"orders.create\"]`";
            desk.error_help("bad_function_name", &name.span, error.to_string(), help);
            if matches!(error, FunctionNameError::NoDot(_)) {
                // Most often the quotes are missing, and then the rest of the table is elsewhere.
                return;
            }
            None
        }
    };
    let place = Place { text, span: name.span.clone() };
    if let Some(first) = catalog.names.get(name.value.as_str()) {
        let message = format!("function `{}` is declared at {} too", name.value, first.shown());
        desk.error("duplicate_function", &name.span, message);
    } else {
        catalog.names.insert(name.value.as_str().into(), place.clone());
    }
    if catalog.functions.len() >= FUNCTIONS_MAX {
        return desk.error("too_many", &name.span, format!("a gateway has at most {FUNCTIONS_MAX} functions"));
    }
    let function = function::function(name, parsed, table, known, desk);
    let route = table.route.as_ref().map_or(name.span.clone(), |route| route.span.clone());
    let transcode = table.transcode.as_ref().map(|transcode| transcode.span.clone());
    catalog.functions.extend(function.map(|function| Placed { function, name: place, route, transcode }));
}

fn app(
    name: &At<String>,
    table: &raw::App,
    (issuers, calendars): (&[Issuer], &[Arc<Calendar>]),
    desk: &mut Desk<'_>,
) -> Option<App> {
    let named = desk.name("an app", name);
    let owner = table.owner.as_ref().and_then(|owner| self::owner(owner, issuers, desk));
    let environment = match &table.environment {
        Some(environment) => desk.name("an environment", environment).unwrap_or_else(|| "default".into()),
        None => "default".into(),
    };
    let zone = match &table.zone {
        None => jiff::tz::TimeZone::UTC,
        Some(written) => desk.time_zone(written),
    };
    let calendar = table.calendar.as_ref().and_then(|written| {
        let found = calendars.iter().find(|calendar| *calendar.name == *written.value);
        if found.is_none() {
            desk.unknown("unknown_calendar", "calendar", written, calendars.iter().map(|calendar| &*calendar.name));
        }
        found.cloned()
    });
    let cors = cors::cors(table.cors.as_ref(), desk);
    let known_by = calendar.as_ref().map(|calendar| calendar.name.clone());
    Some(App { cors, declared: declared::App { name: named?, owner, environment, calendar: known_by }, zone, calendar })
}

/// An owning group: `<issuer alias>/<group>`, declared or of an issuer whose groups are managed elsewhere.
pub(crate) fn owner(written: &At<String>, issuers: &[Issuer], desk: &mut Desk<'_>) -> Option<Arc<str>> {
    let text = written.value.as_str();
    let Some((alias, _)) = text.split_once('/').filter(|(_, group)| !group.is_empty()) else {
        let message = format!("`{text}` is no group");
        desk.error_help("bad_owner", &written.span, message, "`<issuer alias>/<group>`, such as `corp/team-shop`");
        return None;
    };
    let Some(issuer) = issuers.iter().find(|issuer| *issuer.alias == *alias) else {
        let at = At { value: alias.to_owned(), span: written.span.clone() };
        desk.unknown("unknown_issuer", "issuer", &at, issuers.iter().map(|issuer| issuer.alias.as_ref()));
        return None;
    };
    if !issuer.groups.external && !issuer.groups.declared.contains(text) {
        desk.unknown("unknown_group", "group", written, issuer.groups.declared.iter().map(AsRef::as_ref));
        return None;
    }
    Some(text.into())
}
