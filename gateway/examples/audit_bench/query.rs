//! How fast questions are answered over a synthetic log of a million records: the first one, which has to make the index,
//! those that follow, and the way without any index.

use super::Failure;
use gateway::audit::{
    prove,
    search::{self, Means, Node, Question, asked},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};
use uuid::Uuid;

const RECORDS: u64 = 1_000_000;
const SEGMENT_BYTES: usize = 64 << 20;
const CALLERS: u64 = 5_000;
const FUNCTIONS: u64 = 300;
/// The log begins at 2026-08-01; a call comes every 100 ms.
const BEGIN_MS: u64 = 1_785_542_400_000;
const EVERY_MS: u64 = 100;

const QUESTIONS: [(&str, &str); 9] = [
    ("one caller, failed", "caller=corp/user-42&outcome=failed"),
    ("one function, last 6 hours of it", "function=app7.function-7&since=2026-08-01T08:00:00Z&limit=1000"),
    ("denied by one policy", "policy=no-nights-3&outcome=denied"),
    ("newest 100", "limit=100"),
    ("text in an input", "text=item-77777"),
    ("text of one caller", "caller=corp/user-42&text=item-"),
    ("by function and outcome", "group_by=function&group_by=outcome"),
    ("report callers", "report=callers"),
    ("report functions", "report=functions"),
];

pub(crate) fn answered(out: &mut impl Write) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let begun = Instant::now();
    let (bytes, some) = write(&folder.path().join("bench"))?;
    writeln!(out, "{RECORDS} records, {} MiB, written in {:.1?}", bytes >> 20, begun.elapsed())?;
    let nodes = search::nodes(folder.path())?;
    for (turn, index) in [("first (makes the index)", true), ("again", true), ("without index", false)] {
        for (name, question) in QUESTIONS {
            let (took, items) = ask(&nodes, question, index)?;
            writeln!(out, "{turn:<24} {name:<34} {took:>8.0?}  {items} items")?;
            if turn.starts_with("first") {
                break;
            }
        }
    }
    let indexes: u64 = sizes(folder.path())?;
    writeln!(out, "indexes: {} MiB", indexes >> 20)?;
    let begun = Instant::now();
    let (_, items) = ask(&nodes, &format!("call={some}&records=true"), true)?;
    writeln!(out, "a call by id: {:.1?}, {items} records", begun.elapsed())?;
    let begun = Instant::now();
    // There is no checkpoint to prove it by; it is found all the same.
    let found =
        prove::call(&folder.path().join("bench"), some).map_or_else(|error| error.to_string(), |_| String::new());
    writeln!(out, "found for a proof: {:.1?} ({found})", begun.elapsed())?;
    Ok(())
}

fn ask(nodes: &[Node], question: &str, index: bool) -> Result<(Duration, u64), Failure> {
    let pairs: Vec<_> = form(question);
    let question: Question = asked::question(&pairs, &Timestamp::now().to_zoned_datetime(TimeZone::UTC))?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let begun = Instant::now();
    let end = search::ask(nodes, &question, Means { index, workers, stop: &|| false }, &mut |_| Ok(()))?;
    Ok((begun.elapsed(), end.items))
}

fn form(question: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    question.split('&').filter_map(pair).collect()
}

