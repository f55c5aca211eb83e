//! Function processes as callers see them: real shell bootstraps that speak the Runtime API with curl.

use super::*;
use crate::{
    payload::{Answer, Payload},
    samples::{body, context, post, until},
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use std::fs;
use tempfile::TempDir;

/// Answers in the way that the event asks for, then asks for the next.
const BOOTSTRAP: &str = r#"
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
echo "starting $$"
while :; do
  event=$(curl -sS -D "$LAMBDA_TASK_ROOT/head.$$" "$api/invocation/next") || exit 3
  id=$(grep -i '^lambda-runtime-aws-request-id:' "$LAMBDA_TASK_ROOT/head.$$" | tr -d '\r' | cut -d' ' -f2)
  case $event in
    crash) exit 7 ;;
    hang) sleep 1000 & sleep 1000 ;;
    fail) curl -sS -o /dev/null -d '{"errorType":"Odd","errorMessage":"no luck"}' "$api/invocation/$id/error"; continue ;;
    pid) answer=$$ ;;
    env) answer=$(env) ;;
    head) answer=$(cat "$LAMBDA_TASK_ROOT/head.$$") ;;
    gate) while [ ! -e "$LAMBDA_TASK_ROOT/open" ]; do sleep 0.01; done; answer=$$ ;;
    huge) head -c 6291457 /dev/zero | curl -sS -o "$LAMBDA_TASK_ROOT/huge" -w '%{http_code}' --data-binary @- \
            "$api/invocation/$id/response" >"$LAMBDA_TASK_ROOT/status"; continue ;;
    wrong) curl -sS -o /dev/null -w '%{http_code}' -d x "$api/invocation/other/response" >"$LAMBDA_TASK_ROOT/status"
           answer=right ;;
    log) echo "to stdout"; echo "to stderr" >&2; answer=logged ;;
    *) answer=$event ;;
  esac
  printf %s "$answer" | curl -sS -o /dev/null --data-binary @- "$api/invocation/$id/response"
done
"#;

struct World {
    host: Host,
    directory: TempDir,
    config: ProcessConfig,
}

impl World {
    fn new(bootstrap: &str) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("bootstrap"), bootstrap).unwrap();
        let config = ProcessConfig {
            command: vec!["sh".to_owned(), "bootstrap".to_owned()],
            directory: None,
            handler: "app.handler".to_owned(),
            environment: BTreeMap::new(),
            event: EventForm::Body,
            instances_max: 2,
            idle_timeout: "60s".to_owned(),
            start_timeout: "10s".to_owned(),
            memory_mib: None,
        };
        Self { host: Host::start().unwrap(), directory, config }
    }

    fn process(&self) -> Process {
        self.try_process().unwrap()
    }

    fn try_process(&self) -> Result<Process, ConfigError> {
        let name = FunctionName::parse("shop.echo").unwrap();
        Process::new(&self.config, self.directory.path(), &name, Duration::from_secs(10), 10 << 20, &self.host)
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

async fn say(process: &Process, text: &'static str) -> Result<String, InvokeError> {
    let reply = process.invoke(post(text)).await?;
    Ok(String::from_utf8(body(reply).await.unwrap().to_vec()).unwrap())
}

fn group_exists(pid: i32) -> bool {
    rustix::process::test_kill_process_group(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
}

async fn group_gone(pid: i32) {
    until("the process group ends", async || !group_exists(pid)).await;
}

#[tokio::test]
async fn an_instance_answers_one_call_after_the_other() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    assert_eq!(say(&process, "one").await.unwrap(), "one");
    let pid = say(&process, "pid").await.unwrap();
    assert_eq!(say(&process, "pid").await.unwrap(), pid);
    let stats = process.stats();
    assert_eq!((stats.starts, stats.running, stats.crashes), (1, 1, 0));
    world.host.shutdown().await;
    assert!(!group_exists(pid.parse().unwrap()));
    assert!(matches!(say(&process, "one").await, Err(InvokeError::Unreachable(_))));
}

#[tokio::test]
async fn calls_wait_for_instances_and_instances_are_limited() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let open = async {
        until("two run and three wait", async || {
            let stats = process.stats();
            (stats.busy, stats.queued) == (2, 3)
        })
        .await;
        fs::write(world.directory.path().join("open"), "").unwrap();
    };
    let (answers, ()) = tokio::join!(join_all((0..5).map(|_| say(&process, "gate"))), open);
    let mut pids: Vec<String> = answers.into_iter().map(Result::unwrap).collect();
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 2);
    assert_eq!(process.stats().starts, 2);
    assert_eq!(world.host.stats(), [process.stats()]);
    world.host.shutdown().await;
}
