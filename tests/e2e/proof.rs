//! `docs/proof.md` is true of what is there: every kind of target has a row, every test that it names exists, and so do its
//! golden requests, its examples, and its slips.

use mesh::backend::KINDS;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use tests::root;

/// The cases that each row speaks of.
const CASES: usize = 8;

/// A row: one kind of target, called in one way.
struct Row {
    kind: String,
    cases: Vec<String>,
    requests: String,
    examples: Vec<String>,
}

fn page() -> String {
    fs::read_to_string(root().join("docs/proof.md")).expect("the page")
}

fn rows() -> Vec<Row> {
    let page = page();
    let lines = page.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Row> = lines.map(row).collect();
    assert!(rows.len() > KINDS.len(), "the page has rows");
    rows
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [kind, _how, cases @ .., requests, examples] = cells.as_slice() else { panic!("{line}") };
    assert_eq!(cases.len(), CASES, "{line}");
    Row {
        kind: quoted(kind).concat(),
        cases: cases.iter().map(|&case| case.to_owned()).collect(),
        requests: (*requests).to_owned(),
        examples: examples
            .split('[')
            .filter_map(|part| part.split_once(']'))
            .map(|(name, _)| name.to_owned())
            .collect(),
    }
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The letter of a cell that names none, if it is one.
fn letter(cell: &str) -> Option<&str> {
    cell.strip_prefix("– ")
}

#[test]
fn every_kind_has_a_row_and_every_cell_a_test_or_a_reason() {
    let (page, rows) = (page(), rows());
    let named: BTreeSet<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(named, BTreeSet::from(KINDS));
    let reasons: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("- ")?.get(..2)?.strip_suffix(':')).collect();
    let tests = tests();
    let (mut numbers, mut letters) = (BTreeSet::new(), BTreeSet::new());
    for row in &rows {
        for cell in row.cases.iter().chain([&row.requests]) {
            assert!(!cell.is_empty(), "`{}` has an empty cell", row.kind);
            letters.extend(letter(cell));
        }
        let cited = row.cases.iter().filter(|cell| letter(cell).is_none()).flat_map(|cell| cell.split(' '));
        numbers.extend(
            cited.map(|number| number.parse::<usize>().unwrap_or_else(|_| panic!("{number} of `{}`", row.kind))),
        );
    }
    assert_eq!(letters, reasons);
    assert_eq!(numbers, tests.keys().copied().collect(), "every number is a test, and every test is cited");
}

/// The tests of the page, by number.
fn tests() -> BTreeMap<usize, (String, String)> {
    let page = page();
    let listed = page.lines().filter_map(|line| {
        let (number, rest) = line.split_once(". `")?;
        let (name, file) = rest.trim_end_matches('`').split_once("` in `")?;
        Some((number.parse().ok()?, (name.to_owned(), file.to_owned())))
    });
    listed.collect()
}

#[test]
fn every_test_that_is_named_exists() {
    let tests = tests();
    assert!(tests.len() > KINDS.len(), "the page names tests");
    for (number, (name, file)) in tests {
        let source = fs::read_to_string(root().join(&file)).unwrap_or_else(|e| panic!("{number}: `{file}`: {e}"));
        let is_test =
            |part: &str| part.lines().rev().take(3).any(|line| line.contains("test]") || line.contains("test("));
        let found = source.split_once(&format!("fn {name}(")).is_some_and(|(before, _)| is_test(before));
        assert!(found, "{number}: `{file}` has no test `{name}`");
    }
}

#[test]
fn what_goes_over_the_wire_is_golden_for_every_kind() {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows() {
        let files = quoted(&row.requests).into_iter().map(str::to_owned);
        named.entry(row.kind).or_default().extend(files);
    }
    for (kind, files) in named {
        let folder = if kind == "fn" { "fn_server" } else { &kind };
        let folder = root().join("mesh/src/backend").join(folder);
        let there: BTreeSet<String> =
            names(&folder).iter().filter_map(|name| name.strip_suffix(".golden")).map(str::to_owned).collect();
        assert_eq!(files, there, "`{kind}`");
        // Connections have no request.
        assert!(!there.is_empty() || kind == "tcp", "`{kind}` has no golden request");
    }
}

#[test]
fn every_kind_has_an_example_and_slips() {
    let slips = root().join("gateway/src/config/tests/malformed.txt");
    let slips = fs::read_to_string(slips).expect("what is said of slips");
    for Row { kind, examples, .. } in rows() {
        assert!(!examples.is_empty(), "`{kind}` has no example");
        for example in examples {
            let folder = root().join("deploy/examples").join(&example);
            let speaks = |folder: &Path| {
                let files = names(folder).into_iter().filter(|name| name.ends_with(".toml"));
                files
                    .map(|name| fs::read_to_string(folder.join(name)).expect("a file of the example"))
                    .any(|text| text.contains(&format!("{kind} = ")) || text.contains(&format!("{kind}.")))
            };
            let folders = ["", "catalog", "a", "b"].map(|name| folder.join(name));
            assert!(folders.iter().any(|folder| speaks(folder)), "`{example}` has no target of kind `{kind}`");
        }
        // Of a kind that is not in every build other things are said in each.
        assert!(kind == "kafka" || slips.contains(&format!("{kind} = {{")), "`{kind}` has no slips in malformed.txt");
    }
}

/// What lies in a folder; nothing where there is none.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
