//! What is read of a log that grows: only what it holds for certain, whatever else is in its files.

use super::{Feed, Incarnation, Place, calls, ended};
use crate::audit::packed;
use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Records of a real log, and a folder where its files are laid out anew.
struct Torn {
    _place: Place,
    lines: Vec<String>,
    of: Incarnation,
    accepted: Arc<AtomicU64>,
}

impl Torn {
    async fn new() -> Self {
        let place = Place::new();
        let (log, shipping, id) = place.open();
        calls(&log, 4).await;
        ended(log, shipping).await;
        let lines = place.logged();
        let directory = place.folder.path().join("anew").join(id.to_string());
        fs::create_dir_all(&directory).unwrap();
        Self { _place: place, lines, of: Incarnation { id, directory, own: true }, accepted: Arc::default() }
    }

    fn feed(&self) -> Feed {
        let accepted = Arc::clone(&self.accepted);
        Feed::new(Arc::new(move || accepted.load(Ordering::SeqCst)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.of.directory.join(name)
    }

    /// A record that the writer could not write whole to the end, under this number.
    fn void(&self, seq: usize) -> String {
        self.lines[seq].replace("\"kind\"", "\"void\":true,\"kind\"")
    }

    fn read(&self, feed: &mut Feed, next: u64) -> (Vec<String>, u64) {
        let batch = feed.read(&self.of, next).unwrap();
        assert_eq!(batch.missing, 0);
        (batch.records.into_iter().map(|line| String::from_utf8(line.bytes).unwrap()).collect(), batch.next)
    }
}

fn write(path: &Path, lines: &[String]) {
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_accepted_is_not_read_though_it_is_there() {
    let log = Torn::new().await;
    let mut feed = log.feed();
    let segment = log.path("000000000000.jsonl");
    write(&segment, &[&log.lines[..5], &[log.void(5), log.void(6)]].concat());
    assert_eq!(log.read(&mut feed, 0), (vec![], 0));
    log.accepted.store(5, Ordering::SeqCst);
    assert_eq!(log.read(&mut feed, 0), (log.lines[..5].to_vec(), 5));
    assert_eq!(log.read(&mut feed, 5), (vec![], 5));

    // The writer takes it back and goes on in the same segment.
    write(&segment, &log.lines[..5]);
    let mut file = OpenOptions::new().append(true).open(&segment).unwrap();
    writeln!(file, "{}", log.lines[5]).unwrap();
    log.accepted.store(6, Ordering::SeqCst);
    assert_eq!(log.read(&mut feed, 5), (log.lines[5..6].to_vec(), 6));

    // It can't take it back, and goes on in another segment, at the second try.
    writeln!(file, "{}\n{}", log.void(6), log.void(7)).unwrap();
    write(&log.path("000000000006.jsonl"), &[]);
    write(&log.path("000000000006.1.jsonl"), &log.lines[6..8]);
    log.accepted.store(8, Ordering::SeqCst);
    for mut feed in [log.feed(), feed] {
        assert_eq!(log.read(&mut feed, 6), (log.lines[6..8].to_vec(), 8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_are_closed_or_removed_meanwhile_are_followed() {
    let log = Torn::new().await;
    let mut feed = log.feed();
    write(&log.path("000000000000.jsonl"), &log.lines[..4]);
    log.accepted.store(4, Ordering::SeqCst);
    assert_eq!(log.read(&mut feed, 0).1, 4);
    fs::rename(log.path("000000000000.jsonl"), log.path("000000000000-000000000003.jsonl")).unwrap();
    write(&log.path("000000000004.jsonl"), &log.lines[4..6]);
    log.accepted.store(6, Ordering::SeqCst);
    let batch = feed.read(&log.of, 4).unwrap();
    assert_eq!((batch.records.len(), batch.next, batch.closes, batch.behind), (2, 6, false, 0));
    fs::rename(log.path("000000000004.jsonl"), log.path("000000000004-000000000005.jsonl")).unwrap();
    assert!(feed.read(&log.of, 6).unwrap().closes);

    // A segment that somebody removed is missing, and what comes after it is not.
    fs::remove_file(log.path("000000000000-000000000003.jsonl")).unwrap();
    let batch = log.feed().read(&log.of, 0).unwrap();
    assert_eq!((batch.missing, batch.records.len(), batch.next), (4, 2, 6));
    // Nor is a record that somebody damaged.
    let path = log.path("000000000004-000000000005.jsonl");
    fs::write(&path, fs::read_to_string(&path).unwrap().replacen("\"v\":1", "\"v\":x", 1)).unwrap();
    let batch = log.feed().read(&log.of, 0).unwrap();
    assert_eq!((batch.missing, batch.records.len(), batch.next), (5, 1, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_packed_meanwhile_is_read_on() {
    let log = Torn::new().await;
    let mut feed = log.feed();
    write(&log.path("000000000000.jsonl"), &log.lines[..4]);
    log.accepted.store(2, Ordering::SeqCst);
    assert_eq!(log.read(&mut feed, 0), (log.lines[..2].to_vec(), 2));
    let plain = BufReader::new(File::open(log.path("000000000000.jsonl")).unwrap());
    packed::pack(plain, &mut File::create(log.path("000000000000-000000000003.jsonl.zst")).unwrap()).unwrap();
    fs::remove_file(log.path("000000000000.jsonl")).unwrap();
    write(&log.path("000000000004.jsonl"), &log.lines[4..8]);
    log.accepted.store(8, Ordering::SeqCst);
    // By who was reading it, and by who begins in the middle of it.
    for mut feed in [feed, log.feed()] {
        assert_eq!(log.read(&mut feed, 2), (log.lines[2..4].to_vec(), 4));
        assert_eq!(log.read(&mut feed, 4), (log.lines[4..8].to_vec(), 8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_another_process_writes_only_what_is_signed_is_read() {
    let place = Place::new();
    let (log, shipping, id) = place.open();
    calls(&log, 10).await;
    let of = Incarnation { id, directory: place.node().join(id.to_string()), own: false };
    let mut feed = Feed::new(Arc::new(|| 0));
    // One checkpoint was signed at the start, and the next is due in ten seconds.
    let batch = feed.read(&of, 0).unwrap();
    assert_eq!((batch.next, batch.ends), (1, false));
    ended(log, shipping).await;
    let batch = feed.read(&of, 1).unwrap();
    assert_eq!((batch.records.len(), batch.next, batch.ends), (21, 22, false));
    assert!(feed.read(&of, 22).unwrap().ends);
}
