//! Function processes that are servers, as callers see them: a real server of HTTP in Python's standard library.

use super::*;
use crate::{host::ProcessStats, report::Start};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use std::{net::TcpListener, process::Command};

/// Does what the body says.
const SERVER: &str = r#"
import http.server, json, os, resource, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def wait(self):
        while not os.path.exists("open"): time.sleep(0.01)
    def say(self, text, status=200):
        body = str(text).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.say("", 200 if os.path.exists("healthy") else 503)
    def do_POST(self):
        told = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if told == "crash": os._exit(7)
        if told == "hang": time.sleep(1000)
        if told == "gate": self.wait()
        if told == "grow":
            kept = [bytearray(os.urandom(1 << 20)) for _ in range(200)]
            time.sleep(1000)
        if told == "stream":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            self.wait()
            return self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")
        if told == "large":
            try:
                with open("large", "wb") as file: file.write(b"x" * (3 << 20))
                return self.say("written")
            except OSError as error: return self.say(error.errno)
        self.say({
            "env": lambda: json.dumps(dict(os.environ)), "headers": lambda: json.dumps(dict(self.headers)),
            "fds": lambda: json.dumps([os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]),
            "who": lambda: json.dumps([os.getuid(), os.getgid(), os.getgroups()]),
            "files": lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            "cores": lambda: resource.getrlimit(resource.RLIMIT_CORE)[1],
        }.get(told, os.getpid)())

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

if "slow" in sys.argv: time.sleep(1000)
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

fn world() -> World {
    let mut world = World::new(SERVER);
    world.config = ProcessConfig {
        protocol: Protocol::Http,
        instances_max: 1,
        ..ProcessConfig::of(["python3", "bootstrap", "{port}"].map(str::to_owned).to_vec())
    };
    world
}

impl World {
    fn open(&self) {
        fs::write(self.directory.path().join("open"), "").unwrap();
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn numbers(process: &Process) -> (usize, usize, usize) {
    let ProcessStats { running, busy, queued, .. } = process.stats();
    (running, busy, queued)
}

#[tokio::test]
async fn a_server_is_asked_with_what_every_backend_is_told_and_a_deadline() {
    let world = world();
    let process = world.process();
    let mut first = post("headers");
    first.head.headers.insert("latchwork-deadline", "never".parse().unwrap());
    let (cold, deadline) = (first.context.reporting.clone(), jiff::Timestamp::now());
    let reply = process.invoke(first).await.unwrap();
    let headers = json(std::str::from_utf8(&body(reply).await.unwrap()).unwrap());
    assert_eq!(headers["latchwork-caller"], "corp/ada", "{headers}");
    assert!(headers["traceparent"].as_str().unwrap().contains("0af7651916cd43dd8448eb211c80319c"), "{headers}");
    let told: jiff::Timestamp = headers["latchwork-deadline"].as_str().unwrap().parse().unwrap();
    let left = told.duration_since(deadline).as_secs_f64();
    assert!((5.0..=11.0).contains(&left), "{left} s");
    let pid = say(&process, "pid").await.unwrap();
    let warm = post("pid");
    let reporting = warm.context.reporting.clone();
    body(process.invoke(warm).await.unwrap()).await.unwrap();
    let (cold, warm) = (cold.told().unwrap(), reporting.told().unwrap());
    assert_eq!((cold.start, warm.start, warm.init), (Some(Start::Cold), Some(Start::Warm), None));
    assert!(cold.init.unwrap() > Duration::from_millis(1) && cold.ran.is_some());
    assert_eq!(say(&process, "pid").await.unwrap(), pid);
    assert_eq!(process.stats().starts, 1);
    world.host.shutdown().await;
    group_gone(&pid).await;
}

#[tokio::test]
async fn an_instance_has_an_environment_a_folder_and_descriptors_of_its_own() {
    let mut world = world();
    world.config.environment = BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]);
    world.config.handler = "greet".to_owned();
    let process = world.process();
    let environment = json(&say(&process, "env").await.unwrap());
    let names: Vec<&str> = environment.as_object().unwrap().keys().map(String::as_str).collect();
    let own = ["FUNCTION_TARGET", "GREETING", "HOME", "K_SERVICE", "LANG", "PATH", "PORT", "TMPDIR", "TZ"];
    for name in &names {
        // Shells and interpreters have some of their own.
        assert!(
            own.contains(name) || ["PWD", "SHLVL", "OLDPWD", "_", "LC_CTYPE"].contains(name),
            "{name}: {environment}"
        );
    }
    assert_eq!((&environment["GREETING"], &environment["FUNCTION_TARGET"]), (&"hello".into(), &"greet".into()));
    let scratch = PathBuf::from(environment["TMPDIR"].as_str().unwrap());
    assert!(scratch.is_dir() && environment["HOME"] == environment["TMPDIR"]);
    fs::write(scratch.join("left"), "behind").unwrap();
    let open = json(&say(&process, "fds").await.unwrap());
    let open: Vec<&str> = open.as_array().unwrap().iter().filter_map(|link| link.as_str()).collect();
    let own = |link: &&str| ["pipe:", "socket:", "/dev/null", "anon_inode:"].iter().any(|kind| link.starts_with(kind));
    assert!(open.iter().all(own) && open.iter().filter(|link| link.starts_with("pipe:")).count() == 2, "{open:?}");
    assert_eq!(say(&process, "cores").await.unwrap(), "0");
    world.host.shutdown().await;
    assert!(!scratch.exists() && !scratch.parent().unwrap().exists(), "its folder is gone with it");
}

