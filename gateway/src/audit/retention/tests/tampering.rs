//! Tombstones under attack: nobody without the key can explain away what they removed.

use super::*;
use crate::audit::{signer::Signer, tombstone::Tombstone};

type Attack = (&'static str, fn(&Rig));

/// Each by itself, on a log of two incarnations in which the older segments were retired.
const CAUGHT: [Attack; 14] = [
    ("a segment is removed, and nothing stands for it", |rig| fs::remove_file(kept(rig)).unwrap()),
    ("a tombstone is removed", |rig| fs::remove_file(&rig.tombstones()[1]).unwrap()),
    ("the first tombstone is removed", |rig| fs::remove_file(&rig.tombstones()[0]).unwrap()),
    ("a tombstone is edited: the rule", |rig| edit(&rig.tombstones()[1], "rule age", "rule aga")),
    ("a tombstone is edited: a hash", |rig| {
        let text = fs::read_to_string(&rig.tombstones()[1]).unwrap();
        let hash = text.lines().nth(6).unwrap().to_owned();
        edit(&rig.tombstones()[1], &hash, &crate::audit::tree::Hash::of_nothing().to_string());
    }),
    ("the beginning in a tombstone is edited", |rig| {
        edit(&rig.tombstones()[0], "\"event\":\"started\"", "\"event\":\"storted\"")
    }),
    ("a tombstone is forged with another key of that name", |rig| forge(rig, |_| {})),
    ("a forged tombstone covers more than was retired", |rig| {
        let segment = kept(rig);
        forge(rig, |tombstone| *tombstone = of(&segment, tombstone));
        fs::remove_file(segment).unwrap();
    }),
    ("a tombstone is renamed to cover the next segment", |rig| {
        let (segment, path) = (kept(rig), &rig.tombstones()[0]);
        let name = segment.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned();
        fs::copy(path, path.with_file_name(format!("{name}.tombstone"))).unwrap();
        fs::remove_file(segment).unwrap();
    }),
    ("a tombstone of the other incarnation stands for a segment", |rig| {
        let from = &rig.tombstones()[0];
        let to = rig.directories()[1].join(from.file_name().unwrap());
        assert_ne!(to, *from);
        fs::copy(from, to).unwrap();
    }),
    ("a tombstone of another node", |rig| {
        let path = &rig.tombstones()[1];
        let mut tombstone = claimed(path);
        tombstone.origin = tombstone.origin.replace("latchwork/gw/", "latchwork/gw-2/");
        sign(path, &tombstone, &key(rig));
    }),
    ("a tombstone with the key covers a segment that is there and says other things", |rig| {
        let segment = kept(rig);
        let template = claimed(&rig.tombstones()[0]);
        let tombstone = of(&segment, &template);
        sign(&rig.directories()[1].join(tombstone.file()), &tombstone, &key(rig));
    }),
    ("a tombstone with the key covers half a segment", |rig| {
        let segment = kept(rig);
        let mut tombstone = of(&segment, &claimed(&rig.tombstones()[0]));
        tombstone.last -= 1;
        tombstone.hashes =
            vec![crate::audit::tree::Hash::of_nothing(); tombstone::runs(tombstone.first, tombstone.last).len()];
        sign(&rig.directories()[1].join(tombstone.file()), &tombstone, &key(rig));
    }),
    ("a tombstone with the key stands for an end that was cut off", |rig| {
        let last = rig.segments().pop().unwrap();
        let tombstone = of(&last, &claimed(&rig.tombstones()[0]));
        fs::remove_file(&last).unwrap();
        sign(&rig.directories()[1].join(tombstone.file()), &tombstone, &key(rig));
    }),
];

/// A segment that is still there, in the last incarnation and not its last.
fn kept(rig: &Rig) -> PathBuf {
    let segments = rig.segments();
    segments[segments.len() - 2].clone()
}

fn key(rig: &Rig) -> FileKey {
    FileKey::read(&rig.config.checkpoints.key).unwrap()
}

fn claimed(path: &Path) -> Tombstone {
    Tombstone::parse(&tombstone::note(path).unwrap().unwrap().text).unwrap()
}

fn sign(path: &Path, tombstone: &Tombstone, key: &FileKey) {
    fs::write(path, tombstone.signed(key).unwrap().to_string()).unwrap();
}

/// A tombstone for a segment of the last incarnation, with invented hashes.
fn of(segment: &Path, like: &Tombstone) -> Tombstone {
    let name = segment.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    let (first, last) = name.split_once('-').unwrap();
    let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
    let id = segment.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let hashes = vec![crate::audit::tree::Hash::of_nothing(); tombstone::runs(first, last).len()];
    Tombstone { origin: format!("latchwork/{NODE}/{id}"), first, last, beginning: None, hashes, ..like.clone() }
}

fn forge(rig: &Rig, change: impl FnOnce(&mut Tombstone)) {
    let path = &rig.tombstones()[1];
    let mut tombstone = claimed(path);
    change(&mut tombstone);
    let directory = rig.directories()[usize::from(tombstone.origin != claimed(path).origin)].clone();
    let thief = FileKey::generate(rig.key.name()).unwrap();
    let note =
        Note { text: tombstone.to_string(), signatures: vec![thief.sign(tombstone.to_string().as_bytes()).unwrap()] };
    fs::write(directory.join(tombstone.file()), note.to_string()).unwrap();
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_is_caught() {
    let rig = Rig::new(&[12, 14]).await;
    let log = rig.open();
    let may_go: MayGo = Arc::new(|_, records: &Range<u64>| records.start < 10);
    rig.pass(Worker { now: in_a_year, may_go, ..rig.worker(&log) }).await.1.unwrap();
    log.shutdown().await;
    // The one that did it is none of the two.
    let newest = rig.directories().pop().unwrap();
    fs::remove_dir_all(newest).unwrap();
    assert!(rig.tombstones().len() >= 4 && rig.verify(&rig.held()).ok);
    for (name, attack) in CAUGHT {
        let folder = tempfile::tempdir().unwrap();
        copy(rig.folder.path(), folder.path());
        let mut config = rig.config.clone();
        config.path = folder.path().join("audit");
        let copy = Rig { folder, key: rig.key.clone(), config };
        attack(&copy);
        let report = copy.verify(&[]);
        assert!(!report.ok && !report.problems.is_empty(), "{name}: {report:#?}");
        let said: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
        println!("{name}: {}", said.join("\n    "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_is_still_there_is_checked_and_said() {
    let rig = Rig::new(&[12]).await;
    let log = rig.open();
    let segments: Vec<_> = rig.segments().into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    rig.pass(Worker { now: in_a_year, ..rig.worker(&log) }).await.1.unwrap();
    let (bytes, path) = &segments[1];
    fs::write(path, bytes).unwrap();
    let report = rig.verify(&rig.held());
    assert!(report.ok && report.notes.iter().any(|note| note.to_string().contains("still there")), "{report:#?}");
    let records = String::from_utf8(bytes.clone()).unwrap();
    fs::write(path, records.replacen("dev/user-", "dev/uzer-", 1)).unwrap();
    let report = rig.verify(&[]);
    assert!(
        report.problems.iter().any(|problem| problem.to_string().contains("not those that were retired")),
        "{report:#?}"
    );
    log.shutdown().await;
}

#[test]
fn a_tombstone_reads_back_and_is_no_checkpoint() {
    let now: Timestamp = "2026-11-23T21:04:05.123456Z".parse().unwrap();
    let hashes = vec![crate::audit::tree::Hash::of_nothing(); tombstone::runs(0, 11).len()];
    let tombstone = Tombstone {
        origin: "latchwork/gw/0191e0a4-0000-7000-8000-000000000001".into(),
        first: 0,
        last: 11,
        times: (now, now),
        at: now,
        rule: "age: older than 1 s".into(),
        beginning: Some("{}".into()),
        hashes,
    };
    let text = tombstone.to_string();
    assert_eq!(Tombstone::parse(&text).as_ref(), Some(&tombstone));
    assert_eq!(crate::audit::checkpoint::Head::parse(&text), None);
    for (from, to) in
        [("0-11", "0-12"), ("0-11", "00-11"), ("0-11", "11-0"), ("at ", "at  "), ("v1", "v2"), ("rule", "role")]
    {
        assert_eq!(Tombstone::parse(&text.replacen(from, to, 1)), None, "{from} → {to}");
    }
}
