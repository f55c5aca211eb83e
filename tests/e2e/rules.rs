//! House rules as tests. Each asserts that it found files, so that a moved folder can't make it true of nothing.

use source::{Source, sources};
use std::collections::BTreeSet;
use tests::root;

mod source;

/// Most lines of a file.
const LINES_MAX: usize = 400;

/// Most lines of the file in the middle.
const LINES_MEDIAN_MAX: usize = 150;

/// Which crates of the workspace each may use: imports go one way.
const IMPORTS: [(&str, &[&str]); 5] = [
    ("proto", &[]),
    ("policy", &[]),
    ("mesh", &["policy"]),
    ("gateway", &["mesh", "policy", "proto"]),
    ("tests", &["gateway", "mesh", "policy", "proto"]),
];

/// Crates that bring a socket, a clock, a task or a file: never in `policy`.
const IMPURE: [&str; 8] = ["tokio", "hyper", "hyper-util", "http", "rustls", "rustix", "notify", "tempfile"];

/// Words of one provider. They are looked for as whole words of identifiers and texts.
const PROVIDERS: [&str; 15] = [
    "aws",
    "amazon",
    "lambda",
    "azure",
    "google",
    "gcp",
    "openwhisk",
    "ibm",
    "oracle",
    "oci",
    "fnproject",
    "kinesis",
    "pubsub",
    "knative",
    "openfaas",
];

/// What holds such a word and speaks to no provider: a crate, protocols that everybody speaks, identity headers that no
/// client may send, and the names of backend kinds, which are a closed list that configuration and build go through.
const NOT_PROVIDERS: [&str; 36] = [
    "aws_lambda",
    "awslambda",
    "azure_functions",
    "azurefunctions",
    "google_functions",
    "googlefunctions",
    "remoteconfig::openwhisk",
    "openwhiskconfig",
    "self.openwhisk",
    "openwhisk:",
    "oracle_functions",
    "oraclefunctions",
    "knativeconfig",
    "remoteconfig::knative",
    "self.knative",
    "knative:",
    "openfaasconfig",
    "remoteconfig::openfaas",
    "self.openfaas",
    "openfaas:",
    "kinesisconfig",
    "remoteconfig::kinesis",
    "self.kinesis",
    "kinesis:",
    "pubsubconfig",
    "remoteconfig::pubsub",
    "self.pubsub",
    "pubsub:",
    "aws-lc-rs",
    "aws_lc_rs",
    "crypto::aws_lc::",
    "google.api",
    "google.rpc",
    "google.protobuf",
    "google::rpc",
    "\"x-azure-\"",
];

/// Words that say that something is not done.
const UNDONE: [&str; 7] = ["todo", "fixme", "xxx", "unimplemented", "stub", "placeholder", "hack"];

#[test]
fn imports_go_one_way() {
    for (name, allowed) in IMPORTS {
        let path = root().join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).expect("every crate has a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let dependencies = |table: &str| manifest.get(table).and_then(toml::Value::as_table);
        let normal: BTreeSet<&str> = ["dependencies", "build-dependencies"]
            .iter()
            .filter_map(|t| dependencies(t))
            .flat_map(|t| t.keys())
            .map(String::as_str)
            .collect();
        assert!(!normal.is_empty(), "`{name}` has no dependencies, so this rule reads the wrong table");
        for (other, _) in IMPORTS {
            assert!(!normal.contains(other) || allowed.contains(&other), "`{name}` may not depend on `{other}`");
        }
        if name == "policy" {
            let impure: Vec<_> = IMPURE.iter().filter(|i| normal.contains(**i)).collect();
            assert!(impure.is_empty(), "`policy` is pure, but depends on {impure:?}");
        }
    }
}

#[test]
fn policy_reads_no_clock_file_or_socket() {
    let banned = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::thread",
        "std::process",
        "std::env",
        "SystemTime",
        "Instant",
        "Timestamp::now",
        "Zoned::now",
    ];
    broken("`policy` is pure", in_crate("policy").filter(|s| !s.is_test()).flat_map(|s| s.find(&banned)));
}

