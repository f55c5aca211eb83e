//! The first ten minutes: what `latchwork quickstart` prints is what happens, and nothing is left of it.

use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    built,
    child::Child,
    client::Request,
    fetch, grpcio,
    latchwork::{self, Running},
    records, wait,
};
use tokio::sync::Mutex;

/// From the start of the binary to "ready", optimised as a newcomer builds it.
const READY_RELEASE: Duration = Duration::from_secs(2);

/// The same without optimisation.
const READY_DEBUG: Duration = Duration::from_secs(20);

/// One quickstart at a time: each prefers the same ports, and a second run must find its own free.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn every_printed_call_answers_as_printed() {
    if fetch::program("curl").is_none() {
        return;
    }
    let _alone = ALONE.lock().await;
    let (_parent, folder) = folder();
    let started = Instant::now();
    let gateway = latchwork::quickstart(&folder).await;
    let took = started.elapsed();
    let allowed = if cfg!(debug_assertions) { READY_DEBUG } else { READY_RELEASE };
    assert!(took <= allowed, "ready after {took:?}, not within {allowed:?}");
    answers(&gateway).await;

    if let Some(python) = fetch::python("grpcio") {
        grpc_answers(&gateway, &python).await;
    }

    let statuses: Vec<u16> = gateway.calls.iter().map(|call| call.expect_status).collect();
    assert!(statuses.contains(&200), "a call that is allowed: {statuses:?}");
    assert!(statuses.contains(&403), "a call that is denied: {statuses:?}");
    assert!(gateway.calls.len() >= 4, "allowed on both functions, denied by group and by value: {statuses:?}");
    let log = records::read(&gateway.folder.join("audit"));
    let kinds = records::kinds(&log);
    for kind in ["intent", "closed", "refused", "system"] {
        assert!(kinds.contains(&kind), "no `{kind}` in {kinds:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_killed_quickstart_leaves_nothing_and_can_be_started_again() {
    if fetch::program("curl").is_none() {
        return;
    }
    let _alone = ALONE.lock().await;
    let (_parent, folder) = folder();
    let gateway = latchwork::quickstart(&folder).await;
    answers(&gateway).await;
    gateway.kill().await;
    let policy = first_policy(&folder);
    let text = fs::read_to_string(&policy).unwrap() + "\n// a line of the user's own\n";
    fs::write(&policy, &text).unwrap();

    let again = latchwork::quickstart(&folder).await;
    answers(&again).await;
    assert_eq!(fs::read_to_string(&policy).unwrap(), text, "a second run overwrote what the user had changed");
    again.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_not_its_own_is_refused() {
    let (_parent, folder) = folder();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("thesis.txt"), "years of work").unwrap();
    let output = latchwork::command(&folder, &["quickstart", "--dir", &folder.to_string_lossy()]);
    assert!(matches!(output.status.code(), Some(1 | 3)), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&*folder.to_string_lossy()), "the refusal names the folder: {said}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "something was written");
}

#[tokio::test]
async fn printed_commands_can_be_pasted() {
    if fetch::program("curl").is_none() {
        return;
    }
    let _alone = ALONE.lock().await;
    let (parent, folder) = folder();
    let mut command = Command::new(built::latchwork());
    command.args(["quickstart", "--dir"]).arg(&folder).current_dir(parent.path()).env("NO_COLOR", "1");
    let mut child = Child::start("human", &command, parent.path());
    let told = wait::until("commands to paste", wait::LONG, || {
        assert!(child.ended().is_none(), "{}", child.stderr());
        let told = child.stdout();
        // The commands are printed from the first to the last at once, and this is one of the last.
        std::future::ready(told.contains("audit tail").then_some(told))
    })
    .await;
    let pasted = Pasted::of(&told);
    assert!(pasted.calls.len() >= 4, "{told}");
    for (line, status) in &pasted.calls {
        let output = pasted.run(line, parent.path());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "`{line}`: {output:?}");
        assert!(said.trim_end().ends_with(&format!("[{status}]")), "`{line}`: {said}");
    }
    for word in [" call ", " --grpc ", " explain ", " audit tail "] {
        let line = pasted.others.iter().find(|line| line.contains(word));
        let line = line.unwrap_or_else(|| panic!("no command with `{word}`:\n{told}"));
        let output = pasted.run(line, parent.path());
        assert!(matches!(output.status.code(), Some(0)), "`{line}`: {output:?}");
        assert!(!output.stdout.is_empty(), "`{line}` says nothing");
    }
    for line in pasted.others.iter().filter(|line| line.starts_with("curl ")) {
        let output = pasted.run(&line.replace("curl ", "curl --fail "), parent.path());
        assert!(output.status.success() && !output.stdout.is_empty(), "`{line}`: {output:?}");
    }
    child.signal(Signal::INT);
    assert_eq!(child.exit(wait::LONG).await.code(), Some(0), "{}", child.stderr());
}

