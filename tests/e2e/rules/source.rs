//! The project's own Rust files, as the house rules read them.

use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::root;

/// Fewer files than this were found only if the walk went wrong.
const FILES_MIN: usize = 30;

/// A Rust file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path from the root of the repository.
    pub path: String,
    text: String,
}

/// Every Rust file of the workspace.
pub fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for room in ["gateway", "mesh", "policy", "proto", "tests"] {
        let before = found.len();
        walk(&root().join(room), &mut found);
        assert!(found.len() > before, "no Rust file in `{room}`");
    }
    assert!(found.len() >= FILES_MIN, "only {} Rust files were found", found.len());
    found
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("`{}`: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
            let path = path.strip_prefix(root()).expect("the walk starts at the root").to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

impl Source {
    /// The crate that it belongs to.
    pub fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Written by a tool and committed.
    pub fn is_generated(&self) -> bool {
        self.path.contains("/gen/")
    }

    /// A file of tests only.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.contains("/benches/")
    }

    /// How many lines it has.
    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Whether the first line is documentation that ends like a sentence or goes on in the next line.
    pub fn says_what_it_is_for(&self) -> bool {
        let mut lines = self.text.lines();
        let first = lines.next().and_then(|line| line.strip_prefix("//! ")).unwrap_or_default();
        let goes_on = lines.next().is_some_and(|line| line.starts_with("//! "));
        first.len() > 3 && (goes_on || first.ends_with(['.', '!', '?', '`']))
    }

    /// Places where one of `texts` stands in code.
    pub fn find(&self, texts: &[&str]) -> Vec<String> {
        let hits = self.code().filter(|(_, line)| texts.iter().any(|text| line.contains(text)));
        hits.map(|(number, line)| self.place(number, line)).collect()
    }

    /// Places where one of `words` is a whole word of an identifier or text, comments excluded.
    pub fn words(&self, words: &[&str], except: &[&str]) -> Vec<String> {
        let hits = self.code().filter(|(_, line)| {
            let plain = except.iter().fold(line.to_lowercase(), |line, name| line.replace(name, ""));
            let found = split(line).iter().any(|word| words.contains(&word.as_str()));
            found && split(&plain).iter().any(|word| words.contains(&word.as_str()))
        });
        hits.map(|(number, line)| self.place(number, line)).collect()
    }

    /// Places where one of `words` is a whole word anywhere, comments included.
    pub fn every_word(&self, words: &[&str]) -> Vec<String> {
        let lines = self.text.lines().enumerate();
        let hits = lines.filter(|(_, line)| split(line).iter().any(|word| words.contains(&word.as_str())));
        hits.map(|(number, line)| self.place(number, line)).collect()
    }

    /// Attributes that contain `start`, each whole and with its place.
    pub fn attributes(&self, start: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (number, line) in self.code().filter(|(_, line)| line.contains(start) && line.trim_start().starts_with('#'))
        {
            let rest: Vec<&str> = self.text.lines().skip(number).collect();
            let end = rest.iter().position(|line| line.trim_end().ends_with(")]")).unwrap_or(0);
            found.push((self.place(number, line), rest[..=end].join(" ")));
        }
        found
    }

    /// Lines that are not comments, from 0.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines
            .map(|(n, line)| (n, line.split(" // ").next().unwrap_or(line)))
            .filter(|(_, l)| !l.trim_start().starts_with("//"))
    }

    fn place(&self, number: usize, line: &str) -> String {
        format!("{}:{}: {}", self.path, number + 1, line.trim())
    }
}

/// The words of a line: `fooBar_baz-Qux` has four.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in line.chars() {
        let starts = c.is_uppercase() && before.is_lowercase();
        if !c.is_alphanumeric() || starts {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is always a word").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn words_are_split_where_people_see_them() {
    assert_eq!(split("AwsLambda::new(\"aws_sigv4\")"), ["aws", "lambda", "new", "aws", "sigv4"]);
}
