//! Single cases: what goes on after a restart, what is hidden, floods of findings, and real records.

use super::{inject::inject, play::play, score::thresholds, traffic::Company};
use crate::{
    audit::{
        detect::{
            Detectors, Told, Why,
            finding::{Detector, Finding, Unit},
            sight::{Place, Refusal, Seen, Sight, Source, Used, Who},
        },
        query::Line,
    },
    config::detect::{Denials, Detect, NewNetwork},
};
use policy::question::PrincipalKind;
use std::path::Path;
use uuid::Uuid;

const DAY: i64 = 86_400_000_000;
const SECOND: i64 = 1_000_000;

fn place(seq: u64) -> Place {
    Place { incarnation: Uuid::from_u128(1), seq }
}

fn who(id: &str) -> Who<'_> {
    Who { kind: PrincipalKind::User, id: id.into(), groups: Vec::new(), cut: false }
}

fn used<'a>(caller: &'a str, source: Source<'a>) -> Seen<'a> {
    Seen::Used(Used {
        call: Uuid::from_u128(7),
        who: who(caller),
        function: "hello.greet".into(),
        source,
        bundle: "sha256:0".into(),
        permits: vec!["greet".into()],
    })
}

fn denied<'a>(caller: &'a str, source: Source<'a>) -> Seen<'a> {
    let (who, function) = (Some(who(caller)), Some("hello.greet".into()));
    Seen::Refused(Refusal { call: Uuid::from_u128(7), who, function, source, bundle: None, denied: true })
}

/// What these sights lead to, one by one.
fn told(config: Detect, sights: impl IntoIterator<Item = (i64, Seen<'static>)>) -> (Vec<Told>, Detectors) {
    let (mut detectors, mut told) = (Detectors::new(config), Vec::new());
    for (seq, (at, seen)) in sights.into_iter().enumerate() {
        detectors.see(&Sight { at, place: place(seq as u64), seen }, &mut told);
    }
    (told, detectors)
}

fn only(told: Vec<Told>) -> Vec<Finding> {
    let one = |told| match told {
        Told::One(finding) => finding,
        other => panic!("{other:?}"),
    };
    told.into_iter().map(one).collect()
}

/// Thresholds with all detectors off.
fn none() -> Detect {
    Detect {
        first_seen: None,
        denials: None,
        volume: None,
        off_hours: None,
        new_network: None,
        policy_change: None,
        outcomes: None,
        ..Detect::default()
    }
}

#[test]
fn detectors_that_are_kept_and_resumed_anywhere_find_the_same() {
    let mut company = Company::new(7).live();
    let anomalies = inject(&mut company);
    let run = |every: u64| {
        let (mut detectors, mut told) = (Detectors::new(thresholds()), Vec::new());
        let mut seen = 0;
        play(&mut company.events.clone(), |sight| {
            seen += 1;
            if seen % every == 0 {
                let kept = serde_json::to_vec(detectors.state()).unwrap();
                detectors = Detectors::resumed(thresholds(), serde_json::from_slice(&kept).unwrap());
            }
            detectors.see(sight, &mut told);
        });
        told
    };
    let straight = run(u64::MAX);
    assert!(straight.len() > anomalies.len() / 2);
    assert_eq!(run(u64::MAX), straight, "the same log says the same");
    assert_eq!(run(29_989), straight);
}

#[test]
fn a_network_that_is_hidden_is_known_by_its_hash_or_not_judged() {
    let config = || Detect { new_network: Some(NewNetwork { days: 3, ..NewNetwork::default() }), ..none() };
    let hashed = |name: &'static str| Source::Hidden(name.into());
    let days = |last: Source<'static>| {
        let usual = (0..9).map(|day| (day * DAY, used("corp/ada", hashed("hmac:k:1"))));
        usual.chain([(9 * DAY, used("corp/ada", last))]).collect::<Vec<_>>()
    };
    assert_eq!(only(told(config(), days(hashed("hmac:k:1"))).0), []);
    let found = only(told(config(), days(hashed("hmac:k:2"))).0);
    assert_eq!((found.len(), found[0].network.as_deref()), (1, Some("hmac:k:2")));
    let (found, detectors) = told(config(), days(hashed("dropped")));
    assert_eq!(only(found), []);
    assert_eq!(detectors.unjudged()[&Detector::NewNetwork][&Why::Concealed], 1);
}

