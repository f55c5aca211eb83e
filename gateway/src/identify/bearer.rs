//! Takes the bearer token out of the `Authorization` header (RFC 6750, 2.1). Query and body are never looked at.

use super::fault::Fault;
use http::{HeaderMap, header::AUTHORIZATION};

/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The token; `None` when there is no `Authorization` at all.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::HeaderRepeated);
    }
    let text = value.to_str().map_err(|_| Fault::OtherScheme)?;
    let (scheme, rest) = text.split_once(' ').ok_or(Fault::OtherScheme)?;
    let token = rest.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Fault::OtherScheme);
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    Ok(Some(token))
}

/// Whether `Authorization` is of another scheme, as when an SDK signs for the service that it thinks it speaks to.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme = text.and_then(|text| text.split_once(' ')).map(|(scheme, _)| scheme).unwrap_or_default();
    !scheme.is_empty() && !scheme.eq_ignore_ascii_case("bearer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (AUTHORIZATION, HeaderValue::from_bytes(v.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn exactly_one_bearer_header_counts() {
        type Expected = Result<Option<&'static str>, Fault>;
        let cases: [(&[&str], Expected); 11] = [
            (&[], Ok(None)),
            (&["Bearer a.b.c"], Ok(Some("a.b.c"))),
            (&["bEARER  a.b.c"], Ok(Some("a.b.c"))),
            (&["Bearer a.b.c", "Bearer a.b.c"], Err(Fault::HeaderRepeated)),
            (&["Basic YTpi"], Err(Fault::OtherScheme)),
            (&["Bearer"], Err(Fault::OtherScheme)),
            (&["Bearer "], Err(Fault::OtherScheme)),
            (&[""], Err(Fault::OtherScheme)),
            (&["a.b.c"], Err(Fault::OtherScheme)),
            (&["Bearer\ta.b.c"], Err(Fault::OtherScheme)),
            (&["Bearer é"], Err(Fault::OtherScheme)),
        ];
        for (values, expected) in cases {
            assert_eq!(token(&with(values)), expected, "{values:?}");
        }
        let long = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(token(&with(&[&long])), Err(Fault::TooLong));
    }
}
