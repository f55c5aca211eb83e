//! `audit tail` over logs that were really written.

use super::{Tail, line::Lines, tail};
use crate::{
    audit::{
        log::Log,
        query::Records,
        record::{Closed, Known, Outcome, Refused, Request, Stage},
        tests::{completed, config, intent},
    },
    command::{Exit, Format},
    config::Durability,
};
use jiff::{Timestamp, tz::TimeZone};
use std::{
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

fn args(lines: usize, follow: bool, format: Format) -> Tail {
    Tail { config: "latchwork.toml".into(), lines, follow, format }
}

fn shown(args: &Tail, path: &Path) -> (Exit, String, String) {
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let exit = tail(args, path, "gw", (&mut out, &mut talk), &|| true);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap())
}

async fn calls(log: &Log, number: usize) {
    for _ in 0..number {
        let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
        guard.intent(&intent(None)).await.unwrap();
        guard.closed(&completed()).await.unwrap();
    }
}

fn open(path: &Path) -> Log {
    Log::open(&config(path, Durability::Write), &"gw".into(), Uuid::now_v7()).unwrap()
}

#[tokio::test]
async fn each_call_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    calls(&log, 1).await;
    let mut guard = log.open_call(Uuid::nil(), Timestamp::now()).unwrap();
    guard.intent(&intent(None)).await.unwrap();
    let error = Some("upstream\u{1b}[2J".into());
    guard.closed(&Closed { outcome: Outcome::TimedOut, status: Some(504), error, ..completed() }).await.unwrap();
    let mut guard = log.open_call(Uuid::nil(), Timestamp::now()).unwrap();
    *guard.known() = Known {
        source: Some("203.0.113.7".parse().unwrap()),
        request: Some(Request { method: "GET".into(), path: "/x\u{202e}y".into(), version: "HTTP/2".into() }),
        ..Known::default()
    };
    guard.refused(&Refused::worded("unauthenticated", 401, Stage::Identify)).await.unwrap();
    let guard = log.open_call(Uuid::nil(), Timestamp::now()).unwrap();
    let denied = Refused {
        question: Some(intent(None).question),
        reason: Some(policy::permit::DenialReason::Forbidden),
        determining: Arc::new([policy::permit::PolicyName("no-nights".into())]),
        ..Refused::worded("denied", 403, Stage::Authorize)
    };
    guard.refused(&denied).await.unwrap();
    let mut open = log.open_call(Uuid::nil(), Timestamp::now()).unwrap();
    open.intent(&intent(None)).await.unwrap();
    let mut lines = Lines::new(TimeZone::UTC);
    let mut texts: Vec<String> = Records::of_node(&folder.path().join("gw"))
        .unwrap()
        .map(Result::unwrap)
        .filter_map(|line| lines.line(&line.head, line.body().unwrap()))
        .collect();
    texts.extend(lines.open());
    // Times and durations differ from run to run.
    let masked: Vec<String> = texts
        .iter()
        .map(|text| {
            let words = text.split(' ').skip(1).map(|word| {
                if word.parse::<f64>().is_ok_and(|n| n.fract() != 0.0 || word.contains('.')) { "N" } else { word }
            });
            let text: Vec<_> = words.collect();
            text.join(" ").split("  call 0").next().unwrap().trim_end().to_owned()
        })
        .collect();
    assert_eq!(
        masked,
        [
            "system started 0.1.0",
            "allow  dev/alice → hello.greet  200 N ms",
            "allow  dev/alice → hello.greet  504 N ms  timed_out (upstream\\u{1b}[2J)",
            "refuse 203.0.113.7 → GET /x\\u{202e}y  401 N ms  unauthenticated",
            "deny   dev/alice → hello.greet  403 N ms  forbidden by no-nights",
            "open   dev/alice → hello.greet",
        ]
    );
}

#[tokio::test]
async fn only_the_newest_lines_are_shown_and_a_torn_end_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let log = open(folder.path());
        calls(&log, 5).await;
        log.shutdown().await;
    }
    let (exit, out, talk) = shown(&args(3, false, Format::Human), folder.path());
    assert_eq!((exit, out.lines().count(), talk.as_str()), (Exit::Ok, 3, ""));
    assert!(out.lines().last().unwrap().ends_with("stopped"), "{out}");
    let (_, out, _) = shown(&args(1000, false, Format::Human), folder.path());
    assert_eq!(out.lines().count(), 2 * 7);
    let (_, out, _) = shown(&args(4, false, Format::Json), folder.path());
    assert_eq!(out.lines().count(), 4);
    assert!(out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["v"] == 1));
    assert_eq!(shown(&args(0, false, Format::Json), folder.path()).1, "");
    let log = open(folder.path());
    let newest = crate::audit::query::sources(&folder.path().join("gw")).unwrap().pop().unwrap();
    std::fs::OpenOptions::new().append(true).open(&newest.path).unwrap().write_all(b"{\"v\":1,").unwrap();
    let (exit, _, talk) = shown(&args(3, false, Format::Human), folder.path());
    assert_eq!((exit, talk.as_str()), (Exit::Ok, ""));
    drop(log);
    let (exit, out, talk) = shown(&args(3, false, Format::Human), &folder.path().join("nowhere"));
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(talk.starts_with("error: the audit log of `gw`"), "{talk}");
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn it_follows_from_segment_to_segment_and_incarnation_to_incarnation() {
    let folder = tempfile::tempdir().unwrap();
    let small = crate::config::Audit { segment_bytes_max: 4096, ..config(folder.path(), Durability::Write) };
    let log = Log::open(&small, &"gw".into(), Uuid::now_v7()).unwrap();
    calls(&log, 2).await;
    let (out, stop) = (Shared::default(), Arc::new(AtomicBool::new(false)));
    let follower = {
        let (mut out, stop, path) = (out.clone(), Arc::clone(&stop), folder.path().to_owned());
        std::thread::spawn(move || {
            let args = args(100, true, Format::Human);
            tail(&args, &path, "gw", (&mut out, &mut io::sink()), &|| stop.load(Ordering::Relaxed))
        })
    };
    calls(&log, 20).await;
    log.shutdown().await;
    let log = open(folder.path());
    calls(&log, 3).await;
    log.shutdown().await;
    let text = || String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    let begun = Instant::now();
    while text().matches("stopped").count() < 2 && begun.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(follower.join().unwrap(), Exit::Ok);
    assert_eq!(text().lines().filter(|line| line.contains("allow")).count(), 25, "{}", text());
    assert_eq!(text().lines().count(), 25 + 4);
}
