//! How much longer a call takes that finds no instance than the program's own start, each to where the function asks for its
//! first call, for both ways to keep records: `cargo build --release --workspace --example cold_start`, then
//! `target/release/examples/cold_start [PAIRS]`. Fails above 5 ms.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::Read,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};
use tests::{
    client::{Request, Session},
    lambda::{self, Function},
    latchwork::{self, Running},
    processes,
    project::Project,
    wait,
};

const PAIRS: usize = 31;
const DIFFERENCE_MAX: Duration = Duration::from_millis(5);

/// Says that it is there, then asks for calls.
const SHELL: &str = r#"
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
echo >"$POINT"
while head=$(curl -sS -D - -o /dev/null "$api/next"); do
  id=$(printf '%s' "$head" | tr -d '\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  curl -sS -o /dev/null -d '{}' "$api/$id/response"
done
"#;

/// Its module is loaded last before the runtime asks for calls.
const PYTHON: &str = r#"
import os

with open(os.environ["POINT"], "w") as point:
    point.write("\n")


def handler(event, context):
    return {}
"#;

/// A function and a gateway before it.
struct Bench {
    project: Project,
    function: Function,
    gateway: Running,
    session: Session,
    points: Receiver<Instant>,
    marker: &'static str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let pairs = env::args().nth(1).map_or(PAIRS, |text| text.parse().expect("a number of pairs"));
    let shell = |folder: &Path| {
        fs::write(folder.join("bootstrap"), SHELL).expect("the folder is ours");
        Some(Function {
            command: vec!["/bin/sh".into(), "bootstrap".into()],
            directory: folder.to_path_buf(),
            handler: "none".into(),
        })
    };
    let python = |folder: &Path| {
        fs::write(folder.join("cold.py"), PYTHON).expect("the folder is ours");
        let mut function = lambda::python()?;
        *function.command.last_mut().expect("a command") = "cold.handler".into();
        Some(Function { directory: folder.to_path_buf(), handler: "cold.handler".into(), ..function })
    };
    let mut good = true;
    for durability in ["write", "fsync"] {
        if let Some(bench) = Bench::start("bootstrap", durability, shell).await {
            good &= bench.compare(&format!("a shell `bootstrap`, {durability}"), pairs).await;
        }
        if let Some(bench) = Bench::start("awslambdaric", durability, python).await {
            good &= bench.compare(&format!("Python (`awslambdaric`), {durability}"), pairs).await;
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Bench {
    async fn start(
        marker: &'static str,
        durability: &str,
        function: impl Fn(&Path) -> Option<Function>,
    ) -> Option<Self> {
        let project = Project::new().anonymous();
        let function = function(project.folder())?;
        let fifo = project.folder().join("point");
        let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo starts");
        assert!(made.success(), "a pipe can be made");
        let inside = format!("event = \"body\", idle_timeout = \"1ms\", environment.POINT = \"{}\"", fifo.display());
        let project = project
            .process("shop.start", "POST /start", &function, &inside, "")
            .audited(&format!("durability = \"{durability}\""))
            .permit_all();
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        let session = gateway.client().open().await.expect("the gateway listens");
        // Open for both, so that it never ends.
        let pipe = OpenOptions::new().read(true).write(true).open(&fifo).expect("a pipe");
        Some(Self { project, function, gateway, session, points: points(pipe), marker })
    }

    async fn compare(mut self, name: &str, pairs: usize) -> bool {
        let (mut cold, mut bare, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..=pairs {
            // In turns, so that what drifts weighs on both.
            let (called, started) = if pair % 2 == 0 {
                let called = self.call().await;
                (called, self.bare())
            } else {
                let started = self.bare();
                (self.call().await, started)
            };
            // The first pair fills the caches.
            if pair > 0 {
                cold.push(called);
                bare.push(started);
                differences.push(called - started);
            }
        }
        self.gateway.stop().await;
        drop(self.project);
        let difference = median(&mut differences);
        println!(
            "{name}: a cold call {:.1} ms, the program alone {:.1} ms; the difference of {pairs} pairs: median {difference:.1} ms \
             (quartiles {:.1} and {:.1})",
            median(&mut cold),
            median(&mut bare),
            differences[differences.len() / 4],
            differences[differences.len() * 3 / 4]
        );
        difference <= DIFFERENCE_MAX.as_secs_f64() * 1e3
    }

    /// A call that finds no instance, to the function's first question.
    async fn call(&mut self) -> f64 {
        let begun = Instant::now();
        let answer = self.session.send(Request::post("/start", "{}")).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), self.gateway.stderr());
        let point = self.points.try_recv().expect("an instance was started for the call");
        wait::until("no instance", wait::LONG, || {
            let left = processes::descendants(self.gateway.id()).iter().any(|p| p.command.contains(self.marker));
            std::future::ready((!left).then_some(()))
        })
        .await;
        (point - begun).as_secs_f64() * 1e3
    }

    /// The program's own start, to the same place.
    fn bare(&self) -> f64 {
        let (program, arguments) = self.function.command.split_first().expect("a command");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.function.directory).env_clear();
        command.envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("TZ", "UTC")]);
        // Nobody answers there: what comes after the place does not count.
        command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("_HANDLER", &self.function.handler);
        command.env("POINT", self.project.folder().join("point"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        let point = self.points.recv_timeout(wait::LONG).expect("the program gets there");
        let _ = child.kill();
        child.wait().expect("the program ends");
        (point - begun).as_secs_f64() * 1e3
    }
}

/// When somebody writes into the pipe.
fn points(mut pipe: File) -> Receiver<Instant> {
    let (sender, points) = mpsc::channel();
    thread::spawn(move || {
        let mut byte = [0];
        while pipe.read_exact(&mut byte).is_ok() && sender.send(Instant::now()).is_ok() {}
    });
    points
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
