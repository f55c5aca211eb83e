//! Where in a JSON text the value of a JSON pointer stands.

use std::ops::Range;

/// The byte range of the value at a path of member names and array indices; `None` when it is not there.
pub(crate) fn locate(text: &str, path: &[String]) -> Option<Range<usize>> {
    let mut reader = Reader { text, at: 0 };
    reader.find(path)
}

/// The byte range of the value at a JSON pointer (RFC 6901), or of the nearest value around it.
#[must_use]
pub fn locate_pointer(text: &str, pointer: &str) -> Range<usize> {
    let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
    let mut path: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
    loop {
        if let Some(range) = locate(text, &path) {
            return range;
        }
        if path.pop().is_none() {
            return 0..0;
        }
    }
}

/// Writes a path as a JSON pointer (RFC 6901).
pub(crate) fn pointer(path: &[String]) -> String {
    path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn find(&mut self, path: &[String]) -> Option<Range<usize>> {
        self.blank();
        let Some((step, rest)) = path.split_first() else {
            let start = self.at;
            self.skip()?;
            return Some(start..self.at);
        };
        match self.peek()? {
            b'{' => self.find_member(step, rest),
            b'[' => self.find_item(step.parse().ok()?, rest),
            _ => None,
        }
    }

    fn find_member(&mut self, name: &str, rest: &[String]) -> Option<Range<usize>> {
        self.at += 1;
        loop {
            self.blank();
            let start = self.at;
            self.skip_string()?;
            let found: String = serde_json::from_str(self.text.get(start..self.at)?).ok()?;
            self.blank();
            (self.peek()? == b':').then(|| self.at += 1)?;
            if found == name {
                return self.find(rest);
            }
            self.skip()?;
            self.blank();
            (self.peek()? == b',').then(|| self.at += 1)?;
        }
    }

    fn find_item(&mut self, index: usize, rest: &[String]) -> Option<Range<usize>> {
        self.at += 1;
        for _ in 0..index {
            self.skip()?;
            self.blank();
            (self.peek()? == b',').then(|| self.at += 1)?;
        }
        self.find(rest)
    }

    /// Passes over one value. Brackets are only counted: the text was parsed before.
    fn skip(&mut self) -> Option<()> {
        self.blank();
        let mut open = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                _ => self.skip_word(),
            }
            if open == 0 {
                return Some(());
            }
        }
    }

    fn skip_word(&mut self) {
        while self.peek().is_some_and(|b| !matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        (self.peek()? == b'"').then(|| self.at += 1)?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
        let path: Vec<String> = path.iter().map(|s| (*s).to_owned()).collect();
        locate(text, &path).map(|range| text.get(range).unwrap())
    }

    #[test]
    fn finds_members_items_and_escaped_names() {
        let text = r#"{ "a": [1, {"x\"y": [true, "}"]}], "b": {"c": -1.5e3} }"#;
        assert_eq!(at(text, &["a", "1", "x\"y", "1"]), Some("\"}\""));
        assert_eq!(at(text, &["b", "c"]), Some("-1.5e3"));
        assert_eq!(at(text, &["a"]), Some(r#"[1, {"x\"y": [true, "}"]}]"#));
        assert_eq!(at(text, &["b", "d"]), None);
        assert_eq!(at(text, &["a", "7"]), None);
    }

    #[test]
    fn broken_text_gives_nothing() {
        for text in ["", "{", "{\"a\"", "{\"a\":", "[", "{\"a\\", "]"] {
            assert_eq!(at(text, &["a"]), None, "{text}");
        }
    }
}
