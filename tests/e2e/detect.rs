//! What is unusual is found while it happens: recorded, counted and logged, once; and in a log that is there.

use serde_json::Value;
use tests::{
    client::Request,
    latchwork::{self, Running},
    oidc::{self, Issuer},
    origin::Origin,
    project::Project,
    records, wait,
};

/// Nothing must be learned first, and few denials are many.
const EAGER: &str = "[audit.detect]\nlearn = \"0s\"\n[audit.detect.first_seen]\nsettle = \"0s\"\n\
    [audit.detect.denials]\ncaller = 5";

/// Denials of the burst.
const DENIALS: usize = 8;

/// Stock may be read, orders may not be made.
async fn shop(audited: &str) -> Option<(Project, Issuer, Origin)> {
    let project = Project::new();
    let issuer = Issuer::start(project.folder()).await?;
    let origin = Origin::start().await;
    let project = project
        .issuer("corp", &issuer.url, "")
        .http("stock.level", "GET /stock/{sku}", &origin.url, "")
        .http("stock.list", "GET /stock", &origin.url, "")
        .http("stock.order", "POST /orders", &origin.url, "")
        .policy(
            "@id(\"read\")\npermit (principal, action in [Action::\"stock.level\", Action::\"stock.list\"], resource);",
        )
        .audited(audited);
    Some((project, issuer, origin))
}

async fn get(gateway: &Running, path: &str, token: &str) {
    assert_eq!(gateway.client().send(Request::get(path).bearer(token)).await.status, 200);
}

fn findings(project: &Project) -> Vec<Value> {
    records::read(&project.audit()).into_iter().filter(|record| record["event"] == "finding").collect()
}

async fn found(project: &Project, many: usize) -> Vec<Value> {
    let enough = || async { Some(findings(project)).filter(|found| found.len() >= many) };
    wait::until("the findings", wait::LONG, enough).await
}

/// Waits until the detectors of this gateway have seen all that is in its log.
async fn caught_up(project: &Project, gateway: &Running) {
    let seen = || async {
        let all = records::read(&project.audit());
        let own = all.last()?["incarnation"].clone();
        let many = all.iter().filter(|record| record["incarnation"] == own).count();
        let metrics = gateway.metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix("latchwork_detect_records_total "))?;
        (line.parse::<usize>().ok()? >= many).then_some(())
    };
    wait::until("the detectors", wait::LONG, seen).await;
}

async fn metric(gateway: &Running, line: &str) {
    let found = || async { gateway.metrics().await.lines().any(|found| found == line).then_some(()) };
    wait::until(line, wait::LONG, found).await;
}

fn run(project: &Project, line: &str, expected: i32) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = tokio::task::block_in_place(|| latchwork::command(project.folder(), &words));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "`{line}`: {said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_use_and_a_burst_of_denials_are_recorded_counted_and_logged_and_no_restart_repeats_them() {
    let Some((project, issuer, origin)) = shop(EAGER).await else { return };
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let token = issuer.token(None).await;
    get(&gateway, "/stock/7", &token).await;
    found(&project, 1).await;
    for _ in 0..DENIALS {
        let denied = gateway.client().send(Request::post("/orders", "x").bearer(&token)).await;
        assert_eq!(denied.status, 404, "{}", denied.text());
    }
    let all = found(&project, 2).await;
    let caller = format!("corp/{}", oidc::CLIENT);
    assert_eq!((&all[0]["detector"], &all[0]["function"]), (&"first_seen".into(), &"stock.level".into()));
    assert_eq!((&all[1]["detector"], &all[1]["caller"]), (&"denials".into(), &caller.as_str().into()));
    assert_eq!((&all[1]["count"], &all[1]["threshold"], &all[1]["unit"]), (&5.into(), &5.into(), &"denials".into()));
    let cause = records::of_call(&project.audit(), all[0]["of_call"].as_str().expect("a call"));
    assert_eq!(cause[0]["seq"], all[0]["record"]["seq"], "it names the record that it stands on");
    metric(&gateway, "latchwork_findings_total{detector=\"first_seen\"} 1").await;
    metric(&gateway, "latchwork_findings_total{detector=\"denials\"} 1").await;
    caught_up(&project, &gateway).await;
    let tail = run(&project, "audit tail", 0);
    assert!(tail.contains(&format!("denials: {caller} → stock.order: 5 denials")), "{tail}");
    let line = wait::until("the log line", wait::LONG, || async {
        gateway.stderr().lines().find(|line| line.contains("unusual") && line.contains("denials")).map(str::to_owned)
    });
    let line = line.await;
    for part in ["WARN", &caller, "stock.order", "\"count\":5", "\"threshold\":5"] {
        assert!(line.contains(part), "`{part}` is not in {line}");
    }

    // Killed, so that nothing was kept: it learns from the log, and tells of nothing old.
    gateway.kill().await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    get(&gateway, "/stock/8", &token).await;
    get(&gateway, "/stock", &token).await;
    assert_eq!(found(&project, 3).await[2]["function"], "stock.list");
    caught_up(&project, &gateway).await;
    gateway.stop().await;
    assert!(project.audit().join("test/detectors").is_file(), "what is remembered is kept");

    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    get(&gateway, "/stock/9", &token).await;
    get(&gateway, "/stock", &token).await;
    wait::until("the detectors", wait::LONG, || async {
        let metrics = gateway.metrics().await;
        let seen = metrics.lines().find_map(|line| line.strip_prefix("latchwork_detect_records_total "));
        (seen?.parse::<usize>().ok()? >= 6).then_some(())
    })
    .await;
    gateway.stop().await;
    assert_eq!(findings(&project).len(), 3, "nothing is found twice");
    assert!(run(&project, "audit verify audit --key audit/test/vkey", 0).contains("ok"));
    drop(origin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_off_finds_nothing_and_a_log_that_is_there_is_asked_with_its_thresholds() {
    let off = EAGER.replacen("[audit.detect]\n", "[audit.detect]\nenabled = false\n", 1);
    let Some((project, issuer, origin)) = shop(&off).await else { return };
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let token = issuer.token(None).await;
    get(&gateway, "/stock/7", &token).await;
    for _ in 0..DENIALS {
        gateway.client().send(Request::post("/orders", "x").bearer(&token)).await;
    }
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("latchwork_detect_records_total 0\n"), "{metrics}");
    gateway.stop().await;
    assert!(findings(&project).is_empty());
    let text = run(&project, "audit detect", 1);
    assert!(text.contains("2 findings (first_seen 1, denials 1) in "), "{text}");
    let json = run(&project, "audit detect --format json", 1);
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["finding"]["detector"], "first_seen");
    assert_eq!(lines[2]["found"]["denials"], 1, "{json}");
    assert_eq!(run(&project, "audit detect --format json", 1), json, "the same log says the same");
    run(&project, "audit detect --from 2100-01-01T00:00:00Z", 0);
    run(&project, "audit detect --audit nowhere", 3);
    drop(origin);
}