#[test]
fn a_flood_of_findings_is_counted() {
    let config = Detect { denials: Some(Denials { caller: 1, ..Denials::default() }), findings_per_hour: 3, ..none() };
    let names: Vec<&'static str> = (0..9).map(|n| &*format!("corp/u{n}").leak()).collect();
    let mut sights: Vec<_> = (0..9).map(|n| (n * SECOND, denied(names[n as usize], Source::Nowhere))).collect();
    sights.push((DAY, Seen::Nothing));
    let (told, _) = told(config, sights);
    let more = told.iter().filter(|told| matches!(told, Told::More(_))).count();
    assert_eq!((told.len(), more), (10, 6));
    let Some(Told::Sum(sum)) = told.last() else { panic!("{told:?}") };
    assert_eq!((sum.detector, sum.count, sum.from.as_second(), sum.to.as_second()), (Detector::Denials, 6, 3, 8));
}

#[test]
fn a_burst_is_found_once_and_not_of_its_network_too() {
    let config = Detect { denials: Some(Denials { network: 21, ..Denials::default() }), ..none() };
    let source = || Source::Address([192, 0, 2, 7].into());
    let found = only(told(config, (0..80).map(|n| (n * SECOND, denied("corp/ada", source())))).0);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].count, found[0].unit, found[0].record.seq), (20, Unit::Denials, 19));
    assert_eq!(found[0].to_string(), "corp/ada → hello.greet: 20 denials in a short time (20 are too many)");
}

#[test]
fn records_as_they_stand_in_the_log_are_understood() {
    let lines = include_str!("../../record/golden.jsonl").lines();
    let (mut used, mut denied, mut strangers, mut policies, mut ended) = (0, 0, 0, 0, 0);
    let mut told = Vec::new();
    let mut detectors = Detectors::new(Detect::default());
    for text in lines {
        let head = serde_json::from_str(text).unwrap();
        let line = Line { head, bytes: text.as_bytes().to_vec(), file: Path::new("x").into(), line: 1 };
        let sight = Sight::of(&line).unwrap();
        detectors.see(&sight, &mut told);
        match sight.seen {
            Seen::Used(call) => {
                used += 1;
                assert_eq!((&*call.function, &*call.who.id), ("hello.greet", "dev/alice"));
                assert!(matches!(call.source, Source::Address(address) if address.is_loopback()));
                assert_eq!((&*call.bundle, call.permits.len(), call.who.groups.len()), ("sha256:00", 1, 1));
            }
            Seen::Refused(Refusal { who: Some(who), denied: true, .. }) => {
                denied += 1;
                assert!(who.is_known());
            }
            Seen::Refused(Refusal { who: None, denied: true, .. }) => strangers += 1,
            Seen::Counted { network: Source::Address(_), denials } => assert_eq!(denials, 512),
            Seen::Policy { bundle, who } => {
                policies += 1;
                assert_eq!((&*bundle, &*who), ("sha256:01", "corp/bob"));
            }
            Seen::Started { ended: before } => ended += before.len(),
            Seen::Closed { took, .. } => assert_eq!(took, 1234),
            Seen::Answered(_) | Seen::Stopped | Seen::Nothing => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((used, denied, strangers, policies, ended), (1, 1, 1, 1, 1));
    let found = only(told);
    assert_eq!((found.len(), found[0].network.as_deref(), found[0].count), (1, Some("2001:db8::/64"), 514));
}
