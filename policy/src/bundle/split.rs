//! A file of policies cut at its semicolons, so that each policy is parsed alone and errors keep their place.
//!
//! Only Cedar's parser decides what a piece says: a piece that is not exactly one policy is an error.

use cedar_policy::{Policy, PrincipalConstraint};
use std::ops::Range;

/// A word, a string or a sign of policy text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) range: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    Text,
    Sign,
}

/// The pieces of a text, each up to and with its semicolon; what follows the last is a piece too.
pub(crate) fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for token in each(text) {
        if text.get(token.range.clone()) == Some(";") {
            pieces.push(start..token.range.end);
            start = token.range.end;
        }
    }
    if start < text.len() {
        pieces.push(start..text.len());
    }
    pieces
}

/// The tokens of a text, without blanks and comments.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    each(text).collect()
}

/// The same, one at a time.
pub(crate) fn each(text: &str) -> impl Iterator<Item = Token> {
    let mut at = 0;
    std::iter::from_fn(move || next(text.as_bytes(), &mut at))
}

fn next(bytes: &[u8], at: &mut usize) -> Option<Token> {
    while let Some(byte) = bytes.get(*at) {
        let start = *at;
        let kind = match byte {
            b'/' if bytes.get(start + 1) == Some(&b'/') => {
                *at = end_of(bytes, start, |b| !matches!(b, b'\n' | b'\r'));
                continue;
            }
            b'"' => {
                *at = end_of_string(bytes, start);
                TokenKind::Text
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                *at = end_of(bytes, start, |b| b == b'_' || b.is_ascii_alphanumeric());
                TokenKind::Word
            }
            b':' if bytes.get(start + 1) == Some(&b':') => {
                *at += 2;
                TokenKind::Sign
            }
            b if b.is_ascii_whitespace() || !b.is_ascii() => {
                *at += 1;
                continue;
            }
            _ => {
                *at += 1;
                TokenKind::Sign
            }
        };
        return Some(Token { kind, range: start..*at });
    }
    None
}

/// The comments of a text, in order.
pub(crate) fn comments(text: &str) -> Vec<&str> {
    let mut comments = Vec::new();
    let mut last = 0;
    let ends = tokens(text).into_iter().map(|token| token.range).chain(std::iter::once(text.len()..text.len()));
    for token in ends {
        let between = text.get(last..token.start).unwrap_or_default();
        let lines = between.split(['\n', '\r']).filter_map(|line| line.find("//").and_then(|at| line.get(at..)));
        comments.extend(lines.map(str::trim_end));
        last = token.end;
    }
    comments
}

/// Deepest that a policy may be nested, in the units of [`depth`]. Cedar's parser and validator recurse without a
/// limit of their own, and a stack of 2 MiB (a thread's) holds about three times as much in a debug build.
pub(crate) const DEPTH_MAX: usize = 400;

/// How deep the tree of a policy can be at most: brackets cost 8, operators 2, members of the longest path 2 each.
pub(crate) fn depth(text: &str) -> usize {
    let mut outer = Vec::new();
    let mut level = Level::default();
    for token in tokens(text) {
        match text.get(token.range).unwrap_or_default() {
            "(" | "[" | "{" => outer.push(std::mem::take(&mut level)),
            ")" | "]" | "}" => {
                let inner = level.depth() + 8;
                level = outer.pop().unwrap_or_default();
                level.inner = level.inner.max(inner);
            }
            "," => level = Level { sibling: level.depth(), ..Level::default() },
            "." => {
                level.run += 2;
                level.path = level.path.max(level.run);
            }
            // Each half of `&&` and `||` comes alone.
            "&" | "|" => level.operator(1),
            "+" | "-" | "*" | "!" | "if" | "<" | ">" | "=" => level.operator(2),
            _ => {}
        }
    }
    outer.into_iter().rev().fold(level.depth(), |inner, level| inner + level.depth() + 8)
}

/// What stands between two brackets or commas.
#[derive(Default)]
struct Level {
    operators: usize,
    run: usize,
    path: usize,
    inner: usize,
    /// The deepest before the last comma.
    sibling: usize,
}

impl Level {
    fn operator(&mut self, cost: usize) {
        self.operators += cost;
        self.run = 0;
    }

    fn depth(&self) -> usize {
        self.sibling.max(self.operators + self.path + self.inner)
    }
}

/// An entity written out in policy text: its type, and the range and text of the whole.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub(crate) entity_type: String,
    pub(crate) id: String,
    pub(crate) range: Range<usize>,
}

