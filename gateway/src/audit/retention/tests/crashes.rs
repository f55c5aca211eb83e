//! A keeper that is killed at any step: the log verifies as it is then, and the next keeper finishes.

use super::*;

/// More steps than there are.
const STEPS_MAX: usize = 400;

async fn killed_at_every_step(archive: bool) {
    let mut killed = 0;
    for step in 0..STEPS_MAX {
        let mut rig = Rig::new(&[12, 8]).await;
        let log = rig.open();
        rig.calls(&log, 10).await;
        rig.config.retention.bytes_max = Some(5 * 1024);
        if archive {
            let path = rig.folder.path().join("archive");
            fs::create_dir(&path).unwrap();
            let after = Duration::from_secs(3600);
            rig.config.retention.archive = Some(config::Archive { path, after, bytes_max: Some(4 * 1024) });
        }
        let (before, held) = (rig.records(), rig.held());
        let mut worker = rig.worker(&log);
        worker.crash = Some(Crash(AtomicUsize::new(step)));
        let (worker, _) = rig.pass(worker).await;
        let reached = worker.crash.unwrap().0.into_inner() == 0;
        let report = rig.verify(&held);
        assert!(report.ok, "killed at step {step}: {report:#?}");
        let left = rig.records();
        assert!(left.iter().filter(|(id, _)| before.iter().any(|(old, _)| old == id)).count() > 0);
        rig.pass(rig.worker(&log)).await.1.unwrap();
        let report = rig.verify(&held);
        assert!(report.ok, "finished after step {step}: {report:#?}");
        assert!(!report.notes.iter().any(|note| note.what.to_string().contains("still there")), "{report:#?}");
        // A checkpoint may be on its way at any time.
        let unfinished = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(".zst.new"));
        let files = rig.directories().into_iter().flat_map(|d| fs::read_dir(d).unwrap().map(|e| e.unwrap().path()));
        let left: Vec<_> = files.into_iter().filter(unfinished).collect();
        assert!(left.is_empty(), "after step {step}: {left:?}");
        log.shutdown().await;
        if !reached {
            break;
        }
        killed += 1;
    }
    assert!((20..STEPS_MAX).contains(&killed), "{killed} steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_is_killed_at_any_step_loses_nothing() {
    killed_at_every_step(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_that_moves_segments_to_an_archive() {
    killed_at_every_step(true).await;
}