/// Every printed call over gRPC, by a client that learns the messages from reflection.
async fn grpc_answers(gateway: &Running, python: &Path) {
    let codes = [(0, "OK"), (7, "PERMISSION_DENIED"), (16, "UNAUTHENTICATED")];
    assert!(gateway.grpc_calls.len() >= 3, "{:?}", gateway.grpc_calls);
    for call in &gateway.grpc_calls {
        let post = Request::post(call["path"].as_str().expect("a path"), "{}");
        let plain = Request { method: "GRPC".parse().expect("a method"), ..post };
        assert_eq!(call["expect_status"], gateway.client().send(plain).await.status, "as plain HTTP");
        let token = call["headers"]["authorization"].as_str().and_then(|value| value.strip_prefix("Bearer "));
        let request: Value = serde_json::from_str(call["body"].as_str().expect("a body")).expect("JSON");
        let step = json!({ "kind": "by_name", "path": call["path"], "request": request });
        let expected = codes.iter().find(|(code, _)| call["expect_grpc_status"] == *code).expect("a code").1;
        // Reflection is for callers that are known, so others must know the messages.
        let (path, bytes) = (&call["path"], ["x"]);
        let blind = json!({ "kind": "native", "shape": "server", "method": path, "send": bytes });
        let steps = [if token.is_some() { step } else { blind }];
        let answers = grpcio::client(python, &gateway.url, &gateway.ca, token, &steps).await;
        assert_eq!(answers[0]["code"], expected, "{call}: {answers:?}");
    }
}

/// Every printed call, over both versions of HTTP.
async fn answers(gateway: &Running) {
    assert!(!gateway.calls.is_empty(), "no call was printed");
    for call in &gateway.calls {
        for client in [gateway.client(), gateway.client().http2()] {
            let answer = client.send(call.request.clone()).await;
            assert_eq!(answer.status, call.expect_status, "`{}`: {}", call.name, answer.text());
            assert!(!answer.call_id().is_empty());
            if answer.status >= 400 {
                assert_eq!(answer.json()["call_id"], answer.call_id(), "`{}`", call.name);
            }
        }
    }
}

/// What a person would paste, line by line.
#[derive(Debug, Default)]
struct Pasted {
    /// Variables that later lines use.
    prelude: Vec<String>,
    /// Commands below a comment that ends with `→ STATUS`, and that status.
    calls: Vec<(String, u16)>,
    /// Further commands.
    others: Vec<String>,
}

impl Pasted {
    fn of(told: &str) -> Self {
        let mut pasted = Self::default();
        let mut status = None;
        for line in told.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix('#') {
                status = comment.rsplit_once("→ ").and_then(|(_, status)| status.parse().ok()).or(status);
            } else if line.split_once("='").is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase())) {
                pasted.prelude.push(line.to_owned());
            } else if let (true, Some(status)) = (line.starts_with("curl "), status.take()) {
                pasted.calls.push((line.to_owned(), status));
            } else if line.starts_with("curl ") || line.contains("latchwork ") && !line.ends_with([':', '.']) {
                pasted.others.push(line.to_owned());
            }
        }
        pasted
    }

    fn run(&self, line: &str, folder: &Path) -> Output {
        let path = format!("{}:{}", binary_folder().display(), std::env::var("PATH").unwrap_or_default());
        let script = format!("{}\n{line}", self.prelude.join("\n"));
        Command::new("sh").args(["-c", &script]).current_dir(folder).env("PATH", path).output().expect("sh starts")
    }
}

fn binary_folder() -> PathBuf {
    built::latchwork().parent().expect("a binary lies in a folder").to_path_buf()
}

fn first_policy(folder: &Path) -> PathBuf {
    let policies = fs::read_dir(folder.join("policies")).expect("a folder of policies").flatten();
    let mut files: Vec<PathBuf> =
        policies.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "cedar")).collect();
    files.sort();
    files.into_iter().next().expect("a policy")
}

/// A folder that does not exist yet, in one that goes away with the test.
fn folder() -> (TempDir, PathBuf) {
    let parent = tempfile::Builder::new().prefix("latchwork-quickstart-").tempdir().expect("a temporary folder");
    let folder = parent.path().join("shop");
    (parent, folder)
}
