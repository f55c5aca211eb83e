//! Every snippet of the README is run or checked, or says in its comment why not.
//!
//! A fenced block follows a comment: `<!-- test: shell -->`, `<!-- test: config -->`, `<!-- test: cedar -->`,
//! `<!-- test: setup -->` or `<!-- not run: the reason -->`.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tests::{built, latchwork, root};

/// The two commands that the README promises, in this order.
const SETUP: [&str; 2] = ["cargo run --release -- quickstart", "cargo test --workspace"];

/// Kinds of block that are code, and so must be marked.
const CODE: [&str; 8] = ["sh", "shell", "bash", "console", "toml", "cedar", "json", "rust"];

/// A fenced block.
#[derive(Debug)]
struct Snippet {
    line: usize,
    language: String,
    mark: String,
    text: String,
}

#[test]
fn every_snippet_runs_or_says_why_not() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let snippets = snippets(&readme);
    let code = snippets.iter().filter(|snippet| CODE.contains(&snippet.language.as_str()));
    let mut ran = 0;
    for snippet in code {
        let at = format!("README.md:{}", snippet.line);
        match snippet.mark.split_once(": ").map(|(what, rest)| (what, rest.trim())) {
            Some(("test", "setup")) => assert_eq!(commands(&snippet.text), SETUP, "{at}: the set-up commands"),
            Some(("test", "shell")) => succeeds(&at, &shell(&snippet.text)),
            Some(("test", "config")) => config(&at, &snippet.text),
            Some(("test", "cedar")) => cedar(&at, &snippet.text),
            Some(("not run", reason)) if !reason.is_empty() => continue,
            _ => panic!("{at}: say above this block how it is tested, or why not; found `{}`", snippet.mark),
        }
        ran += 1;
    }
    assert!(ran >= 2, "only {ran} snippets were run");
    let setups = snippets.iter().filter(|snippet| snippet.mark == "test: setup").count();
    assert_eq!(setups, 1, "the README has one block of set-up commands");
}

#[test]
fn snippets_are_found_with_their_marks() {
    let found = snippets("a\n<!-- test: shell -->\n```sh\nb\n```\n\n```toml\nc\nd\n```\n");
    let seen: Vec<_> = found.iter().map(|s| (s.line, s.language.as_str(), s.mark.as_str(), s.text.as_str())).collect();
    assert_eq!(seen, [(3, "sh", "test: shell", "b\n"), (7, "toml", "", "c\nd\n")]);
}

fn snippets(text: &str) -> Vec<Snippet> {
    let mut found = Vec::new();
    let mut mark = String::new();
    let mut open: Option<Snippet> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(language), none) => {
                let (language, mark) = (language.trim().to_owned(), std::mem::take(&mut mark));
                *none = Some(Snippet { line: number + 1, language, mark, text: String::new() });
            }
            (None, Some(snippet)) => {
                snippet.text.push_str(line);
                snippet.text.push('\n');
            }
            (None, None) => {
                let comment = line.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
                // A mark belongs to the block right after it.
                mark = comment.map(|comment| comment.trim().to_owned()).unwrap_or_default();
            }
        }
    }
    found
}

/// Commands without comments and prompts.
fn commands(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or(line).trim().trim_start_matches("$ "));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Runs a block in a new project as `latchwork init` writes it, with `latchwork` on the path.
fn shell(text: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bin = built::latchwork().parent().expect("a folder").to_path_buf();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", &commands(text).join("\n")]).current_dir(folder.path()).env("PATH", path);
    command.output().expect("sh starts")
}

/// A whole `latchwork.toml`, or a part of one that a new project can take.
fn config(at: &str, text: &str) {
    let project = project();
    let file = project.path().join("shop/latchwork.toml");
    let added = fs::read_to_string(&file).expect("a project has a configuration") + "\n" + text;
    fs::write(&file, added).expect("the folder is ours");
    succeeds(at, &check(project.path()));
}

fn cedar(at: &str, text: &str) {
    let project = project();
    fs::write(project.path().join("shop/policies/readme.cedar"), text).expect("a project has policies");
    succeeds(at, &check(project.path()));
}

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    succeeds("latchwork init", &latchwork::command(folder.path(), &["init", "shop"]));
    folder
}

fn check(folder: &Path) -> Output {
    latchwork::command(folder, &["check", "-c", "shop/latchwork.toml"])
}

fn succeeds(at: &str, output: &Output) {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{at}: {}\n{}{}", output.status, said(&output.stdout), said(&output.stderr));
}
