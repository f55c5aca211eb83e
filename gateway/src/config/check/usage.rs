//! Warnings about what was written and is of no use: most often a slip.

use super::{catalog::Catalog, route};
use crate::config::{Admin, Credential, Listener, raw, raw::At, report::Report, text::Text};

pub(crate) fn check(
    (text, identity, written): (&Text, &raw::Identity, &raw::Named<raw::Listener>),
    listeners: &[Listener],
    admin: Option<&Admin>,
    catalog: &Catalog<'_>,
    report: &mut Report,
) {
    if catalog.names.is_empty() {
        let finding = text.error("no_function", &(0..0), "there is no function to call");
        report.push_missing("function", finding.help("`[function.\"NAME\"]`, here or in a file under `include`"));
        return;
    }
    if report.failed() {
        // What is of no use now may be of use once the errors are mended.
        return;
    }
    for listener in listeners {
        let Some((name, _)) = written.iter().find(|(name, _)| *name.value == *listener.name) else { continue };
        if !catalog.functions.iter().any(|placed| route::shows(listener, placed)) {
            let message = format!("listener `{}` shows no function", name.value);
            report.push(text.error("shows_nothing", &name.span, message).help("see `functions`").warning());
        }
    }
    for (alias, what) in aliases(identity) {
        let counts = |c: &Credential| c.alias().is_some_and(|name| **name == *alias.value);
        let administrators = admin.and_then(|admin| admin.identify.as_ref()).into_iter().flatten();
        let entries = listeners.iter().flat_map(|l| &l.identify).chain(administrators);
        let mut taken = entries.flat_map(Credential::parts);
        if !listeners.is_empty() && !taken.any(counts) {
            let message = format!("no listener takes {what} of `{}`", alias.value);
            report.push(text.error("unused_issuer", &alias.span, message).help("see `identify`").warning());
        }
    }
    for app in &catalog.apps {
        let name = &app.app.declared.name;
        if !catalog.functions.iter().any(|placed| placed.function.declared.app == *name) {
            let message = format!("app `{name}` has no function");
            report.push(app.place.text.error("unused_app", &app.place.span, message).warning());
        }
    }
    functions(listeners, catalog, report);
}

fn aliases(identity: &raw::Identity) -> impl Iterator<Item = (&At<String>, &'static str)> {
    let issuers = identity.issuer.keys().map(|alias| (alias, "tokens"));
    let mtls = identity.mtls.keys().map(|alias| (alias, "certificates"));
    let keys = identity.api_keys.keys().map(|alias| (alias, "keys"));
    issuers.chain(mtls).chain(keys).chain(identity.webhook.keys().map(|alias| (alias, "webhooks")))
}

fn functions(listeners: &[Listener], catalog: &Catalog<'_>, report: &mut Report) {
    if listeners.is_empty() {
        return;
    }
    for placed in &catalog.functions {
        let name = &placed.function.declared.name;
        let showing: Vec<&Listener> = listeners.iter().filter(|listener| route::shows(listener, placed)).collect();
        if showing.is_empty() {
            let message = format!("no listener shows `{name}`");
            report.push(placed.name.text.error("unshown_function", &placed.name.span, message).warning());
            continue;
        }
        let Some(host) = placed.function.route.as_ref().and_then(|route| route.host.as_ref()) else { continue };
        let answers = |listener: &&Listener| listener.hosts.is_empty() || listener.hosts.contains(host);
        if !showing.iter().any(answers) {
            let message = format!("no listener that shows `{name}` answers for `{host}`");
            report.push(placed.name.text.error("unserved_host", &placed.route, message).warning());
        }
    }
}
