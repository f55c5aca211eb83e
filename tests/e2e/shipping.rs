//! Records reach other places, each at least once and in order, whatever becomes of those places or of the gateway.

use async_nats::ConnectOptions;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tests::{
    client::{Client, Request},
    collector::{Collector, Manner, text},
    disk::SmallDisk,
    latchwork::{self, Running},
    nats::{Message, Nats},
    origin::Origin,
    project::Project,
    records, skip, wait,
};

mod example;
mod logins;

/// Calls on one connection at a time.
const CALLERS: usize = 4;

/// Calls between two accidents.
const CALLS: usize = 100;

/// A gateway where everybody may call everything and records go to the sinks of these tables.
async fn open_shop(ship: &str) -> (Project, Origin, Running) {
    let origin = Origin::start().await;
    let project = Project::new()
        .anonymous()
        .audited(&format!("durability = \"write\"\nsegment_bytes_max = 65536\n\n{ship}"))
        .tables("[limits]\ncaller_rate = { per_second = 100000 }\nnetwork_rate = { per_second = 100000 }")
        .http("shop.order", "POST /orders", &origin.url, "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, origin, gateway)
}

/// Calls on one connection until it breaks or enough were made; each must be answered.
async fn call(client: Client, made: Arc<AtomicUsize>, until: usize) {
    let Ok(mut session) = client.open().await else { return };
    while made.load(Ordering::SeqCst) < until {
        let Ok(answer) = session.send(Request::post("/orders", "x")).await else { return };
        assert_eq!(answer.status, 200, "{}", answer.text());
        made.fetch_add(1, Ordering::SeqCst);
    }
}

/// So many calls, of several callers at once.
async fn calls(gateway: &Running, number: usize) {
    let made = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(call(gateway.client(), made.clone(), number))).collect();
    for caller in callers {
        caller.await.expect("every call is answered");
    }
    assert!(made.load(Ordering::SeqCst) >= number);
}

/// How a sink fares, as the administrative interface says.
async fn state(gateway: &Running, sink: &str) -> serde_json::Value {
    let ready = gateway.admin().send(Request::get("/latchwork/v1/ready")).await.json();
    let all = ready["audit"]["ship"].as_array().expect("a list of sinks").clone();
    all.into_iter().find(|one| one["sink"] == sink).unwrap_or_else(|| panic!("no sink `{sink}` in {ready}"))
}

/// The value of a metric of a sink.
async fn metric(gateway: &Running, name: &str, sink: &str) -> u64 {
    let text = gateway.metrics().await;
    let line = format!("latchwork_{name}{{sink=\"{sink}\"}} ");
    let value = text.lines().find_map(|at| at.strip_prefix(&line)?.parse().ok());
    value.unwrap_or_else(|| panic!("no `{line}` in {text}"))
}

async fn until_state(gateway: &Running, sink: &str, wanted: &str) {
    wait::until(&format!("`{sink}` is {wanted}"), wait::LONG, || async {
        (state(gateway, sink).await["state"] == wanted).then_some(())
    })
    .await;
}

/// Waits until a stream holds exactly the log: every record once, in order, under its id.
async fn whole(nats: &Nats, options: impl Fn() -> ConnectOptions, audit: &Path) -> Vec<Message> {
    let began = Instant::now();
    let found = wait::until("the stream holds the log", 2 * wait::LONG, || async {
        let lines = records::lines(audit);
        let messages = nats.messages(options(), "AUDIT").await;
        match differs(&messages, &lines) {
            None => Some(Ok((messages, lines))),
            Some(how) => (began.elapsed() > wait::LONG).then_some(Err(how)),
        }
    });
    let (messages, lines) = found.await.unwrap_or_else(|how| panic!("{how}"));
    for (message, line) in messages.iter().zip(&lines) {
        assert_eq!(message.id, records::id(line));
    }
    messages
}

