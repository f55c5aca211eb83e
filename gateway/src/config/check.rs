//! From as written to checked: every value parsed, every reference resolved, every problem reported.

use super::{Config, Function, raw, report::Report, text::Text, value::Desk};
use std::path::PathBuf;

mod admin;
pub(crate) mod api_keys;
mod audit;
mod budget;
mod calendar;
mod catalog;
mod collector;
mod cors;
mod credential;
mod detect;
mod dispatch;
mod function;
mod grpc;
mod identify;
mod input;
mod issuer;
mod listener;
mod peer;
mod price;
mod reference;
mod retention;
mod route;
mod settings;
mod ship;
mod signed;
mod soap;
mod socket;
mod target;
mod tcp;
mod telemetry;
mod tls;
mod transcode;
mod usage;
pub(crate) mod validity;
mod warm;
mod webhook;

/// What was read from files, not yet checked.
#[derive(Debug)]
pub(crate) struct Written {
    /// The file that was named.
    pub(crate) path: PathBuf,
    /// Its folder.
    pub(crate) directory: PathBuf,
    /// Its text.
    pub(crate) text: Text,
    /// What it says.
    pub(crate) file: raw::File,
    /// Included catalogs.
    pub(crate) catalogs: Vec<(Text, raw::Catalog)>,
}

/// Checks everything. The configuration is worth something only if the report has not failed.
pub(crate) fn check(written: Written, report: &mut Report) -> Option<Config> {
    let Written { path, directory, text, file, catalogs } = written;
    let raw::File {
        node,
        listener,
        identity,
        network,
        admin,
        policy,
        audit,
        limits,
        telemetry,
        calendar,
        app,
        function,
        price,
        budget,
        include: _,
    } = file;
    let mut desk = Desk { text: &text, directory: &directory, report };

    let node = settings::node(&node, &mut desk);
    let issuers = issuer::issuers(&identity, &node, &mut desk);
    let credentials = credential::credentials(&identity, &issuers, &mut desk);
    let zones = settings::zones(&network, &mut desk);
    let mut interface = admin::admin(&admin, &node, &mut desk);
    let policy = settings::policy(&policy, &node, &mut desk);
    let calendars = calendar::calendars(&calendar, &mut desk);
    let mut audit = audit::audit(&audit, (&node, &calendars), &mut desk);
    let limits = settings::limits(&limits, &mut desk);
    let telemetry = telemetry::telemetry(telemetry.as_ref(), &node, &mut desk);

    let own = raw::Catalog { app, function, price };
    let mut parts = vec![(&text, &own)];
    parts.extend(catalogs.iter().map(|(text, catalog)| (text, catalog)));
    let catalog = catalog::catalog(parts, (&issuers, &calendars), node.production, &directory, report);

    let mut desk = Desk { text: &text, directory: &directory, report };
    let surroundings = listener::Surroundings {
        node: &node,
        written: &identity,
        issuers: &issuers,
        credentials: &credentials,
        admin: &interface,
        catalog: &catalog,
    };
    let address = interface.as_ref().map(|interface| &interface.address);
    let administrators = admin::identify(&admin, address, &surroundings, &mut desk);
    let listeners = listener::listeners(&listener, &surroundings, &mut desk);
    if let Some(interface) = &mut interface {
        interface.identify = administrators;
    }
    route::conflicts(&listeners, &catalog, report);
    usage::check((&text, &identity, &listener), &listeners, interface.as_ref(), &catalog, report);

    let functions: Vec<Function> = catalog.functions.into_iter().map(|placed| placed.function).collect();
    detect::wait_for(&functions, &mut audit.detect);
    let mut desk = Desk { text: &text, directory: &directory, report };
    let budgets = budget::budgets(&budget, &functions, &mut desk);
    let apps = catalog.apps.into_iter().map(|placed| placed.app).collect();
    Some(Config {
        file: path,
        directory: if directory.as_os_str().is_empty() { ".".into() } else { directory.clone() },
        node,
        listeners,
        issuers,
        credentials,
        zones,
        admin: interface?,
        policy,
        audit,
        limits,
        telemetry,
        apps,
        functions,
        budgets,
    })
}
