//! `soap_action = { … }`: which operation of SOAP a route takes.

use crate::config::{
    BackendConfig, Target, raw,
    raw::At,
    route::{Route, SoapAction},
    value::{Desk, shorten},
};
use mesh::{
    backend::remote::RemoteConfig,
    soap::{
        Name, Version,
        action::is_action,
        wsdl::{Operation, Wanted},
    },
};
use std::sync::Arc;

/// Reads it, for a route of this method.
pub(crate) fn action(
    table: &raw::Function,
    method: Option<&http::Method>,
    desk: &mut Desk<'_>,
) -> Option<Arc<SoapAction>> {
    let At { value: written, span } = table.soap_action.as_ref()?;
    if method != Some(&http::Method::POST) {
        let place = table.route.as_ref().map_or(span, |route| &route.span);
        desk.error_help("soap_mismatch", place, "messages of SOAP are posted", "such as `POST /services`");
        return None;
    }
    let action = written.action.as_ref().filter(|action| {
        let sound = is_action(&action.value);
        if !sound {
            desk.error("bad_soap_action", &action.span, format!("`{}` is no URI", shorten(&action.value)));
        }
        sound
    });
    let element = written.element.as_ref().and_then(|element| {
        let name = Name::parse(&element.value);
        if name.is_none() {
            let message = format!("`{}` is no element", shorten(&element.value));
            desk.error_help("bad_soap_action", &element.span, message, "such as `{urn:example:host}balance`");
        }
        name
    });
    let operation = match &written.wsdl {
        Some(wsdl) => Some(operation(wsdl, written, desk)?),
        None => None,
    };
    if let (Some(At { span, .. }), None) = (&written.operation, &operation) {
        desk.error("soap_mismatch", span, "an operation is one of a `wsdl`");
    }
    let described = operation.as_ref().map(|operation| (operation.action.clone(), operation.element().cloned()));
    let (action, element) = match (action, element, described) {
        (Some(action), Some(element), None) => (action.value.as_str().into(), Some(element)),
        (action, element, Some((said, taken))) => {
            if let (Some(element), Some(At { span, .. })) = (&element, &written.element)
                && Some(element) != taken.as_ref()
            {
                desk.error("soap_mismatch", span, "the operation in the WSDL takes another element");
            }
            (action.map_or(said, |action| action.value.as_str().into()), taken)
        }
        (_, _, None) => {
            // What was refused has been spoken of already.
            if written.action.is_none() || written.element.is_none() {
                let message = "an operation is known by its action and by the element in its messages";
                let help = "`action` and `element`, or a `wsdl` with its `operation`";
                desk.error_help("missing_key", span, message, help);
            }
            return None;
        }
    };
    Some(Arc::new(SoapAction { action, element, operation }))
}

/// The operation that a WSDL describes; ports that differ in their version only are the same here.
fn operation(wsdl: &At<String>, written: &raw::SoapAction, desk: &mut Desk<'_>) -> Option<Operation> {
    let operation = written.operation.as_ref().map(|operation| operation.value.as_str());
    let action = written.action.as_ref().map(|action| action.value.as_str());
    if operation.is_none() && action.is_none_or(str::is_empty) {
        let message = "which operation of the WSDL this is";
        desk.error_help("missing_key", &wsdl.span, message, "name its `operation`, or its `action`");
        return None;
    }
    // An action that is named beside the operation is another one than the WSDL's.
    let action = action.filter(|_| operation.is_none());
    let path = desk.path(&wsdl.value);
    let of =
        |version| Operation::load(&path, &Wanted { operation, action, version: Some(version), ..Wanted::default() });
    match of(Version::V11).or_else(|why| of(Version::V12).map_err(|_| why)) {
        Ok(operation) => Some(operation),
        Err(why) => {
            desk.error("bad_wsdl", &wsdl.span, format!("`{}`: {why}", shorten(&wsdl.value)));
            None
        }
    }
}

/// A function that takes messages runs on targets that take them as they are.
pub(crate) fn fits(table: &raw::Function, route: Option<&Route>, targets: &[Target], desk: &mut Desk<'_>) {
    let Some(written) = &table.soap_action else { return };
    if table.route.is_none() {
        let message = "an action is one of a route";
        desk.error_help("soap_mismatch", &written.span, message, "such as `route = \"POST /services\"`");
    }
    let mut no = |message: &str, help: &str| desk.error_help("soap_mismatch", &written.span, message, help);
    for target in targets {
        match &target.backend {
            BackendConfig::Grpc(_) => no("a `grpc` target takes no messages of SOAP", "such as `http = { url = … }`"),
            BackendConfig::Remote(RemoteConfig::Soap(soap)) if soap.template.is_some() => {
                no("a template makes messages of JSON, and this route takes messages", "pass them on: name the `wsdl`");
            }
            BackendConfig::Remote(RemoteConfig::Soap(soap)) if !soap.query.is_empty() => {
                no("`query` makes messages of JSON, and this route takes messages", "remove it: the message says it");
            }
            BackendConfig::Remote(_) | BackendConfig::Http(_) | BackendConfig::Process(_) => {}
        }
    }
    let undescribed = route.and_then(|route| route.soap.as_ref()).is_some_and(|soap| soap.operation.is_none());
    if let (true, Some(input)) = (undescribed, &table.input) {
        let message = "messages that are not described pass through unread, so there is nothing to check";
        desk.error_help("input_unread", &input.span, message, "name their `wsdl` in `soap_action`");
    }
}
