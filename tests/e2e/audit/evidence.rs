//! What an outsider does with a log: verify it, hold it to a checkpoint, prove one record, ask for a witness.

use super::{open_shop, shop};
use std::{fs, path::Path, time::Duration};
use tests::{
    client::Request,
    latchwork::{self, Running},
    project::Project,
    records, wait,
    witness::Witness,
};

/// Runs a command; answers its exit code and what it wrote.
fn command(project: &Project, arguments: &[&str]) -> (i32, String) {
    let output = latchwork::command(project.folder(), arguments);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
}

pub(super) fn verify(project: &Project, more: &[&str]) -> (i32, String) {
    let mut arguments = vec!["audit", "verify", "audit", "--key", "audit/test/vkey"];
    arguments.extend(more);
    command(project, &arguments)
}

async fn calls(gateway: &Running, number: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..number {
        let answer = gateway.client().send(Request::post("/orders", "x")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        ids.push(answer.call_id());
    }
    ids
}

fn only_folder(path: &Path) -> std::path::PathBuf {
    let mut folders: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

#[tokio::test]
async fn an_outsider_verifies_a_log_and_proves_a_call() {
    let (project, _origin, gateway) = open_shop("").await;
    let ids = calls(&gateway, 5).await;
    let (exit, text) = verify(&project, &[]);
    assert_eq!(exit, 0, "a running log: {text}");
    gateway.stop().await;
    let (exit, text) = verify(&project, &["--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!((exit, &report["ok"]), (0, &true.into()), "{text}");
    assert_eq!(report["proved"], report["records"], "a log that ended is proved whole: {text}");
    let (exit, key) = command(&project, &["audit", "key", "show"]);
    assert_eq!((exit, key), (0, fs::read_to_string(project.audit().join("test/vkey")).unwrap()));

    let (exit, proofs) = command(&project, &["audit", "prove", &ids[2]]);
    assert_eq!(exit, 0, "{proofs}");
    let (exit, lines) = command(&project, &["audit", "prove", &ids[2], "--format", "json"]);
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((exit, lines.len()), (0, 2), "{lines:#?}");
    assert_eq!(lines.iter().map(|line| line["proof"].as_str().unwrap()).collect::<String>(), proofs);
    project.write("call.tlog-proof", &proofs);
    let prove = ["audit", "verify", "--key", "audit/test/vkey", "--proof", "call.tlog-proof"];
    let (exit, text) = command(&project, &prove);
    assert_eq!((exit, text.matches("proved: ").count()), (0, 2), "{text}");
    assert!(text.contains(&ids[2]) && text.contains("`intent`") && text.contains("`closed`"), "{text}");
    let index: u64 = proofs.split("\nindex ").nth(1).and_then(|rest| rest.split('\n').next()).unwrap().parse().unwrap();
    let moved = proofs.replacen(&format!("\nindex {index}\n"), &format!("\nindex {}\n", index + 1), 1);
    project.write("call.tlog-proof", &moved);
    assert_eq!(command(&project, &prove).0, 1);

    let checkpoint = only_folder(&project.audit().join("test")).join("checkpoint");
    fs::copy(&checkpoint, project.folder().join("kept")).unwrap();
    assert_eq!(verify(&project, &["--checkpoint", "kept"]).0, 0);
    let changed = fs::read_to_string(&checkpoint).unwrap().replacen("latchwork/test/", "latchwork/tess/", 1);
    project.write("forged", &changed);
    assert_eq!(verify(&project, &["--checkpoint", "forged"]).0, 1);
    assert_eq!(verify(&project, &["--checkpoint", "latchwork.toml"]).0, 3);
    for wrong in [vec!["audit", "verify", "audit"], vec!["audit", "verify", "audit", "--key", "nonsense"]] {
        assert_eq!(command(&project, &wrong).0, 3, "{wrong:?}");
    }
    assert_eq!(command(&project, &["audit", "verify", "policies", "--key", "audit/test/vkey"]).0, 3);

    let segment = fs::read_dir(checkpoint.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("\"shop.order\"", "\"shop.wares\"", 1)).unwrap();
    let (exit, text) = verify(&project, &[]);
    assert_eq!(exit, 1, "{text}");
    assert!(text.contains("PROBLEM: ") && text.contains("FAILED"), "{text}");
}

#[tokio::test]
async fn checkpoints_are_copied_and_cosigned_and_a_dead_witness_stops_nobody() {
    let witness = Witness::start().await;
    let config = format!(
        "checkpoint_copies = [\"kept\"]\ncheckpoint_records = 4\ncheckpoint_interval = \"1s\"\n\
         witness = {{ url = \"{}\", key = \"{}\" }}",
        witness.url, witness.key
    );
    let (project, _origin) = shop(Project::new(), &config).await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    calls(&gateway, 10).await;
    let cosigned = wait::until("a cosigned checkpoint beyond the first", wait::LONG, || async {
        (witness.signed() > 4).then(|| witness.signed())
    })
    .await;
    let incarnation = only_folder(&project.audit().join("test"));
    let signed_by_witness = |path: &Path| fs::read_to_string(path).unwrap_or_default().contains(&witness.name);
    wait::until("its signature in the log", wait::LONG, || async {
        signed_by_witness(&incarnation.join("cosigned")).then_some(())
    })
    .await;
    let name = incarnation.file_name().unwrap();
    assert!(signed_by_witness(&project.folder().join("kept/test").join(name).join("cosigned")));

    witness.stop();
    assert_eq!(calls(&gateway, 20).await.len(), 20);
    let begun = std::time::Instant::now();
    gateway.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let (exit, text) = verify(&project, &["--witness-key", &witness.key, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, &report["ok"]), (0, &true.into()), "{text}");
    assert!(report["logs"][0]["witnessed"].as_u64().unwrap() >= cosigned, "{text}");
    assert_eq!(report["logs"][0]["proved"], report["logs"][0]["records"], "{text}");
    // The copies hold the log to its end.
    let held = format!("kept/test/{}/checkpoints", name.to_str().unwrap());
    assert_eq!(verify(&project, &["--checkpoint", &held]).0, 0);
    assert!(records::read(&project.audit()).len() > 60);
}
