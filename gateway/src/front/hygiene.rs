//! Headers that a client must not decide: identity, hop-by-hop, and what `Connection` may not name.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Most header fields of a request.
pub const FIELDS_MAX: usize = 100;

/// Names that a backend may take for an identity or an address. `_` counts as `-`: many servers fold them.
const NAMES: [&str; 30] = [
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "from",
    "proxy",
    "proxy-user",
    "remote-addr",
    "remote-groups",
    "remote-user",
    "true-client-ip",
    "x-api-user",
    "x-cluster-client-ip",
    "x-functions-key",
    "x-groups",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-principal",
    "x-real-ip",
    "x-rewrite-url",
    "x-role",
    "x-roles",
    "x-subject",
    "x-tenant-id",
    "x-user",
    "x-username",
    "x-wap-profile",
];

/// Prefixes of such names.
const PREFIXES: [&str; 31] = [
    "latchwork-",
    "cf-access-",
    "cf-connecting-",
    "oidc-",
    "remote-user-",
    "ssl-client-",
    "tailscale-user-",
    "x-amzn-oidc-",
    "x-appengine-",
    "x-auth-",
    "x-authenticated-",
    "x-azure-",
    "x-client-",
    "x-consumer-",
    "x-credential-",
    "x-email",
    "x-endpoint-api-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-identity",
    "x-jwt-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-original-",
    "x-pomerium-",
    "x-remote-",
    "x-ssl-",
    "x-user-",
    "x-webauth-",
];

/// Fields that end at this hop (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A header that makes the request refusable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// `Connection` names a field that must not be dropped on the way.
    #[error("`connection` names `{0}`, which is not a hop-by-hop field")]
    ConnectionNames(String),
    /// `Connection` is unreadable.
    #[error("`connection` is not a list of field names")]
    Connection,
    /// More than one value where only one makes sense.
    #[error("`{0}` is given more than once")]
    Repeated(HeaderName),
}

/// Removes identity and hop-by-hop fields, and those that `Connection` names.
///
/// `Authorization` and `Cookie` stay: identify reads them, and [`strip_credentials`] removes them after.
///
/// # Errors
/// When `Connection` names a field that decides framing, identity or host, or a singular field is repeated.
pub fn clean(headers: &mut HeaderMap) -> Result<(), HeaderError> {
    for singular in [header::AUTHORIZATION, header::HOST, header::CONTENT_TYPE] {
        if headers.get_all(&singular).iter().nth(1).is_some() {
            return Err(HeaderError::Repeated(singular));
        }
    }
    if headers.contains_key(header::CONNECTION) {
        drop_named(headers)?;
    }
    join_cookies(headers);
    let doomed: Vec<HeaderName> = headers.keys().filter(|n| removes(n)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
    Ok(())
}

/// Removes the caller's credentials, except those that the function's configuration forwards.
pub fn strip_credentials(headers: &mut HeaderMap, forwarded: &[HeaderName]) {
    for name in [header::AUTHORIZATION, header::COOKIE] {
        if !forwarded.contains(&name) {
            headers.remove(name);
        }
    }
}

/// HTTP/2 lets clients split cookies into several fields; to everybody behind us they are one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() < 2 {
        return;
    }
    let joined = crumbs.join(&b"; "[..]);
    // What was joined of good values is a good value.
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, value);
    }
}

fn drop_named(headers: &mut HeaderMap) -> Result<(), HeaderError> {
    let mut named = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        let text = value.to_str().map_err(|_| HeaderError::Connection)?;
        for token in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            let name = HeaderName::try_from(token).map_err(|_| HeaderError::Connection)?;
            let keeps =
                [header::AUTHORIZATION, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::COOKIE, header::HOST];
            if keeps.contains(&name) || identity(name.as_str()) || name == "traceparent" {
                return Err(HeaderError::ConnectionNames(name.as_str().to_owned()));
            }
            named.push(name);
        }
    }
    for name in named {
        headers.remove(name);
    }
    Ok(())
}

/// Whether a description of a request may have this field among its headers: it says nothing of framing, identity,
/// content or host.
pub(crate) fn may_be_given(name: &HeaderName) -> bool {
    const OTHERS: [HeaderName; 5] =
        [header::AUTHORIZATION, header::COOKIE, header::HOST, header::CONTENT_TYPE, header::CONTENT_LENGTH];
    !removes(name) && !OTHERS.contains(name) && !name.as_str().starts_with("grpc-")
}

/// Whether [`clean`] removes a field.
pub(crate) fn removes(name: &HeaderName) -> bool {
    hop_by_hop(name) || identity(name.as_str())
}

fn hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

/// Whether a backend may take this field for an identity or an address.
fn identity(name: &str) -> bool {
    let folded;
    let name = if name.contains('_') {
        folded = name.replace('_', "-");
        folded.as_str()
    } else {
        name
    };
    NAMES.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(fields: &[(&str, &str)]) -> Result<Vec<String>, HeaderError> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        clean(&mut headers)?;
        Ok(headers.keys().map(|n| n.as_str().to_owned()).collect())
    }

    #[test]
    fn identity_headers_go_in_every_spelling() {
        for name in [
            "latchwork-caller",
            "Latchwork_Caller",
            "x-forwarded-for",
            "X_Forwarded_Client_Cert",
            "x-forwarded-client-cert",
            "remote_user",
            "x-real-ip",
            "x-user-id",
            "x-auth-request-email",
            "x-ms-client-principal-name",
            "x-goog-iap-jwt-assertion",
            "x-amzn-oidc-data",
            "x-functions-key",
            "forwarded",
        ] {
            assert_eq!(cleaned(&[(name, "eve"), ("accept", "x")]).unwrap(), ["accept"], "{name}");
        }
    }

    #[test]
    fn connection_drops_what_it_names_and_may_not_name_everything() {
        assert_eq!(
            cleaned(&[("connection", "x-once, keep-alive"), ("x-once", "1"), ("accept", "x")]).unwrap(),
            ["accept"]
        );
        for name in ["authorization", "host", "content-length", "latchwork-caller", "x_forwarded_for", "cookie"] {
            let refused = cleaned(&[("connection", name)]);
            assert_eq!(refused, Err(HeaderError::ConnectionNames(name.to_owned())));
        }
        assert_eq!(cleaned(&[("connection", "a b")]), Err(HeaderError::Connection));
    }

    #[test]
    fn a_second_authorization_is_refused() {
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(cleaned(&twice), Err(HeaderError::Repeated(header::AUTHORIZATION)));
    }

    #[test]
    fn credentials_go_unless_forwarded() {
        let mut headers: HeaderMap =
            [(header::AUTHORIZATION, "Bearer x".parse().unwrap()), (header::COOKIE, "a=b".parse().unwrap())]
                .into_iter()
                .collect();
        strip_credentials(&mut headers, &[header::COOKIE]);
        assert!(headers.contains_key(header::COOKIE) && !headers.contains_key(header::AUTHORIZATION));
    }
}
