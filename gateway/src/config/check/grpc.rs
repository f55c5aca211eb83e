//! What gRPC asks of a route and of a target: `"grpc shop.v1.Orders/Create"`, `grpc = { url = … }`.

use super::{peer::Peer, target};
use crate::config::{
    BackendConfig, Route, Target, raw,
    raw::At,
    value::{Desk, shorten},
};
use mesh::backend::grpc::GrpcConfig;
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

/// A method of gRPC runs on targets that speak gRPC, and those take nothing else.
pub(crate) fn fits(
    name: &At<String>,
    table: &raw::Function,
    route: Option<&Route>,
    targets: &[Target],
    desk: &mut Desk<'_>,
) {
    let place = table.route.as_ref().map_or(&name.span, |route| &route.span);
    let spoken = route.is_some_and(|route| route.grpc);
    let speaks = |target: &Target| matches!(target.backend, BackendConfig::Grpc(_));
    if spoken && !targets.iter().all(speaks) {
        let message = "a method of gRPC runs on `grpc` targets only";
        desk.error_help("grpc_mismatch", place, message, "such as `grpc = { url = \"http://127.0.0.1:50051\" }`");
    }
    // A route that was refused has been spoken of already.
    if !spoken && (route.is_some() || table.route.is_none()) && targets.iter().any(speaks) {
        let message = "a `grpc` target needs the route of a method";
        desk.error_help("grpc_mismatch", place, message, "such as `route = \"grpc shop.v1.Orders/Create\"`");
    }
    if let (true, Some(input)) = (spoken, &table.input) {
        let message = "messages of gRPC pass through unread, so there is nothing to check against a schema";
        desk.error_help("input_unread", &input.span, message, "remove it, or call the function by name with JSON");
    }
}
