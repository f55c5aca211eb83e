//! What looks like a secret in any text of a record is replaced, in the serialised bytes, wherever it stands.
//!
//! None of the characters looked for is ever escaped by JSON, so looking at the bytes misses nothing, and what is
//! replaced lies within one JSON string, so the line stays well formed.

use super::{REDACTED, is_secret, is_secret_parameter};
use std::ops::Range;

/// Names before a colon after which the rest of a text is a secret: headers as they are quoted in messages.
const SECRET_LINES: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-amz-security-token", "password"];
/// Shortest word after `Bearer` or `Basic` that may be a credential.
const CREDENTIAL_BYTES_MIN: usize = 6;
/// A word of this length after `Bearer` or `Basic` is a credential whatever its letters.
const CREDENTIAL_BYTES_SURE: usize = 20;
/// How far back a name before `=` or `:` may start.
const NAME_BYTES_MAX: usize = 64;

/// The bytes with which `secret_at` has something to do.
const STARTS: [bool; 256] = {
    let mut starts = [false; 256];
    starts[b'e' as usize] = true;
    starts[b' ' as usize] = true;
    starts[b'=' as usize] = true;
    starts[b':' as usize] = true;
    starts[b'P' as usize] = true;
    starts
};

/// Replaces what looks like a secret.
pub(crate) fn scrub(line: Vec<u8>) -> Vec<u8> {
    let mut clean: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        if STARTS.get(usize::from(byte)) == Some(&false) {
            at += 1;
        } else if let Some(secret) = secret_at(&line, at, byte) {
            let clean = clean.get_or_insert_with(|| Vec::with_capacity(line.len()));
            clean.extend_from_slice(line.get(copied..secret.start).unwrap_or_default());
            clean.extend_from_slice(REDACTED.as_bytes());
            copied = secret.end;
            at = secret.end;
        } else {
            at += 1;
        }
    }
    match clean {
        None => line,
        Some(mut clean) => {
            clean.extend_from_slice(line.get(copied..).unwrap_or_default());
            clean
        }
    }
}

/// The secret that the byte at `at` starts or announces.
fn secret_at(line: &[u8], at: usize, byte: u8) -> Option<Range<usize>> {
    let range = match byte {
        b'e' => token(line, at),
        b' ' => credential(line, at),
        b'=' => assigned(line, at),
        // Most colons are those of members, as there are dozens in each record.
        b':' if ends_member_name(line, at) => None,
        b':' => user_information(line, at).or_else(|| header(line, at)).or_else(|| quoted_member(line, at)),
        b'P' => private_key(line, at),
        _ => None,
    };
    range.filter(|range| !range.is_empty())
}

/// Whether what ends before `at` is the name of one of the record's own members: a quote that no text can have.
fn ends_member_name(line: &[u8], at: usize) -> bool {
    matches!(at.checked_sub(2).and_then(|start| line.get(start..at)), Some([before, b'"']) if *before != b'\\')
}

/// Three or more parts of base64url that begin with `eyJ`: a signed or encrypted JSON web token.
fn token(line: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = line.get(at..)?;
    if !rest.starts_with(b"eyJ") {
        return None;
    }
    let length = run(rest, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'='));
    let dots = rest.get(..length)?.iter().filter(|b| **b == b'.').count();
    (dots >= 2).then_some(at..at + length)
}

/// The word after `Bearer` or `Basic`.
fn credential(line: &[u8], at: usize) -> Option<Range<usize>> {
    let before = line.get(..at)?;
    let scheme = |word: &[u8]| {
        before.len().checked_sub(word.len()).and_then(|i| before.get(i..)).is_some_and(|b| b.eq_ignore_ascii_case(word))
    };
    if !scheme(b"bearer") && !scheme(b"basic") {
        return None;
    }
    let rest = line.get(at + 1..)?;
    let length = run(rest, |b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    let odd = rest.get(..length)?.iter().any(|b| !b.is_ascii_lowercase() && !b"-.".contains(b));
    let is_one = length >= CREDENTIAL_BYTES_SURE || (length >= CREDENTIAL_BYTES_MIN && odd);
    is_one.then_some(at + 1..at + 1 + length)
}

/// The value in `name=value`.
fn assigned(line: &[u8], at: usize) -> Option<Range<usize>> {
    let (name, before) = name_before(line, at)?;
    let is_secret = if matches!(before, Some(b'?' | b'&')) { is_secret_parameter(name) } else { is_secret(name) };
    if !is_secret {
        return None;
    }
    let length = run(line.get(at + 1..)?, |b| b > b' ' && !b"&\"\\;,)<>'".contains(&b));
    Some(at + 1..at + 1 + length)
}

/// The user and password in `scheme://user:password@host`.
fn user_information(line: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = line.get(at..)?.strip_prefix(b"://")?;
    let length = run(rest, |b| b > b' ' && !b"/?#\"\\".contains(&b));
    let end = rest.get(..length)?.iter().rposition(|b| *b == b'@')?;
    Some(at + 3..at + 3 + end)
}

/// The rest of the text after the name of a header that holds a secret.
fn header(line: &[u8], at: usize) -> Option<Range<usize>> {
    let (name, _) = name_before(line, at)?;
    if !SECRET_LINES.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
        return None;
    }
    Some(at + 1..at + 1 + run(line.get(at + 1..)?, |b| b != b'"' && b != b'\\'))
}

/// The value of a member in JSON that is quoted in a text: `{\"password\":\"…\"}`.
fn quoted_member(line: &[u8], at: usize) -> Option<Range<usize>> {
    let end = at.checked_sub(2)?;
    if line.get(end..at)? != b"\\\"" {
        return None;
    }
    let (name, _) = name_before(line, end)?;
    if !is_secret(name) {
        return None;
    }
    let start = at + 1 + run(line.get(at + 1..)?, |b| b == b' ');
    let start = if line.get(start..)?.starts_with(b"\\\"") { start + 2 } else { start };
    Some(start..start + run(line.get(start..)?, |b| b != b'"' && b != b'\\' && b != b'}'))
}

/// A private key in PEM: everything after `PRIVATE KEY-----`.
fn private_key(line: &[u8], at: usize) -> Option<Range<usize>> {
    let marker = b"PRIVATE KEY-----";
    let rest = line.get(at..)?.strip_prefix(marker)?;
    let start = at + marker.len();
    let mut escaped = false;
    let end = rest.iter().position(|b| {
        let quote = *b == b'"' && !escaped;
        escaped = *b == b'\\' && !escaped;
        quote
    });
    Some(start..start + end?)
}

/// The name that ends before `at`, and the byte before it.
fn name_before(line: &[u8], at: usize) -> Option<(&str, Option<u8>)> {
    let before = line.get(at.saturating_sub(NAME_BYTES_MAX)..at)?;
    let length = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count();
    let start = before.len() - length;
    let name = std::str::from_utf8(before.get(start..)?).ok().filter(|name| !name.is_empty())?;
    Some((name, start.checked_sub(1).and_then(|i| before.get(i)).copied()))
}

/// How many bytes from the start are like this.
fn run(bytes: &[u8], like: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|b| like(**b)).count()
}
