//! One canonical path: the same bytes for route, policy and backend.

use mesh::bind::SEGMENT;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use std::sync::Arc;

/// Longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// A path in its one spelling: begins with `/`, no dot segments, no empty ones but the last, nothing that two readers
/// could take differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath(Arc<str>);

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("the path is too long")]
    TooLong,
    /// Does not begin with `/`.
    #[error("the path must begin with a slash")]
    NotAbsolute,
    /// `%` without two hexadecimal digits.
    #[error("the path has a broken percent-encoding")]
    BrokenEncoding,
    /// Decodes to something that is no UTF-8.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
    /// An encoded slash, a backslash, a semicolon or a control character.
    #[error(
        "the path has a character that is not accepted: an encoded slash, a backslash, a semicolon or a control character"
    )]
    Forbidden,
    /// `.` or `..`.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// An encoding of an encoding.
    #[error("the path is encoded twice")]
    EncodedTwice,
}

impl CanonicalPath {
    /// Brings a path into its one spelling, or refuses it.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let rest = path.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        if !rest.is_empty()
            && rest.bytes().all(plain)
            && !rest.contains("//")
            && !dotted(rest)
            && !rest.starts_with('/')
        {
            // The common case is already in its one spelling.
            return Ok(Self(path.into()));
        }
        let mut canonical = String::with_capacity(path.len());
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            canonical.push('/');
            if segment.is_empty() && segments.peek().is_some() {
                return Err(PathError::EmptySegment);
            }
            canonical.extend(utf8_percent_encode(&decode(segment)?, SEGMENT));
        }
        Ok(Self(canonical.into()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as shared text.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// A segment of a canonical path, decoded.
///
/// # Errors
/// [`PathError`], if the segment is not canonical.
pub fn decode(segment: &str) -> Result<String, PathError> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_hexdigit());
        if byte == b'%' && !(hex(bytes.next()) && hex(bytes.next())) {
            return Err(PathError::BrokenEncoding);
        }
    }
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| PathError::NotUtf8)?;
    if text.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ';')) {
        return Err(PathError::Forbidden);
    }
    if text == "." || text == ".." {
        return Err(PathError::DotSegment);
    }
    let twice = |w: &[u8]| matches!(w, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if text.as_bytes().windows(3).any(twice) {
        return Err(PathError::EncodedTwice);
    }
    Ok(text.into_owned())
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~')
}

fn dotted(rest: &str) -> bool {
    rest.contains('.') && rest.split('/').any(|s| s == "." || s == "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings() {
        let same = |a: &str, b: &str| assert_eq!(CanonicalPath::parse(a).unwrap().as_str(), b, "{a}");
        same("/", "/");
        same("/orders", "/orders");
        same("/orders/", "/orders/");
        same("/%6Frders/a%20b", "/orders/a%20b");
        same("/%c3%a9", "/%C3%A9");
        same("/a+b@c:d,e=f!$&'()*", "/a+b@c:d,e=f!$&'()*");
        same("/a..b/.c", "/a..b/.c");
    }

    #[test]
    fn refused() {
        use PathError::*;
        let cases = [
            ("", NotAbsolute),
            ("orders", NotAbsolute),
            ("/a%2fb", Forbidden),
            ("/a%5Cb", Forbidden),
            ("/a\\b", Forbidden),
            ("/a;b", Forbidden),
            ("/a%3bb", Forbidden),
            ("/a%00", Forbidden),
            ("/a%0a", Forbidden),
            ("/%7f", Forbidden),
            ("/.", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/..", DotSegment),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("//", EmptySegment),
            ("/a%", BrokenEncoding),
            ("/a%2", BrokenEncoding),
            ("/a%zz", BrokenEncoding),
            ("/%ff", NotUtf8),
            ("/%c0%ae", NotUtf8),
            ("/%252e", EncodedTwice),
            ("/%252f", EncodedTwice),
        ];
        for (path, error) in cases {
            assert_eq!(CanonicalPath::parse(path), Err(error), "{path}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_a_fixed_point(path in "/[ -~é/%.;]{0,40}") {
            if let Ok(once) = CanonicalPath::parse(&path) {
                prop_assert_eq!(CanonicalPath::parse(once.as_str()).unwrap(), once);
            }
        }
    }
}
