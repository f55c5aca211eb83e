//! What may not go: what is on hold, what is not shipped, what is not as it was signed.

use super::{plan::Rule, stock::Stored, *};
use crate::audit::segment::Name;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn hold(subject: Option<&str>) -> Change {
    let hold = Hold { who: "dev/counsel".into(), at: Timestamp::now(), reason: "case 9".into() };
    Change::Set(subject.map(ToOwned::to_owned), hold)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_hold_stays() {
    let rig = Rig::new(&[15]).await;
    let log = rig.open();
    let subjects = log.subjects().unwrap().clone();
    let aged = || Worker { now: in_a_year, ..rig.worker(&log) };
    let before = rig.records();
    subjects.hold(&hold(None)).unwrap();
    let (worker, done) = rig.pass(aged()).await;
    done.unwrap();
    assert!(rig.tombstones().is_empty());
    assert!(worker.shared.counters.on_hold.load(Ordering::Relaxed) > 3);
    subjects.hold(&Change::Lift(None)).unwrap();
    subjects.hold(&hold(Some("dev/user-7"))).unwrap();
    let (worker, done) = rig.pass(aged()).await;
    done.unwrap();
    let left = rig.records();
    let ours: Vec<_> = Records::of_node(&rig.node())
        .unwrap()
        .map(Result::unwrap)
        .filter(|line| String::from_utf8_lossy(&line.bytes).contains("dev/user-7\""))
        .collect();
    assert_eq!(ours.len(), 1, "the segment with its records is left");
    let ends =
        Records::of_node(&rig.node()).unwrap().map(Result::unwrap).filter(|line| line.head.call == ours[0].head.call);
    assert_eq!(ends.count(), 2, "and so is the end of its call, wherever that is");
    assert!(left.len() < before.len() && !rig.tombstones().is_empty());
    let report = rig.verify(&rig.held());
    assert!(report.ok, "{report:#?}");
    assert!(report.logs[0].retired.len() >= 2 && report.logs[0].records > 0, "a hole on either side: {report:#?}");
    // A hold that comes between planning and removing is respected.
    subjects.hold(&Change::Lift(Some("dev/user-7".into()))).unwrap();
    subjects.hold(&hold(Some("dev/user-8"))).unwrap();
    let stock = Stock::take(&rig.node(), &mut Memory::default(), false).unwrap();
    worker.remove(&stock.segments[0], None).unwrap();
    assert_eq!(rig.records(), left);
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_shipped_stays_until_there_is_no_room() {
    let mut rig = Rig::new(&[15]).await;
    let log = rig.open();
    let unshipped: MayGo = Arc::new(|_, records: &Range<u64>| records.start == 0);
    let (worker, done) = rig.pass(Worker { now: in_a_year, may_go: unshipped.clone(), ..rig.worker(&log) }).await;
    done.unwrap();
    assert_eq!(rig.tombstones().len(), 1);
    assert!(worker.shared.counters.unshipped.load(Ordering::Relaxed) > 2);
    rig.config.retention.bytes_max = Some(1);
    rig.pass(Worker { may_go: unshipped, ..rig.worker(&log) }).await.1.unwrap();
    assert!(rig.tombstones().len() > 3);
    assert!(rig.verify(&rig.held()).ok);
    log.shutdown().await;
}

/// Packing is slower than calls are here: the log stays within its limit all the same.
#[test]
fn what_would_not_fit_once_packed_goes_at_once() {
    let limits = Limits { age: DAY, bytes_max: 5_000, pack_after: DAY, packs: true, archive: None };
    let unpacked = |first| Stored {
        incarnation: Uuid::nil(),
        home: PathBuf::new(),
        name: Name { last: Some(first + 9), ..Name::open(first, 0) },
        path: PathBuf::new(),
        place: Place::Log,
        bytes: 1_000,
        newest: Timestamp::now(),
        retired: false,
    };
    let segments: Vec<_> = (0..100).map(|number| unpacked(number * 10)).collect();
    let planned = |held: fn(u64) -> bool| {
        let mut planned = (Vec::new(), Vec::new());
        for action in plan::plan(&segments, 500, &limits, Timestamp::now(), |segment, _| held(segment.name.first)) {
            match action {
                Action::Retire(at, Rule::Bytes(5_000)) => planned.0.push(at),
                Action::Pack(at) => planned.1.push(at),
                other => panic!("{other:?}"),
            }
        }
        planned
    };
    // What stays: the one that is open, eight that will take a twentieth, and four that take all they take.
    let stays: Vec<_> = (88..96).collect();
    assert_eq!(planned(|_| false), ((0..88).collect(), stays.clone()));
    assert_eq!(planned(|first| first == 0), ((1..89).collect(), [&[0], &stays[1..]].concat()));
    assert_eq!(planned(|_| true), (vec![], (0..8).collect()));
    // A disk that others have filled leaves no room at all: everything goes, whether it could be packed or not.
    let none = Limits { bytes_max: 0, ..limits };
    let retired: Vec<_> = plan::plan(&segments, 0, &none, Timestamp::now(), |_, _| false)
        .into_iter()
        .map(|action| match action {
            Action::Retire(at, Rule::Bytes(0)) => at,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(retired, (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_it_was_signed_is_not_removed() {
    let rig = Rig::new(&[15]).await;
    let log = rig.open();
    let segment = &rig.segments()[1];
    let text = fs::read_to_string(segment).unwrap();
    fs::write(segment, text.replacen("dev/user-", "dev/uzer-", 1)).unwrap();
    let before = rig.segments();
    let (_, done) = rig.pass(Worker { now: in_a_year, ..rig.worker(&log) }).await;
    let error = done.unwrap_err().to_string();
    assert!(error.contains("is not as it was signed, so nothing of it is removed"), "{error}");
    assert!(rig.tombstones().is_empty() && rig.segments().len() == before.len());
    assert!(!rig.verify(&[]).ok);
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_segments_go_to_the_archive_and_are_still_read() {
    let mut rig = Rig::new(&[15, 5]).await;
    let archive = rig.folder.path().join("archive");
    let after = Duration::from_secs(86_400);
    rig.config.retention.archive = Some(config::Archive { path: archive.clone(), after, bytes_max: None });
    let log = rig.open();
    let before = rig.records();
    let worker = Worker { now: tomorrow, ..rig.worker(&log) };
    let (worker, done) = rig.pass(worker).await;
    let error = done.unwrap_err().to_string();
    assert!(error.contains("the archive") && error.contains("can't be used"), "{error}");
    fs::create_dir(&archive).unwrap();
    let (worker, done) = rig.pass(worker).await;
    done.unwrap();
    let archived = rig.segments().into_iter().filter(|path| path.starts_with(archive.canonicalize().unwrap())).count();
    assert_eq!(archived, rig.segments().len() - 1, "all but the one that is written: {:#?}", rig.segments());
    assert_eq!(rig.records(), before);
    let report = rig.verify(&rig.held());
    assert!(report.ok && report.retired == 0, "{report:#?}");
    // Whoever has copies says where both are.
    let copies = tempfile::tempdir().unwrap();
    for folder in [&rig.config.path, &archive] {
        copy(folder, &copies.path().join(folder.file_name().unwrap()));
    }
    fs::rename(&archive, archive.with_extension("gone")).unwrap();
    let key = std::slice::from_ref(&rig.key);
    let (ours, theirs) = (copies.path().join("audit"), copies.path().join("archive"));
    assert!(verify(&[ours.clone(), theirs.clone()], key, &rig.held()).unwrap().ok);
    assert!(verify(&[theirs, ours.clone()], key, &[]).unwrap().ok);
    let report = verify(&[ours], key, &[]).unwrap();
    assert!(report.problems[0].to_string().contains("are missing"), "{report:#?}");
    fs::rename(archive.with_extension("gone"), &archive).unwrap();
    // A year later it is gone from there.
    rig.pass(Worker { now: in_a_year, ..worker }).await.1.unwrap();
    assert!(rig.verify(&rig.held()).ok && rig.segments().len() == 1);
    log.shutdown().await;
}
