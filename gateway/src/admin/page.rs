//! Requests that web pages make of the interface are refused, whatever they ask for.

use http::{HeaderMap, Request, header};

/// Whether a browser sends this for a page. A person who opens an address sends neither.
pub(super) fn is_made_by_one(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").is_some_and(|site| site != "none");
    site || headers.contains_key(header::ORIGIN)
}

/// Whether the host is loopback by name: others resolve to it by accident or by design (DNS rebinding).
pub(super) fn names_loopback<B>(request: &Request<B>) -> bool {
    // Over HTTP/2 it is part of what is asked for.
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let host = host.or(request.uri().authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn a_page_is_known_by_what_browsers_add() {
        let cases: [(&[(&str, &str)], bool); 6] = [
            (&[], false),
            (&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("origin", "https://evil.example")], true),
            (&[("origin", "null")], true),
        ];
        for (headers, expected) in cases {
            let pairs = headers.iter().map(|(name, value)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
            });
            assert_eq!(is_made_by_one(&pairs.collect()), expected, "{headers:?}");
        }
    }

    #[test]
    fn only_loopback_names_are_ours() {
        let cases = [
            ("localhost:9443", true),
            ("127.0.0.1", true),
            ("127.8.0.1:1", true),
            ("[::1]:9443", true),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ];
        for (host, expected) in cases {
            let request = Request::builder().header(header::HOST, host).body(()).unwrap();
            assert_eq!(names_loopback(&request), expected, "{host}");
        }
    }
}
