//! Whether the gateway serves: for load balancers, which have no credential. Functions are not named here.

use super::message;
use crate::{call::Arrived, refusal::Refusal};
use mesh::payload::Wire;
use proto::health::v1::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Largest question, in bytes.
const QUESTION_BYTES_MAX: u64 = 1024;

/// Services that may be asked for, besides the whole.
const SERVICES: [&str; 2] = ["", "latchwork.invoke.v1.Invoke"];

/// Answers once.
pub(crate) async fn check(arrived: Arrived, budget: &Arc<Semaphore>) -> Result<Wire, Refusal> {
    let bounds = message::bounds(&arrived.envelope, QUESTION_BYTES_MAX);
    let asked: HealthCheckRequest = match arrived.body {
        crate::call::Unread::Empty => return Err(Refusal::Malformed("there is no message".into())),
        body => message::one(body, bounds, budget).await?,
    };
    if !SERVICES.contains(&asked.service.as_str()) {
        return Err(Refusal::NotFound);
    }
    Ok(super::once(message::framed(&HealthCheckResponse { status: ServingStatus::Serving.into() })))
}
