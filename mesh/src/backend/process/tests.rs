//! Function processes as callers see them: real shell bootstraps that speak the Runtime API with curl.

use super::*;
use crate::{
    payload::{Answer, Payload},
    samples::{body, context, post, until},
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use std::{collections::BTreeMap, fs};
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

mod servers;
mod starts;
mod wire;

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
            event: Some(EventForm::Body),
            handler: "app.handler".to_owned(),
            instances_max: 1,
            ..ProcessConfig::of(vec!["sh".to_owned(), "bootstrap".to_owned()])
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

/// Whether any process of the group lives; a zombie that waits for its new parent does not.
fn group_exists(group: &str) -> bool {
    let stats =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats.into_iter().any(|stat| {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(2) == Some(&group) && fields[0] != "Z"
    })
}

async fn group_gone(pid: &str) {
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
    group_gone(&pid).await;
    assert!(matches!(say(&process, "one").await, Err(InvokeError::Unreachable(_))));
}

#[tokio::test]
async fn calls_wait_for_instances_and_instances_are_limited() {
    let mut world = World::new(BOOTSTRAP);
    world.config.instances_max = 2;
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

#[tokio::test]
async fn an_idle_instance_is_stopped_and_a_call_starts_another() {
    let mut world = World::new(BOOTSTRAP);
    world.config.idle_timeout = "100ms".to_owned();
    let process = world.process();
    let first = say(&process, "pid").await.unwrap();
    group_gone(&first).await;
    until("it is gone from the pool", async || process.stats().running == 0).await;
    assert_ne!(say(&process, "pid").await.unwrap(), first);
    assert_eq!((process.stats().starts, process.stats().crashes), (2, 0));
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_crash_fails_its_call_only() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let pid = say(&process, "pid").await.unwrap();
    let error = say(&process, "crash").await.unwrap_err();
    assert!(matches!(&error, InvokeError::FunctionFailed(words) if words.contains("exit status 7")), "{error:?}");
    group_gone(&pid).await;
    assert_eq!(say(&process, "after").await.unwrap(), "after");
    assert_eq!(process.stats().crashes, 1);
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_function_that_says_so_has_failed_and_lives_on() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let pid = say(&process, "pid").await.unwrap();
    let error = say(&process, "fail").await.unwrap_err();
    assert!(matches!(&error, InvokeError::FunctionFailed(words) if words == "Odd: no luck"), "{error:?}");
    assert_eq!(say(&process, "pid").await.unwrap(), pid);
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_bootstrap_that_ends_at_once_is_told_and_rests() {
    let world = World::new("echo broken >&2; echo x >>\"$LAMBDA_TASK_ROOT/starts\"; exit 4");
    let process = world.process();
    for _ in 0..5 {
        let error = say(&process, "one").await.unwrap_err();
        let InvokeError::Unreachable(cause) = error else { panic!("{error:?}") };
        assert!(cause.to_string().contains("exit status 4 before it asked for a call"), "{cause}");
    }
    // The first call started it; the others came while it rested, or once after the rest.
    assert!(world.file("starts").lines().count() < 5, "it was started for each call");
    assert!(process.stats().start_failures >= 1);
    world.host.shutdown().await;
}

#[tokio::test]
async fn an_init_error_and_a_start_that_takes_too_long_are_told() {
    let init_error = r#"curl -sS -o /dev/null -d '{"errorType":"NoConfig","errorMessage":"it is missing"}' \
        "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/init/error"; sleep 1000"#;
    for (bootstrap, words) in [(init_error, "NoConfig: it is missing"), ("sleep 1000", "no call within 200ms")] {
        let mut world = World::new(bootstrap);
        if bootstrap != init_error {
            world.config.start_timeout = "200ms".to_owned();
        }
        let process = world.process();
        let InvokeError::Unreachable(cause) = say(&process, "one").await.unwrap_err() else {
            panic!("not unreachable")
        };
        assert!(cause.to_string().contains(words), "{cause}");
        world.host.shutdown().await;
        assert_eq!(process.stats().running, 0);
    }
}

#[tokio::test]
async fn a_time_out_kills_the_whole_group() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let pid = say(&process, "pid").await.unwrap();
    until("it asks for the next call", async || process.stats().idle == 1).await;
    let mut outbound = post("hang");
    outbound.context = context(Duration::from_millis(300));
    assert!(matches!(process.invoke(outbound).await, Err(InvokeError::TimedOut)));
    group_gone(&pid).await;
    assert_eq!(process.stats().time_outs, 1);
    assert_eq!(say(&process, "after").await.unwrap(), "after");
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_the_call() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let pid = say(&process, "pid").await.unwrap();
    {
        let mut call = process.invoke(post("gate"));
        until("the call runs", async || {
            let pending = tokio::time::timeout(Duration::from_millis(1), &mut call);
            assert!(pending.await.is_err());
            process.stats().busy == 1
        })
        .await;
    }
    assert_eq!(process.stats().busy, 1, "the instance was not told");
    fs::write(world.directory.path().join("open"), "").unwrap();
    assert_eq!(say(&process, "pid").await.unwrap(), pid, "the same instance takes the next call");
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_call_that_no_instance_took_before_its_deadline_never_runs() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let late = async {
        until("the first call runs", async || process.stats().busy == 1).await;
        let mut outbound = post("crash");
        outbound.context = context(Duration::from_millis(100));
        let error = process.invoke(outbound).await.unwrap_err();
        assert!(matches!(error, InvokeError::Busy), "{error:?}");
        let hung_up = tokio::time::timeout(Duration::from_millis(20), say(&process, "crash")).await;
        assert!(hung_up.is_err());
        assert_eq!(process.stats().queued, 0);
        fs::write(world.directory.path().join("open"), "").unwrap();
    };
    let (first, ()) = tokio::join!(say(&process, "gate"), late);
    first.unwrap();
    assert_eq!((process.stats().crashes, process.stats().queued), (0, 0));
    world.host.shutdown().await;
}

#[tokio::test]
async fn answers_over_the_limit_and_for_other_calls_are_refused() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let pid = say(&process, "pid").await.unwrap();
    let error = say(&process, "huge").await.unwrap_err();
    assert!(matches!(error, InvokeError::AnswerTooLarge { bytes_max: 6_291_456 }), "{error:?}");
    until("the runtime is told", async || world.file("status") == "413").await;
    assert_eq!(say(&process, "wrong").await.unwrap(), "right");
    assert_eq!(world.file("status"), "400");
    assert_eq!(say(&process, "pid").await.unwrap(), pid);
    let mut large = post(vec![b'x'; event::REQUEST_BYTES_MAX + 1]);
    assert!(matches!(process.invoke(large).await, Err(InvokeError::RequestTooLarge { .. })));
    large = post("four bytes");
    large.context.response_bytes_max = 4;
    assert!(matches!(process.invoke(large).await, Err(InvokeError::AnswerTooLarge { bytes_max: 4 })));
    world.host.shutdown().await;
}

#[tokio::test]
async fn the_environment_is_what_was_configured_and_the_lambda_contract() {
    let mut world = World::new(BOOTSTRAP);
    world.config.environment = BTreeMap::from([("GREETING".to_owned(), "a b\"c".to_owned())]);
    world.config.memory_mib = Some(512);
    let process = world.process();
    let environment = say(&process, "env").await.unwrap();
    let has = |line: &str| environment.lines().any(|l| l == line);
    assert!(has("GREETING=a b\"c") && has("_HANDLER=app.handler") && has("TZ=UTC") && has("AWS_REGION=local"));
    assert!(has("AWS_LAMBDA_FUNCTION_NAME=shop.echo") && has("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512"));
    assert!(!environment.contains("CARGO"), "the gateway's environment leaks: {environment}");
    let head = say(&process, "head").await.unwrap().to_ascii_lowercase();
    for part in [
        "lambda-runtime-deadline-ms: 1",
        "lambda-runtime-invoked-function-arn: arn:aws:lambda:local:000000000000:function:shop.echo",
        "lambda-runtime-trace-id: root=1-0af76519-16cd43dd8448eb211c80319c;parent=b7ad6b7169203331;sampled=1",
        r#"lambda-runtime-client-context: {"custom":{"call_id":"#,
    ] {
        assert!(head.contains(part), "{part} is not in {head}");
    }
    world.host.shutdown().await;
}

#[tokio::test]
async fn dropping_the_last_clone_stops_the_instances() {
    let world = World::new(BOOTSTRAP);
    let process = world.process();
    let pid = say(&process, "pid").await.unwrap();
    let clone = process.clone();
    drop(process);
    assert_eq!(say(&clone, "pid").await.unwrap(), pid);
    drop(clone);
    group_gone(&pid).await;
    until("the host forgets them", async || world.host.stats().is_empty()).await;
    world.host.shutdown().await;
}

#[tokio::test]
async fn an_api_gateway_function_sets_status_and_headers() {
    let mut world = World::new(
        &BOOTSTRAP.replace("*) answer=$event", r#"*) answer='{"statusCode":201,"headers":{"X-A":"b"},"body":"made"}'"#),
    );
    world.config.event = Some(EventForm::ApiGatewayV2);
    let process = world.process();
    let reply = process.invoke(post("{}")).await.unwrap();
    assert_eq!((reply.status(), reply.headers()["x-a"].as_bytes()), (StatusCode::CREATED, &b"b"[..]));
    assert_eq!(body(reply).await.unwrap(), Bytes::from("made"));
    let mut duplex = post("");
    duplex.payload = Payload::Duplex(Box::pin(async { Err("never".into()) }));
    assert!(matches!(process.invoke(duplex).await, Err(InvokeError::Unsupported(_))));
    let mut empty = post("");
    empty.payload = Payload::Empty;
    assert!(matches!(process.invoke(empty).await.unwrap().into_body(), Answer::Buffered(_)));
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_bad_configuration_names_its_field() {
    let check = |change: fn(&mut ProcessConfig), field: &str| {
        let mut world = World::new(BOOTSTRAP);
        change(&mut world.config);
        let error = world.try_process().unwrap_err();
        assert_eq!(error.field, field, "{error}");
    };
    check(|c| c.command.clear(), "command");
    check(|c| c.command = vec!["no-such-program".to_owned()], "command");
    check(|c| c.command = vec!["./bootstrap".to_owned()], "command");
    check(|c| c.directory = Some("absent".into()), "directory");
    check(|c| c.directory = Some("bootstrap".into()), "directory");
    check(|c| c.instances_max = 0, "instances_max");
    check(|c| c.instances_max = 100_000, "instances_max");
    check(|c| c.idle_timeout = "soon".to_owned(), "idle_timeout");
    check(|c| c.start_timeout = "0s".to_owned(), "start_timeout");
    check(|c| c.instances_min = 2, "instances_min");
    check(|c| c.calls_per_instance = 2, "calls_per_instance");
    check(|c| (c.protocol, c.calls_per_instance, c.event) = (Protocol::Http, 0, None), "calls_per_instance");
    check(|c| c.protocol = Protocol::Grpc, "event");
    check(|c| c.protocol = Protocol::Fn, "handler");
    check(|c| c.intent = Some(crate::backend::fn_protocol::FnIntent::HttpRequest), "intent");
    check(|c| c.code = Some("code.js".into()), "code");
    check(|c| (c.protocol, c.event, c.code) = (Protocol::OpenWhisk, None, Some("none.js".into())), "code");
    check(|c| (c.protocol, c.event, c.ready) = (Protocol::Http, None, Some("healthz".to_owned())), "ready");
    check(|c| c.port = Some(8080), "port");
    let several =
        |c: &mut ProcessConfig| (c.protocol, c.event, c.port, c.instances_max) = (Protocol::Http, None, Some(1), 2);
    check(several, "instances_max");
    check(|c| c.processes_max = Some(9), "processes_max");
    check(|c| c.files_max = Some(1), "files_max");
    check(|c| c.user = Some("nobody of this name".to_owned()), "user");
    check(|c| c.memory_mib = Some(0), "memory_mib");
    check(|c| drop(c.environment.insert("A=B".to_owned(), String::new())), "environment");
    check(|c| drop(c.environment.insert("_HANDLER".to_owned(), String::new())), "environment");
}
