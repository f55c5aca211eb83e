//! No process outlives the gateway, however the gateway ends.

use super::*;
use crate::{
    backend::process::{EventForm, Process, ProcessConfig},
    samples::{PATIENCE, context, post, until},
};
use policy::question::FunctionName;
use std::{
    fs,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Where the gateway of [`a_killed_gateway_leaves_nothing`] works; set in the process that plays it.
const PLAYED_IN: &str = "LATCHWORK_TEST_GATEWAY_DIRECTORY";

/// Takes one call and never answers; both it and a grandchild would live for long.
const BOOTSTRAP: &str = r#"
sleep 1000 &
echo $! >"$LAMBDA_TASK_ROOT/grandchild"
echo $$ >"$LAMBDA_TASK_ROOT/leader"
trap '' TERM
curl -sS -o /dev/null "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"
echo >"$LAMBDA_TASK_ROOT/running"
while :; do sleep 1000; done
"#;

fn process(directory: &Path, host: &Host) -> Process {
    let config = ProcessConfig {
        event: Some(EventForm::Body),
        instances_max: 1,
        ..ProcessConfig::of(vec!["sh".to_owned(), "bootstrap".to_owned()])
    };
    let name = FunctionName::parse("shop.hang").unwrap();
    Process::new(&config, directory, &name, Duration::from_secs(60), 1 << 20, host).unwrap()
}

fn workplace() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("bootstrap"), BOOTSTRAP).unwrap();
    directory
}

/// Whether a process lives; a zombie does not.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(stat.rsplit(')').next().map(str::trim_start), None | Some("")) && !stat.contains(") Z ")
}

fn pids(directory: &Path) -> [String; 2] {
    ["leader", "grandchild"].map(|name| fs::read_to_string(directory.join(name)).unwrap().trim().to_owned())
}

async fn running(directory: &Path) {
    until("the function runs", async || directory.join("running").exists()).await;
}

async fn all_dead(directory: &Path) {
    for pid in pids(directory) {
        until("the process ends", async || !lives(&pid)).await;
    }
}

/// Plays the gateway that is killed, if it is asked to; otherwise it is no test at all.
#[test]
fn gateway_that_is_killed() {
    let Some(directory) = env::var_os(PLAYED_IN) else { return };
    Runtime::new().unwrap().block_on(async {
        let host = Host::start().unwrap();
        let _ = process(directory.as_ref(), &host).invoke(post("x")).await;
    });
}

#[tokio::test]
async fn a_killed_gateway_leaves_nothing() {
    let directory = workplace();
    let mut gateway = Command::new(env::current_exe().unwrap())
        .args(["--exact", "host::tests::gateway_that_is_killed"])
        .env(PLAYED_IN, directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    running(directory.path()).await;
    assert!(pids(directory.path()).iter().all(|pid| lives(pid)));
    gateway.kill().unwrap();
    assert_eq!(gateway.wait().unwrap().signal(), Some(9));
    all_dead(directory.path()).await;
}

#[tokio::test]
async fn shutdown_ends_what_runs_even_if_it_will_not() {
    let directory = workplace();
    let host = Host::start().unwrap();
    let process = process(directory.path(), &host);
    let stop = async {
        running(directory.path()).await;
        host.shutdown().await;
    };
    let (answer, ()) = tokio::join!(process.invoke(post("x")), stop);
    assert!(answer.is_err());
    assert_eq!(*host.0.live.borrow(), 0);
    all_dead(directory.path()).await;
}

#[test]
fn a_runtime_that_is_taken_down_leaves_nothing() {
    let directory = workplace();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let host = Host::start().unwrap();
        let process = process(directory.path(), &host);
        let mut outbound = post("x");
        outbound.context = context(PATIENCE * 2);
        tokio::spawn(async move { process.invoke(outbound).await });
        running(directory.path()).await;
    });
    runtime.shutdown_timeout(PATIENCE);
    Runtime::new().unwrap().block_on(all_dead(directory.path()));
}

fn wait_for(condition: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < end);
        std::thread::yield_now();
    }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").process_group(0).spawn().unwrap()
}

#[test]
fn the_watchdog_kills_what_is_on_its_list_and_nothing_else() {
    let mut watchdog = watchdog::Watchdog::start(&tool("sh").unwrap(), Path::new("/nowhere/scratch")).unwrap();
    let mut children = [sleeper(), sleeper(), sleeper()];
    for child in &children {
        watchdog.add(child.id()).unwrap();
    }
    watchdog.remove(children[1].id());
    drop(watchdog);
    assert_eq!(children[0].wait().unwrap().signal(), Some(9));
    assert_eq!(children[2].wait().unwrap().signal(), Some(9));
    assert_eq!(children[1].try_wait().unwrap(), None);
    children[1].kill().unwrap();
    children[1].wait().unwrap();
}

#[test]
fn a_watchdog_that_died_is_replaced_with_its_whole_list() {
    let mut watchdog = watchdog::Watchdog::start(&tool("sh").unwrap(), Path::new("/nowhere/scratch")).unwrap();
    let mut children = [sleeper(), sleeper()];
    watchdog.add(children[0].id()).unwrap();
    let first = watchdog.id().unwrap().to_string();
    let killed = Command::new("kill").args(["-KILL", &first]).status().unwrap();
    assert!(killed.success());
    wait_for(|| !lives(&first));
    watchdog.add(children[1].id()).unwrap();
    assert_ne!(watchdog.id().unwrap().to_string(), first);
    drop(watchdog);
    for child in &mut children {
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn signals_of_a_terminal_do_not_end_the_watchdog() {
    let mut watchdog = watchdog::Watchdog::start(&tool("sh").unwrap(), Path::new("/nowhere/scratch")).unwrap();
    let mut child = sleeper();
    watchdog.add(child.id()).unwrap();
    let id = watchdog.id().unwrap().to_string();
    let ignores = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & 0x4007 == 0x4007
    };
    wait_for(ignores);
    for signal in ["-INT", "-TERM", "-HUP"] {
        Command::new("kill").args([signal, &id]).status().unwrap();
    }
    assert!(lives(&id));
    drop(watchdog);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}