/// Bytes of the log, and one of its calls.
fn write(node: &Path) -> Result<(u64, Uuid), Failure> {
    let incarnation = Uuid::from_u128(0x0191_e0a4_0000_7000_8000_0000_0000_0001);
    let directory = node.join(incarnation.to_string());
    fs::create_dir_all(&directory)?;
    let (mut seq, mut call, mut bytes, mut some) = (0_u64, 0_u64, 0_u64, Uuid::nil());
    while seq < RECORDS {
        let first = seq;
        let path = directory.join("being-written");
        let (mut file, mut length) = (BufWriter::new(File::create(&path)?), 0);
        while seq < RECORDS && length < SEGMENT_BYTES {
            let id = id(call);
            if call == RECORDS / 4 {
                some = id;
            }
            for body in bodies(call, id) {
                let at = Timestamp::from_millisecond(i64::try_from(BEGIN_MS + call * EVERY_MS)?)?;
                let line = format!(
                    "{{\"v\":1,\"kind\":\"{}\",\"seq\":{seq},\"at\":\"{at:.6}\",\"node\":\"bench\",\"incarnation\":\
                     \"{incarnation}\",\"call\":\"{id}\",{}}}\n",
                    body.0, body.1
                );
                file.write_all(line.as_bytes())?;
                length += line.len();
                seq += 1;
            }
            call += 1;
        }
        file.flush()?;
        drop(file);
        fs::rename(&path, directory.join(format!("{first:012}-{:012}.jsonl", seq - 1)))?;
        bytes += length as u64;
    }
    Ok((bytes, some))
}

/// As the gateway makes them: by time, and otherwise random.
fn id(call: u64) -> Uuid {
    let noise = call.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let time = u128::from(BEGIN_MS + call * EVERY_MS) << 80;
    Uuid::from_u128(time | 0x7000_u128 << 64 | 0x8000_0000_0000_0000_u128 | u128::from(noise >> 2))
}

fn bodies(call: u64, id: Uuid) -> Vec<(&'static str, String)> {
    let random = call.wrapping_mul(0xd134_2543_de82_ef95) >> 17;
    let (user, function) = (random % CALLERS, random / 7 % FUNCTIONS);
    let app = function % 20;
    let asked = format!(
        "\"function\":\"app{app}.function-{function}\",\"tenant\":\"acme\",\"principal\":{{\"kind\":\"User\",\"id\":\
         \"corp/user-{user}\",\"issuer\":\"corp\",\"groups\":[\"corp/staff\",\"corp/team-{}\"],\"attributes\":{{}}}},\
         \"verb\":\"call\",\"facts\":{{\"call\":\"sync\",\"network\":{{\"source\":\"10.0.{}.{}\",\"provenance\":\"socket\",\
         \"zone\":\"internal\"}},\"transport\":{{\"mtls\":false,\"tls\":13,\"sealed\":false}},\"clock\":{{\"now\":\
         \"2026-08-01T00:00:00.000000Z\",\"weekday\":6,\"minute\":7}},\"via\":{{\"depth\":0}}}},\"path\":{{\"id\":\"{call}\"}},\
         \"query\":{{}},\"input\":{{\"item\":\"item-{call}\",\"amount\":{}}},\"bundle\":\"sha256:{:064}\"",
        user % 50,
        user / 256,
        user % 256,
        random % 1000,
        7
    );
    let (request, took) = (format!("\"listener\":\"public\",\"trace\":\"{}\"", id.simple()), 500 + random % 90_000);
    match random / 11 % 20 {
        0 => vec![(
            "refused",
            format!(
                "\"refusal\":\"denied_unseen\",\"status\":404,\"stage\":\"authorize\",{asked},\"reason\":\"forbidden\",\
                 \"determining\":[\"no-nights-{}\"],\"may_describe\":false,{request},\"duration_us\":{took},\"bytes_in\":0",
                random % 9
            ),
        )],
        part => {
            let (outcome, status) = if part == 1 { ("failed", 502) } else { ("completed", 200) };
            let decided = "\"decision\":\"allow\",\"determining\":[\"staff-may\"],\"targets\":[0],\"target\":0";
            let closed = format!(
                "\"outcome\":\"{outcome}\",\"status\":{status},\"bytes_in\":12,\"bytes_out\":345,\"duration_us\":{took}"
            );
            vec![("intent", format!("{asked},{decided},{request}")), ("closed", closed)]
        }
    }
}

fn sizes(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            bytes += sizes(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "index") {
            bytes += path.metadata()?.len();
        }
    }
    Ok(bytes)
}
