//! What watching the log costs: `cargo run --release -p gateway --example detect_bench`.
//!
//! A million records of 5,000 callers and 40 functions are read, understood and shown to every detector, on one thread.

use gateway::{
    audit::{
        detect::{Detectors, sight::Sight},
        query::Line,
    },
    config::detect::Detect,
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    time::Duration,
};

const CALLS: u64 = 500_000;
const CALLERS: u64 = 5_000;
const FUNCTIONS: u64 = 40;
/// Calls per second, in the time of the records.
const RATE: u64 = 50;
/// Calls whose records are made before they are watched.
const BATCH: u64 = 10_000;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut detectors = Detectors::new(Detect::default());
    let (mut told, mut found, mut reading, mut seeing) = (Vec::new(), 0, Duration::ZERO, Duration::ZERO);
    for batch in 0..CALLS / BATCH {
        let mut lines = Vec::new();
        for call in batch * BATCH..(batch + 1) * BATCH {
            lines.extend([intent(call)?, closed(call)?]);
        }
        let begun = cpu();
        let mut sights = Vec::with_capacity(lines.len());
        for line in &lines {
            sights.push(Sight::of(line)?);
        }
        let read = cpu();
        for sight in &sights {
            detectors.see(sight, &mut told);
        }
        let seen = cpu();
        found += told.len();
        told.clear();
        reading += read - begun;
        seeing += seen - read;
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (2 * CALLS) as f64;
    let records = 2 * CALLS;
    writeln!(
        io::stdout(),
        "{records} records, {found} findings: {:.2} us of CPU per record to read it, {:.2} us for all detectors",
        each(reading),
        each(seeing)
    )?;
    Ok(())
}

/// An intent as the log has it.
fn intent(call: u64) -> Result<Line, Failure> {
    let (caller, function) = (call * 7 % CALLERS, call * 11 % FUNCTIONS);
    let (third, fourth) = (caller / 250, caller % 250);
    line(
        call,
        "intent",
        call * 2,
        &format!(
            r#""function":"shop.f{function}","principal":{{"kind":"User","id":"corp/u{caller}","issuer":"corp","groups":["corp/staff","corp/team{}"],"attributes":{{}}}},"verb":"call","facts":{{"call":"sync","network":{{"source":"10.1.{third}.{fourth}","provenance":"socket","zone":"other"}},"transport":{{"mtls":false,"tls":13,"sealed":false}},"clock":{{"now":"2026-03-02T08:00:00Z","weekday":1,"minute":480}},"via":{{"depth":0}}}},"path":{{"sku":"{call}"}},"query":{{}},"bundle":"sha256:0123456789abcdef","decision":"allow","determining":["staff-may-shop"],"targets":[0],"target":0,"listener":"public","trace":"4bf92f3577b34da6a3ce929d0e0e4736","request":{{"method":"GET","path":"/stock/{call}","version":"HTTP/2"}}"#,
            caller % 50
        ),
    )
}

/// Its end.
fn closed(call: u64) -> Result<Line, Failure> {
    let body = r#""outcome":"completed","status":200,"bytes_in":0,"bytes_out":512,"duration_us":1800"#;
    line(call, "closed", call * 2 + 1, body)
}

fn line(call: u64, kind: &str, seq: u64, body: &str) -> Result<Line, Failure> {
    let second = i64::try_from(call / RATE)?;
    let at = jiff::Timestamp::from_second(1_772_438_400 + second)?;
    let text = format!(
        r#"{{"v":1,"kind":"{kind}","seq":{seq},"at":"{at:.6}","node":"bench","incarnation":"0191e0a4-0000-7000-8000-000000000001","call":"0191e0a4-7b1c-7e52-b3ce-{call:012x}",{body}}}"#
    );
    let head = serde_json::from_str(&text)?;
    Ok(Line { head, bytes: text.into_bytes(), file: Path::new("bench").into(), line: seq + 1 })
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
