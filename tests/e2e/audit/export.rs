//! Exports of a running gateway's log, held to published schemas by other people's programs.

use super::{open_shop, shop};
use serde_json::Value;
use std::{fs, path::Path, process::Command};
use tests::{
    client::{Client, Request},
    fetch, latchwork,
    project::Project,
    records, scripts,
};

/// Runs an export; answers its exit code, what it wrote, and what it said.
fn export(project: &Project, more: &[&str]) -> (i32, String, String) {
    let arguments = [&["audit", "export"], more].concat();
    let output = latchwork::command(project.folder(), &arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn checked(python: &Path, form: &str, file: &Path) -> u64 {
    let output = Command::new(python).arg(scripts().join("export_check.py")).args([form]).arg(file).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said.trim().parse().unwrap_or_else(|e| panic!("{e}: {said}"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn records_leave_as_ocsf_and_as_cloud_events() {
    let Some(python) = fetch::export("ocsf-json-schema") else { return };
    let (project, _origin, gateway) = open_shop("fields = { \"/facts/network/source\" = \"drop\" }").await;
    let secret = "a-token-that-nobody-exports";
    let good = gateway.client().send(Request::post("/orders", "x").header("cookie", secret)).await;
    assert_eq!(good.status, 200);
    assert_eq!(gateway.client().send(Request::get("/no/such")).await.status, 404);
    assert_eq!(gateway.client().http2().send(Request::post("/orders", "y")).await.status, 200);
    gateway.stop().await;

    let all = records::read(&project.audit());
    let (exit, text, said) = export(&project, &[]);
    assert_eq!((exit, said.as_str()), (0, ""), "{said}");
    assert_eq!(text.into_bytes(), records::bytes(&project.audit()), "the records, byte by byte");

    for (form, more) in [("ocsf", "events.ocsf"), ("cloudevents", "events.cloud")] {
        let (exit, text, said) = export(&project, &["--format", form, "--out", more]);
        assert_eq!((exit, text.as_str()), (0, ""), "{said}");
        let file = project.folder().join(more);
        let number = checked(&python, form, &file);
        assert!(said.contains(&format!("{number} ")), "{said}");
        let written = fs::read_to_string(&file).unwrap();
        assert!(!written.contains(secret) && !written.contains("127.0.0.1"), "{written}");
        match form {
            "ocsf" => ocsf(&lines(&written), &all, &good.call_id()),
            _ => assert_eq!(lines(&written).into_iter().map(|mut event| event["data"].take()).collect::<Vec<_>>(), all),
        }
        assert_eq!(export(&project, &["--format", form]).1, written, "the same to standard output");
    }
    let left: Vec<_> = fs::read_dir(project.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("unfinished")), "{left:?}");
}

fn ocsf(events: &[Value], all: &[Value], good: &str) {
    let of_kind = |kind: &str| all.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!(events.len(), of_kind("intent") + of_kind("refused") + of_kind("admin"));
    let event = events.iter().find(|event| event["metadata"]["correlation_uid"] == good).unwrap();
    assert_eq!((&event["class_uid"], &event["status"]), (&6003.into(), &"Success".into()), "{event:#}");
    assert_eq!((&event["api"]["operation"], &event["status_code"]), (&"shop.order".into(), &"200".into()), "{event:#}");
    assert_eq!(event["src_endpoint"]["name"], "unknown", "{event:#}");
    assert_eq!(event["unmapped"]["protected"]["/facts/network/source"], "dropped", "{event:#}");
    assert_eq!(event["actor"]["authorizations"][0]["policy"]["name"], "everyone", "{event:#}");
    let refused = events.iter().find(|event| event["unmapped"]["kind"] == "refused").unwrap();
    assert_eq!((&refused["status"], &refused["activity_name"]), (&"Failure".into(), &"Read".into()), "{refused:#}");
    assert!(events.iter().any(|event| event["api"]["operation"] == "drain"), "{events:#?}");
}

#[tokio::test]
async fn a_filter_lets_whole_calls_through() {
    let (project, _origin, gateway) = open_shop("").await;
    for _ in 0..3 {
        assert_eq!(gateway.client().send(Request::post("/orders", "x")).await.status, 200);
    }
    gateway.client().send(Request::get("/no/such")).await;
    gateway.stop().await;
    let found = |more: &[&str]| {
        let (exit, text, said) = export(&project, more);
        assert_eq!(exit, 0, "{said}");
        lines(&text)
    };
    let calls = found(&["--function", "shop.order"]);
    assert_eq!(records::kinds(&calls), ["intent", "closed", "intent", "closed", "intent", "closed"]);
    assert!(calls.chunks(2).all(|call| call[0]["call"] == call[1]["call"]), "whole calls: {calls:#?}");
    assert!(found(&["--function", "shop.slow"]).is_empty());
    assert_eq!(found(&["--outcome", "completed", "--function", "shop.order"]).len(), 6);
    assert_eq!(records::kinds(&found(&["--outcome", "refused"])), ["refused"]);
    assert_eq!(found(&["--outcome", "not_found"]).len(), 1);
    assert!(found(&["--caller", "corp/nobody"]).is_empty());
    assert_eq!(found(&["--caller", "anonymous", "--function", "shop.order", "--since", "1h"]).len(), 6);
    assert!(found(&["--until", "2020-01-01"]).is_empty());
    for wrong in [vec!["--since", "yesterday"], vec!["--format", "xml"], vec!["--log", "nowhere"]] {
        let (exit, text, said) = export(&project, &wrong);
        assert!(exit != 0 && text.is_empty() && !said.is_empty(), "{wrong:?}: {exit} {said}");
    }
}

#[tokio::test]
async fn what_is_not_whole_has_not_the_name_of_what_is() {
    let (project, _origin) = shop(Project::new(), "").await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    call(&gateway.client()).await;
    gateway.stop().await;
    let folder = fs::read_dir(project.audit().join("test")).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir());
    let segment = fs::read_dir(folder.unwrap()).unwrap().map(|e| e.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("\"kind\":\"closed\"", "\"kind\":\"clo", 1)).unwrap();
    let (exit, _, said) = export(&project, &["--out", "all.jsonl"]);
    assert!(exit == 1 && said.contains("is not exported") && said.contains("--skip-damaged"), "{exit} {said}");
    let names = || fs::read_dir(project.folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(!names().any(|name| name.starts_with("all.jsonl")));
    let (exit, _, said) = export(&project, &["--out", "all.jsonl", "--skip-damaged"]);
    assert!(exit == 1 && said.contains("1 places of the log are damaged"), "{exit} {said}");
    let written = fs::read_to_string(project.folder().join("all.jsonl")).unwrap();
    assert_eq!(written.lines().count(), text.lines().count() - 1);
    let (exit, _, said) = export(&project, &["--format", "parquet", "--out", "all.parquet"]);
    assert!(cfg!(feature = "parquet") || exit == 3 && said.contains("--features parquet"), "{exit} {said}");
}

async fn call(client: &Client) {
    assert_eq!(client.send(Request::post("/orders", "x")).await.status, 200);
}