#[test]
fn files_are_short() {
    let sources: Vec<Source> = sources().into_iter().filter(|s| !s.is_generated()).collect();
    let long = sources.iter().filter(|s| s.lines() > LINES_MAX).map(|s| format!("{} has {} lines", s.path, s.lines()));
    broken("at most 400 lines in a file", long);
    let mut lines: Vec<usize> = sources.iter().map(Source::lines).collect();
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(median <= LINES_MEDIAN_MAX, "the file in the middle has {median} lines, not at most {LINES_MEDIAN_MAX}");
}

#[test]
fn the_first_line_says_what_a_file_is_for() {
    let silent = sources().into_iter().filter(|s| !s.is_generated() && !s.says_what_it_is_for());
    broken("line 1 is a sentence after `//!`", silent.map(|s| s.path));
}

#[test]
fn provider_names_live_in_mesh_only() {
    let rooms = ["gateway", "policy", "proto"];
    let sources = sources().into_iter().filter(|s| rooms.contains(&s.room()) && !s.is_generated() && !s.is_test());
    broken("provider names live in mesh, tests and deploy", sources.flat_map(|s| s.words(&PROVIDERS, &NOT_PROVIDERS)));
}

#[test]
fn nothing_is_unsafe() {
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern", "unsafe("];
    broken("no `unsafe`", sources().iter().filter(|s| !own(s)).flat_map(|s| s.find(&forms)));
    for (name, _) in IMPORTS {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
        let inherits = manifest.contains("[lints]\nworkspace = true") || manifest.contains("unsafe_code = \"forbid\"");
        assert!(inherits, "`{name}` does not forbid unsafe code");
    }
}

#[test]
fn nothing_is_left_undone() {
    let sources: Vec<Source> = sources().into_iter().filter(|s| !s.is_generated() && !own(s)).collect();
    broken("nothing is left for later", sources.iter().flat_map(|s| s.every_word(&UNDONE)));
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    let sources: Vec<Source> = sources().into_iter().filter(|s| !s.is_generated() && !own(s)).collect();
    broken("`expect` a lint, do not `allow` it", sources.iter().flat_map(|s| s.find(&["[allow(", "#![allow("])));
    let without = sources.iter().flat_map(|s| s.attributes("[expect(")).filter(|(_, a)| !a.contains("reason = \""));
    broken("a lint is expected with a reason", without.map(|(place, _)| place));
}

#[test]
fn tests_wait_for_conditions() {
    let poll_loops = ["tests/peers/wait.rs", "tests/peers/origin.rs", "tests/e2e/rules.rs"];
    let tests = sources().into_iter().filter(|s| s.room() == "tests" && !poll_loops.contains(&s.path.as_str()));
    broken("tests poll, they do not sleep", tests.flat_map(|s| s.find(&["sleep(", "#[ignore"])));
}

#[test]
fn the_workplace_is_not_named() {
    let banned = ["../shared", "/work/", "shared/labs"];
    broken("the project stands alone", sources().iter().filter(|s| !own(s)).flat_map(|s| s.find(&banned)));
}

#[test]
fn vague_names_are_not_used() {
    let vague = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];
    let named = sources().into_iter().filter(|s| s.path.split(['/', '.']).any(|part| vague.contains(&part)));
    broken("a file is named after what it holds", named.map(|s| s.path));
}

fn in_crate(name: &'static str) -> impl Iterator<Item = Source> {
    let found: Vec<Source> = sources().into_iter().filter(|s| s.room() == name).collect();
    assert!(!found.is_empty(), "`{name}` has no files");
    found.into_iter()
}

/// This file holds the words that it looks for.
fn own(source: &Source) -> bool {
    source.path == "tests/e2e/rules.rs"
}

/// Fails with every place where a rule is broken.
fn broken(rule: &str, places: impl IntoIterator<Item = String>) {
    let places: Vec<String> = places.into_iter().collect();
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}
