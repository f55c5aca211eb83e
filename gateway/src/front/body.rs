//! Request bodies: counted, limited, timed, and charged to the budget of buffered bytes.

use crate::{meter::BUDGET_UNIT_BYTES, refusal::Refusal};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mesh::payload::BodyError;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};

/// What is expected of one request body.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Largest body, in bytes.
    pub bytes_max: u64,
    /// Longest time between two frames.
    pub frame_timeout: Duration,
    /// Counts what was seen.
    pub seen: Arc<AtomicU64>,
    /// Remembers why it broke, if it does.
    pub fault: Arc<OnceLock<BodyFault>>,
}

/// Why a body was broken off on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// Larger than the function takes.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    /// Nothing came for too long.
    #[error("the request body took too long")]
    TimedOut,
    /// The caller broke off: most often it is gone.
    #[error("the request body broke off")]
    Gone,
}

impl BodyFault {
    /// The refusal that it deserves.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge(bytes_max) => Refusal::TooLarge { bytes_max: Some(bytes_max) },
            Self::TimedOut => Refusal::RequestTimeout,
            Self::Gone => Refusal::Malformed("the request body broke off".into()),
        }
    }
}

/// A request body on its way to a backend.
#[derive(Debug)]
pub struct Received {
    incoming: Incoming,
    bounds: Bounds,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Bounds {
    /// Remembers the first fault, which explains those after it.
    fn broken(&self, fault: BodyFault) -> BodyError {
        let _ = self.fault.set(fault);
        fault.into()
    }
}

impl Received {
    /// Binds a body to its bounds.
    #[must_use]
    pub fn new(incoming: Incoming, bounds: Bounds) -> Self {
        Self { incoming, bounds, deadline: None }
    }

    /// Reads it whole. The bytes stay charged to `budget` until the last clone of them is dropped.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::Busy`], [`Refusal::RequestTimeout`], or [`Refusal::Malformed`] when it breaks off.
    pub async fn whole(self, budget: &Arc<Semaphore>) -> Result<Bytes, Refusal> {
        whole(self, budget).await
    }
}

/// Reads a body whole that has its bounds already. See [`Received::whole`].
pub(crate) async fn whole(
    mut body: impl Body<Data = Bytes, Error = BodyError> + Unpin,
    budget: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    let mut held = Charged { bytes: BytesMut::new(), charge: None, units: 0 };
    while let Some(frame) = body.frame().await {
        // A trailers frame ends a body; an input object has none.
        let Ok(data) = frame.map_err(|e| refusal(&e))?.into_data() else { break };
        held.grow(data.len(), budget)?;
        held.bytes.extend_from_slice(&data);
    }
    Ok(Bytes::from_owner(held))
}

/// The refusal that a broken body deserves.
#[must_use]
pub fn refusal(error: &BodyError) -> Refusal {
    fault(error.as_ref()).unwrap_or(BodyFault::Gone).refusal()
}

/// Our own fault in a chain of causes, if there is one.
fn fault(error: &(dyn std::error::Error + 'static)) -> Option<BodyFault> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<BodyFault>() {
            return Some(*fault);
        }
        cause = error.source();
    }
    None
}

impl Body for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            let timeout = this.bounds.frame_timeout;
            let sleep = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
            return sleep.as_mut().poll(cx).map(|()| Some(Err(this.bounds.broken(BodyFault::TimedOut))));
        };
        if let Some(sleep) = &mut this.deadline {
            sleep.as_mut().reset(Instant::now() + this.bounds.frame_timeout);
        }
        let frame = match frame {
            None => return Poll::Ready(None),
            Some(Err(error)) => {
                let _ = this.bounds.broken(BodyFault::Gone);
                return Poll::Ready(Some(Err(error.into())));
            }
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            let length = data.len() as u64;
            let seen = this.bounds.seen.fetch_add(length, Ordering::Relaxed) + length;
            if seen > this.bounds.bytes_max {
                return Poll::Ready(Some(Err(this.bounds.broken(BodyFault::TooLarge(this.bounds.bytes_max)))));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Bytes that are charged to a budget while they live.
struct Charged {
    bytes: BytesMut,
    charge: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Charged {
    fn grow(&mut self, by: usize, budget: &Arc<Semaphore>) -> Result<(), Refusal> {
        let wanted = (self.bytes.len() + by).div_ceil(BUDGET_UNIT_BYTES);
        let more = u32::try_from(wanted.saturating_sub(self.units)).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        let busy = |_| Refusal::Busy { retry_after: Duration::from_secs(1) };
        let permit = budget.clone().try_acquire_many_owned(more).map_err(busy)?;
        match &mut self.charge {
            Some(charge) => charge.merge(permit),
            none => *none = Some(permit),
        }
        self.units = wanted;
        Ok(())
    }
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
