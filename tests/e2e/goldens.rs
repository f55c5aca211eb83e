//! Golden files: what users see, committed, compared byte for byte. `LATCHWORK_BLESS=1` writes them anew.

use gateway::refusal::Refusal;
use serde_json::Value;
use std::{collections::BTreeSet, env, fmt::Write as _, fs};
use tests::{client::Request, latchwork, origin::Origin, project::Project, records, root};

/// The environment variable that writes instead of comparing.
const BLESS: &str = "LATCHWORK_BLESS";

/// Compares `text` with `tests/golden/<name>`, or writes it when told to.
pub fn golden(name: &str, text: &str) {
    let path = root().join("tests/golden").join(name);
    if env::var_os(BLESS).is_some_and(|value| value == "1") {
        fs::write(&path, text).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
        return;
    }
    let written =
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("`{}`: {e} ({BLESS}=1 writes it)", path.display()));
    let differs = written.lines().zip(text.lines()).position(|(w, t)| w != t);
    let line = differs.unwrap_or_else(|| written.lines().count().min(text.lines().count()));
    assert!(
        written == text,
        "`{}` differs from line {}:\n  golden: {}\n  now:    {}\nIf it should, run with {BLESS}=1 and say in the changelog how to migrate.",
        path.display(),
        line + 1,
        written.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}

#[test]
fn refusals() {
    let mut table = String::from("| word | HTTP | gRPC | Retry-After | title |\n|---|---|---|---|---|\n");
    for refusal in Refusal::every() {
        let row = refusal.row();
        let retry = refusal.retry_after().map_or_else(|| "–".to_owned(), |after| format!("{} s", after.as_secs()));
        let _ = writeln!(table, "| `{}` | {} | {} | {retry} | {} |", row.word, row.status, row.grpc, row.title);
    }
    golden("refusals.md", &table);
}

#[test]
fn config_schema() {
    let text = gateway::config::schema::text().expect("the schema is JSON");
    golden("latchwork.schema.json", &text);
}

#[test]
fn base_vocabulary() {
    let path = root().join("policy/src/vocabulary/base.cedarschema");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
    golden("base.cedarschema", &text);
}

/// The members of each kind of record, with the type of each, as real calls leave them.
#[tokio::test]
async fn audit_records() {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
        .http("shop.hidden", "GET /hidden", &origin.url, "")
        .policy("@id(\"stock\")\npermit (principal, action == Action::\"shop.stock\", resource);")
        .policy("@id(\"less\") @mode(\"shadow\")\nforbid (principal, action == Action::\"shop.stock\", resource);")
        .audited("[audit.detect.denials]\nnetwork = 1");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for path in ["/stock/7", "/hidden", "/no/such"] {
        gateway.client().send(Request::get(path)).await;
    }
    gateway.stop().await;
    let mut text = String::new();
    // No call waits for what the shadow says, or detectors find.
    let (mut late, own): (Vec<Value>, Vec<_>) = records::read(&project.audit())
        .into_iter()
        .partition(|record| record["kind"] == "shadow" || record["event"] == "finding");
    late.sort_by_key(|record| record["kind"] != "shadow");
    for record in own.into_iter().chain(late) {
        let _ = writeln!(text, "{:#}", shape(&record));
    }
    golden("audit-records.txt", &text);
}

/// The same value with what differs between runs replaced by its type.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Number(_) => "<number>".into(),
        Value::String(text) if text.chars().any(|c| c.is_ascii_digit()) => "<text with digits>".into(),
        plain => plain.clone(),
    }
}

#[test]
fn every_refusal_is_in_the_table_once() {
    let source = fs::read_to_string(root().join("gateway/src/refusal.rs")).expect("the table");
    let body = source.split("pub enum Refusal {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the enum");
    let variants = body.lines().filter(|line| {
        line.strip_prefix("    ").is_some_and(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    let every = Refusal::every();
    let words: BTreeSet<&str> = every.iter().map(|refusal| refusal.row().word).collect();
    assert_eq!((words.len(), every.len()), (variants.count(), every.len()), "words are unique and none is missing");
}

#[test]
fn a_denied_function_that_may_not_be_seen_looks_like_an_unknown_one() {
    let (unknown, unseen) = (Refusal::NotFound, Refusal::DeniedUnseen);
    let seen = |r: &Refusal| (r.row().status, r.row().grpc, r.row().title, r.detail(), r.retry_after());
    assert_eq!(seen(&unknown), seen(&unseen));
}
