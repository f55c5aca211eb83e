//! Which target is asked, when another is, and that what may have had an effect is not asked for twice.

mod connections;
mod orders;

use super::*;
use crate::{
    backend::{Backend, http::Http, http::HttpConfig},
    double::{Double, answer},
    function::{Function, Target},
    invocation::Outbound,
    payload::{Body, Payload},
    samples::{body, get, post},
};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use policy::question::FunctionName;
use std::{path::Path, sync::Arc};
use tokio::net::TcpListener;

/// What a call said of itself.
#[derive(Debug, Default)]
struct Seen {
    further: Vec<(u16, String)>,
    ended: Vec<(u16, Result<u16, String>)>,
    refuses: Option<fn() -> InvokeError>,
}

impl Witness for Seen {
    fn begins(&mut self, _: TargetIndex) {}

    fn further<'a>(&'a mut self, next: TargetIndex, why: &'a Further<'a>) -> Witnessed<'a> {
        Box::pin(async move {
            let why = match why {
                Further::Failed(error) => error.to_string(),
                Further::Unavailable(status) => status.to_string(),
                Further::Slow => "slow".to_owned(),
            };
            self.further.push((next.0, why));
            self.refuses.map_or(Ok(()), |refuses| Err(refuses()))
        })
    }

    fn ended(&mut self, attempted: &Attempted<'_>) {
        self.ended.push((attempted.target.0, attempted.result.map_err(ToString::to_string)));
    }
}

fn target(index: u16, url: &str) -> Target {
    Target {
        index: TargetIndex(index),
        region: None,
        backend: Backend::Http(Http::new(&HttpConfig::plain(url, None, "3s"), Path::new("/")).unwrap()),
        weight: 1,
        memory_mib: None,
        price: None,
        health: Arc::default(),
        measured: Arc::default(),
    }
}

fn function(urls: &[String], idempotent: bool) -> Function {
    let targets: Vec<Target> = urls.iter().zip(0..).map(|(url, index)| target(index, url)).collect();
    Function {
        name: FunctionName::parse("orders.create").unwrap(),
        app: "shop".into(),
        tenant: None,
        input: None,
        method: None,
        timeout: Duration::from_secs(10),
        request_bytes_max: 1 << 20,
        response_bytes_max: 1 << 20,
        concurrency_max: 64,
        idempotent,
        dispatch: Dispatch { attempts_max: targets.len(), ..Dispatch::default() },
        targets,
        retries: Arc::new(budget()),
    }
}

fn every(function: &Function) -> Vec<TargetIndex> {
    function.targets.iter().map(|target| target.index).collect()
}

async fn call(function: &Function, outbound: Outbound) -> (Result<Ran, InvokeError>, Seen) {
    let (mut seen, plan) = (Seen::default(), Plan::new(function, &every(function)));
    let patience = Patience { until: outbound.context.deadline, grace: Duration::from_millis(250) };
    let ran = run(function, &plan, outbound, patience, &mut seen).await;
    (ran, seen)
}

/// Where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// One that takes a request and hangs up.
async fn breaking() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut some).await;
        }
    });
    url
}

