//! XML as others write it, within limits: no document type, so no entity; no processing instruction. And text for it.

use roxmltree::{Document, Node, ParsingOptions};
use std::{fmt::Write as _, str};

/// Deepest nesting of elements.
pub(crate) const DEPTH_MAX: usize = 100;

/// Most elements, texts and comments of a document.
const NODES_MAX: u32 = 250_000;

/// Most attributes of one element: a parser compares each with all others.
const ATTRIBUTES_MAX: usize = 128;

/// Most declarations of namespaces in force at one element: a parser looks through them for each name.
const DECLARATIONS_MAX: usize = 128;

/// Longest message about a document, in characters.
const ERROR_CHARS_MAX: usize = 200;

/// The text of a document in UTF-8, which it must not say is anything else.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(declaration) = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map(|(said, _)| said) {
        if said(declaration, "version").is_some_and(|version| version != "1.0") {
            return Err("it is not XML 1.0".to_owned());
        }
        if said(declaration, "encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
            return Err("its encoding is not UTF-8".to_owned());
        }
    }
    Ok(text)
}

/// Reads a document; what makes a parser slow is found before it is asked.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, String> {
    within_limits(text)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let message = error.to_string();
        let shown = message.chars().take(ERROR_CHARS_MAX).filter(|c| !c.is_control()).collect::<String>();
        format!("it is not XML: {shown}")
    })?;
    if document.descendants().any(|node| node.is_pi()) {
        return Err("it has a processing instruction".to_owned());
    }
    Ok(document)
}

/// The value of a pseudo-attribute in the XML declaration.
fn said<'t>(declaration: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = declaration.split_once(name)?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest.strip_prefix(quote)?.split_once(quote).map(|(value, _)| value)
}

/// Walks over the tags once. Whatever is malformed is the parser's to say: it reads the same text up to there.
fn within_limits(text: &str) -> Result<(), String> {
    // How many namespaces each open element declares, and all of them together.
    let (mut rest, mut open, mut declared) = (text, Vec::new(), 0_usize);
    while let Some((_, after)) = rest.split_once('<') {
        let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")];
        let skipped = skipped.iter().find_map(|(start, end)| Some((after.strip_prefix(start)?, *end)));
        if let Some((inside, end)) = skipped {
            rest = inside.split_once(end).map_or("", |(_, after)| after);
            continue;
        }
        if after.starts_with('!') {
            return Err("it has a document type".to_owned());
        }
        let tag = Tag::read(after);
        rest = after.get(tag.length..).unwrap_or_default();
        if after.starts_with('/') {
            declared = declared.saturating_sub(open.pop().unwrap_or_default());
            continue;
        }
        if tag.attributes > ATTRIBUTES_MAX || declared + tag.declarations > DECLARATIONS_MAX {
            return Err("it has too many attributes".to_owned());
        }
        if !tag.empty {
            declared += tag.declarations;
            open.push(tag.declarations);
        }
        if open.len() > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX}"));
        }
    }
    Ok(())
}

/// What is between `<` and `>`.
#[derive(Default)]
struct Tag {
    length: usize,
    attributes: usize,
    declarations: usize,
    empty: bool,
}

impl Tag {
    fn read(text: &str) -> Self {
        let mut tag = Self::default();
        let (mut quote, mut last, mut word) = (None, b' ', 0);
        for (at, byte) in text.bytes().enumerate() {
            tag.length = at + 1;
            match (quote, byte) {
                (Some(open), byte) if open == byte => {
                    quote = None;
                    word = at + 1;
                }
                (Some(_), _) => {}
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    tag.attributes += 1;
                    let name = text.get(word..at).unwrap_or_default().trim_start();
                    // The first attribute's name comes after the element's.
                    tag.declarations += usize::from(name.contains("xmlns"));
                }
                (None, b'>') => {
                    tag.empty = last == b'/';
                    return tag;
                }
                (None, _) => {}
            }
            last = byte;
        }
        tag
    }
}

