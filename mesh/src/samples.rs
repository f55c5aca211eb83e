//! Calls as tests make them.

use crate::{
    cost::Price,
    invocation::{CallContext, Head, Outbound},
    payload::{Answer, Payload, Reply},
    report::Reporting,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// Longest time that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A `POST /orders/{id}` with a body and ten seconds.
pub(crate) fn post(body: impl Into<Bytes>) -> Outbound {
    let head = Head {
        method: Method::POST,
        path: "/orders/7".into(),
        query: None,
        parameters: BTreeMap::from([("id".into(), "7".into())]),
        pattern: "/orders/{id}".into(),
        host: "api.example.com".into(),
        headers: HeaderMap::new(),
    };
    Outbound { head, payload: Payload::Buffered(body.into()), context: context(Duration::from_secs(10)) }
}

/// A `GET` of a path.
pub(crate) fn get(path: &str) -> Outbound {
    let mut outbound = post("");
    outbound.head.method = Method::GET;
    outbound.head.path = path.into();
    outbound.payload = Payload::Empty;
    outbound
}

/// A call that must be answered within this time.
pub(crate) fn context(within: Duration) -> CallContext {
    CallContext {
        call_id: Uuid::now_v7(),
        accepted: "2026-11-23T10:20:30Z".parse().unwrap(),
        expected: Instant::now(),
        deadline: Instant::now() + within,
        principal: Arc::from("corp/ada"),
        principal_kind: "User",
        traceparent: HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        tracestate: None,
        source: Some(IpAddr::from([192, 0, 2, 7])),
        secure: true,
        response_bytes_max: 10 * 1024 * 1024,
        reporting: Reporting::default(),
    }
}

/// 0.20 for a million calls and 0.0000166667 for a GiB and second, as a well-known provider publishes it.
pub(crate) fn price() -> Price {
    Price {
        name: "x".into(),
        currency: "USD".into(),
        source: "test".into(),
        date: "2026-11-28".parse().unwrap(),
        call: 200_000,
        gib_second: 16_666_700,
        second: 0,
        unit: None,
        time_step: Duration::from_millis(1),
        time_min: Duration::from_millis(1),
        memory_step_mib: 1,
        memory_min_mib: 1,
        init_billed: true,
    }
}

/// The body of a reply, read whole.
pub(crate) async fn body(reply: Reply) -> Result<Bytes, crate::payload::BodyError> {
    match reply.into_body() {
        Answer::Empty => Ok(Bytes::new()),
        Answer::Buffered(bytes) => Ok(bytes),
        Answer::Stream(body) => Ok(body.collect().await?.to_bytes()),
        Answer::Duplex { .. } => panic!("an upgrade"),
    }
}

/// Waits until the condition holds; fails the test if it never does.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
