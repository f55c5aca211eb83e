//! The promises to those who pull the plug: nothing is acknowledged before the disk has it, and a slow disk is shared.

use super::{CALLERS, evidence::verify, kinds_by_call, shop};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};
use tests::{
    client::{Client, Request, Session},
    disk::ImageDisk,
    fetch, latchwork,
    origin::Origin,
    project::Project,
    records, shim, skip, wait,
};
use tokio::task::JoinSet;

/// How often a machine that is busy otherwise may try to be fast.
const ATTEMPTS: usize = 5;

/// Calls whose system calls are looked at.
const TRACED: usize = 5;

#[tokio::test]
async fn nothing_is_answered_before_its_sync_returned() {
    let Some(strace) = fetch::program("strace") else { return };
    let (project, _origin) = shop(Project::new(), "durability = \"fsync\"").await;
    let trace = project.folder().join("trace");
    let which = "trace=accept4,write,writev,sendto,sendmsg,fdatasync";
    let words = [strace.to_str().unwrap(), "-D", "-f", "-qq", "-s", "64", "-e", which, "-o", trace.to_str().unwrap()];
    let gateway = latchwork::run_under(&words, &project.config(), &project.ca()).await;
    let mut session = gateway.client().open().await.unwrap();
    for _ in 0..TRACED {
        assert_eq!(session.send(Request::post("/orders", "x")).await.unwrap().status, 200);
    }
    drop(session);
    gateway.stop().await;
    let trace = wait::until("the end of the trace", wait::LONG, || async {
        fs::read_to_string(&trace).ok().filter(|text| text.contains("\\\"kind\\\":\\\"system\\\",\\\"seq\\\":1"))
    })
    .await;
    assert!(in_order(&trace) >= TRACED, "{trace}");
}

/// How a TLS record begins that holds an alert and nothing else: a connection that is closed, no answer.
const ALERT: &str = "\"\\27\\3\\3\\0\\23";

/// Follows the calls of a process; panics when a byte leaves for a caller while a record is not synced. Answers how
/// often bytes left after a sync.
fn in_order(trace: &str) -> usize {
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    let (mut callers, mut unsynced, mut answers) = (BTreeSet::new(), false, 0);
    let mut synced_since = false;
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let begins = !call.starts_with("<...");
        let whole = match call.strip_suffix("<unfinished ...>") {
            Some(begun) => {
                unfinished.insert(thread, begun.to_owned());
                None
            }
            None if !begins => {
                let rest = call.split_once("resumed>").map_or("", |(_, rest)| rest);
                unfinished.remove(thread).map(|begun| begun + rest)
            }
            None => Some(call.to_owned()),
        };
        // A record counts from the moment that its write begins, a sync from the moment that it returned.
        if begins && call.starts_with("write(") && call.contains("\"{\\\"v\\\":1,") {
            (unsynced, synced_since) = (true, false);
        }
        let sends = ["write(", "writev(", "sendto(", "sendmsg("].iter().find_map(|name| call.strip_prefix(name));
        if begins
            && let Some(descriptor) = sends.and_then(|rest| rest.split([',', ')']).next())
            && callers.contains(descriptor)
            && !call.contains(ALERT)
        {
            assert!(!unsynced, "answered before the sync: {line}\n{trace}");
            answers += usize::from(synced_since);
            synced_since = false;
        }
        let Some(whole) = whole else { continue };
        if whole.starts_with("accept4(")
            && let Some(descriptor) = whole.rsplit("= ").next()
        {
            callers.insert(descriptor.trim().to_owned());
        }
        if whole.starts_with("fdatasync(") && whole.ends_with("= 0") {
            (unsynced, synced_since) = (false, true);
        }
    }
    answers
}

#[tokio::test]
async fn a_slow_disk_is_shared_by_all_who_wait() {
    let Some(library) = shim::library() else { return };
    let (project, origin) = shop(Project::new(), "durability = \"fsync\"").await;
    let words = shim::words(&library, 100, None);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let gateway = latchwork::run_under(&words, &project.config(), &project.ca()).await;
    let mut sessions = Vec::new();
    for _ in 0..32 {
        let mut session = gateway.client().open().await.unwrap();
        assert_eq!(session.send(Request::post("/orders", "warm")).await.unwrap().status, 200);
        sessions.push(session);
    }
    let mut fastest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let reached = origin.seen().len();
        let (took, back) = twice_each(sessions).await;
        sessions = back;
        println!("64 calls, 32 at once, syncs of 100 ms: {took:?}");
        assert!(took >= Duration::from_millis(400), "two calls in a row wait for two syncs each: {took:?}");
        assert_eq!(origin.seen().len(), reached + 64);
        fastest = fastest.min(took);
        if fastest <= Duration::from_secs(1) {
            break;
        }
    }
    assert!(fastest <= Duration::from_secs(1), "{fastest:?}");
    drop(sessions);
    gateway.stop().await;
}

