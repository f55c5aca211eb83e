//! `[listener.NAME]`

use super::{catalog::Catalog, identify::identify, route, socket, tcp, tls};
use crate::{
    address::Address,
    config::{Admin, Credential, Credentials, Issuer, Listener, Node, Shown, Timeouts, raw, raw::At, value::Desk},
};
use policy::question::PrincipalKind;
use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

/// Most connections at once that may be configured.
const CONNECTIONS_MAX: u64 = 1_000_000;

/// What listeners refer to.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) node: &'a Node,
    pub(crate) written: &'a raw::Identity,
    pub(crate) issuers: &'a [Issuer],
    pub(crate) credentials: &'a Credentials,
    pub(crate) admin: &'a Option<Admin>,
    pub(crate) catalog: &'a Catalog<'a>,
}

impl Surroundings<'_> {
    /// The kind of principal that a credential names.
    pub(crate) fn kind(&self, credential: &Credential) -> Option<PrincipalKind> {
        match credential {
            Credential::Anonymous => Some(PrincipalKind::Anonymous),
            Credential::Issuer(alias) => self.issuers.iter().find(|i| i.alias == *alias).map(|i| i.principal),
            Credential::Unix => Some(PrincipalKind::User),
            Credential::Mtls(_) => Some(PrincipalKind::Workload),
            Credential::ApiKeys(_) | Credential::Webhook(_) => Some(PrincipalKind::Client),
            Credential::All { .. } => None,
        }
    }
}

pub(crate) fn listeners(
    written: &raw::Named<raw::Listener>,
    around: &Surroundings<'_>,
    desk: &mut Desk<'_>,
) -> Vec<Listener> {
    if written.is_empty() {
        let finding = desk.text.error("no_listener", &(0..0), "the gateway listens nowhere");
        desk.report.push_missing("listener", finding.help("`[listener.public]` with an `address`"));
    }
    let mut tables: Vec<_> = written.iter().collect();
    tables.sort_by_key(|(name, _)| name.span.start);
    let mut listeners: Vec<Listener> = Vec::new();
    for (name, table) in tables {
        let Some(listener) = listener(name, table, around, desk) else { continue };
        if let (Some(at), true) = (&table.address, listener.address.port() != Some(0)) {
            if let Some(other) = listeners.iter().find(|other| other.address == listener.address) {
                let message = format!("listener `{}` has the same address", other.name);
                desk.error("duplicate_address", &at.span, message);
            }
            if around.admin.as_ref().is_some_and(|admin| admin.address == listener.address) {
                desk.error("duplicate_address", &at.span, "the administrative interface has the same address");
            }
        }
        listeners.push(listener);
    }
    listeners
}

fn listener(
    name: &At<String>,
    table: &raw::Listener,
    around: &Surroundings<'_>,
    desk: &mut Desk<'_>,
) -> Option<Listener> {
    let named = desk.name("a listener", name);
    let written = desk.required("address", &table.address, &name.span).cloned();
    let address = written.as_ref().and_then(|address| socket::address(address, desk));
    let access = socket::access(table.socket.as_ref(), address.as_ref(), socket::LISTENER_MODE, desk);
    if let (Some(address), Some(written)) = (&address, &written) {
        clear_text(table, address, &written.span, around.node, desk);
    }
    let identify = identify(name, table, around, address.as_ref(), desk);
    let tls = table.tls.as_ref().and_then(|written| tls::tls(written, &identify, jiff::Timestamp::now(), desk));
    let functions = shown(table.functions.as_ref(), around.catalog, desk);
    let tcp = tcp::tcp(table, &identify, &functions, around.catalog, desk).map(Arc::new);
    let hosts = table.hosts.iter().filter_map(|host| route::host(host, desk)).collect();
    if let (Some(Address::Unix(_)), Some(first)) = (&address, table.trusted_proxies.first()) {
        let message = "a caller over a Unix socket has no address, so none is a proxy's";
        desk.error_help("unused_key", &first.span, message, "remove it");
    }
    let trusted_proxies = table.trusted_proxies.iter().filter_map(|written| {
        let network = desk.network(written)?;
        if network.prefix_len() == 0 {
            let message = "everybody would be a trusted proxy and could choose its address";
            desk.error("everybody_trusted", &written.span, message);
        }
        Some(network)
    });
    let trusted_proxies = trusted_proxies.collect();
    let timeouts = timeouts(&table.timeouts, desk);
    let connections_max = desk.number(table.connections_max.as_ref(), 10_000, 1..=CONNECTIONS_MAX);
    Some(Listener {
        name: named?,
        address: address?,
        access,
        hosts,
        tls,
        identify,
        functions,
        trusted_proxies,
        tcp,
        timeouts,
        connections_max: usize::try_from(connections_max).unwrap_or(usize::MAX),
    })
}

/// Credentials in clear text are anybody's who listens on the way.
fn clear_text(table: &raw::Listener, address: &Address, span: &Range<usize>, node: &Node, desk: &mut Desk<'_>) {
    let meant = table.clear_text.as_ref().filter(|flag| flag.value);
    if let (Some(_), Some(flag)) = (&table.tls, meant) {
        desk.error("contradiction", &flag.span, "`tls` and `clear_text = true` exclude each other");
    }
    if table.tls.is_some() || address.is_local() {
        return;
    }
    match meant {
        Some(flag) if node.production => {
            desk.error("clear_text", &flag.span, "no clear text off loopback in production");
        }
        Some(_) => {}
        None => {
            let message = "this listener would take credentials in clear text off loopback";
            let help = "`tls = { certificate = …, key = \"file:…\" }`, or `clear_text = true` if that is meant";
            let finding = desk.text.error("clear_text", span, message);
            desk.report.push_missing("tls", finding.help(help));
        }
    }
}

fn shown(written: Option<&raw::Selection>, catalog: &Catalog<'_>, desk: &mut Desk<'_>) -> Shown {
    let Some(raw::Selection::Only(only)) = written else { return Shown::All };
    let mut apps: BTreeSet<Arc<str>> = BTreeSet::new();
    for written in &only.app {
        let known = || catalog.apps.iter().map(|placed| placed.app.declared.name.as_ref());
        if known().any(|name| name == written.value) {
            apps.insert(written.value.as_str().into());
        } else {
            desk.unknown("unknown_app", "app", written, known());
        }
    }
    let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
    for written in &only.name {
        if catalog.names.contains_key(written.value.as_str()) {
            names.insert(written.value.as_str().into());
        } else {
            desk.unknown("unknown_function", "function", written, catalog.names.keys().map(AsRef::as_ref));
        }
    }
    Shown::Only { apps, names }
}

fn timeouts(written: &raw::Timeouts, desk: &mut Desk<'_>) -> Timeouts {
    let limits = Duration::from_millis(100)..=Duration::from_secs(3600);
    let default = Timeouts::default();
    let mut read = |written: &Option<At<String>>, default| desk.duration(written.as_ref(), default, limits.clone());
    Timeouts {
        handshake: read(&written.handshake, default.handshake),
        header: read(&written.header, default.header),
        body: read(&written.body, default.body),
        idle: read(&written.idle, default.idle),
    }
}
