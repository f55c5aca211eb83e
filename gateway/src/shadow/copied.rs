//! A body on its way to its backend, of which the shadow gets a copy once all of it has passed.

use super::{
    Judge,
    input::{Input, Reader},
    judge::{Job, NotJudged},
};
use crate::meter::BUDGET_UNIT_BYTES;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use mesh::payload::{Body, BodyError};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest body that is copied, in bytes.
const COPY_BYTES_MAX: u64 = 1 << 20;

/// See the file's first line.
pub(super) struct Copied {
    body: Body,
    copy: Option<Copy>,
}

/// The copy, and what becomes of it.
struct Copy {
    job: Job,
    reader: Reader,
    judge: Arc<Judge>,
    held: Held,
    lost: Option<NotJudged>,
}

/// Bytes that are charged to the shadow's budget while they live.
#[derive(Debug)]
pub(super) struct Held {
    bytes: BytesMut,
    charge: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Copied {
    pub(super) fn new(body: Body, reader: Reader, job: Job, judge: Arc<Judge>) -> Self {
        Self { body, copy: Some(Copy { job, reader, judge, held: Held::new(), lost: None }) }
    }

    /// Whether there is still something to read for.
    pub(super) fn is_wanted(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.lost.is_none())
    }

    fn over(&mut self, whole: bool) {
        let Some(Copy { job, reader, judge, held, lost }) = self.copy.take() else { return };
        let input = match lost {
            Some(why) => Input::Lost(why),
            None if whole => Input::Body(reader, Bytes::from_owner(held)),
            None => Input::Lost(NotJudged::Input),
        };
        judge.submit(job, input);
    }
}

impl Copy {
    fn take(&mut self, data: &Bytes) {
        if self.lost.is_some() {
            return;
        }
        let length = (self.held.bytes.len() + data.len()) as u64;
        if length > self.reader.bytes_max().min(COPY_BYTES_MAX) {
            self.lost = Some(NotJudged::Input);
        } else if !self.held.add(data, self.judge.bytes()) {
            self.lost = Some(NotJudged::Busy);
        }
        if self.lost.is_some() {
            self.held = Held::new();
        }
    }
}

impl Held {
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::new(), charge: None, units: 0 }
    }

    /// Adds bytes, if the budget has room for them.
    pub(super) fn add(&mut self, data: &[u8], budget: &Arc<Semaphore>) -> bool {
        let wanted = (self.bytes.len() + data.len()).div_ceil(BUDGET_UNIT_BYTES);
        let more = u32::try_from(wanted.saturating_sub(self.units)).unwrap_or(u32::MAX);
        if more > 0 {
            let Ok(permit) = budget.clone().try_acquire_many_owned(more) else { return false };
            match &mut self.charge {
                Some(charge) => charge.merge(permit),
                none => *none = Some(permit),
            }
            self.units = wanted;
        }
        self.bytes.extend_from_slice(data);
        true
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(copy)) = (frame.data_ref(), &mut self.copy) {
                    copy.take(data);
                }
            }
            Some(Err(_)) => self.over(false),
            None => self.over(true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        // Who knows how long a body is may stop asking before it says that it is over.
        let whole = self.body.is_end_stream();
        self.over(whole);
    }
}

impl fmt::Debug for Copied {
    /// Bodies may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Copied")
    }
}