/// Two calls on each connection, all connections at once.
async fn twice_each(sessions: Vec<Session>) -> (Duration, Vec<Session>) {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for mut session in sessions {
        calls.spawn(async move {
            for _ in 0..2 {
                assert_eq!(session.send(Request::post("/orders", "x")).await.unwrap().status, 200);
            }
            session
        });
    }
    let sessions = calls.join_all().await;
    (begun.elapsed(), sessions)
}

#[tokio::test]
async fn a_failing_sync_refuses_calls_and_recovers_by_itself() {
    let Some(library) = shim::library() else { return };
    let (project, origin) = shop(Project::new(), "durability = \"fsync\"").await;
    let fails = project.folder().join("fails");
    let words = shim::words(&library, 0, Some(&fails));
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let gateway = latchwork::run_under(&words, &project.config(), &project.ca()).await;
    let client = gateway.client();
    assert_eq!(client.send(Request::post("/orders", "x")).await.status, 200);
    fs::write(&fails, "").unwrap();
    refused(&client, &origin).await;
    fs::remove_file(&fails).unwrap();
    let answer = wait::until("recovery", Duration::from_secs(10), || async {
        let answer = client.send(Request::post("/orders", "x")).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(kinds_by_call(&project)[&answer.call_id()], ["intent", "closed"]);
    gateway.stop().await;
    let (exit, text) = verify(&project, &[]);
    assert_eq!(exit, 0, "{text}");
}

#[tokio::test]
async fn a_disk_that_is_read_only_refuses_calls_and_recovers_by_itself() {
    let Some(library) = shim::library() else { return };
    for durability in ["fsync", "write"] {
        let (project, origin) = shop(Project::new(), &format!("durability = \"{durability}\"")).await;
        let read_only = project.folder().join("read-only");
        let words = shim::read_only(&library, &read_only);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let gateway = latchwork::run_under(&words, &project.config(), &project.ca()).await;
        let client = gateway.client();
        assert_eq!(client.send(Request::post("/orders", "x")).await.status, 200);
        fs::write(&read_only, "").unwrap();
        refused(&client, &origin).await;
        fs::remove_file(&read_only).unwrap();
        wait::until("recovery", Duration::from_secs(10), || async {
            (client.send(Request::post("/orders", "x")).await.status == 200).then_some(())
        })
        .await;
        gateway.stop().await;
        assert_eq!(verify(&project, &[]).0, 0);
        let recovered = |record: &serde_json::Value| record["event"] == "log_recovered";
        assert!(records::read(&project.audit()).iter().any(recovered), "{durability}");
    }
}

async fn refused(client: &Client, origin: &Origin) {
    let reached = origin.seen().len();
    for _ in 0..CALLERS {
        let refused = client.send(Request::post("/orders", "x")).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
    }
    assert_eq!(origin.seen().len(), reached, "an unrecorded call reached the service");
}

/// The kernel forces a file system read-only that has an error; until it is mounted again, nothing can be written.
#[tokio::test]
async fn a_disk_that_the_kernel_gives_up_loses_nothing_that_was_answered() {
    let project = Project::new();
    fs::create_dir(project.audit()).unwrap();
    let disk = match ImageDisk::mount(&project.folder().join("disk.img"), &project.audit(), 32) {
        Ok(disk) => disk,
        Err(why) => return skip::say(&format!("\nno disk can be made ({why}): the kernel does not give it up\n")),
    };
    let (project, origin) = shop(project, "durability = \"fsync\"").await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let client = gateway.client();
    let mut answered = Vec::new();
    for _ in 0..CALLERS {
        let answer = client.send(Request::post("/orders", "x")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answered.push(answer.call_id());
    }
    disk.abort().unwrap();
    refused(&client, &origin).await;
    gateway.kill().await;
    disk.repair().unwrap();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    assert_eq!(gateway.client().send(Request::post("/orders", "x")).await.status, 200);
    gateway.stop().await;
    let (exit, text) = verify(&project, &[]);
    assert_eq!(exit, 0, "{text}");
    let kinds = kinds_by_call(&project);
    for call in answered {
        assert_eq!(kinds[&call], ["intent", "closed"]);
    }
}
