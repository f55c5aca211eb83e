//! What auditing costs, and how fast a log is verified and asked:
//! `cargo run --release -p gateway --example audit_bench -- cost|hot|verify|query`.
//!
//! `cost` runs pairs of the same paced load, with and without the log, and compares the CPU time of the process: for
//! calls that do nothing else, and for calls that do as much besides as a gateway's do.

use aws_lc_rs::digest::{SHA256, digest};
use gateway::{
    audit::{
        checkpoint::VKEY,
        log::Log,
        record::{Closed, Intent, Known, Outcome},
        verify,
    },
    config::{Audit, Checkpoints, Durability, Retention},
};
use jiff::Timestamp;
use policy::{
    permit::{BundleId, PolicyName, TargetIndex},
    question::{
        CallKind, Clock, Facts, FunctionName, Network, Principal, PrincipalAttributes, PrincipalKind, Provenance,
        Question, Transport, Verb, Via,
    },
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use uuid::Uuid;

#[path = "audit_bench/query.rs"]
mod query;

const PAIRS: usize = 31;
const CALLS_PER_SECOND: u32 = 4_000;
/// Each has a call of its own pace; together they have a second's.
const CONNECTIONS: u32 = 32;
/// About what the rest of a gateway's call takes. A process that only audits wakes an idle core with cold caches for
/// each call, and pays for that once more.
const WORK: Duration = Duration::from_micros(60);
/// About as long as a record is on average.
const RECORD_BYTES: usize = 504;
/// Calls one after another.
const HOT: u32 = 100_000;
const VERIFIED: u64 = 1_000_000;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut out = io::stdout();
    match std::env::args().nth(1).as_deref() {
        Some("cost") => {
            runtime.block_on(cost(&mut out, Duration::ZERO))?;
            runtime.block_on(cost(&mut out, WORK))
        }
        Some("hot") => runtime.block_on(hot(&mut out)),
        Some("verify") => runtime.block_on(verified(&mut out)),
        Some("query") => query::answered(&mut out),
        _ => Err("`cost`, `hot`, `verify` or `query`".into()),
    }
}

async fn cost(out: &mut impl Write, work: Duration) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let log = open(folder.path())?;
    let bare = Arc::new(Mutex::new(File::create(folder.path().join("bare"))?));
    let (mut audited, mut floor) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let mut spent = [Duration::ZERO; 3];
        // In turns, so that what drifts weighs on all.
        for turn in 0..spent.len() {
            let which = (turn + pair) % spent.len();
            let load = [Load::Nothing, Load::Bare(bare.clone()), Load::Audited(log.clone())].into_iter().nth(which);
            if let (Some(load), Some(spent)) = (load, spent.get_mut(which)) {
                *spent = run(&load, work).await?;
            }
        }
        let [nothing, bare, log] = spent.map(|spent| spent.as_secs_f64() * 1e6 / f64::from(CALLS_PER_SECOND));
        audited.push(log - nothing);
        floor.push(bare - nothing);
    }
    log.shutdown().await;
    writeln!(
        out,
        "{PAIRS} pairs of {CALLS_PER_SECOND} calls/s, two records each, `write` mode, {work:?} of other work a call: {} \
         us of CPU per call; a bare append and digest of each record: {}",
        quartiles(audited),
        quartiles(floor)
    )?;
    Ok(())
}

fn quartiles(mut all: Vec<f64>) -> String {
    all.sort_by(f64::total_cmp);
    let at = |part: usize| all.get(all.len() * part / 4).copied().unwrap_or(f64::NAN);
    format!("median {:.2} (quartiles {:.2} and {:.2})", at(2), at(1), at(3))
}

/// What a call does besides its other work.
#[derive(Clone)]
enum Load {
    Nothing,
    /// What no log can do without: for each record a write and a digest, of bytes that are there already.
    Bare(Arc<Mutex<File>>),
    Audited(Log),
}

/// What a call takes that follows the last one at once: the work itself, without what idle cores and cold caches add.
async fn hot(out: &mut impl Write) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let log = open(folder.path())?;
    let intent = intent();
    let (bytes, cpu) = (log.stats().bytes, cpu());
    for _ in 0..HOT {
        call(&log, &intent).await?;
    }
    let took = (self::cpu() - cpu).as_secs_f64() * 1e6 / f64::from(HOT);
    let bytes = (log.stats().bytes - bytes) / u64::from(HOT);
    log.shutdown().await;
    writeln!(out, "{HOT} calls one after another, {bytes} bytes each: {took:.2} us of CPU per call")?;
    Ok(())
}

