//! Warnings about what was written and is of no use: most often a slip.

use super::{catalog::Catalog, route};
use crate::config::{Credential, Listener, raw, report::Report, text::Text};

pub(crate) fn check(
    text: &Text,
    identity: &raw::Identity,
    written: &raw::Named<raw::Listener>,
    listeners: &[Listener],
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
    for alias in identity.issuer.keys() {
        let counts = |c: &Credential| matches!(c, Credential::Issuer(name) if **name == *alias.value);
        if !listeners.is_empty() && !listeners.iter().any(|listener| listener.identify.iter().any(counts)) {
            let message = format!("no listener takes tokens of `{}`", alias.value);
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