fn differs(messages: &[Message], lines: &[String]) -> Option<String> {
    let first = messages.iter().zip(lines).position(|(message, line)| message.payload != line.as_bytes());
    let at = first.or((messages.len() != lines.len()).then_some(messages.len().min(lines.len())))?;
    let (message, line) = (messages.get(at).map(|message| &message.id), lines.get(at).map(|line| records::id(line)));
    Some(format!("{} messages, {} records; at {at} {message:?} instead of {line:?}", messages.len(), lines.len()))
}

#[tokio::test]
async fn a_stream_gets_every_record_through_outages_of_its_server_and_a_killed_gateway() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = Nats::start(folder.path()).await else { return };
    let ship = format!(
        "[audit.ship.stream]\nnats = {{ url = \"{}\", stream = \"AUDIT\", create = true, timeout = \"2s\" }}",
        nats.url
    );
    let (project, _origin, gateway) = open_shop(&ship).await;
    calls(&gateway, CALLS).await;

    // Its process is killed while calls are under way: they go on, and their records wait in the log.
    let made = Arc::new(AtomicUsize::new(0));
    let under_way = tokio::spawn(call(gateway.client(), made.clone(), 2 * CALLS));
    wait::until("calls under way", wait::LONG, || async { (made.load(Ordering::SeqCst) > CALLS / 2).then_some(()) })
        .await;
    let port = i32::from(nats.port);
    nats.kill().await;
    under_way.await.expect("calls go on");
    calls(&gateway, CALLS).await;
    until_state(&gateway, "stream", "failing").await;
    assert_eq!(metric(&gateway, "audit_ship_healthy", "stream").await, 0);
    assert!(metric(&gateway, "audit_ship_lag", "stream").await >= 2 * CALLS as u64);
    let nats = Nats::start_with(folder.path(), port, "").await.expect("it was there before");
    whole(&nats, ConnectOptions::new, &project.audit()).await;

    // Its process stands still with the connection open.
    nats.freeze();
    calls(&gateway, CALLS).await;
    until_state(&gateway, "stream", "failing").await;
    nats.thaw();
    whole(&nats, ConnectOptions::new, &project.audit()).await;
    until_state(&gateway, "stream", "shipping").await;

    // The gateway is killed while calls are under way.
    let made = Arc::new(AtomicUsize::new(0));
    let under_way = tokio::spawn(call(gateway.client(), made.clone(), usize::MAX));
    wait::until("calls under way", wait::LONG, || async { (made.load(Ordering::SeqCst) > CALLS).then_some(()) }).await;
    gateway.kill().await;
    under_way.await.expect("every call before was answered");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    calls(&gateway, CALLS).await;
    let messages = whole(&nats, ConnectOptions::new, &project.audit()).await;
    let subjects: BTreeSet<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
    let kinds = ["admin", "closed", "intent", "system"].map(|kind| format!("latchwork.audit.test.{kind}"));
    assert_eq!(subjects, kinds.iter().map(String::as_str).collect());
    gateway.stop().await;
    nats.kill().await;
}

#[tokio::test]
async fn a_collector_gets_every_record_with_its_id() {
    let collector = Collector::start().await;
    let ship = format!(
        "[audit.ship.all]\notlp = {{ endpoint = \"{url}\" }}\n\n\
         [audit.ship.some]\nkinds = [\"admin\", \"system\"]\notlp = {{ endpoint = \"{url}\" }}",
        url = collector.url
    );
    let (project, _origin, gateway) = open_shop(&ship).await;
    calls(&gateway, CALLS).await;
    gateway.kill().await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    calls(&gateway, CALLS).await;
    let arrived = || {
        let taken = collector.taken();
        taken.lines.iter().map(|line| text(&line.attributes, "latchwork.audit.id").expect("an id").to_owned()).collect()
    };
    let ids: BTreeSet<String> = records::lines(&project.audit()).iter().map(|line| records::id(line)).collect();
    wait::until("every record", wait::LONG, || async { ids.is_subset(&arrived()).then_some(()) }).await;
    gateway.stop().await;
    let lines = records::lines(&project.audit());
    let taken = collector.taken();
    let mut twice = BTreeSet::new();
    for line in &taken.lines {
        let id = text(&line.attributes, "latchwork.audit.id").expect("an id");
        let record = lines.iter().find(|line| records::id(line) == id).unwrap_or_else(|| panic!("`{id}` is no record"));
        let kind = text(&line.attributes, "latchwork.audit.kind").expect("a kind");
        let body = line.body.as_ref().and_then(|body| body.value.clone());
        let string = opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
        assert_eq!(body, Some(string(record.clone())));
        assert_eq!(line.event_name, format!("latchwork.audit.{kind}"));
        if ["admin", "system"].contains(&kind) {
            twice.insert(id.to_owned());
        }
    }
    for id in twice {
        let times = taken.lines.iter().filter(|line| text(&line.attributes, "latchwork.audit.id") == Some(&id)).count();
        assert!(times >= 2, "`{id}` came {times} times, and two sinks want it");
    }
}

