//! A caller's connection that is lent to one attempt after the other, until one of them has a use for it.

use crate::payload::{BodyError, Io, Promise};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

/// Where the connection is while no attempt has it.
pub(super) struct Shelf(Mutex<Option<Promise>>);

/// What an attempt is given. It goes back unless somebody began to wait for it: from then on bytes may pass.
struct Lent {
    promise: Promise,
    begun: bool,
    shelf: Arc<Shelf>,
}

impl Shelf {
    /// Where it will be put, and the connection for the first attempt.
    pub(super) fn lending(promise: Promise) -> (Arc<Self>, Promise) {
        let shelf = Arc::new(Self(Mutex::new(None)));
        let lent = Box::pin(Lent { promise, begun: false, shelf: shelf.clone() });
        (shelf, lent)
    }

    /// The connection, if it is here.
    pub(super) fn lend(self: &Arc<Self>) -> Option<Promise> {
        let promise = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Box::pin(Lent { promise, begun: false, shelf: self.clone() }))
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

impl Future for Lent {
    type Output = Result<Box<dyn Io>, BodyError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun = true;
        self.promise.as_mut().poll(cx)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.begun {
            let promise = std::mem::replace(&mut self.promise, Box::pin(std::future::pending()));
            *self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(promise);
        }
    }
}
