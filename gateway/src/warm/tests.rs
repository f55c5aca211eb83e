//! Pauses between callers, and what is due in them.

use super::*;
use bytes::Bytes;
use http::HeaderMap;
use std::collections::BTreeSet;
use trial::{LEAST, WINDOW};

const EVERY: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const TARGET: TargetIndex = TargetIndex(0);

fn warmer(change: impl FnOnce(&mut config::Warm)) -> Arc<Warmer> {
    let mut config = config::Warm {
        every: EVERY,
        instances: 1,
        idle_max: 10 * EVERY,
        cold_over: None,
        body: Bytes::new(),
        path: BTreeMap::new(),
        query: None,
        headers: HeaderMap::new(),
    };
    change(&mut config);
    let name = FunctionName::parse("orders.create").unwrap();
    Arc::new(Warmer::new(Arc::new(config), name, WarmMeters::default(), Bell::default()))
}

fn seen(asked: Instant, start: Option<Start>) -> Seen {
    let report = start.map(|start| Report { start: Some(start), ..Report::default() });
    let answered = Some(Duration::from_millis(400));
    Seen { target: TARGET, asked, ended: asked + SECOND, answered, report }
}

/// A caller's call; tells when it ended.
fn call(warmer: &Arc<Warmer>, asked: Instant, start: Start) -> Instant {
    warmer.running().seen(&seen(asked, Some(start)));
    asked + SECOND
}

/// Calls with pauses between until one is drawn in which the target is kept warm, or is not.
fn until_drawn(warmer: &Arc<Warmer>, mut now: Instant, warmed: bool) -> Instant {
    for _ in 0..64 {
        now = call(warmer, now, Start::Warm);
        if warmer.next().is_some() == warmed {
            return now;
        }
    }
    panic!("64 throws of a coin were alike")
}

fn tallies(warmer: &Warmer) -> [Tally; 2] {
    warmer.lock().targets[&TARGET].trial.tallies()
}

#[test]
fn the_first_call_goes_where_a_callers_would() {
    let (warmer, now) = (warmer(|_| {}), Instant::now());
    assert!(warmer.next().is_some_and(|at| at <= Instant::now()));
    assert_eq!(warmer.take_due(now), [Due::Any]);
    assert!(!warmer.done(Due::Any, (1, 0), now));
    assert_eq!((warmer.next(), warmer.take_due(now + DAY)), (None, vec![]), "until somebody calls");
}

#[test]
fn a_call_is_due_when_nobody_called_for_so_long() {
    let warmer = warmer(|_| {});
    let now = until_drawn(&warmer, Instant::now(), true);
    assert_eq!(warmer.next(), Some(now + EVERY));
    assert_eq!(warmer.take_due(now + EVERY - SECOND), []);
    assert_eq!(warmer.take_due(now + EVERY), [Due::Target(TARGET)]);
    assert_eq!((warmer.next(), warmer.take_due(now + 2 * EVERY)), (None, vec![]), "one at a time");
    let now = now + EVERY + 3 * SECOND;
    warmer.done(Due::Target(TARGET), (1, 0), now);
    assert_eq!(warmer.next(), Some(now + EVERY));
    // A caller's call that runs keeps an instance by itself.
    let running = warmer.running();
    assert_eq!((warmer.take_due(now + EVERY), warmer.next()), (vec![], Some(now + 2 * EVERY)));
    drop(running);
    assert_eq!(warmer.take_due(now + 2 * EVERY), [Due::Target(TARGET)]);
}

#[test]
fn a_function_that_nobody_calls_any_more_is_left_alone() {
    let warmer = warmer(|_| {});
    let begun = until_drawn(&warmer, Instant::now(), true);
    let mut calls = 0;
    while let Some(now) = warmer.next() {
        assert_eq!(warmer.take_due(now), [Due::Target(TARGET)]);
        warmer.done(Due::Target(TARGET), (1, 0), now);
        assert!(now <= begun + 10 * EVERY);
        calls += 1;
    }
    assert_eq!(calls, 10);
}

#[test]
fn in_a_pause_that_is_left_alone_nothing_is_due() {
    let warmer = warmer(|_| {});
    let now = until_drawn(&warmer, Instant::now(), false);
    assert_eq!(warmer.take_due(now + 2 * EVERY), []);
}

#[test]
fn only_pauses_count_in_which_a_call_could_have_come() {
    let warmer = warmer(|_| {});
    let begun = Instant::now();
    let now = call(&warmer, begun, Start::Cold);
    assert_eq!(tallies(&warmer).map(|tally| tally.pauses), [0, 0], "before the first call was none");
    let now = call(&warmer, now + EVERY - SECOND, Start::Cold);
    assert_eq!(tallies(&warmer).map(|tally| tally.pauses), [0, 0]);
    let drawn = warmer.next().is_some();
    let asked = now + EVERY;
    let at_once = seen(asked + Duration::from_millis(1), Some(Start::Cold));
    let now = call(&warmer, asked, Start::Cold);
    warmer.running().seen(&at_once);
    let [warmed, alone] = tallies(&warmer);
    let (there, other) = if drawn { (warmed, alone) } else { (alone, warmed) };
    assert_eq!((there, other.pauses), (Tally { pauses: 1, cold: 1 }, 0), "the first of several ends it");
    // Nothing was told, and no limit says what is slow.
    warmer.running().seen(&seen(now + EVERY + SECOND, None));
    let [warmed, alone] = tallies(&warmer);
    assert_eq!(warmed.pauses + alone.pauses, 1);
}

