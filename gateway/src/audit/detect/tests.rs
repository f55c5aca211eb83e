//! What detectors find in seeded traffic, and what they do not.

mod cases;
mod chance;
mod inject;
mod play;
mod score;
mod traffic;

use score::{Scores, score, thresholds};

/// Seeds by which thresholds and rules were tuned; the others are not among them.
const TUNED: std::ops::Range<u64> = 1..41;
/// Seeds that nobody has looked at.
const HELD_OUT: std::ops::Range<u64> = 2_001..2_025;

fn scores(seeds: std::ops::Range<u64>) -> Scores {
    let config = thresholds();
    let mut all = Scores::default();
    std::thread::scope(|scope| {
        let half = seeds.start + (seeds.end - seeds.start) / 2;
        let parts = [seeds.start..half, half..seeds.end]
            .map(|part| scope.spawn(|| part.map(|seed| score(seed, &config)).collect::<Vec<_>>()));
        parts.into_iter().for_each(|part| part.join().unwrap().into_iter().for_each(|scores| all.add(scores)));
    });
    all
}

#[test]
#[ignore = "for tuning: shows what is wrong and what is missed on the seeds for it"]
fn tuning() {
    let scores = scores(TUNED);
    scores.wrong.iter().chain(&scores.missed).for_each(|line| println!("{line}"));
    println!("{} records\n{scores}", scores.records);
}

#[test]
fn on_traffic_that_nobody_has_looked_at_nearly_all_that_is_found_is_right_and_nearly_all_is_found() {
    let scores = scores(HELD_OUT);
    println!("{} records\n{scores}", scores.records);
    assert!(scores.all().precision() >= 0.95, "{scores}");
    assert!(scores.all().recall() >= 0.9, "{scores}");
    for (detector, score) in &scores.of {
        assert!(score.recall() >= 0.8, "{}: {scores}", detector.as_str());
    }
}