/// The text of an element that has no element in it, whatever comments and sections divide it.
pub(crate) fn content(node: Node<'_, '_>) -> Option<String> {
    let mut text = String::new();
    for child in node.children() {
        if child.is_element() {
            return None;
        }
        if child.is_text() {
            text.push_str(child.text().unwrap_or_default());
        }
    }
    Some(text)
}

/// The elements in an element.
pub(crate) fn elements<'d, 'i>(node: Node<'d, 'i>) -> impl Iterator<Item = Node<'d, 'i>> {
    node.children().filter(Node::is_element)
}

/// Adds text; `None` if it has a character that XML has no way to say.
pub(crate) fn push_text(out: &mut String, text: &str) -> Option<()> {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser makes line ends into `\n`, and white space in attributes into blanks.
            '\r' | '\n' | '\t' => write!(out, "&#{};", u32::from(character)).ok()?,
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => return None,
            _ => out.push(character),
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_parsers_slow_or_reach_out_is_refused() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        let attributes = |count: usize| (0..count).fold(String::new(), |text, n| format!("{text} a{n}=''"));
        let declaring = |count: usize| (0..count).fold(String::new(), |text, n| format!("{text} xmlns:p{n}='u'"));
        let within = format!("<a{}>{}</a>", declaring(DECLARATIONS_MAX - 1), "<b xmlns:p='u'/>".repeat(2_000));
        assert!(parse(&within).is_ok(), "what is declared again and again is no more");
        for bad in [
            nested(DEPTH_MAX + 1),
            "<a>".repeat(200_000),
            format!("<a{}/>", attributes(ATTRIBUTES_MAX + 1)),
            format!("<a{}><b xmlns:p='u' xmlns:q='u'/></a>", declaring(DECLARATIONS_MAX - 1)),
            format!("<a>{}</a>", "<b/>".repeat(NODES_MAX as usize + 1)),
            "<!DOCTYPE a><a/>".to_owned(),
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>".to_owned(),
            "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>".to_owned(),
            "<a>&x;</a>".to_owned(),
            "<a><?php x ?></a>".to_owned(),
            "<a><![CDATA[</a>".to_owned(),
            "<a b='1' b='2'/>".to_owned(),
            "<p:a/>".to_owned(),
            String::new(),
        ] {
            let shown: String = bad.chars().take(80).collect();
            assert!(parse(&bad).is_err(), "{shown}");
        }
        // Signs in values, comments and sections are no tags.
        let odd =
            format!("<a b='>{}'><!-- {} --><![CDATA[{}]]></a>", "&lt;".repeat(9), "<x>".repeat(500), "<y>".repeat(500));
        assert!(parse(&odd).is_ok(), "{:?}", parse(&odd));
    }

    #[test]
    fn only_utf_8_is_read() {
        assert_eq!(text("\u{feff}<a/>".as_bytes()), Ok("<a/>"));
        assert!(text(b"<?xml version='1.0' encoding=\"UTF-8\"?><a/>").is_ok());
        for bad in [
            &b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>"[..],
            b"<?xml version='1.1'?><a/>",
            b"<a>\xff</a>",
            b"\xff\xfe<\0a\0/\0>\0",
        ] {
            assert!(text(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn text_comes_back_as_it_was() {
        let said = "a < b & \"c\" > 'd'\r\n\té\u{1f600}]]>";
        let mut out = String::new();
        push_text(&mut out, said).unwrap();
        let document = format!("<a b=\"{out}\">{out}</a>");
        let document = parse(&document).unwrap();
        assert_eq!(content(document.root_element()).as_deref(), Some(said));
        assert_eq!(document.root_element().attribute("b"), Some(said));
        for unsaid in ["\0", "\u{b}", "\u{ffff}"] {
            assert_eq!(push_text(&mut String::new(), unsaid), None);
        }
    }
}
