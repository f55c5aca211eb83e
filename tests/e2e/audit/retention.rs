//! A gateway that keeps its log small while calls go on: what is left is proved, and what went is known.

use super::{evidence::verify, shop};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tests::{
    client::{Client, Request},
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records, wait,
};

/// Small segments, and room for a few of them.
const SMALL: &str = "segment_bytes_max = 65536\ncheckpoint_records = 200\ndurability = \"write\"";
const ROOM_BYTES: u64 = 262_144;

/// Calls until told to stop; every one is answered.
async fn calls(client: Client, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) {
    let mut session = client.open().await.unwrap();
    while !stop.load(Ordering::Relaxed) {
        let number = answered.fetch_add(1, Ordering::Relaxed);
        let answer = session.send(Request::get(&format!("/items/{}", noise(number as u64)))).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// So much text that does not pack well, that few records fill a segment.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut digit = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from_digit((state >> 32) as u32 % 36, 36).unwrap()
    };
    (0..1500).map(|_| digit()).collect()
}

/// A shop whose calls leave large records.
async fn items(project: Project, audited: &str) -> (Project, Origin) {
    let (project, origin) = shop(project, audited).await;
    (project.http("shop.item", "GET /items/{id}", &origin.url, ""), origin)
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

fn checkpoint(project: &Project) -> PathBuf {
    let mut found = Vec::new();
    for path in fs::read_dir(project.audit().join("test")).unwrap().map(|entry| entry.unwrap().path()) {
        found.extend(Some(path.join("checkpoint")).filter(|path| path.exists()));
    }
    found.pop().unwrap()
}

/// Calls until `done`, on several connections.
async fn under_load(gateway: &Running, what: &str, done: impl Fn() -> bool) -> usize {
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> =
        (0..8).map(|_| tokio::spawn(calls(gateway.client(), stop.clone(), answered.clone()))).collect();
    wait::until(what, wait::LONG, || async { done().then_some(()) }).await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    answered.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_gateway_retires_its_oldest_records_while_calls_go_on() {
    let retention = format!("{SMALL}\nretention = {{ bytes_max = {ROOM_BYTES} }}");
    let (project, _origin) = items(Project::new(), &retention).await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let audit = project.audit();
    under_load(&gateway, "the first segments", || files(&audit, "jsonl").len() > 2).await;
    fs::copy(checkpoint(&project), project.folder().join("early")).unwrap();
    let answered = under_load(&gateway, "tombstones", || files(&audit, "tombstone").len() >= 8).await;
    fs::copy(checkpoint(&project), project.folder().join("late")).unwrap();
    let last = gateway.client().send(Request::post("/orders", "x")).await.call_id();
    assert!(answered > 50 && gateway.metrics().await.contains("latchwork_audit_retention_healthy 1"));
    let retired = records::read(&audit).into_iter().find(|record| record["event"] == "retired");
    assert!(retired.is_some_and(|record| record["rule"].as_str().unwrap().starts_with("bytes_max")));
    for (command, needle) in [(vec!["explain", &last], last.as_str()), (vec!["audit", "tail", "-n", "400"], &last)] {
        let output = latchwork::command(project.folder(), &command);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && text.contains(needle) && !text.contains("warning"), "{command:?}: {text}");
    }
    let held = ["--checkpoint", "late", "--checkpoint", "early"];
    let (exit, text) = verify(&project, &held);
    assert_eq!(exit, 0, "a running log: {text}");
    gateway.kill().await;

    let again = latchwork::run(&project.config(), &project.ca()).await;
    let (exit, text) = verify(&project, &held);
    assert_eq!(exit, 0, "after a kill: {text}");
    assert!(text.contains("were retired until") && text.contains("can't be checked any more"), "{text}");
    again.stop().await;
    let (exit, text) = verify(&project, &["--format", "json", "--checkpoint", "late"]);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(exit == 0 && report["retired"].as_u64().unwrap() > 50, "{text}");
    let (exit, exported) = {
        let output = latchwork::command(project.folder(), &["audit", "export"]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!((exit, exported.lines().count() as u64), (Some(0), report["records"].as_u64().unwrap()));
    // A tombstone that goes is missed like the segment itself.
    fs::remove_file(files(&audit, "tombstone").into_iter().min().unwrap()).unwrap();
    assert_eq!(verify(&project, &[]).0, 1);
}

#[tokio::test]
async fn older_segments_move_to_an_archive_and_stay_part_of_the_log() {
    let project = Project::new();
    let archive = project.folder().join("archive");
    fs::create_dir(&archive).unwrap();
    let retention =
        "retention = { age = \"365d\", pack_after = \"1s\", archive = \"archive\", archive_after = \"1s\" }";
    let (project, _origin) = items(project, &format!("{SMALL}\n{retention}")).await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let first = gateway.client().send(Request::post("/orders", "x")).await.call_id();
    under_load(&gateway, "archived segments", || files(&archive, "zst").len() >= 3).await;
    for command in [["explain", &first].as_slice(), &["audit", "prove", &first]] {
        let output = latchwork::command(project.folder(), command);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && !text.contains("warning"), "{command:?}: {text}");
    }
    gateway.stop().await;
    assert_eq!(verify(&project, &[]).0, 0, "the log says where its archive is");
    fs::rename(&archive, project.folder().join("moved")).unwrap();
    let (exit, text) = verify(&project, &[]);
    assert!(exit == 1 && text.contains("are missing"), "{text}");
    assert_eq!(verify(&project, &["moved"]).0, 0, "or whoever verifies says it");
}
