//! `targets = [...]`: exactly one backend each.

use super::{catalog::Known, grpc, issuer::is_loopback, peer::Peer};
use crate::config::{
    BackendConfig, Target, raw,
    raw::At,
    value::{self, Desk, shorten},
};
use mesh::backend::{KINDS, http::HttpConfig, process::ProcessConfig, remote::RemoteConfig};
use policy::declared;
use std::{
    ops::Range,
    path::{Path, PathBuf},
};
use url::Url;

/// Most targets of one function.
const TARGETS_MAX: usize = 64;
/// Largest weight of a target.
const WEIGHT_MAX: u64 = 1_000_000;
/// Most memory of a run, in MiB.
const MEMORY_MIB_MAX: u64 = 1 << 20;

pub(crate) fn targets(
    name: &At<String>,
    table: &raw::Function,
    path: Option<Vec<&str>>,
    known: &Known<'_>,
    desk: &mut Desk<'_>,
) -> Vec<Target> {
    let Some(list) = desk.required("targets", &table.targets, &name.span) else { return Vec::new() };
    if list.value.is_empty() {
        let finding = desk.text.error("no_target", &list.span, "the function runs nowhere");
        desk.report.push_missing("targets", finding);
    }
    if list.value.len() > TARGETS_MAX {
        desk.error("too_many", &list.span, format!("a function has at most {TARGETS_MAX} targets"));
    }
    list.value.iter().filter_map(|written| target(written, path.as_deref(), known, desk)).collect()
}

/// The target as policy sees it.
pub(crate) fn declared(target: &Target) -> declared::Target {
    declared::Target { provider: target.backend.kind(), region: target.region.clone(), sealed_to: false }
}

fn target(written: &At<raw::Target>, path: Option<&[&str]>, known: &Known<'_>, desk: &mut Desk<'_>) -> Option<Target> {
    let At { value: target, span } = written;
    let production = known.production;
    let region = target.region.as_ref().and_then(|region| desk.name("a region", region));
    let mut remotes = target.remotes();
    let mut spans: Vec<&Range<usize>> = target.grpc.iter().map(|at| &at.span).collect();
    spans.extend(remotes.iter().map(|remote| &remote.span));
    spans.extend(target.process.iter().map(|at| &at.span));
    spans.extend(target.http.iter().map(|at| &at.span));
    if let [last, _, ..] = spans.as_slice() {
        desk.error_help("two_backends", last, "a target has exactly one backend", "write two targets");
        return None;
    }
    let backend = match (&target.http, &target.process, &target.grpc, remotes.pop()) {
        (Some(http), ..) => BackendConfig::Http(self::http(http, path, production, desk)),
        (_, Some(process), ..) => BackendConfig::Process(self::process(process, desk)),
        (.., Some(grpc), _) => BackendConfig::Grpc(grpc::backend(grpc, production, desk)),
        (.., Some(remote)) => BackendConfig::Remote(self::remote(remote, path, production, desk)),
        (None, None, None, None) => {
            let finding = desk.text.error("no_backend", span, "the target has no backend").help(format!(
                "`http = {{ url = … }}`, `process = {{ command = […] }}`, or another of {}",
                KINDS.join(", ")
            ));
            for kind in KINDS {
                if desk.report.pruned(kind) {
                    return None;
                }
            }
            desk.report.push(finding);
            return None;
        }
    };
    let weight = desk.number(target.weight.as_ref(), 1, 0..=WEIGHT_MAX);
    let memory = target.memory_mib.as_ref().map(|written| desk.number(Some(written), 1, 1..=MEMORY_MIB_MAX));
    let price = target.price.as_ref().and_then(|written| {
        let found = known.prices.get(written.value.as_str()).cloned();
        if found.is_none() {
            desk.unknown("unknown_price", "price", written, known.prices.keys().map(AsRef::as_ref));
        }
        found
    });
    Some(Target {
        region,
        weight: u32::try_from(weight).unwrap_or(1),
        price,
        memory_mib: memory.and_then(|mib| u32::try_from(mib).ok()),
        backend,
    })
}

fn remote(written: At<RemoteConfig>, path: Option<&[&str]>, production: bool, desk: &mut Desk<'_>) -> RemoteConfig {
    let At { value: mut config, span } = written;
    for problem in config.problems() {
        let place = desk.text.within(&span, problem.field);
        let mut finding = desk.text.error("bad_target", &place, format!("`{}`: {}", problem.field, problem.message));
        if problem.may_be_secret() {
            // What was written instead of a reference may be the secret itself.
            finding.text = None;
        }
        desk.report.push(finding);
    }
    if production && config.is_exposed() {
        clear_text(&span, desk);
    }
    if let Some(path) = path {
        check_parameters(config.parameters().iter().map(String::as_str), path, &span, desk);
    }
    let ca = config.ca();
    *ca = absolute_ca(ca.take(), &span, desk);
    config
}

/// The route has every parameter that the target uses.
fn check_parameters<'n>(names: impl Iterator<Item = &'n str>, path: &[&str], span: &Range<usize>, desk: &mut Desk<'_>) {
    for name in names.filter(|name| !path.contains(name)) {
        let finding = desk.text.error("unknown_parameter", span, format!("the route has no parameter `{{{name}}}`"));
        desk.report.push(finding.nearest(name, path.iter().copied()));
    }
}

