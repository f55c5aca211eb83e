//! Whether the gateway serves: for load balancers, which have no credential. Functions are not named here.

use super::{invoke::Kind, message, status};
use crate::{call::Arrived, refusal::Refusal, server::Gateway};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mesh::payload::{BodyError, Wire};
use proto::health::v1::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Largest question, in bytes.
const QUESTION_BYTES_MAX: u64 = 1024;

/// Services that may be asked for, besides the whole.
const SERVICES: [&str; 2] = ["", "latchwork.invoke.v1.Invoke"];

/// How often a watcher's answer is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// Answers once, or whenever the answer changes.
pub(crate) async fn answer(kind: Kind, arrived: Arrived, gateway: &Arc<Gateway>) -> Result<Wire, Refusal> {
    let bounds = message::bounds(&arrived.envelope, QUESTION_BYTES_MAX);
    let asked: HealthCheckRequest = match arrived.body {
        crate::call::Unread::Empty => return Err(Refusal::Malformed("there is no message".into())),
        body => message::one(body, bounds, gateway.meter().buffered()).await?,
    };
    let known = SERVICES.contains(&asked.service.as_str());
    match kind {
        Kind::Unary if !known => Err(Refusal::NotFound),
        Kind::Unary => Ok(super::once(told(serving(gateway)))),
        Kind::Stream => {
            let place = gateway.watchers.clone().try_acquire_owned();
            let place = place.map_err(|_| Refusal::Busy { retry_after: LOOK })?;
            Ok(Watch { gateway: gateway.clone(), known, told: None, over: false, _place: place }.wire())
        }
    }
}

/// One who watches.
struct Watch {
    gateway: Arc<Gateway>,
    known: bool,
    told: Option<ServingStatus>,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    fn wire(self) -> Wire {
        let stop = self.gateway.draining.subscribe();
        let frames = stream::unfold(self, move |mut watch| {
            let mut stop = stop.clone();
            async move { Some((Ok::<_, BodyError>(watch.next(&mut stop).await?), watch)) }
        });
        Wire::Stream(StreamBody::new(frames).boxed_unsync())
    }

    /// The next change, or the end: when the gateway ends it says so once more, and no connection waits for a watcher.
    async fn next(&mut self, stop: &mut watch::Receiver<bool>) -> Option<Frame<Bytes>> {
        if self.over {
            return None;
        }
        loop {
            let now = if self.known { serving(&self.gateway) } else { ServingStatus::ServiceUnknown };
            if self.told.replace(now) != Some(now) {
                return Some(Frame::data(told(now)));
            }
            if *stop.borrow() {
                self.over = true;
                return Some(Frame::trailers(status::ok()));
            }
            // The gateway goes last, so that the sender is there.
            let _ = tokio::time::timeout(LOOK, stop.wait_for(|stop| *stop)).await;
        }
    }
}

fn serving(gateway: &Gateway) -> ServingStatus {
    if gateway.ready() { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn told(status: ServingStatus) -> Bytes {
    message::framed(&HealthCheckResponse { status: status.into() })
}
