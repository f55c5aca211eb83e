//! `tcp = { … }` of a listener: whose connections are calls, of which functions.

use super::catalog::{Catalog, Placed};
use crate::config::{BackendConfig, Credential, Shown, Target, Tcp, raw, raw::At, route::Route, value::Desk};
use mesh::backend::remote::RemoteConfig;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Longest silence that may be configured.
const IDLE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const IDLE: Duration = Duration::from_secs(5 * 60);
/// Most bytes of one connection that may be configured, and are unless configured.
const BYTES_MAX: u64 = 1 << 50;
const BYTES: u64 = 1 << 30;
/// Most server names of one listener.
const NAMES_MAX: usize = 1_000;

/// Reads it, for a listener with these credentials.
pub(crate) fn tcp(
    table: &raw::Listener,
    identify: &[Credential],
    shown: &Shown,
    catalog: &Catalog<'_>,
    desk: &mut Desk<'_>,
) -> Option<Tcp> {
    let At { value: written, span } = table.tcp.as_ref()?;
    let certified = identify.iter().all(|credential| matches!(credential, Credential::Mtls(_)));
    let asked = table.tls.as_ref().is_some_and(|tls| tls.value.client_ca.is_some());
    if !certified || !asked {
        let message = "who connects is known by a client certificate alone";
        let help = "`tls` with `client_ca`, and aliases of `[identity.mtls]` alone in `identify`";
        desk.error_help("tcp_mismatch", span, message, help);
    }
    let unused = table.hosts.iter().chain(&table.trusted_proxies);
    for unused in unused {
        desk.error("unused_key", &unused.span, "a connection that is a call names no host and has no proxy's header");
    }
    if written.function.is_none() && written.names.is_empty() {
        desk.error_help("missing_key", span, "the listener has no function", "`function = \"host.session\"`");
    }
    if written.names.len() > NAMES_MAX {
        desk.error("too_many", span, format!("a listener has at most {NAMES_MAX} names"));
    }
    let function = |name: &At<String>, desk: &mut Desk<'_>| named(name, shown, catalog, desk);
    let default = written.function.as_ref().map(|name| function(name, desk));
    let mut names = BTreeMap::new();
    for (name, of) in &written.names {
        let host = super::route::host(name, desk);
        names.extend(host.zip(function(of, desk)));
    }
    Some(Tcp {
        function: default.flatten(),
        names,
        idle: desk.duration(written.idle.as_ref(), IDLE, Duration::from_millis(100)..=IDLE_MAX),
        bytes_max: desk.number(written.bytes_max.as_ref(), BYTES, 1..=BYTES_MAX),
    })
}

/// A function that connections are calls of.
fn named(written: &At<String>, shown: &Shown, catalog: &Catalog<'_>, desk: &mut Desk<'_>) -> Option<Arc<str>> {
    let is = |placed: &&Placed<'_>| placed.function.declared.name.as_str() == written.value;
    let Some(placed) = catalog.functions.iter().find(is) else {
        // One that was refused has been spoken of already.
        if !catalog.names.contains_key(written.value.as_str()) {
            desk.unknown("unknown_function", "function", written, catalog.names.keys().map(AsRef::as_ref));
        }
        return None;
    };
    if !placed.function.targets.iter().all(is_tcp) {
        let message = format!("`{}` runs on targets that take no connection", written.value);
        desk.error_help(
            "tcp_mismatch",
            &written.span,
            message,
            "such as `tcp = { url = \"tcp://host.internal:5432\" }`",
        );
    }
    let declared = &placed.function.declared;
    let shows = match shown {
        Shown::All => true,
        Shown::Only { apps, names } => apps.contains(&declared.app) || names.contains(declared.name.as_str()),
    };
    if !shows {
        let message = format!("the listener does not show `{}`", written.value);
        desk.error_help("tcp_mismatch", &written.span, message, "see `functions`");
    }
    Some(written.value.as_str().into())
}

/// A function of connections has no request: no route, and no input to look at.
pub(crate) fn fits(table: &raw::Function, route: Option<&Route>, targets: &[Target], desk: &mut Desk<'_>) {
    if !targets.iter().any(is_tcp) {
        return;
    }
    if let (Some(_), Some(written)) = (route, &table.route) {
        let message = "a `tcp` target takes connections, and a route takes requests";
        desk.error_help("tcp_mismatch", &written.span, message, "name the function in `tcp` of a listener instead");
    }
    if let Some(input) = &table.input {
        let message = "connections pass through unread, so there is nothing to check";
        desk.error_help("input_unread", &input.span, message, "remove it: policy can't look at what has not come yet");
    }
}

/// Whether a target takes connections.
pub(crate) fn is_tcp(target: &Target) -> bool {
    matches!(&target.backend, BackendConfig::Remote(RemoteConfig::Tcp(_)))
}
