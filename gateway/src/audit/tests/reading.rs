//! Reading back: torn ends, hostile contents, many records.

use super::{completed, config, intent};
use crate::{
    audit::{
        log::{Log, OpenError},
        query::{Problem, Records, What, incarnations},
        record::{Body, Kind, System},
    },
    config::Durability,
};
use jiff::Timestamp;
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};
use uuid::Uuid;

/// A log with one call, as a writer that was killed leaves it; returns its only segment.
async fn written(path: &Path) -> (Uuid, PathBuf) {
    let incarnation = Uuid::now_v7();
    let log = Log::open(&config(path, Durability::Fsync), &"gw".into(), incarnation).unwrap();
    let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
    guard.intent(&intent(None)).await.unwrap();
    guard.closed(&completed()).await.unwrap();
    log.shutdown().await;
    let segment = path.join("gw").join(incarnation.to_string()).join("000000000000.jsonl");
    fs::rename(closed(&segment), &segment).unwrap();
    (incarnation, segment)
}

/// The name of that segment once it is closed.
fn closed(segment: &Path) -> PathBuf {
    segment.with_file_name("000000000000-000000000003.jsonl")
}

async fn started(path: &Path) -> System {
    let incarnation = Uuid::now_v7();
    let log = Log::open(&config(path, Durability::Fsync), &"gw".into(), incarnation).unwrap();
    log.shutdown().await;
    let directory = path.join("gw").join(incarnation.to_string());
    let first = Records::of_incarnation(incarnation, &directory).unwrap().next().unwrap().unwrap();
    match first.body().unwrap() {
        Body::System(system) => system,
        body => panic!("{body:?}"),
    }
}

#[tokio::test]
async fn a_torn_end_is_set_aside_and_reported() {
    for (torn, last) in [
        (b"{\"v\":1,\"kind\":\"inte".as_slice(), 3),
        (b"{\"v\":1,\"kind\":\"inte\n", 3),
        (b"\0\0\0\0\0\0\0\0", 3),
        (b"\0\0\0\n\0\0\n", 3),
        (b"\n", 3),
        (b"[]\n{}\n", 3),
        (b"", 3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (incarnation, segment) = written(folder.path()).await;
        let good = fs::read(&segment).unwrap();
        fs::OpenOptions::new().append(true).open(&segment).unwrap().write_all(torn).unwrap();
        let System::Started { predecessor: Some(found), .. } = started(folder.path()).await else { panic!() };
        assert_eq!((found.incarnation, found.last_seq), (incarnation, Some(last)), "{torn:?}");
        assert_eq!((found.torn_bytes, found.running), (torn.len() as u64, false), "{torn:?}");
        assert_eq!(fs::read(closed(&segment)).unwrap(), good);
        let mut side = segment.clone().into_os_string();
        side.push(".torn");
        assert_eq!(fs::read(side).unwrap_or_default(), torn);
    }
}

#[tokio::test]
async fn a_segment_with_nothing_good_does_not_hide_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (_, segment) = written(folder.path()).await;
    fs::write(segment.with_file_name("000000000004.jsonl"), b"{\"v\"").unwrap();
    let System::Started { predecessor: Some(found), .. } = started(folder.path()).await else { panic!() };
    assert_eq!((found.last_seq, found.torn_bytes), (Some(3), 4));
}

#[tokio::test]
async fn a_running_predecessor_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&config(folder.path(), Durability::Fsync), &"gw".into(), Uuid::now_v7()).unwrap();
    let System::Started { predecessor: Some(found), .. } = started(folder.path()).await else { panic!() };
    assert_eq!((found.running, found.torn_bytes), (true, 0));
    drop(log);
}

#[tokio::test]
async fn an_incarnation_has_one_writer_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let (incarnation, segment) = written(folder.path()).await;
    let again = Log::open(&config(folder.path(), Durability::Fsync), &"gw".into(), incarnation);
    assert!(matches!(again, Err(OpenError::Taken(id)) if id == incarnation));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&segment), mode(segment.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&folder.path().join("gw")), 0o700);
    for node in ["", ".", "..", "a/b", "a b", "-x", "\"", &"n".repeat(129)] {
        let opened = Log::open(&config(folder.path(), Durability::Write), &node.into(), Uuid::now_v7());
        assert!(matches!(opened, Err(OpenError::Node(_))), "{node}");
    }
}

fn problems(path: &Path) -> (Vec<u64>, Vec<Problem>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for found in Records::of_node(path).unwrap() {
        match found.and_then(|line| line.body().map(|_| line.head.seq)) {
            Ok(seq) => good.push(seq),
            Err(problem) => bad.push(problem),
        }
    }
    (good, bad)
}