/// Every `Type::"id"` of a piece that Cedar has parsed.
pub(crate) fn constants(text: &str) -> Vec<Constant> {
    let tokens = tokens(text);
    let word = |i: usize| tokens.get(i).and_then(|t| text.get(t.range.clone())).unwrap_or_default();
    let kind = |i: usize| tokens.get(i).map(|t| t.kind);
    let mut constants = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if token.kind != TokenKind::Text || i < 2 || word(i - 1) != "::" {
            continue;
        }
        let mut first = i - 2;
        while first >= 2 && word(first - 1) == "::" && kind(first - 2) == Some(TokenKind::Word) {
            first -= 2;
        }
        let entity_type: String = (first..i - 1).map(word).collect();
        let id = unescaped(&entity_type, word(i));
        let start = tokens.get(first).map_or(token.range.start, |t| t.range.start);
        constants.push(Constant { entity_type, id, range: start..token.range.end });
    }
    constants
}

/// What a string of policy text says, by Cedar's own reading.
fn unescaped(entity_type: &str, text: &str) -> String {
    let raw = text.trim_matches('"');
    if !raw.contains('\\') {
        return raw.to_owned();
    }
    let policy = Policy::parse(None, format!("permit(principal == {entity_type}::{text}, action, resource);"));
    match policy.map(|policy| policy.principal_constraint()) {
        Ok(PrincipalConstraint::Eq(uid)) => uid.id().unescaped().to_owned(),
        _ => raw.to_owned(),
    }
}

fn end_of(bytes: &[u8], mut at: usize, mut holds: impl FnMut(u8) -> bool) -> usize {
    while bytes.get(at).is_some_and(|b| holds(*b)) {
        at += 1;
    }
    at
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_strings_and_comments_do_not_cut() {
        let text = "// a; b\r@id(\"x;\\\";\") permit(principal,action,resource); // tail;\n";
        let pieces: Vec<_> = pieces(text).into_iter().map(|r| text.get(r).unwrap()).collect();
        assert_eq!(pieces, ["// a; b\r@id(\"x;\\\";\") permit(principal,action,resource);", " // tail;\n"]);
    }

    #[test]
    fn a_comment_ends_at_a_carriage_return_too() {
        let text = "// c\rforbid(principal,action,resource);";
        assert_eq!(pieces(text).len(), 1);
        assert_eq!(tokens(text)[0].range, 5..11);
    }

    #[test]
    fn constants_have_types_ids_and_places() {
        let text = "permit(principal in Group :: \"a\\u{62}\", action == Action::\"x\", resource) when { \"a\" == N::M::\"y\" };";
        let found: Vec<_> = constants(text).into_iter().map(|c| (c.entity_type, c.id, c.range.start)).collect();
        let at = |word: &str| text.find(word).unwrap();
        let expected = [("Group", "ab", at("Group")), ("Action", "x", at("Action")), ("N::M", "y", at("N::M"))];
        assert_eq!(found, expected.map(|(t, i, s)| (t.to_owned(), i.to_owned(), s)));
    }

    #[test]
    fn depth_grows_with_nesting_not_with_length() {
        let wide = |n: usize| {
            format!("permit(principal, action, resource) when {{ [{}].contains(1) }};", vec!["a.b.c"; n].join(", "))
        };
        assert!(depth(&wide(10_000)) < 40, "{}", depth(&wide(10_000)));
        let chain = |n: usize| vec!["context.facts.transport.mtls"; n].join(" && ");
        assert!(depth(&chain(100)) < DEPTH_MAX && depth(&chain(300)) > DEPTH_MAX);
        for (open, close) in
            [("(", ")"), ("!(", ")"), ("[", "]"), ("{a: ", "}"), ("!", ""), ("if a then ", " else b"), ("", ".x")]
        {
            let text = format!("{}a{}", open.repeat(300), close.repeat(300));
            assert!(depth(&text) > DEPTH_MAX, "{open}{close}");
            assert!(depth(&open.repeat(300)) + depth(&close.repeat(300)) > DEPTH_MAX, "{open}{close}");
        }
    }

    #[test]
    fn broken_text_is_cut_without_panic() {
        for text in ["\"", "\"\\", "\"é\\", "é;", ";;", "::\"a\"", "/", "a::"] {
            for piece in pieces(text) {
                assert!(text.get(piece).is_some(), "{text}");
            }
            constants(text);
        }
    }
}