/// CPU time of a second's load: connections that each have a call now and then, as they do in a gateway.
async fn run(load: &Load, work: Duration) -> Result<Duration, Failure> {
    let intent = Arc::new(intent());
    let cpu = cpu();
    let mut connections = tokio::task::JoinSet::new();
    for at in 0..CONNECTIONS {
        let (load, intent) = (load.clone(), Arc::clone(&intent));
        let every = Duration::from_secs(1) * CONNECTIONS / CALLS_PER_SECOND;
        let first = tokio::time::Instant::now() + every * at / CONNECTIONS;
        connections.spawn(async move {
            let mut tick = tokio::time::interval_at(first, every);
            for _ in 0..CALLS_PER_SECOND / CONNECTIONS {
                tick.tick().await;
                other_work(work)?;
                match &load {
                    Load::Nothing => drop(std::hint::black_box(Uuid::now_v7())),
                    Load::Bare(file) => bare(file)?,
                    Load::Audited(log) => call(log, &intent).await?,
                }
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = connections.join_next().await {
        done??;
    }
    Ok(self::cpu() - cpu)
}

fn bare(file: &Mutex<File>) -> Result<(), Failure> {
    let mut file = file.lock().map_err(|_| "a writer failed")?;
    for record in [[b'i'; RECORD_BYTES], [b'c'; RECORD_BYTES]] {
        std::hint::black_box(digest(&SHA256, &record));
        file.write_all(&record)?;
    }
    Ok(())
}

async fn call(log: &Log, intent: &Intent) -> Result<(), Failure> {
    let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now())?;
    *guard.known() = Known { listener: Some("public".into()), ..Known::default() };
    guard.intent(intent).await?;
    guard.closed(&closed()).await?;
    Ok(())
}

/// What the rest of a call does to the core that it is on: reads and writes JSON for so long.
fn other_work(work: Duration) -> Result<(), Failure> {
    if work.is_zero() {
        return Ok(());
    }
    let begun = cpu_of_thread();
    while cpu_of_thread() - begun < work {
        let value: serde_json::Value =
            serde_json::from_str(r#"{"order":{"items":[1,2,3],"to":"somebody"},"total":7.5}"#)?;
        std::hint::black_box(value.to_string());
    }
    Ok(())
}

async fn verified(out: &mut impl Write) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let log = open(folder.path())?;
    let intent = Arc::new(intent());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..VERIFIED / 2 {
        if calls.len() >= 512 {
            calls.join_next().await.ok_or("nothing runs")???;
        }
        let (log, intent) = (log.clone(), Arc::clone(&intent));
        calls.spawn(async move { call(&log, &intent).await });
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    log.shutdown().await;
    let bytes = log.stats().bytes;
    let key = fs::read_to_string(folder.path().join("bench").join(VKEY))?.parse()?;
    let (begun, before) = (Instant::now(), resident()?);
    let report = verify::verify(&[folder.path().to_owned()], &[key], &[])?;
    let (took, after) = (begun.elapsed(), resident()?);
    let (records, proved) = (report.records, report.proved);
    let mib = bytes >> 20;
    writeln!(out, "{proved} of {records} records ({mib} MiB) proved in {took:.2?}; memory {before} to {after} KiB")?;
    if report.ok { Ok(()) } else { Err("the log is not as it was written".into()) }
}

fn open(path: &Path) -> Result<Log, Failure> {
    let audit = Audit {
        path: path.to_owned(),
        durability: Durability::Write,
        segment_bytes_max: 64 << 20,
        retention: Retention::default(),
        checkpoints: Checkpoints::with_own_key(path.join("key")),
        privacy: Default::default(),
        detect: Default::default(),
        ship: Vec::new(),
    };
    Ok(Log::open(&audit, &"bench".into(), Uuid::now_v7())?)
}

fn cpu() -> Duration {
    spent(ClockId::ProcessCPUTime)
}

fn cpu_of_thread() -> Duration {
    spent(ClockId::ThreadCPUTime)
}

fn spent(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident memory, in KiB.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn closed() -> Closed {
    Closed { outcome: Outcome::Completed, status: Some(200), bytes_in: 2, bytes_out: 5, error: None, run: None }
}

fn intent() -> Intent {
    let principal = Principal {
        kind: PrincipalKind::User,
        id: "dev/alice".into(),
        issuer: Some("dev".into()),
        groups: Arc::new(["dev/staff".into()]),
        attributes: PrincipalAttributes::default(),
    };
    let facts = Facts {
        call: CallKind::Sync,
        network: Network { source: Some([127, 0, 0, 1].into()), provenance: Provenance::Socket, zone: "other".into() },
        transport: Transport { mtls: false, tls: 0, sealed: false },
        token: None,
        clock: Clock { now: Timestamp::now(), weekday: 1, minute: 1264, business_day: None, frozen: None },
        via: Via::default(),
        approval: None,
    };
    let function = FunctionName::parse("shop.order");
    #[expect(clippy::expect_used, reason = "the name is written here")]
    let function = function.expect("a function's name");
    let input = Some(Arc::new(serde_json::json!({"name": "x", "amount": 7})));
    let (path, query) = Default::default();
    let question = Question { principal, verb: Verb::Call, function, facts, path, query, input };
    Intent {
        question: Arc::new(question),
        looks: policy::engine::looks::Looks::everything(),
        bundle: BundleId("sha256:0123456789abcdef".into()),
        determining: Arc::new([PolicyName("staff-may-order".into())]),
        targets: Arc::new([TargetIndex(0)]),
        target: TargetIndex(0),
        chosen: None,
        resting: Vec::new(),
        observed: None,
    }
}
