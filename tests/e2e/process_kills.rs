//! A thousand calls while their instances are killed at random: every caller gets an answer, and no call runs twice.

use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};
use tests::{
    client::Request,
    latchwork,
    local::{self, Local},
    processes,
    project::Project,
    records,
};

const CALLS: usize = 1_000;
const CONCURRENCY: usize = 32;
const INSTANCES: usize = 8;
/// An instance is killed each time so many more callers have their answer.
const ANSWERS_PER_KILL: usize = 20;

/// Each writes the call's id into the file before it answers: one line, appended whole.
const LAMBDA: &str = r#"
import os

def handler(event, context):
    file = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (context.aws_request_id + "\n").encode())
    os.close(file)
    return {"ran": context.aws_request_id}
"#;

const SERVER: &str = r#"
import http.server, json, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        call = self.headers["latchwork-call-id"]
        file = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, (call + "\n").encode())
        os.close(file)
        body = json.dumps({"ran": call}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_functions_that_ask_for_their_calls() {
    let Some(mut local) = local::lambda() else { return };
    local.function.command.pop();
    local.function.command.push("counted.handler".to_owned());
    proved(local.handler("counted.handler"), "counted.py", LAMBDA).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_functions_that_are_servers() {
    let Some(mut local) = local::web() else { return };
    local.function.command.truncate(1);
    local.function.command.push("counted.py".to_owned());
    local.marker = "counted.py";
    proved(local, "counted.py", SERVER).await;
}

async fn proved(mut local: Local, file: &str, code: &str) {
    let project = Project::new().anonymous();
    project.write(file, code);
    let effects = project.folder().join("effects");
    local.function.directory = project.folder().to_path_buf();
    let local = local.with(&format!("instances_max = {INSTANCES}, environment.EFFECTS = \"{}\"", effects.display()));
    let table = "timeout = \"60s\"\nconcurrency_max = 64";
    let project = project.process("shop.count", "POST /count", &local.function, &local.inside, table).permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let (asked, answered, killed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let caller = async || {
        let mut told = Vec::new();
        while asked.fetch_add(1, Ordering::Relaxed) < CALLS {
            let answer = gateway.client().try_send(Request::json("/count", &json!({}))).await;
            let answer = answer.unwrap_or_else(|lost| panic!("a caller got no answer: {lost:?}"));
            told.push((answer.call_id(), answer.status, answer.text()));
            if (answered.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(ANSWERS_PER_KILL) {
                killed.fetch_add(kill_one(gateway.id(), local.marker), Ordering::Relaxed);
            }
        }
        told
    };
    let told: Vec<_> = futures_util::future::join_all((0..CONCURRENCY).map(|_| caller())).await.concat();
    check(&told, &effects, &project.audit());
    let killed = killed.into_inner();
    assert!(killed >= CALLS / ANSWERS_PER_KILL / 2, "only {killed} instances were killed");
    let statuses = told.iter().fold(BTreeMap::new(), |mut all, (_, status, _)| {
        *all.entry(*status).or_insert(0) += 1;
        all
    });
    println!("{killed} instances of `{}` killed; answers by status: {statuses:?}", local.marker);
    assert!(statuses.get(&200).is_some_and(|good| *good > CALLS / 2), "{statuses:?}\n{}", gateway.stderr());
    gateway.stop().await;
}

fn check(told: &[(String, u16, String)], effects: &Path, audit: &Path) {
    assert_eq!(told.len(), CALLS);
    let calls: BTreeSet<&str> = told.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(calls.len(), CALLS, "each caller has an answer of its own");
    let written = fs::read_to_string(effects).expect("the functions' effects");
    let ran: Vec<&str> = written.lines().collect();
    let once: BTreeSet<&str> = ran.iter().copied().collect();
    assert_eq!(ran.len(), once.len(), "a call ran twice");
    assert!(once.is_subset(&calls), "what ran was asked for");
    for (id, status, text) in told {
        match status {
            200 => assert!(once.contains(id.as_str()) && text.contains(id.as_str()), "{id}: {text}"),
            502 | 503 => {}
            other => panic!("{id}: {other}: {text}"),
        }
    }
    let (id, ..) = &told[CALLS / 2];
    let closed = records::of_call(audit, id).iter().filter(|record| record["kind"] == "closed").count();
    assert!(closed <= 1, "{id} is closed {closed} times");
}

/// Kills one of the function's processes without a warning; how many that were.
fn kill_one(gateway: i32, marker: &str) -> usize {
    let all: Vec<_> = processes::descendants(gateway).into_iter().filter(|p| p.command.contains(marker)).collect();
    let chosen = RandomState::new().hash_one(gateway) as usize;
    let Some(process) = all.get(chosen % all.len().max(1)) else { return 0 };
    let id = rustix::process::Pid::from_raw(process.id).expect("a process has an id");
    usize::from(rustix::process::kill_process(id, rustix::process::Signal::KILL).is_ok())
}
