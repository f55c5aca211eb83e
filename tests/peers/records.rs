//! Reads what the audit log holds, from outside: JSON lines in `audit/<node>/<incarnation>/`.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every whole record under an audit folder, oldest file first. A last line without its end is no record.
///
/// # Panics
/// When a whole line is not JSON.
pub fn read(audit: &Path) -> Vec<Value> {
    let mut records = Vec::new();
    for file in files(audit) {
        let bytes = fs::read(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for (number, line) in whole.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let at = || format!("{}:{}", file.display(), number + 1);
            records.push(serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}: `{line}`", at())));
        }
    }
    records
}

/// Every whole record as it stands, oldest first.
pub fn lines(audit: &Path) -> Vec<String> {
    let text = |file: PathBuf| String::from_utf8(fs::read(file).unwrap_or_default()).expect("records are text");
    let texts = files(audit).into_iter().map(text);
    let whole = texts.map(|text| text.rsplit_once('\n').map_or(String::new(), |(whole, _)| whole.to_owned()));
    whole.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The id of a record, wherever it was shipped to.
pub fn id(line: &str) -> String {
    let record: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: `{line}`"));
    let text = |name: &str| record[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {record}")).to_owned();
    format!("{}/{}/{}", text("node"), text("incarnation"), record["seq"])
}

/// The records of one call.
pub fn of_call(audit: &Path, call_id: &str) -> Vec<Value> {
    read(audit).into_iter().filter(|record| record["call"] == call_id).collect()
}

/// The kinds of these records, in order.
pub fn kinds(records: &[Value]) -> Vec<&str> {
    records.iter().filter_map(|record| record["kind"].as_str()).collect()
}

/// All bytes of the log, to look for what must not be there.
pub fn bytes(audit: &Path) -> Vec<u8> {
    files(audit).into_iter().flat_map(|file| fs::read(file).unwrap_or_default()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "jsonl") {
            found.push(path);
        }
    }
    found
}
