//! The first ten minutes: what `latchwork quickstart` prints is what happens, and nothing is left of it.

use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    built,
    child::Child,
    fetch,
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
        let whole = pasted(&told, "curl ").len() >= 4 && !pasted(&told, "latchwork call ").is_empty();
        std::future::ready(whole.then_some(told))
    })
    .await;
    let shell = |line: &str| {
        let bin = built::latchwork().parent().unwrap().to_path_buf();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        Command::new("sh").args(["-c", line]).current_dir(parent.path()).env("PATH", path).output().unwrap()
    };
    for line in pasted(&told, "curl ") {
        let output = shell(&format!("{line} --silent --show-error --output /dev/null --write-out '%{{http_code}}'"));
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "`{line}`: {output:?}");
        assert!(told.contains(&status), "`{line}` answers {status}, which was not announced:\n{told}");
    }
    for line in pasted(&told, "latchwork call ") {
        let output = shell(&line);
        assert!(matches!(output.status.code(), Some(0 | 2)), "`{line}`: {output:?}");
    }
    child.signal(Signal::INT);
    assert_eq!(child.exit(wait::LONG).await.code(), Some(0), "{}", child.stderr());
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

/// Commands in a text, each on one line: a line that ends with a backslash goes on.
fn pasted(text: &str, start: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| line.starts_with(start)).map(str::to_owned).collect()
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