#[test]
fn where_nothing_is_told_a_slow_answer_is_a_cold_start() {
    for (limit, cold) in [(300, 1), (500, 0)] {
        let warmer = warmer(|config| config.cold_over = Some(Duration::from_millis(limit)));
        let begun = Instant::now();
        warmer.running().seen(&seen(begun, None));
        warmer.running().seen(&seen(begun + SECOND + EVERY, None));
        let failed = Seen { answered: None, ..seen(begun + 2 * (SECOND + EVERY), None) };
        warmer.running().seen(&failed);
        let [warmed, alone] = tallies(&warmer);
        assert_eq!((warmed.pauses + alone.pauses, warmed.cold + alone.cold), (1, cold));
    }
}

/// Calls and pauses until it is known what calls are worth.
fn judged(warmer: &Arc<Warmer>, start: impl Fn(bool) -> Start) -> (Instant, Warming) {
    let mut now = call(warmer, Instant::now(), Start::Cold);
    for _ in 0..20 * WINDOW {
        let warmed = warmer.next().is_some();
        now = call(warmer, now + EVERY, start(warmed));
        if let [System::Warming(news)] = warmer.take_news().as_slice() {
            return (now, news.clone());
        }
    }
    panic!("nothing is known after {} pauses", 20 * WINDOW)
}

#[test]
fn what_helps_goes_on() {
    let warmer = warmer(|_| {});
    let (mut now, news) = judged(&warmer, |warmed| if warmed { Start::Warm } else { Start::Cold });
    assert_eq!((news.verdict, news.warmed.cold, news.alone.cold), (Verdict::Helps, 0, news.alone.pauses));
    assert!(news.warmed.pauses.min(news.alone.pauses) == LEAST);
    let mut drawn = BTreeSet::new();
    for _ in 0..200 {
        drawn.insert(warmer.next().is_some());
        now = call(&warmer, now + EVERY, Start::Warm);
    }
    assert_eq!(drawn.len(), 2, "some pauses are left alone, so that it stays known");
}

#[test]
fn what_does_not_help_is_stopped_for_a_day() {
    let warmer = warmer(|_| {});
    let (now, news) = judged(&warmer, |_| Start::Cold);
    assert_eq!((news.verdict, news.warmed.cold), (Verdict::Stopped, news.warmed.pauses));
    let mut at = now;
    for _ in 0..100 {
        at = call(&warmer, at + EVERY, Start::Cold);
        assert_eq!(warmer.take_due(at + 2 * EVERY), []);
    }
    assert_eq!(warmer.next(), Some(now + DAY));
    assert_eq!(warmer.take_due(now + DAY), [], "the pause that is now was not drawn for");
    let [warmed, alone] = tallies(&warmer);
    assert_eq!((warmed.pauses, alone.pauses), (0, 0));
    call(&warmer, now + DAY + EVERY, Start::Cold);
    assert_eq!(tallies(&warmer).map(|tally| tally.pauses), [0, 0]);
    until_drawn(&warmer, now + DAY + 10 * EVERY, true);
}

#[test]
fn a_failure_is_said_once() {
    let (warmer, now) = (warmer(|_| {}), Instant::now());
    let news: Vec<bool> =
        [(2, 0), (1, 1), (0, 2), (2, 0), (0, 2)].map(|calls| warmer.done(Due::Any, calls, now)).into();
    assert_eq!(news, [false, true, false, false, true]);
}

#[test]
fn what_the_log_has_no_room_for_is_said_later() {
    let warmer = warmer(|_| {});
    let (_, news) = judged(&warmer, |_| Start::Cold);
    let [first, second] = [1, 2].map(|target| System::Warming(Warming { target: TargetIndex(target), ..news.clone() }));
    warmer.put_back([first.clone(), second.clone()].into_iter());
    assert_eq!(warmer.take_news(), [first, second]);
}

#[test]
fn what_is_known_is_taken_up_after_a_start() {
    let before = warmer(|_| {});
    let mut now = call(&before, Instant::now(), Start::Cold);
    for _ in 0..5 {
        now = call(&before, now + EVERY, Start::Cold);
    }
    let known = before.known();
    let [System::Warming(told)] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!((told.verdict, told.warmed.pauses + told.alone.pauses), (Verdict::Trying, 5));
    let after = warmer(|_| {});
    after.recall(told, now, SECOND);
    assert_eq!(tallies(&after), tallies(&before));
    call(&after, now + EVERY, Start::Cold);
    assert_eq!(tallies(&after), tallies(&before), "who called meanwhile is not known");
    let other = warmer(|config| config.every = 2 * EVERY);
    other.recall(told, now, SECOND);
    assert!(other.lock().targets.is_empty(), "it was found of something else");
}

#[test]
fn what_was_stopped_stays_so_for_the_rest_of_the_day() {
    let before = warmer(|_| {});
    let (now, news) = judged(&before, |_| Start::Cold);
    assert_eq!(before.known(), [], "it is recorded already");
    let after = warmer(|_| {});
    after.recall(&news, now, DAY / 2);
    assert_eq!(after.take_due(now), []);
    assert_eq!(after.next(), Some(now + DAY / 2));
}