/// A body that comes in pieces.
fn streamed(pieces: &[&'static str]) -> Outbound {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
    let body: Body = StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync();
    Outbound { payload: Payload::Stream(body), ..post("") }
}

#[tokio::test]
async fn nothing_sent_is_sent_elsewhere_whatever_the_function() {
    let good = Double::same(200, &[], "good").await;
    for outbound in [post("7"), streamed(&["7"])] {
        let function = function(&[nobody().await, good.url()], false);
        let (ran, seen) = call(&function, outbound).await;
        let ran = ran.unwrap();
        assert_eq!((ran.target, &body(ran.reply).await.unwrap()[..]), (TargetIndex(1), &b"good"[..]));
        assert_eq!(seen.further, [(1, "the backend can't be reached".to_owned())]);
        assert_eq!(seen.ended.iter().map(|(target, _)| *target).collect::<Vec<_>>(), [0, 1]);
    }
    assert!(good.asked().iter().all(|request| request.body() == "7"));
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_repeated_only_where_that_does_no_harm() {
    for (idempotent, target) in [(false, None), (true, Some(1))] {
        for outbound in [post("7"), streamed(&["4", "2"])] {
            let good = Double::same(200, &[], "good").await;
            let function = function(&[breaking().await, good.url()], idempotent);
            let (ran, seen) = call(&function, outbound).await;
            assert_eq!(ran.as_ref().ok().map(|ran| ran.target.0), target, "{ran:?}");
            assert_eq!((seen.further.len(), good.asked().len()), (usize::from(idempotent), usize::from(idempotent)));
        }
    }
    for (status, headers) in [(503, &[][..]), (502, &[]), (504, &[]), (200, &[("grpc-status", "14")])] {
        for (idempotent, target) in [(false, 0), (true, 1)] {
            let (bad, good) = (Double::same(status, headers, "").await, Double::same(200, &[], "").await);
            let (ran, _) = call(&function(&[bad.url(), good.url()], idempotent), get("/")).await;
            assert_eq!(ran.unwrap().target.0, target, "{status}");
        }
    }
    // The function's own word is nobody's failure.
    let (own, good) = (Double::same(500, &[], "mine").await, Double::same(200, &[], "").await);
    let (ran, _) = call(&function(&[own.url(), good.url()], true), get("/")).await;
    assert_eq!((ran.unwrap().target.0, good.asked().len()), (0, 0));
}

#[tokio::test]
async fn the_last_answer_counts_when_none_is_good() {
    let (first, second) = (Double::same(503, &[], "first").await, Double::same(502, &[], "second").await);
    let (ran, seen) = call(&function(&[first.url(), second.url()], true), get("/")).await;
    let reply = ran.unwrap().reply;
    assert_eq!((reply.status().as_u16(), &body(reply).await.unwrap()[..]), (502, &b"second"[..]));
    assert_eq!(seen.further, [(1, "503".to_owned())]);
}

#[tokio::test]
async fn one_target_is_asked_again_after_a_while_and_only_so_often() {
    let bad = Double::same(503, &[], "").await;
    let mut one = function(&[bad.url()], true);
    one.dispatch.attempts_max = 3;
    let asked = Instant::now();
    let (ran, seen) = call(&one, get("/")).await;
    assert_eq!((ran.unwrap().reply.status().as_u16(), seen.ended.len(), bad.asked().len()), (503, 3, 3));
    assert!(asked.elapsed() >= BACKOFF_LEAST, "{:?}", asked.elapsed());
}

/// Of two waits, the second twice the first.
const BACKOFF_LEAST: Duration = Duration::from_millis(75);

#[tokio::test]
async fn a_further_target_is_not_asked_unless_that_is_recorded() {
    for refuses in [|| InvokeError::Unrecorded, || InvokeError::Revoked] as [fn() -> InvokeError; 2] {
        let good = Double::same(200, &[], "").await;
        let function = function(&[nobody().await, good.url()], true);
        let (mut seen, plan) =
            (Seen { refuses: Some(refuses), ..Seen::default() }, Plan::new(&function, &every(&function)));
        let patience = Patience { until: Instant::now() + Duration::from_secs(10), grace: Duration::ZERO };
        let error = run(&function, &plan, get("/"), patience, &mut seen).await.unwrap_err();
        assert_eq!((error.to_string(), good.asked().len()), (refuses().to_string(), 0));
    }
}

#[tokio::test]
async fn only_what_is_permitted_is_asked() {
    let (first, second) = (Double::same(503, &[], "").await, Double::same(200, &[], "").await);
    let function = function(&[first.url(), second.url()], true);
    let (mut seen, plan) = (Seen::default(), Plan::new(&function, &[TargetIndex(0)]));
    let patience = Patience { until: Instant::now() + Duration::from_secs(10), grace: Duration::ZERO };
    let ran = run(&function, &plan, get("/"), patience, &mut seen).await.unwrap();
    assert_eq!((ran.reply.status().as_u16(), first.asked().len(), second.asked().len()), (503, 1, 0));
    assert_eq!(plan.chosen(), Chosen::Only);
    assert!(Plan::new(&function, &[]).order().is_empty());
}

#[tokio::test]
async fn a_slow_target_gets_company_and_the_first_good_answer_counts() {
    let slow = |wait: u64, status: u16| async move {
        Double::new(move |_| async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            answer(status, &[], format!("after {wait}"))
        })
        .await
    };
    for (first, second, winner) in
        [((20_000, 200), (0, 200), 1), ((300, 200), (20_000, 200), 0), ((300, 200), (0, 503), 0)]
    {
        let (first, second) = (slow(first.0, first.1).await, slow(second.0, second.1).await);
        let mut function = function(&[first.url(), second.url()], true);
        function.dispatch.hedge_after = Some(Duration::from_millis(50));
        let asked = Instant::now();
        let (ran, seen) = call(&function, post("7")).await;
        let ran = ran.unwrap();
        assert_eq!(
            (ran.target.0, ran.reply.status().as_u16(), &seen.further[..]),
            (winner, 200, &[(1, "slow".to_owned())][..])
        );
        assert!(
            asked.elapsed() < Duration::from_secs(10) && function.targets.iter().all(|t| t.measured.running() == 0)
        );
        assert!(second.asked().iter().all(|request| request.body() == "7"));
    }
    // What is not idempotent, or quick enough, is asked for once.
    for (idempotent, wait) in [(false, 200), (true, 0)] {
        let (first, second) = (slow(wait, 200).await, slow(0, 200).await);
        let mut function = function(&[first.url(), second.url()], idempotent);
        function.dispatch.hedge_after = Some(Duration::from_millis(100));
        let (ran, _) = call(&function, post("7")).await;
        assert_eq!((ran.unwrap().target.0, second.asked().len()), (0, 0));
    }
}

#[tokio::test]
async fn an_attempt_can_be_given_less_time_than_the_call() {
    let hanging = Double::new(|_| std::future::pending()).await;
    let good = Double::same(200, &[], "").await;
    let mut function = function(&[hanging.url(), good.url()], true);
    function.dispatch.attempt_timeout = Some(Duration::from_millis(50));
    let (ran, seen) = call(&function, get("/")).await;
    assert_eq!(ran.unwrap().target.0, 1);
    assert_eq!(seen.further, [(1, "the function did not answer in time".to_owned())]);
}

#[tokio::test]
async fn what_fails_again_and_again_rests_and_is_tried_by_one_call() {
    let good = Double::same(200, &[], "").await;
    let mut function = function(&[nobody().await, good.url()], false);
    (function.dispatch.failures_max, function.dispatch.rest) = (3, Duration::from_millis(200));
    let firsts = async |function: &Function| {
        let plan = Plan::new(function, &every(function));
        (plan.order().first().map(|index| index.0), plan.chosen(), plan.resting().to_vec())
    };
    for _ in 0..3 {
        let (ran, seen) = call(&function, get("/")).await;
        assert_eq!((ran.unwrap().target.0, seen.ended.len()), (1, 2));
    }
    let (ran, seen) = call(&function, get("/")).await;
    assert_eq!((ran.unwrap().target.0, seen.ended.len()), (1, 1), "it rests");
    assert_eq!(firsts(&function).await, (Some(1), Chosen::Listed, vec![TargetIndex(0)]));
    let health = &function.targets[0].health;
    crate::samples::until("it has rested", async || health.is_good(Instant::now())).await;
    assert_eq!(firsts(&function).await.0, Some(0), "one call finds out");
    assert_eq!(firsts(&function).await.0, Some(1), "the others do not wait for it");
    health.learn(health::Sign::Good, &function.dispatch, Instant::now());
    assert_eq!(firsts(&function).await, (Some(0), Chosen::Listed, vec![]), "it works again");
    for target in &function.targets {
        target.health.learn(health::Sign::Throttled(Duration::from_secs(9)), &function.dispatch, Instant::now());
    }
    assert_eq!(firsts(&function).await.1, Chosen::Resting, "all rest, and are asked all the same");
}

#[tokio::test]
async fn a_target_rests_that_does_not_answer_in_the_functions_time_whatever_callers_wait_for() {
    let hanging = Double::new(|_| std::future::pending()).await;
    let good = Double::same(200, &[], "").await;
    let mut function = function(&[hanging.url(), good.url()], true);
    (function.dispatch.failures_max, function.timeout) = (2, Duration::from_millis(300));
    let call = async |wait: u64| {
        let mut outbound = get("/");
        outbound.context.deadline = Instant::now() + Duration::from_millis(wait);
        let error = call(&function, outbound).await.0.unwrap_err();
        assert!(matches!(error, InvokeError::TimedOut), "{error}");
    };
    let rests = || !function.targets[0].health.is_good(Instant::now());
    for _ in 0..3 {
        call(30).await;
    }
    assert!(!rests(), "callers who wait for less let nothing rest");
    call(299).await;
    call(299).await;
    assert!(rests());
}

#[test]
fn a_callers_own_impatience_or_input_lets_nothing_rest() {
    let sign = |error| health::Sign::of(&Err(error), true);
    let own = [
        InvokeError::TimedOut,
        InvokeError::FunctionFailed(String::new()),
        InvokeError::BadAnswer(String::new()),
        InvokeError::RequestBroken("x".into()),
    ];
    assert!(own.into_iter().map(sign).all(|sign| sign == health::Sign::None));
    assert_eq!(health::Sign::of(&Err(InvokeError::TimedOut), false), health::Sign::Bad);
}

#[tokio::test]
async fn rests_get_longer_and_calls_that_fail_together_are_one_failure() {
    let (health, now) = (Health::default(), Instant::now());
    let dispatch = Dispatch { failures_max: 2, ..Dispatch::default() };
    let bad = |at| health.learn(health::Sign::Bad, &dispatch, at);
    bad(now);
    assert!(health.is_good(now));
    (0..32).for_each(|_| bad(now));
    let after = |seconds| now + Duration::from_secs(seconds);
    assert!(!health.is_good(after(9)) && health.is_good(after(11)), "ten seconds, not 31 times as long");
    assert!(health.take(&dispatch, after(11)) && !health.take(&dispatch, after(11)));
    bad(after(12));
    assert!(!health.is_good(after(31)) && health.is_good(after(33)), "twenty more");
    health.learn(health::Sign::Good, &dispatch, after(33));
    bad(after(34));
    assert!(health.is_good(after(34)), "it begins anew");
}

#[tokio::test]
async fn repeats_are_a_share_of_the_calls() {
    let (bad, good) = (Double::same(503, &[], "").await, Double::same(200, &[], "").await);
    let mut function = function(&[bad.url(), good.url()], true);
    function.dispatch.failures_max = 1_000_000;
    let mut failed = 0;
    for _ in 0..400 {
        let (ran, _) = call(&function, get("/")).await;
        failed += usize::from(ran.unwrap().reply.status() == 503);
    }
    // A hundred in ten seconds, and a fifth of 400.
    assert!((150..=260).contains(&failed), "{failed} of 400 were not repeated");
}
