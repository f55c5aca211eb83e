//! Shipping without a network: what arrives, in which order, and again after which accident.

use super::{
    Origin, Shipping, acknowledged,
    cursor::{Cursor, Cursors},
    feed::{BATCH_RECORDS_MAX, Feed, Incarnation},
};
use crate::{
    audit::{
        log::Log,
        query::Records,
        tests::{completed, config, intent},
    },
    config::{Audit, Durability, FileSink, Ship, Sink},
};
use jiff::Timestamp;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

mod feed;
mod objects;

const NODE: &str = "gw-1";

/// A log on a disk, and a file beside it that it is shipped to.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn node(&self) -> PathBuf {
        self.folder.path().join("audit").join(NODE)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shipped.jsonl")
    }

    fn settings(&self) -> Audit {
        let mut audit = config(&self.folder.path().join("audit"), Durability::Write);
        // Segments are short, so that there are several.
        audit.segment_bytes_max = 16 * 1024;
        audit
    }

    fn ship(&self) -> Ship {
        let sink = Sink::File(FileSink { path: self.file(), rotate_bytes: 1 << 30, files_max: None });
        Ship { name: "copy".into(), kinds: None, sink }
    }

    fn open(&self) -> (Log, Shipping, Uuid) {
        let incarnation = Uuid::now_v7();
        let log = Log::open(&self.settings(), &NODE.into(), incarnation).unwrap();
        let shipping = Shipping::new(Origin::new(&log, self.node(), NODE.into(), incarnation));
        (log, shipping, incarnation)
    }

    /// Every record of the log, in order.
    fn logged(&self) -> Vec<String> {
        let lines = Records::of_node(&self.node()).unwrap().map(Result::unwrap);
        lines.map(|line| String::from_utf8(line.bytes).unwrap()).collect()
    }

    fn shipped(&self) -> Vec<String> {
        fs::read_to_string(self.file()).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

async fn calls(log: &Log, number: usize) {
    for _ in 0..number {
        let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
        guard.intent(&intent(None)).await.unwrap();
        guard.closed(&completed()).await.unwrap();
    }
}

async fn ended(log: Log, shipping: Shipping) {
    log.shutdown().await;
    tokio::task::spawn_blocking(move || shipping.shutdown_blocking(Duration::from_secs(60))).await.unwrap();
}

/// Waits for a condition, up to ten seconds.
fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the condition did not come true in time");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_once_and_in_order_over_restarts() {
    let place = Place::new();
    for round in 0..3 {
        let (log, shipping, _) = place.open();
        // The first incarnation ships nothing: what it leaves is shipped by those after it.
        if round > 0 {
            shipping.apply(&[place.ship()]);
        }
        calls(&log, 100).await;
        ended(log, shipping).await;
    }
    let logged = place.logged();
    assert_eq!(logged.len(), 3 * 202);
    assert_eq!(place.shipped(), logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_without_a_cursor_comes_again_and_nothing_is_left_out() {
    let place = Place::new();
    let (log, shipping, incarnation) = place.open();
    shipping.apply(&[place.ship()]);
    calls(&log, 300).await;
    ended(log, shipping).await;
    let cursors = Cursors::take(&place.node(), "copy").unwrap().expect("nobody has them");
    assert_eq!(cursors.read(incarnation), Cursor { next: 602, done: false });
    for next in [602, 601, 300, 1, 0] {
        // As if it had been killed between the acknowledgement and the cursor.
        cursors.write(incarnation, Cursor { next, done: false }).unwrap();
        let feed = Feed::new(Arc::new(|| 0));
        assert_eq!(numbers(feed, &place.node(), incarnation, next), (next..602).collect::<Vec<_>>());
    }
    // Nor does a cursor help that is none.
    for nonsense in ["", "{", "{\"next\":-1}", "{\"next\":5,\"more\":1}"] {
        fs::write(place.node().join("ship/copy").join(incarnation.to_string()), nonsense).unwrap();
        assert_eq!(cursors.read(incarnation), Cursor::default(), "{nonsense}");
    }
}

/// Numbers of the records of an incarnation, from `next` on.
fn numbers(mut feed: Feed, node: &Path, id: Uuid, mut next: u64) -> Vec<u64> {
    let of = Incarnation { id, directory: node.join(id.to_string()), own: false };
    let mut numbers = Vec::new();
    loop {
        let batch = feed.read(&of, next).unwrap();
        assert_eq!(batch.missing, 0);
        assert!(batch.records.len() <= BATCH_RECORDS_MAX);
        numbers.extend(batch.records.iter().map(|line| line.head.seq));
        if batch.ends {
            return numbers;
        }
        assert!(batch.next > next, "it does not end at {next}");
        next = batch.next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_loses_nothing_and_stops_no_record() {
    let place = Place::new();
    // A folder stands where the file should be.
    fs::create_dir(place.file()).unwrap();
    let (log, shipping, incarnation) = place.open();
    shipping.apply(&[place.ship()]);
    calls(&log, 100).await;
    let status = shipping.status().remove(0);
    until(|| status.failures() > 0);
    assert_eq!((status.state().0.as_str(), status.shipped(), status.lag_records()), ("failing", 0, 201));
    assert_eq!(acknowledged(&place.node(), &[place.ship()], incarnation), 0);
    fs::remove_dir(place.file()).unwrap();
    until(|| status.lag_records() == 0);
    assert_eq!((status.state().0.as_str(), status.shipped()), ("shipping", 201));
    until(|| acknowledged(&place.node(), &[place.ship()], incarnation) == 201);
    ended(log, shipping).await;
    assert_eq!(place.shipped(), place.logged());
    assert_eq!(acknowledged(&place.node(), &[], incarnation), u64::MAX, "nothing waits for nobody");
}
