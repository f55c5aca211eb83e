//! SPIFFE IDs, by the letter of the standard: what else a URI may have is refused, not interpreted.

/// Longest SPIFFE ID, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 2048;
/// Longest trust domain, in bytes.
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// The trust domain of a workload's SPIFFE ID; `None` if the text is none, or names no workload in its domain.
///
/// Port, user information, query, fragment and percent-encoding have characters that no part may have.
pub(crate) fn trust_domain(id: &str) -> Option<&str> {
    let rest = id.strip_prefix("spiffe://").filter(|_| id.len() <= ID_BYTES_MAX)?;
    let (domain, path) = rest.split_once('/')?;
    let in_segment = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let sound = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_segment);
    (is_trust_domain(domain) && path.split('/').all(sound)).then_some(domain)
}

/// Whether a text is the name of a trust domain.
pub(crate) fn is_trust_domain(name: &str) -> bool {
    let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= TRUST_DOMAIN_BYTES_MAX && name.bytes().all(in_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_id_of_a_workload_has_a_trust_domain() {
        for good in ["spiffe://prod.acme/a", "spiffe://prod.acme/ns/shop/sa/Check-out_1.x", "spiffe://a/..."] {
            assert!(trust_domain(good).is_some(), "{good}");
        }
        assert_eq!(trust_domain("spiffe://prod.acme/ns/shop"), Some("prod.acme"));
        for bad in [
            "",
            "spiffe://",
            "spiffe:///a",
            "spiffe://prod.acme",
            "spiffe://prod.acme/",
            "spiffe://prod.acme/a/",
            "spiffe://prod.acme//a",
            "spiffe://prod.acme/./a",
            "spiffe://prod.acme/../a",
            "spiffe://Prod.acme/a",
            "SPIFFE://prod.acme/a",
            "https://prod.acme/a",
            "spiffe://prod.acme:8443/a",
            "spiffe://me@prod.acme/a",
            "spiffe://prod.acme/a?b",
            "spiffe://prod.acme/a#b",
            "spiffe://prod.acme/%61",
            "spiffe://prod.acme/ä",
            "spiffe://prod.acme/a b",
            "spiffe://prod acme/a",
        ] {
            assert_eq!(trust_domain(bad), None, "{bad}");
        }
        let path = |bytes: usize| format!("spiffe://d/{}", "a".repeat(bytes - "spiffe://d/".len()));
        assert!(trust_domain(&path(ID_BYTES_MAX)).is_some());
        assert_eq!(trust_domain(&path(ID_BYTES_MAX + 1)), None);
        assert!(!is_trust_domain(&"a".repeat(TRUST_DOMAIN_BYTES_MAX + 1)));
    }
}