#[tokio::test]
async fn calls_share_instances_up_to_a_limit() {
    let mut world = world();
    (world.config.calls_per_instance, world.config.instances_max) = (3, 2);
    let process = world.process();
    let open = async {
        until("two run three each and one waits", async || {
            let ProcessStats { running, busy, queued, starting, .. } = process.stats();
            (running, busy, queued, starting) == (2, 2, 1, 0)
        })
        .await;
        world.open();
    };
    let (answers, ()) = tokio::join!(join_all((0..7).map(|_| say(&process, "gate"))), open);
    let mut pids: Vec<String> = answers.into_iter().map(Result::unwrap).collect();
    pids.sort();
    pids.dedup();
    assert_eq!((pids.len(), process.stats().starts), (2, 2));
    until("both are free", async || process.stats().idle == 2).await;
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_minimum_is_kept_ready_without_calls() {
    let mut world = world();
    (world.config.instances_min, world.config.instances_max) = (1, 2);
    world.config.idle_timeout = "20ms".to_owned();
    let process = world.process();
    assert_eq!(process.stats().running, 0, "nothing starts before it is asked to");
    process.warm();
    until("one is ready", async || process.stats().idle == 1).await;
    let call = post("pid");
    let reporting = call.context.reporting.clone();
    let pid = String::from_utf8(body(process.invoke(call).await.unwrap()).await.unwrap().to_vec()).unwrap();
    assert_eq!(reporting.told().unwrap().start, Some(Start::Warm), "it was there");
    let open = async {
        // Busy, not just started: the first could answer both calls meanwhile.
        until("another is started beside it", async || process.stats().busy == 2).await;
        world.open();
    };
    let (answers, ()) = tokio::join!(join_all((0..2).map(|_| say(&process, "gate"))), open);
    let pids: Vec<String> = answers.into_iter().map(Result::unwrap).collect();
    assert!(pids.contains(&pid));
    until("the one too many is stopped when idle", async || process.stats().running == 1).await;
    let pid = say(&process, "pid").await.unwrap();
    assert!(pids.contains(&pid), "the minimum is not");
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    until("another is ready", async || process.stats().crashes == 1 && process.stats().idle == 1).await;
    assert_ne!(say(&process, "pid").await.unwrap(), pid);
    drop(process);
    until("none is left", async || world.host.stats().is_empty()).await;
    world.host.shutdown().await;
}

#[tokio::test]
async fn an_instance_that_fails_a_call_is_replaced() {
    let world = world();
    let process = world.process();
    let pid = say(&process, "pid").await.unwrap();
    let error = say(&process, "crash").await.unwrap_err();
    assert!(matches!(&error, InvokeError::FunctionFailed(words) if words.contains("exit status 7")), "{error:?}");
    let mut late = post("hang");
    late.context = context(Duration::from_secs(2));
    assert!(matches!(process.invoke(late).await, Err(InvokeError::TimedOut)));
    let second = say(&process, "pid").await.unwrap();
    group_gone(&pid).await;
    // Killed while nobody calls: whoever calls next does not learn of it.
    assert!(Command::new("kill").args(["-KILL", &second]).status().unwrap().success());
    until("it is missed", async || process.stats().crashes == 2).await;
    let third = say(&process, "pid").await.unwrap();
    assert_ne!(third, second);
    let ProcessStats { starts, crashes, time_outs, .. } = process.stats();
    assert_eq!((starts, crashes, time_outs), (4, 2, 1));
    world.host.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes_and_keeps_its_room() {
    let world = world();
    let process = world.process();
    let reply = process.invoke(post("stream")).await.unwrap();
    let Answer::Stream(body) = reply.into_body() else { panic!("it is whole") };
    let mut frames = body.into_data_stream();
    assert_eq!(frames.next().await.unwrap().unwrap(), "first");
    assert_eq!(numbers(&process), (1, 1, 0));
    world.open();
    assert_eq!(frames.next().await.unwrap().unwrap(), "last");
    assert!(frames.next().await.is_none());
    until("it is free", async || process.stats().idle == 1).await;
    world.host.shutdown().await;
}

#[tokio::test]
async fn what_uses_too_much_is_killed_or_refused() {
    let mut world = world();
    (world.config.memory_mib, world.config.files_max, world.config.file_mib_max) = (Some(100), Some(64), Some(2));
    let process = world.process();
    assert_eq!(say(&process, "files").await.unwrap(), "64");
    let refused = say(&process, "large").await;
    // The kernel sends a signal, which Python turns into an error.
    assert_eq!(refused.unwrap(), "27");
    let call = post("grow");
    let reporting = call.context.reporting.clone();
    let error = process.invoke(call).await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::FunctionFailed(words) if words.contains("MiB of memory and may use 100")),
        "{error:?}"
    );
    assert_eq!(process.stats().memory_kills, 1);
    let told = reporting.told().unwrap();
    assert!(told.memory_mib == Some(100) && told.memory_used_mib.unwrap() > 100, "{told:?}");
    say(&process, "pid").await.unwrap();
    world.host.shutdown().await;
}

