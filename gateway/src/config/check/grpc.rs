//! What gRPC asks of a route and of a target: `"grpc shop.v1.Orders/Create"`, `grpc = { url = … }`.

use super::{catalog::Known, peer::Peer, target};
use crate::config::{
    BackendConfig, Route, Target, raw,
    raw::At,
    value::{Desk, shorten},
};
use mesh::{
    backend::{grpc::GrpcConfig, process::Protocol},
    bind::protobuf::{Descriptions, Method},
};
use policy::finding::Finding;
use std::path::Path;
use url::Url;

/// What a route of gRPC begins with.
pub(crate) const WORD: &str = "grpc";

/// Services that the gateway answers itself.
const OWN: [&str; 4] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "latchwork.invoke.v1.Invoke",
];

/// The path of a method, from its name.
pub(crate) fn pattern(written: &At<String>, name: &str, desk: &mut Desk<'_>) -> Option<String> {
    let identifier = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let parts = name.split_once('/');
    let Some((service, _)) = parts.filter(|(s, method)| s.split('.').all(identifier) && identifier(method)) else {
        let message = format!("`{}` is no method of gRPC", shorten(name));
        // One function per method: policy is asked of each by its own name.
        desk.error_help("bad_route", &written.span, message, "one method, such as `grpc shop.v1.Orders/Create`");
        return None;
    };
    if OWN.contains(&service) {
        let message = format!("`{service}` is answered by the gateway itself");
        desk.error_help("reserved_name", &written.span, message, "choose another service");
        return None;
    }
    Some(format!("/{name}"))
}

/// Reads the target.
pub(crate) fn backend(written: &At<GrpcConfig>, production: bool, desk: &mut Desk<'_>) -> GrpcConfig {
    let At { value: config, span } = written;
    let place = desk.text.within(span, &config.url);
    let url = At { value: config.url.clone(), span: place };
    let path = Url::parse(&url.value).is_ok_and(|url| !matches!(url.path(), "" | "/") || url.query().is_some());
    if path {
        let help = "host and port alone: the path is the method's name";
        desk.error_help("bad_url", &url.span, format!("`{}` has a path", shorten(&url.value)), help);
    } else {
        target::url(&url, None, production && config.unix.is_none(), desk);
    }
    target::duration(&config.connect_timeout, written, desk);
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

/// Targets that speak gRPC take nothing else. A method of gRPC runs on others too, if its messages can be said to them.
pub(crate) fn fits(
    name: &At<String>,
    table: &raw::Function,
    (route, method): (Option<&Route>, Option<&Method>),
    targets: &[Target],
    desk: &mut Desk<'_>,
) {
    let place = table.route.as_ref().map_or(&name.span, |route| &route.span);
    let spoken = route.is_some_and(|route| route.grpc);
    let speaks = |target: &Target| match &target.backend {
        BackendConfig::Grpc(_) => true,
        BackendConfig::Process(process) => process.protocol == Protocol::Grpc,
        BackendConfig::Http(_) | BackendConfig::Remote(_) => false,
    };
    let all_speak = targets.iter().all(speaks);
    let bytes = route.is_some_and(|route| route.bytes);
    if spoken && !all_speak && table.descriptors.is_none() && !bytes {
        let message = "a target that does not speak gRPC is given JSON, and the method's messages are not described";
        let help = "name their `descriptors`, or have it given them as they are: `messages = \"bytes\"`";
        desk.error_help("grpc_mismatch", place, message, help);
    }
    if let (false, Some(method)) = (all_speak, method)
        && (method.takes_stream() || (bytes && method.answers_stream()))
    {
        let message = "a target that does not speak gRPC takes one message, and as bytes it answers one";
        desk.error_help("grpc_mismatch", place, message, "streams of messages need a `grpc` target");
    }
    if let Some(messages) = table.messages.as_ref().filter(|_| !spoken || all_speak) {
        let message = "`messages` is for a method of gRPC whose targets don't speak it, and there is none";
        desk.error_help("grpc_mismatch", &messages.span, message, "remove it");
    }
    // A route that was refused has been spoken of already.
    if !spoken && (route.is_some() || table.route.is_none()) && targets.iter().any(speaks) {
        let message = "a `grpc` target needs the route of a method";
        desk.error_help("grpc_mismatch", place, message, "such as `route = \"grpc shop.v1.Orders/Create\"`");
    }
    if let (true, Some(input), None) = (spoken, &table.input, &table.descriptors) {
        let message = "messages of gRPC pass through unread, so there is nothing to check against a schema";
        desk.error_help("input_unread", &input.span, message, "name their `descriptors`, such as `proto/orders.proto`");
    }
    if let (false, Some(descriptors)) = (spoken, &table.descriptors)
        && (route.is_some() || table.route.is_none())
    {
        let message = "`descriptors` are of the messages of a method of gRPC, and the function has no such route";
        desk.error_help("grpc_mismatch", &descriptors.span, message, "remove it, or see `input`");
    }
}

/// The method that the route names, if its descriptors are named.
pub(crate) fn method(
    table: &raw::Function,
    route: Option<&Route>,
    known: &Known<'_>,
    desk: &mut Desk<'_>,
) -> Option<Method> {
    let written = table.descriptors.as_ref()?;
    let (service, name) = route.filter(|route| route.grpc)?.pattern.strip_prefix('/')?.split_once('/')?;
    let path = desk.path(&written.value);
    let mut all = known.descriptions.borrow_mut();
    let descriptions = all.entry(path).or_insert_with_key(|path| descriptions(written, path, desk)).as_ref()?;
    let place = table.route.as_ref().map_or(&written.span, |route| &route.span);
    let Some(method) = descriptions.method(service, name) else {
        let message = format!("`{}` describes no method `{service}/{name}`", shorten(&written.value));
        let methods = descriptions.methods();
        let finding = desk.text.error("unknown_method", place, message);
        let finding = finding.nearest(&format!("{service}/{name}"), methods.iter().map(String::as_str));
        desk.report.push(finding);
        return None;
    };
    if let (true, Some(input)) = (method.takes_stream(), &table.input) {
        let message = format!("`{service}/{name}` takes a stream of messages, which passes through unread");
        desk.error_help("input_unread", &input.span, message, "remove it: policy can't look at what has not come yet");
    }
    Some(method)
}

/// Reads a file of descriptors; says what is wrong with it where that is.
fn descriptions(written: &At<String>, path: &Path, desk: &mut Desk<'_>) -> Option<Descriptions> {
    let error = match Descriptions::load(path, desk.directory) {
        Ok(descriptions) => return Some(descriptions),
        Err(error) => error,
    };
    if error.line == 0 {
        desk.error("bad_descriptors", &written.span, format!("`{}`: {}", shorten(&written.value), error.message));
        return None;
    }
    // Named as the rest of the configuration is, whatever folder that is named from.
    let inside = std::path::absolute(desk.directory).ok();
    let inside = inside.and_then(|folder| Some(desk.directory.join(error.file.strip_prefix(folder).ok()?)));
    let file = inside.as_deref().unwrap_or(&error.file).display().to_string();
    let mut finding = Finding::error("bad_descriptors", file, error.message);
    (finding.line, finding.column) = (error.line, error.column);
    desk.report.push(finding);
    None
}
