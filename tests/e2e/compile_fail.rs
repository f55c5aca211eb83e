//! What must not compile does not: each file of `tests/ui` names the errors that `rustc` must find, and no other.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{built, root};

/// An error at a line.
type Place = (usize, String);

/// Marks the line of an expected error: `//~ E0382`.
const MARK: &str = "//~ ";

#[test]
fn wrong_orders_and_forged_permits_do_not_compile() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("tests/ui")).expect("the folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut wrong = 0;
    for file in &files {
        let text = fs::read_to_string(file).expect("a file of text");
        let (expected, found) = (marked(&text), errors(file));
        assert_eq!(found, expected, "`{}`: rustc's errors are not the marked ones", file.display());
        wrong += usize::from(!expected.is_empty());
    }
    assert!(wrong >= 2, "only {wrong} files with errors");
    assert!(wrong < files.len(), "no file that compiles: the errors of the others might have another cause");
}

fn marked(text: &str) -> BTreeSet<Place> {
    let marks =
        text.lines().enumerate().filter_map(|(n, line)| Some((n + 1, line.split_once(MARK)?.1.trim().to_owned())));
    marks.collect()
}

/// Compiles one file against the libraries as built. Codes are stable over versions of rustc; words are not.
fn errors(file: &Path) -> BTreeSet<Place> {
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--error-format", "json"]);
    command.arg("-o").arg(tempfile::NamedTempFile::new().expect("a temporary file").path());
    command.arg("-L").arg(format!("dependency={}", built::dependencies().display()));
    for library in ["gateway", "mesh", "policy"] {
        command.arg("--extern").arg(format!("{library}={}", built::library(library).display()));
    }
    let output = command.arg(file).current_dir(root()).output().expect("rustc starts");
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter(|m| m["level"] == "error").filter_map(|m| place(&m)).collect()
}

fn place(message: &Value) -> Option<Place> {
    let spans = message["spans"].as_array()?;
    let Some(span) = spans.iter().find(|span| span["is_primary"] == true) else {
        // "aborting due to 2 previous errors" has no place; any other error without one is unexpected.
        let text = message["message"].as_str()?;
        return (!text.starts_with("aborting due to")).then(|| (0, text.to_owned()));
    };
    let line = usize::try_from(span["line_start"].as_u64()?).ok()?;
    Some((line, message["code"]["code"].as_str().unwrap_or("without a code").to_owned()))
}