#[tokio::test]
async fn sinks_that_never_answer_slow_nobody() {
    let collector = Collector::start_useless(Manner::Silent).await;
    let port = collector.url.rsplit(':').next().expect("a port");
    let ship = format!(
        "[audit.ship.otlp]\notlp = {{ endpoint = \"{}\", timeout = \"60s\" }}\n\n\
         [audit.ship.nats]\nnats = {{ url = \"nats://127.0.0.1:{port}\", stream = \"AUDIT\", timeout = \"60s\" }}",
        collector.url
    );
    let (project, origin, gateway) = open_shop(&ship).await;
    calls(&gateway, 4 * CALLS).await;
    assert!(origin.seen().len() >= 4 * CALLS);
    let held = records::lines(&project.audit()).len() as u64;
    assert!(held >= 8 * CALLS as u64, "the log holds what nobody takes: {held}");
    for sink in ["otlp", "nats"] {
        assert_eq!(state(&gateway, sink).await["records"], 0);
        assert!(metric(&gateway, "audit_ship_lag", sink).await >= held);
    }
    // It ends all the same, without asking for a longer time than other gateways.
    gateway.stop().await;
}

#[tokio::test]
async fn a_full_disk_of_a_file_stops_no_call_and_leaves_no_gap() {
    let ship = "[audit.ship.copy]\nfile = { path = \"shipped/records.jsonl\", rotate_bytes = 262144 }";
    let origin_project = Project::new();
    let at = origin_project.folder().join("shipped");
    std::fs::create_dir(&at).expect("the folder is ours");
    let disk = match SmallDisk::mount(&at, 4) {
        Ok(disk) => disk,
        Err(why) => {
            return skip::say(&format!("\nno disk can be mounted ({why}): a full disk of a sink is not tried\n"));
        }
    };
    let origin = Origin::start().await;
    let project = origin_project
        .anonymous()
        .audited(&format!("durability = \"write\"\n\n{ship}"))
        .tables("[limits]\ncaller_rate = { per_second = 100000 }\nnetwork_rate = { per_second = 100000 }")
        .http("shop.order", "POST /orders", &origin.url, "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    calls(&gateway, CALLS).await;
    disk.fill();
    calls(&gateway, 4 * CALLS).await;
    until_state(&gateway, "copy", "failing").await;
    disk.free();
    let whole = || async {
        let lines = records::lines(&project.audit());
        (shipped(&at) == lines).then_some(())
    };
    wait::until("the file holds the log", wait::LONG, whole).await;
    gateway.stop().await;
    let files = std::fs::read_dir(&at).expect("the folder").count();
    assert!(files > 1, "the file was set aside");
    drop(disk);
}

/// All lines of the files, in order.
fn shipped(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| path.extension().and_then(|number| number.to_str()?.parse().ok()).unwrap_or(u64::MAX);
    let mut files: Vec<_> = files.filter(|file| file.to_string_lossy().contains("records.jsonl")).collect();
    files.sort_by_key(number);
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
