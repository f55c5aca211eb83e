//! Objects: the same bytes as segments, once each, and a log again when they are laid side by side.

use super::{NODE, Place, calls, ended, until};
use crate::{
    audit::{
        checkpoint,
        query::Records,
        ship::cursor::{Cursor, Cursors},
        verify,
    },
    config::{ObjectSink, Ship, Sink},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

impl Place {
    fn bucket(&self) -> PathBuf {
        self.folder.path().join("bucket")
    }

    fn objects(&self, age_max: Duration) -> Ship {
        let sink = Sink::Objects(ObjectSink { path: self.bucket(), prefix: "audit/".into(), age_max });
        Ship { name: "bucket".into(), kinds: None, sink }
    }

    /// Everything in the bucket, by key.
    fn keys(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        files(&self.bucket(), &self.bucket(), &mut found);
        found
    }

    /// The log as somebody who has only the bucket lays it out again.
    fn reassembled(&self) -> PathBuf {
        let again = self.folder.path().join(format!("again-{}", Uuid::new_v4()));
        for (key, bytes) in self.keys() {
            let parts: Vec<&str> = key.split('/').collect();
            let (name, incarnation) = (parts[parts.len() - 1], parts[parts.len() - 2]);
            let folder = again.join(NODE).join(incarnation);
            fs::create_dir_all(&folder).unwrap();
            if name.ends_with(".jsonl") {
                fs::write(folder.join(name), bytes).unwrap();
            } else if let Some((_, file)) = name.rsplit_once('.').filter(|(_, file)| *file != "sha256") {
                let before = fs::read(folder.join(file)).unwrap_or_default();
                fs::write(folder.join(file), [before, bytes].concat()).unwrap();
            }
        }
        again
    }

    fn verifies(&self, folder: &Path, records: u64) {
        let key = fs::read_to_string(self.node().join(checkpoint::VKEY)).unwrap();
        let report = verify::verify(&[folder.to_owned()], &[key.trim().parse().unwrap()], &[]).unwrap();
        assert!(report.ok, "{report:?}");
        assert_eq!((report.records, report.proved), (records, records));
    }
}

fn files(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(root, &path, found);
        } else {
            let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(key, fs::read(path).unwrap());
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_segments_byte_for_byte_and_make_a_log_that_verifies() {
    let place = Place::new();
    let settings = [place.objects(Duration::from_secs(3600))];
    for _ in 0..2 {
        let (log, shipping, _) = place.open();
        shipping.apply(&settings);
        calls(&log, 100).await;
        ended(log, shipping).await;
    }
    let mut segments = BTreeMap::new();
    files(&place.node(), &place.node(), &mut segments);
    segments.retain(|key, _| key.ends_with(".jsonl"));
    assert!(segments.len() > 4, "{:?}", segments.keys());
    let objects = place.keys();
    let bodies: Vec<_> = objects.iter().filter(|(key, _)| key.ends_with(".jsonl")).collect();
    assert_eq!(bodies.len(), segments.len(), "{:?}", objects.keys());
    for (key, bytes) in bodies {
        let (rest, name) = key.rsplit_once('/').unwrap();
        let (day, incarnation) = rest.rsplit_once('/').unwrap();
        assert_eq!(segments[&format!("{incarnation}/{name}")], *bytes);
        let today = day.strip_prefix(&format!("audit/node={NODE}/date=")).unwrap();
        assert!(today.len() == 10 && today.matches('/').count() == 2, "{today}");
        let stated = String::from_utf8(objects[&format!("{key}.sha256")].clone()).unwrap();
        assert_eq!(stated, format!("{}  {name}\n", sha256(bytes)));
    }
    place.verifies(&place.reassembled(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_acknowledgement_was_lost_is_neither_written_again_nor_overlapped() {
    let place = Place::new();
    let settings = [place.objects(Duration::from_millis(1))];
    let (log, shipping, incarnation) = place.open();
    shipping.apply(&settings);
    let status = shipping.status().remove(0);
    for number in 1..=3 {
        calls(&log, 20).await;
        until(|| status.lag_records() == 0 && status.shipped() == number * 40 + 1);
    }
    ended(log, shipping).await;
    let before = place.keys();
    assert!(before.keys().filter(|key| key.ends_with(".jsonl")).count() >= 4, "{:?}", before.keys());
    {
        let cursors = Cursors::take(&place.node(), "bucket").unwrap().expect("nobody has them");
        cursors.write(incarnation, Cursor::default()).unwrap();
    }
    // What is left of an object that was not finished does no harm.
    let body = before.keys().find(|key| key.ends_with(".jsonl")).unwrap();
    let folder = place.bucket().join(body).parent().unwrap().to_owned();
    fs::write(folder.join("000000000000.jsonl.new"), "torn").unwrap();
    let (log, shipping, _) = place.open();
    shipping.apply(&settings);
    calls(&log, 1).await;
    ended(log, shipping).await;
    let after = place.keys();
    for (key, bytes) in &before {
        assert_eq!(after.get(key), Some(bytes), "{key}");
    }
    let of = |keys: &BTreeMap<String, Vec<u8>>| {
        let ours = |key: &&String| key.contains(&incarnation.to_string()) && key.ends_with(".jsonl");
        keys.keys().filter(ours).count()
    };
    assert_eq!(of(&after), of(&before));
    place.verifies(&place.reassembled(), 126);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_not_what_its_hash_says_is_left_alone() {
    let place = Place::new();
    let settings = [place.objects(Duration::from_secs(3600))];
    let (log, shipping, incarnation) = place.open();
    // The hash of an object that did not come to be goes.
    let began = Records::of_node(&place.node()).unwrap().next().unwrap().unwrap().head.at;
    let day = began.to_zoned_datetime(jiff::tz::TimeZone::UTC).strftime("%Y/%m/%d").to_string();
    let folder = place.bucket().join(format!("audit/node={NODE}/date={day}/{incarnation}"));
    fs::create_dir_all(&folder).unwrap();
    let orphan = folder.join("000000000000-000000000999.jsonl.sha256");
    fs::write(&orphan, "nothing").unwrap();
    shipping.apply(&settings);
    calls(&log, 5).await;
    ended(log, shipping).await;
    assert!(!orphan.exists());
    let key = place.keys().into_keys().find(|key| key.ends_with(".jsonl")).unwrap();
    fs::write(place.bucket().join(&key), "of somebody else\n").unwrap();
    Cursors::take(&place.node(), "bucket").unwrap().unwrap().write(incarnation, Cursor::default()).unwrap();
    let (log, shipping, _) = place.open();
    shipping.apply(&settings);
    let status = shipping.status().remove(0);
    until(|| status.failures() > 0);
    let problem = status.state().2.expect("why");
    assert!(problem.contains("somebody else wrote it"), "{problem}");
    ended(log, shipping).await;
    assert_eq!(place.keys()[&key], b"of somebody else\n");
}
