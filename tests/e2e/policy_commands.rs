//! `policy diff`, `replay`, `suggest` and `unused` as a user runs them, over a log that was written for it.

use serde_json::Value;
use std::process::Output;
use tests::{
    fetch,
    history::{self, Decision},
    latchwork,
    project::Project,
};

const GROUPS: &str = "algorithms = [\"ES256\"]\ngroups = { claim = \"groups\", declared = [\"staff\", \"temps\"] }";
const STAFF: &str =
    "@id(\"staff\")\npermit (principal in Group::\"corp/staff\", action in Action::\"call\", resource);";
const TEMPS: &str =
    "@id(\"temps\")\npermit (principal in Group::\"corp/temps\", action == Action::\"shop.list\", resource);";
const CALLS: u64 = 2_000;

/// Two functions and two permits, with a log in which only `staff` was used, and only for `shop.list`.
fn project() -> Project {
    let project = Project::new()
        .issuer("corp", "https://login.example.test", GROUPS)
        .http("shop.list", "GET /list", "http://127.0.0.1:9/", "")
        .http("shop.send", "POST /send", "http://127.0.0.1:9/", "")
        .policy(STAFF)
        .policy(TEMPS);
    project.config();
    history::write(&project.audit(), "test", CALLS, decision);
    project
}

fn decision(n: u64) -> Decision {
    Decision {
        function: "shop.list".into(),
        kind: "Client",
        id: format!("corp/app-{}", n % 30),
        groups: vec!["corp/staff".into()],
        zone: "other",
        input: None,
        determining: vec!["staff".into()],
        denied: None,
        seconds: 3_600,
    }
}

fn run(project: &Project, line: &str) -> (Option<i32>, Value) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Output { status, stdout, stderr } = latchwork::command(project.folder(), &words);
    let text = String::from_utf8_lossy(&stdout);
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("`latchwork {line}`: {e}\n{text}\n{}", String::from_utf8_lossy(&stderr)));
    (status.code(), value)
}

#[test]
fn replay_says_which_calls_turn() {
    let project = project();
    let (exit, same) = run(&project, "policy replay . --format json");
    assert_eq!((exit, &same["replayed"], &same["same"]), (Some(0), &CALLS.into(), &CALLS.into()));
    project.write(
        "next/a.cedar",
        &format!("{TEMPS}\n@id(\"run-on\") permit (principal, action == Action::\"run_on\", resource);\n"),
    );
    let (exit, turned) = run(&project, "policy replay next --format json");
    assert_eq!(exit, Some(2), "{turned:#}");
    let flips = turned["flips"].as_array().expect("a list");
    assert_eq!((flips.len(), &flips[0]["turn"], &flips[0]["calls"]), (1, &"newly_denied".into(), &CALLS.into()));
    assert_eq!((&flips[0]["policies"][0], flips[0]["such_as"].as_array().map(Vec::len)), (&"staff".into(), Some(3)));
}

#[test]
fn unused_says_since_when_it_looked() {
    let project = project();
    let of = |line: &str| {
        let (exit, value) = run(&project, line);
        assert_eq!((exit, &value["decisions"]), (Some(0), &CALLS.into()));
        let unused = value["unused"].as_array().expect("a list").clone();
        unused.into_iter().map(|grant| (grant["policy"].clone(), grant["used"].clone())).collect::<Vec<_>>()
    };
    let run_on = ("run-on.default".into(), "not_recorded".into());
    assert_eq!(of("policy unused --min-days 30 --format json"), [run_on.clone(), ("temps".into(), "never".into())]);
    let early = ("temps".into(), "not_observed_long_enough".into());
    assert_eq!(of("policy unused --min-days 300 --format json"), [run_on, early]);
}

#[test]
fn suggest_is_a_patch_that_denies_no_recorded_call() {
    let project = project();
    let solver = fetch::program("cvc5").is_some();
    let (exit, value) = run(&project, "policy suggest --format json");
    let proof = if solver { "grants_nothing_new" } else { "not_proven" };
    assert_eq!((&value["proof"], &value["newly_denied"]), (&proof.into(), &0.into()), "{value:#}");
    assert_eq!(exit, Some(if solver { 0 } else { 1 }));
    let patch = value["patch"].as_str().expect("a text");
    assert!(
        patch.contains("+permit (principal in Group::\"corp/staff\", action == Action::\"shop.list\", resource);"),
        "{patch}"
    );
}

#[test]
fn diff_ends_with_4_for_new_access_and_with_0_for_none() {
    let project = project();
    let run_on = "@id(\"run-on.default\") permit (principal, action == Action::\"run_on\", resource);";
    project.write("wider/a.cedar", &format!("{run_on}\n{STAFF}\n{}", TEMPS.replace("shop.list", "shop.send")));
    project.write("narrower/a.cedar", &format!("{run_on}\n{STAFF}\n"));
    project.write("broken/a.cedar", "permit (");
    let exit = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        latchwork::command(project.folder(), &words).status.code()
    };
    assert_eq!(exit("policy diff . narrower"), Some(0));
    assert_eq!(exit("policy diff . broken"), Some(3));
    assert_eq!(exit("policy diff . absent"), Some(3));
    if fetch::program("cvc5").is_none() {
        return;
    }
    assert_eq!(exit("policy diff . latchwork.toml"), Some(0));
    let (exit, value) = run(&project, "policy diff . wider --audit audit/test --format json");
    assert_eq!((exit, &value["verdict"]), (Some(4), &"grants_new".into()), "{value:#}");
    assert_eq!(value["replay"]["same"], CALLS);
    let row = value["review"]["rows"].as_array().expect("rows").iter().find(|row| row["new"]["verdict"] == "something");
    let example = &row.expect("new access")["new"]["example"];
    assert_eq!((&example["old"]["allowed"], &example["new"]["allowed"]), (&false.into(), &true.into()));
    assert_eq!(example["resource"], "Function::\"shop.send\"");
}

#[test]
fn check_with_a_solver_clears_a_guard_that_only_looks_as_if_it_could_fail() {
    let guard = |condition: &str| {
        format!(
            "@id(\"guard\")\nforbid (principal, action == Action::\"shop.count\", resource)\n\
             when {{ context.query has n && {condition} }};"
        )
    };
    let project = Project::new()
        .issuer("corp", "https://login.example.test", GROUPS)
        .http("shop.count", "GET /count", "http://127.0.0.1:9/", "query = { n = \"integer\" }")
        .permit_all();
    project.config();
    let lints = |condition: &str, line: &str| {
        let everyone = "@id(\"everyone\")\npermit (principal, action in Action::\"call\", resource);";
        project.write_policies(&format!("{everyone}\n{}", guard(condition)));
        let (_, value) = run(&project, line);
        let findings = value["findings"].as_array().expect("a list").clone();
        findings.into_iter().filter(|finding| finding["code"] == "forbid_may_error").count()
    };
    let bounded = "context.query.n > 0 && context.query.n < 100 && context.query.n * 2 > 50";
    assert_eq!(lints(bounded, "policy check --format json"), 1);
    if fetch::program("cvc5").is_none() {
        return;
    }
    assert_eq!(lints(bounded, "policy check --prove --format json"), 0);
    assert_eq!(lints("context.query.n * 2 > 50", "policy check --prove --format json"), 1);
}