#[tokio::test]
async fn hostile_lines_are_reported_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let (incarnation, segment) = written(folder.path()).await;
    let text = fs::read_to_string(&segment).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let closed = lines[2];
    let deep = format!("{{\"v\":{}", "[".repeat(30_000));
    let with = |from: &str, to: &str| closed.replacen(from, to, 1).into_bytes();
    let hostile: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"null".to_vec(),
        b"1".to_vec(),
        b"\"x\"".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"{".to_vec(),
        b"}".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\0\0\0".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        deep.into_bytes(),
        vec![b'a'; 65_536],
        vec![b'{'; 1_000_000],
        vec![b'"'; 70_000],
        with("\"v\":1", "\"v\":2"),
        with("\"v\":1", "\"v\":1,\"v\":1"),
        with("\"v\":1", "\"v\":-1"),
        with("\"closed\"", "\"opened\""),
        with("\"closed\"", "7"),
        with("\"seq\":2", "\"seq\":-2"),
        with("\"seq\":2", "\"seq\":2.5"),
        with("\"seq\":2", "\"seq\":18446744073709551616"),
        with("\"seq\":2", "\"seq\":\"2\""),
        with("\"at\":\"2", "\"at\":\"x2"),
        with("\"at\":", "\"ta\":"),
        with(&incarnation.to_string(), &Uuid::now_v7().to_string()),
        with(&incarnation.to_string(), "me"),
        with("\"completed\"", "\"great\""),
        with("\"bytes_in\":2", "\"bytes_in\":-2"),
        with("\"outcome\"", "\"outcome\":\"failed\",\"outcome\""),
        with("\"kind\":\"closed\"", "\"kind\":\"intent\""),
        closed.get(..closed.len() - 1).unwrap().into(),
        [closed.as_bytes(), b"x"].concat(),
        [closed.as_bytes(), closed.as_bytes()].concat(),
        closed.replace(',', ";").into_bytes(),
    ];
    assert!(hostile.len() >= 30);
    for bad in hostile {
        let mut bytes = format!("{}\n{}\n", lines[0], lines[1]).into_bytes();
        bytes.extend_from_slice(&bad);
        bytes.extend_from_slice(format!("\n{}\n{}\n", lines[2], lines[3]).as_bytes());
        fs::write(&segment, bytes).unwrap();
        let (good, found) = problems(&folder.path().join("gw"));
        let bad = String::from_utf8_lossy(&bad[..bad.len().min(100)]).into_owned();
        assert!(good.starts_with(&[0, 1]) && good.ends_with(&[2, 3]), "{bad}: {good:?}");
        let place = format!("{}:3: ", segment.display());
        assert!(found.iter().any(|problem| problem.to_string().starts_with(&place)), "{bad}: {found:?}");
    }
}

#[tokio::test]
async fn gaps_and_repetitions_are_reported_and_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_, segment) = written(folder.path()).await;
    let text = fs::read_to_string(&segment).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for (order, at) in [(vec![0, 2, 3], 2), (vec![0, 1, 1, 2, 3], 3), (vec![0, 2, 1, 3], 2)] {
        fs::write(&segment, order.iter().map(|i| format!("{}\n", lines[*i])).collect::<String>()).unwrap();
        let (good, found) = problems(&folder.path().join("gw"));
        assert_eq!(good.len(), order.len());
        assert!(
            matches!(found[0], Problem { what: What::Order { .. }, line: Some(line), .. } if line == at),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn hostile_segments_and_folders_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (_, segment) = written(folder.path()).await;
    let directory = segment.parent().unwrap();
    for name in [
        "x.jsonl",
        "-1.jsonl",
        "99999999999999999999999.jsonl",
        "000000000004",
        "000000000004.jsonl.torn",
        "1.jsonl",
        "000000000001-x.jsonl",
    ] {
        fs::write(directory.join(name), b"{").unwrap();
    }
    fs::create_dir(directory.join("000000000005.jsonl")).unwrap();
    std::os::unix::fs::symlink("/nowhere", directory.join("000000000006.jsonl")).unwrap();
    fs::write(folder.path().join("gw").join("file"), b"").unwrap();
    fs::write(folder.path().join("gw").join(Uuid::now_v7().to_string()), b"").unwrap();
    fs::create_dir(folder.path().join("gw").join("folder")).unwrap();
    fs::create_dir(folder.path().join("gw").join(Uuid::now_v7().to_string())).unwrap();
    assert_eq!(incarnations(&folder.path().join("gw")).unwrap().len(), 2);
    let (good, found) = problems(&folder.path().join("gw"));
    assert_eq!(good, [0, 1, 2, 3]);
    assert!(found.is_empty(), "{found:?}");
    started(folder.path()).await;
}

#[tokio::test]
async fn a_hundred_thousand_records_are_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_, segment) = written(folder.path()).await;
    let text = fs::read_to_string(&segment).unwrap();
    let intent = text.lines().nth(1).unwrap();
    let mut file = std::io::BufWriter::new(fs::File::create(&segment).unwrap());
    for seq in 0..100_000 {
        writeln!(file, "{}", intent.replacen("\"seq\":1", &format!("\"seq\":{seq}"), 1)).unwrap();
    }
    file.flush().unwrap();
    let started = Instant::now();
    let mut number = 0;
    for line in Records::of_node(&folder.path().join("gw")).unwrap() {
        let line = line.unwrap();
        assert_eq!((line.head.kind, line.head.seq), (Kind::Intent, number));
        number += 1;
    }
    assert_eq!(number, 100_000);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