#[tokio::test]
async fn a_port_is_the_instances_or_nobodys() {
    let mut world = world();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    world.config.port = Some(other.local_addr().unwrap().port());
    let InvokeError::Unreachable(cause) = say(&world.process(), "pid").await.unwrap_err() else { panic!() };
    assert!(cause.to_string().contains("somebody listens on port"), "{cause}");
    drop(other);
    // It does not listen where it was told, but where somebody else does.
    let script = "import socket, sys, time\nprint(sys.argv)\ntime.sleep(1000)";
    fs::write(world.directory.path().join("bootstrap"), script).unwrap();
    let taken = world.config.port.unwrap();
    let process = world.process();
    let (said, _other) = tokio::join!(say(&process, "pid"), async {
        until("it starts", async || process.stats().starts == 1 && process.stats().starting == 1).await;
        TcpListener::bind(("127.0.0.1", taken)).unwrap()
    });
    let InvokeError::Unreachable(cause) = said.unwrap_err() else { panic!() };
    assert!(cause.to_string().contains("listens on"), "{cause}");
    world.host.shutdown().await;
}

#[tokio::test]
async fn an_instance_is_ready_when_it_says_so() {
    let mut world = world();
    (world.config.ready, world.config.start_timeout) = (Some("/healthz".to_owned()), "500ms".to_owned());
    let InvokeError::Unreachable(cause) = say(&world.process(), "pid").await.unwrap_err() else { panic!() };
    assert!(cause.to_string().contains("it took no calls within 500ms"), "{cause}");
    world.config.start_timeout = "20s".to_owned();
    let process = world.process();
    let (said, ()) = tokio::join!(say(&process, "pid"), async {
        until("it starts", async || process.stats().starting == 1).await;
        fs::write(world.directory.path().join("healthy"), "").unwrap();
    });
    said.unwrap();
    world.host.shutdown().await;
}

#[tokio::test]
async fn processes_may_be_another_users() {
    let mut world = world();
    world.config.user = Some("nobody".to_owned());
    world.config.processes_max = Some(64);
    if !rustix::process::geteuid().is_root() {
        let error = world.try_process().unwrap_err();
        assert_eq!(error.field, "user", "{error}");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let process = world.process();
    let who = say(&process, "who").await.unwrap();
    assert!(who.starts_with("[65534, ") && who.ends_with(", []]"), "{who}");
    let environment = json(&say(&process, "env").await.unwrap());
    assert!(Path::new(environment["TMPDIR"].as_str().unwrap()).is_dir());
    world.host.shutdown().await;
}
