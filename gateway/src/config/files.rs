//! Which files belong to a configuration: included catalogs, and the folder of policies.

use super::{raw::At, report::Report, text::Text, value::shorten};
use policy::{
    bundle::{Source, grants, team},
    finding::Finding,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Most catalog files.
const CATALOGS_MAX: usize = 1_000;
/// Most files under the folder of policies.
const POLICY_FILES_MAX: usize = 10_000;
/// Deepest folder under the folder of policies.
const POLICY_DEPTH_MAX: usize = 16;

/// The catalog files that `include` names, each once, in order.
pub(crate) fn included(patterns: &[At<String>], main: &Path, text: &Text, report: &mut Report) -> Vec<PathBuf> {
    let directory = main.parent().unwrap_or(Path::new(""));
    let mut seen: BTreeSet<PathBuf> = main.canonicalize().into_iter().collect();
    let itself = seen.clone();
    let mut paths = Vec::new();
    for pattern in patterns {
        let found = match matching(directory, &pattern.value) {
            Ok(found) => found,
            Err(message) => {
                report.push(text.error("bad_include", &pattern.span, message).help("such as `catalog/*.toml`"));
                continue;
            }
        };
        if found.is_empty() {
            let message = format!("`{}` matches no file", shorten(&pattern.value));
            report.push(text.error("no_match", &pattern.span, message));
        }
        for path in found {
            let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
            if itself.contains(&canonical) {
                let message = format!("`{}` is this file itself", path.display());
                report.push(text.error("include_cycle", &pattern.span, message));
            } else if seen.insert(canonical) {
                paths.push(path);
            }
        }
        if paths.len() > CATALOGS_MAX {
            let message = format!("at most {CATALOGS_MAX} files are included");
            report.push(text.error("too_many", &pattern.span, message));
            break;
        }
    }
    paths
}

/// Files that a pattern means: a path, or a folder and a name with `*`.
fn matching(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if folder.contains('*') || name.contains("**") || pattern.contains(['?', '[', '\0']) || name.is_empty() {
        return Err(format!("`{}`: `*` stands for any letters of a file's name, nothing else", shorten(pattern)));
    }
    if !name.contains('*') {
        let path = directory.join(pattern);
        return Ok(if path.is_file() { vec![path] } else { Vec::new() });
    }
    let folder = directory.join(folder);
    // The empty path, beside a configuration that was named without a folder, can't be read as one.
    let readable = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let Ok(entries) = std::fs::read_dir(readable) else { return Ok(Vec::new()) };
    let names = entries.flatten().map(|entry| entry.file_name()).filter_map(|name| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|entry| !entry.starts_with('.') && glob(name, entry)).collect();
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect())
}

/// Whether a name fits a pattern with `*`.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Files of policies and of cases under a folder, in lexical order of their paths.
pub(crate) fn policies(folder: &Path, report: &mut Report) -> (Vec<Source>, Vec<Source>) {
    let mut paths = Vec::new();
    if folder.is_dir() {
        walk(folder, &mut Vec::new(), &mut paths, report);
    }
    let (mut policies, mut cases) = (Vec::new(), Vec::new());
    for path in paths {
        let list = if path.to_string_lossy().ends_with(CASES) { &mut cases } else { &mut policies };
        if let Some(Text { file, text, .. }) = report.take(Text::read(&path)) {
            list.push(Source { file, text });
        }
    }
    if policies.is_empty() && folder.is_dir() {
        let message = "there is no policy, so every call is denied";
        report.push(Finding::error("no_policy", folder.display().to_string(), message).warning());
    }
    (policies, cases)
}

/// How the name of a file of cases ends.
const CASES: &str = ".cases.toml";

/// Whether a file is read: policies, grants, what binds a folder to its team, and cases.
fn is_policy(name: &str) -> bool {
    name.ends_with(".cedar") || name.ends_with(grants::SUFFIX) || name == team::FILE || name.ends_with(CASES)
}

/// Hidden entries are left out: projected volumes keep a second copy of every file in one.
fn walk(folder: &Path, above: &mut Vec<PathBuf>, paths: &mut Vec<PathBuf>, report: &mut Report) {
    let shown = folder.display().to_string();
    let canonical = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if above.contains(&canonical) {
        return report.push(Finding::error("folder_loop", shown, "the folder is inside itself, by a link"));
    }
    if above.len() >= POLICY_DEPTH_MAX {
        let message = format!("folders of policies are at most {POLICY_DEPTH_MAX} deep");
        return report.push(Finding::error("too_deep", shown, message));
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("the folder can't be read: {}", error.kind());
            return report.push(Finding::error("unreadable_file", shown, message));
        }
    };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    above.push(canonical);
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, above, paths, report);
        } else if is_policy(&name) {
            if paths.len() == POLICY_FILES_MAX {
                let message = format!("at most {POLICY_FILES_MAX} files of policies are read");
                report.push(Finding::error("too_many", shown.clone(), message));
            }
            if paths.len() >= POLICY_FILES_MAX {
                break;
            }
            paths.push(path);
        }
    }
    above.pop();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_works_from_the_working_directory() {
        assert_eq!(matching(Path::new(""), "Cargo.*ml").unwrap(), [Path::new("Cargo.toml")]);
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, fits) in [
            ("*.toml", "shop.toml", true),
            ("*.toml", "shop.tom", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("shop*", "shop", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }
}
