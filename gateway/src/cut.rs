//! Ends long calls that are no longer permitted: policy changed, or the credential expired.

use crate::generation::Generation;
use jiff::Timestamp;
use policy::permit::{TargetIndex, Terms};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;

/// Resolves when the call is no longer permitted.
pub struct Cut(Pin<Box<dyn Future<Output = ()> + Send>>);

/// The target on which a call runs at the moment. A clone is the same place.
#[derive(Clone, Debug, Default)]
pub struct On(Arc<AtomicU16>);

impl On {
    /// It runs there.
    pub fn set(&self, target: TargetIndex) {
        self.0.store(target.0, Relaxed);
    }

    fn get(&self) -> TargetIndex {
        TargetIndex(self.0.load(Relaxed))
    }
}

/// Watches over the terms of one call.
#[must_use]
pub fn cut(mut generations: watch::Receiver<Arc<Generation>>, terms: Terms, on: On, expires: Option<Timestamp>) -> Cut {
    let expires = [expires, terms.observed_until()].into_iter().flatten().min();
    Cut(Box::pin(async move {
        let expiry = async {
            match expires {
                Some(at) => {
                    tokio::time::sleep(Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default())
                        .await
                }
                None => std::future::pending().await,
            }
        };
        let withdrawn = async {
            loop {
                // Looked at before waiting: policy may have changed since the decision.
                let generation = generations.borrow_and_update().clone();
                if generation.policy.id() != terms.bundle()
                    && !generation.policy.still(&terms, on.get(), Timestamp::now())
                {
                    return;
                }
                drop(generation);
                if generations.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        tokio::select! {
            () = expiry => {}
            () = withdrawn => {}
        }
    }))
}

impl Future for Cut {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cut")
    }
}
