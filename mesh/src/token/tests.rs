//! One fetch for many, ahead of the end, never past it, and patience with an issuer that fails.

use super::*;
use crate::samples::{PATIENCE, until};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// An issuer that numbers what it gives while its door is open, and a clock that is moved by hand.
#[derive(Clone)]
struct Issuer {
    kept: Arc<Kept<usize>>,
    asked: Arc<AtomicUsize>,
    door: watch::Sender<bool>,
    seconds: Arc<AtomicU64>,
    began: Instant,
}

impl Issuer {
    fn new(lifetime: u64, fails: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let (door, open) = watch::channel(true);
        let kept = Kept::new(move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let (failed, mut open) = (fails(number), open.clone());
            Box::pin(async move {
                open.wait_for(|open| *open).await.unwrap();
                if failed {
                    return Err(TokenError::new(format!("no {number}")));
                }
                Ok(Lease { value: number, lifetime: Duration::from_secs(lifetime) })
            })
        });
        Self { kept: Arc::new(kept), asked, door, seconds: Arc::default(), began: Instant::now() }
    }

    async fn get(&self) -> Result<usize, InvokeError> {
        self.kept.get_at(|| self.now(), Instant::now() + PATIENCE).await.map(|value| *value)
    }

    fn now(&self) -> Instant {
        self.began + Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    fn at(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn many_callers_wait_for_one_fetch_and_a_caller_who_leaves_ends_nothing() {
    let issuer = Issuer::new(3600, |_| false);
    issuer.door.send_replace(false);
    let impatient = issuer.kept.get(Instant::now()).await;
    assert!(matches!(impatient, Err(InvokeError::TimedOut)), "{impatient:?}");
    let all = futures_util::future::join_all((0..100).map(|_| issuer.get()));
    // The callers are asked first, so all of them wait when the door opens.
    let (all, _) = tokio::join!(all, async { issuer.door.send_replace(true) });
    for got in all {
        assert_eq!(got.unwrap(), 1);
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn it_is_renewed_ahead_of_its_end_while_the_old_one_serves() {
    let issuer = Issuer::new(3600, |_| false);
    issuer.get().await.unwrap();
    issuer.at(3299);
    assert_eq!((issuer.get().await.unwrap(), issuer.asked()), (1, 1), "not yet");
    issuer.at(3300);
    assert_eq!((issuer.get().await.unwrap(), issuer.asked()), (1, 2), "nobody waits for the new one");
    until("the new one serves", async || issuer.get().await.unwrap() == 2).await;
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn it_is_never_served_past_its_end() {
    let issuer = Issuer::new(100, |number| number > 1);
    assert_eq!(issuer.get().await.unwrap(), 1);
    issuer.at(80);
    assert_eq!(issuer.get().await.unwrap(), 1, "renewing fails, and the old one counts still");
    until("renewing failed", async || issuer.kept.0.lock().failed.is_some()).await;
    issuer.at(90);
    let error = issuer.get().await.unwrap_err();
    assert!(matches!(&error, InvokeError::NoCredential(why) if why.starts_with("no ")) && error.had_no_effect());
}

#[tokio::test]
async fn an_issuer_that_fails_is_given_time_and_comes_back() {
    let issuer = Issuer::new(3600, |number| number < 3);
    for _ in 0..50 {
        assert_eq!(issuer.get().await.unwrap_err().to_string(), "no credential for the backend: no 1");
    }
    assert_eq!(issuer.asked(), 1, "the failure is the answer for a second");
    issuer.at(1);
    issuer.get().await.unwrap_err();
    issuer.at(2);
    issuer.get().await.unwrap_err();
    assert_eq!(issuer.asked(), 2, "for two seconds after the second");
    issuer.at(3);
    assert_eq!(issuer.get().await.unwrap(), 3);
}

#[tokio::test]
async fn one_that_is_rejected_is_fetched_anew_and_only_that_one() {
    let issuer = Issuer::new(3600, |_| false);
    issuer.get().await.unwrap();
    let first = issuer.kept.get(Instant::now() + PATIENCE).await.unwrap();
    issuer.at(29);
    issuer.kept.reject(&first, issuer.now());
    assert_eq!(issuer.get().await.unwrap(), 1, "a new one is not thrown away");
    issuer.at(30);
    issuer.kept.reject(&first, issuer.now());
    assert_eq!(issuer.get().await.unwrap(), 2);
    issuer.at(90);
    issuer.kept.reject(&first, issuer.now());
    assert_eq!((issuer.get().await.unwrap(), issuer.asked()), (2, 2));
}

#[tokio::test]
async fn one_that_has_ended_already_is_a_failure() {
    let error = Issuer::new(0, |_| false).get().await.unwrap_err();
    assert!(error.to_string().contains("ended already"), "{error}");
}

#[tokio::test]
async fn an_end_that_no_clock_has_is_brought_forward() {
    let issuer = Issuer::new(u64::MAX, |_| false);
    assert_eq!(issuer.get().await.unwrap(), 1);
    issuer.at(24 * 60 * 60);
    assert_eq!(issuer.get().await.unwrap(), 2, "it is kept for a day at most");
}