fn http(written: &At<HttpConfig>, path: Option<&[&str]>, production: bool, desk: &mut Desk<'_>) -> HttpConfig {
    let At { value: config, span } = written;
    let place = desk.text.within(span, &config.url);
    // What goes over a Unix socket stays on this machine.
    let exposed = production && config.unix.is_none();
    url(&At { value: config.url.clone(), span: place }, path, exposed, desk);
    duration(&config.connect_timeout, written, desk);
    let mut config = config.clone();
    let peer = Peer {
        ca: &mut config.ca,
        server_id: config.server_id.as_deref(),
        client_certificate: &mut config.client_certificate,
        client_key: &mut config.client_key,
        unix: &mut config.unix,
    };
    peer.check(&config.url, span, desk);
    config
}

/// Absolute, so that whoever opens it needs not know where the configuration is.
pub(crate) fn absolute_ca(ca: Option<PathBuf>, span: &Range<usize>, desk: &mut Desk<'_>) -> Option<PathBuf> {
    let ca = ca?;
    let text = ca.display().to_string();
    let at = At { span: desk.text.within(span, &text), value: text };
    let found = super::tls::authorities(&at, desk).map(|path| std::path::absolute(&path).unwrap_or(path));
    Some(found.unwrap_or(ca))
}

pub(crate) fn url(written: &At<String>, path: Option<&[&str]>, production: bool, desk: &mut Desk<'_>) {
    let At { value: text, span } = written;
    let help = "such as `https://legacy.internal:8443/stock/{sku}`";
    let Some((filled, names)) = fill(text) else {
        let message = format!("`{}` has a brace that stands for no parameter", shorten(text));
        return desk.error_help("bad_url", span, message, help);
    };
    let Some(url) = Url::parse(&filled).ok().filter(Url::has_host) else {
        return desk.error_help("bad_url", span, format!("`{}` is no URL", shorten(text)), help);
    };
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("`{}` is neither `http` nor `https`", url.scheme());
        return desk.error("bad_url", span, message);
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        let message = "a target's URL has no credentials or fragment";
        return desk.report.push(desk.text.error_unsaid("bad_url", span, message));
    }
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if authority.contains('{') {
        desk.error("bad_url", span, "a caller never chooses the host: no parameter there");
    }
    if production && url.scheme() == "http" && !is_loopback(&url) {
        clear_text(span, desk);
    }
    if let Some(path) = path {
        check_parameters(names.into_iter(), path, span, desk);
    }
}

fn clear_text(span: &Range<usize>, desk: &mut Desk<'_>) {
    let message = "the target is reached in clear text, in production";
    desk.warn("clear_text_target", span, message, "`https://`, with `ca` if its authority is your own");
}

/// The URL with each `{name}` filled in, and the names; `None` when braces don't match.
fn fill(text: &str) -> Option<(String, Vec<&str>)> {
    let (mut filled, mut names, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if before.contains('}') || name.is_empty() || name.contains('{') {
            return None;
        }
        filled.push_str(before);
        filled.push('x');
        names.push(name.trim_start_matches('*'));
        rest = after;
    }
    filled.push_str(rest);
    (!rest.contains('}')).then_some((filled, names))
}

fn process(written: &At<ProcessConfig>, desk: &mut Desk<'_>) -> ProcessConfig {
    let At { value: config, span } = written;
    if config.command.first().is_none_or(String::is_empty) {
        desk.error_help("no_command", span, "the process has no command", "`command = [\"./bootstrap\"]`");
    }
    for problem in config.problems().into_iter().filter(|problem| problem.field != "command") {
        let place = desk.text.within(span, problem.field);
        desk.error(code(problem.field), &place, format!("`{}`: {}", problem.field, problem.message));
    }
    let mut config = config.clone();
    // Programs run in the project's folder unless told otherwise, wherever the gateway was started.
    let directory = config.directory.as_deref().unwrap_or(Path::new(""));
    // A configuration that was named without its folder lies in the working directory.
    let resolved = Path::new(".").join(desk.directory).join(directory);
    if !resolved.is_dir() {
        let shown = directory.display().to_string();
        let place = desk.text.within(span, &shown);
        desk.error("missing_folder", &place, format!("there is no folder `{shown}`"));
    }
    config.directory = Some(std::path::absolute(&resolved).unwrap_or(resolved));
    config
}

/// What kind of finding a problem of this key of a process is.
fn code(field: &str) -> &'static str {
    match field {
        "environment" => "bad_environment",
        "idle_timeout" | "start_timeout" => "bad_duration",
        "event" | "intent" | "code" | "ready" | "handler" => "bad_target",
        _ => "out_of_range",
    }
}

pub(crate) fn duration<T>(text: &str, written: &At<T>, desk: &mut Desk<'_>) {
    if let Err(help) = value::duration(text) {
        let place = desk.text.within(&written.span, text);
        desk.error_help("bad_duration", &place, format!("`{}` is no duration", shorten(text)), help);
    }
}
