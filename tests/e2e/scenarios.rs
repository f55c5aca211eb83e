//! Scenarios of commands: each README is documentation and a test. What follows `$` is run by a shell in a copy of the
//! folder, in order, and what it prints must be what is written below it. `LATCHWORK_BLESS=1` writes that anew.

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{built, fetch, latchwork, root, story};

/// Scenarios whose commands ask a solver.
const PROVED: [&str; 3] = ["diff", "story", "suggest"];

#[test]
fn every_command_prints_what_its_scenario_says() {
    let (mut ran, solver) = (Vec::new(), fetch::program("cvc5"));
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root().join("policy/scenarios")).expect("scenarios").flatten().map(|e| e.path()).collect();
    folders.sort();
    for folder in folders.into_iter().filter(|folder| folder.join("latchwork.toml").exists()) {
        if PROVED.iter().any(|name| folder.ends_with(name)) && solver.is_none() {
            continue;
        }
        scenario(&folder);
        ran.push(folder.file_name().expect("a name").to_string_lossy().into_owned());
    }
    for command in ["check", "emergency", "format", "grants", "new", "schema", "sign"] {
        assert!(ran.iter().any(|name| name == command), "`{command}` has no scenario");
    }
}

fn scenario(folder: &Path) {
    let readme = folder.join("README.md");
    let text = fs::read_to_string(&readme).unwrap_or_else(|e| panic!("`{}`: {e}", readme.display()));
    let copied = tempfile::tempdir().expect("a temporary folder");
    copy(folder, copied.path());
    if folder.ends_with("story") {
        story::write(copied.path());
    }
    let _gateway = Left(copied.path());
    let (mut now, mut inside, mut commands) = (String::new(), false, 0);
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) if inside => {
                commands += 1;
                now.push_str(&format!("{line}\n{}", output(command, copied.path())));
            }
            _ if line.starts_with("```") => {
                inside = line == "```console";
                now.push_str(&format!("{line}\n"));
            }
            _ if inside => {}
            _ => now.push_str(&format!("{line}\n")),
        }
    }
    assert!(commands > 0, "`{}` runs nothing", readme.display());
    if env::var_os("LATCHWORK_BLESS").is_some_and(|value| value == "1") {
        fs::write(&readme, &now).expect("the README is ours");
    }
    let different = text.lines().zip(now.lines()).position(|(written, found)| written != found);
    let at = different.unwrap_or_else(|| text.lines().count().min(now.lines().count()));
    let line = |text: &str| text.lines().nth(at).unwrap_or("(nothing)").to_owned();
    let blessed = env::var_os("LATCHWORK_BLESS").is_some_and(|value| value == "1");
    assert!(
        blessed || text == now,
        "`{}` differs in line {}:\n  written: {}\n  now:     {}",
        readme.display(),
        at + 1,
        line(&text),
        line(&now)
    );
}

/// Everything that a command prints, and its exit code unless that is 0.
fn output(command: &str, folder: &Path) -> String {
    let binary = built::latchwork();
    let mut path = OsString::from(binary.parent().expect("it is in a folder"));
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{{ {command}\n}} 2>&1")).current_dir(folder).env("PATH", path).env("NO_COLOR", "1");
    let done = shell.output().expect("a shell starts");
    let mut printed = String::from_utf8(done.stdout).expect("text");
    if !printed.is_empty() && !printed.ends_with('\n') {
        printed.push('\n');
    }
    match done.status.code() {
        Some(0) => printed,
        Some(code) => format!("{printed}[exit {code}]\n"),
        None => panic!("`{command}` was killed"),
    }
}

/// The gateway that a scenario started and, since something was wrong, did not end.
struct Left<'a>(&'a Path);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        let Ok(pid) = fs::read_to_string(self.0.join("gateway.pid")) else { return };
        // The number may be another process's by now.
        let ours = fs::read_link(format!("/proc/{}/cwd", pid.trim())).is_ok_and(|folder| folder == self.0);
        if ours {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the copy is ours");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the copy is ours");
        }
    }
}

/// Whoever validates with the printed schema alone comes to the same result: no error, no warning.
pub(crate) fn judged_by_the_printed_schema(folder: &Path) {
    let output = latchwork::command(folder, &["policy", "schema"]);
    let text = String::from_utf8(output.stdout).expect("a schema is text");
    let (schema, warnings) = Schema::from_cedarschema_str(&text).expect("Cedar reads it");
    assert_eq!(warnings.count(), 0, "{text}");
    let validator = Validator::new(schema);
    let files: Vec<_> = cedar_files(&folder.join("policies"));
    assert!(!files.is_empty(), "`{}` has no policies", folder.display());
    for file in files {
        let policies = fs::read_to_string(&file).expect("a file of policies");
        let policies: PolicySet = policies.parse().expect("Cedar reads it");
        let result = validator.validate(&policies, ValidationMode::Strict);
        assert!(result.validation_passed_without_warnings(), "`{}`: {result}", file.display());
    }
}

fn cedar_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => cedar_files(&path),
            false => vec![path].into_iter().filter(|path| path.extension().is_some_and(|e| e == "cedar")).collect(),
        })
        .collect()
}

#[test]
fn the_printed_schema_judges_what_is_shipped() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    assert!(latchwork::command(parent.path(), &["init", "shop"]).status.success());
    judged_by_the_printed_schema(&parent.path().join("shop"));
    for scenario in ["check", "format", "schema"] {
        judged_by_the_printed_schema(&root().join("policy/scenarios").join(scenario));
    }
}
