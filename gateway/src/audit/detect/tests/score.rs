//! How good detectors are on traffic with anomalies.
//!
//! The rules: a finding is right if it is by the anomaly's detector, of exactly its subject (caller, function, network or
//! call, whichever the anomaly has), and told at a record of the anomaly's time. One finding is right about one anomaly
//! at most, and an anomaly is found once: a second finding about it is wrong, like every finding about anything else.
//! Nothing that was found is left out, and no time either: what is found while detectors learn is wrong, too.

use super::{
    inject::{Anomaly, inject},
    play::play,
    traffic::{Company, ZONE},
};
use crate::{
    audit::detect::{Detectors, Told, finding::Detector},
    config::detect::{Detect, OffHours},
};
use jiff::tz::TimeZone;
use std::{collections::BTreeMap, fmt};

/// Findings that are right, findings that are wrong, and anomalies that nobody found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    pub(super) right: u32,
    pub(super) wrong: u32,
    pub(super) missed: u32,
}

/// By detector.
#[derive(Debug, Default)]
pub(super) struct Scores {
    pub(super) of: BTreeMap<Detector, Score>,
    pub(super) records: u64,
    /// What was wrong, in words.
    pub(super) wrong: Vec<String>,
    pub(super) missed: Vec<String>,
}

impl Score {
    pub(super) fn precision(self) -> f64 {
        f64::from(self.right) / f64::from((self.right + self.wrong).max(1))
    }

    pub(super) fn recall(self) -> f64 {
        f64::from(self.right) / f64::from((self.right + self.missed).max(1))
    }

    fn with(self, other: Self) -> Self {
        let Self { right, wrong, missed } = other;
        Self { right: self.right + right, wrong: self.wrong + wrong, missed: self.missed + missed }
    }
}

impl Scores {
    pub(super) fn all(&self) -> Score {
        self.of.values().fold(Score::default(), |all, score| all.with(*score))
    }

    pub(super) fn add(&mut self, other: Self) {
        for (detector, score) in other.of {
            let known = self.of.entry(detector).or_default();
            *known = known.with(score);
        }
        self.records += other.records;
        self.wrong.extend(other.wrong);
        self.missed.extend(other.missed);
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, score: Score| {
            let (precision, recall) = (score.precision(), score.recall());
            let Score { right, wrong, missed } = score;
            writeln!(
                f,
                "{name:<14} precision {precision:.3} recall {recall:.3}  ({right} right, {wrong} wrong, {missed} missed)"
            )
        };
        for (detector, score) in &self.of {
            line(detector.as_str(), *score)?;
        }
        line("all", self.all())
    }
}

/// The default thresholds, in the company's zone.
pub(super) fn thresholds() -> Detect {
    let off_hours = OffHours { zone: TimeZone::get(ZONE).unwrap(), ..OffHours::default() };
    Detect { off_hours: Some(off_hours), ..Detect::default() }
}

/// How good detectors are on the traffic of a seed.
pub(super) fn score(seed: u64, config: &Detect) -> Scores {
    let mut company = Company::new(seed).live();
    let mut left = inject(&mut company);
    let mut detectors = Detectors::new(config.clone());
    let (mut scores, mut told) = (Scores::default(), Vec::new());
    play(&mut company.events, |sight| {
        scores.records += 1;
        detectors.see(sight, &mut told);
        for told in told.drain(..) {
            let (Told::One(finding) | Told::More(finding)) = told else { continue };
            let score = scores.of.entry(finding.detector).or_default();
            match left.iter().position(|anomaly| anomaly.fits(sight.at, &finding)) {
                Some(place) => {
                    left.remove(place);
                    score.right += 1;
                }
                None => {
                    score.wrong += 1;
                    let at = crate::audit::detect::scene::instant(sight.at);
                    scores.wrong.push(format!("seed {seed} {at:.0} {}: {finding}", finding.detector.as_str()));
                }
            }
        }
    });
    for anomaly in left {
        scores.of.entry(anomaly.detector).or_default().missed += 1;
        let Anomaly { detector, shape, .. } = &anomaly;
        scores.missed.push(format!("seed {seed} {} {shape}: {anomaly:?}", detector.as_str()));
    }
    scores
}
