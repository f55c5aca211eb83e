//! Writes an audit log as a gateway would have left it, so that commands over records have something to read.

use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// The incarnation that wrote it.
const INCARNATION: &str = "0191e0a4-0000-7000-8000-000000000001";
/// Records of one segment.
const SEGMENT_RECORDS: u64 = 100_000;
/// Milliseconds since 1970 at which it begins: 2026-08-01.
const BEGIN_MS: u64 = 1_785_542_400_000;

/// A decision of policy, as far as it differs from call to call.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The function.
    pub function: String,
    /// Kind of caller.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Zone of the network.
    pub zone: &'static str,
    /// Input, if policy read it.
    pub input: Option<Value>,
    /// The policies that decided.
    pub determining: Vec<String>,
    /// Why it was denied, if it was.
    pub denied: Option<&'static str>,
    /// Seconds since the call before.
    pub seconds: u64,
}

/// Writes `calls` decisions of a node, each its one record; answers the node's folder.
///
/// # Panics
/// When the folder can't be written.
pub fn write(audit: &Path, node: &str, calls: u64, mut decision: impl FnMut(u64) -> Decision) -> PathBuf {
    let folder = audit.join(node);
    let incarnation = folder.join(INCARNATION);
    fs::create_dir_all(&incarnation).expect("the folder is ours");
    let (mut file, mut ms) = (None, BEGIN_MS);
    for seq in 0..calls {
        if seq % SEGMENT_RECORDS == 0 {
            let path = incarnation.join(format!("{seq:012}.jsonl"));
            file = Some(BufWriter::new(File::create(path).expect("the folder is ours")));
        }
        let decision = decision(seq);
        ms += decision.seconds * 1000;
        let line = record(seq, ms, node, &decision);
        let file = file.as_mut().expect("a segment was begun");
        writeln!(file, "{line}").expect("the disk has room");
    }
    folder
}

/// One record. Members stand as the gateway writes them.
fn record(seq: u64, ms: u64, node: &str, decision: &Decision) -> Value {
    let at = instant(ms);
    let call = format!("{:08x}-{:04x}-7000-8000-{seq:012x}", (ms >> 16) as u32, ms as u16);
    let minute = ms / 60_000 % 1440;
    let weekday = (ms / 86_400_000 + 3) % 7 + 1;
    let issuer = decision.id.split('/').next().unwrap_or_default();
    let mut record = json!({
        "v": 1, "kind": if decision.denied.is_some() { "refused" } else { "intent" }, "seq": seq, "at": at,
        "node": node, "incarnation": INCARNATION, "call": call,
    });
    let question = json!({
        "function": decision.function,
        "principal": { "kind": decision.kind, "id": decision.id, "issuer": issuer, "groups": decision.groups,
            "attributes": {} },
        "verb": "call",
        "facts": {
            "call": "sync",
            "network": { "source": "10.1.2.3", "provenance": "socket", "zone": decision.zone },
            "transport": { "mtls": false, "tls": 13, "sealed": false },
            "clock": { "now": at, "weekday": weekday, "minute": minute },
            "via": { "depth": 0 },
        },
        "path": {}, "query": {},
    });
    let answer = match decision.denied {
        None => json!({ "bundle": "sha256:00", "decision": "allow", "determining": decision.determining,
            "targets": [0], "target": 0 }),
        Some(reason) => json!({ "refusal": "denied", "status": 403, "stage": "authorize", "bundle": "sha256:00",
            "reason": reason, "determining": decision.determining, "duration_us": 99, "bytes_in": 0 }),
    };
    let all = record.as_object_mut().expect("it is an object");
    for part in [question, answer] {
        all.extend(part.as_object().expect("it is an object").clone());
    }
    all.extend(decision.input.clone().map(|input| ("input".to_owned(), input)));
    record
}

/// Such as `2026-08-01T00:00:00.000000Z`, by the calendar of days since 1970.
fn instant(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}000Z", rest % 1000)
}

/// Civil date of a day since 1970, within the years that have four digits.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}
