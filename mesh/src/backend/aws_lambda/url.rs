//! A function at its own URL: a request of HTTP that is signed, where the function asks for it.

use super::{AwsLambdaConfig, answer, credentials::Credentials};
use crate::{
    backend::{
        ConfigError,
        http::{Http, HttpConfig},
        platform,
    },
    event,
    invocation::{InvokeError, Outbound},
    payload::{Payload, Reply},
};
use bytes::Bytes;
use http::{
    Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use std::path::Path;

/// Headers that the platform or the gateway alone may set.
const OWN: [&str; 2] = ["x-amz-", "x-amzn-"];

/// A function URL.
#[derive(Debug)]
pub(super) struct FunctionUrl(Http);

impl FunctionUrl {
    /// Reads authorities; connects to nothing.
    pub(super) fn new(url: &str, config: &AwsLambdaConfig, base: &Path) -> Result<Self, ConfigError> {
        Http::new(&HttpConfig::plain(url, config.ca.as_deref(), &config.connect_timeout), base).map(Self)
    }

    /// The path parameters that it uses.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.parameters()
    }

    /// Runs the function.
    pub(super) async fn call(
        &self,
        region: &str,
        credentials: &Credentials,
        mut outbound: Outbound,
    ) -> Result<Reply, InvokeError> {
        platform::reserve(&mut outbound.head.headers, &OWN);
        let proof = credentials.proof(outbound.context.deadline).await?;
        if let Some(proof) = &proof {
            let payload = std::mem::replace(&mut outbound.payload, Payload::Empty);
            // The signature covers the body, so it is known whole.
            let body = event::whole(payload, &outbound.context).await?;
            let mut signed = Request::new(Full::new(body.clone()));
            *signed.method_mut() = outbound.head.method.clone();
            *signed.uri_mut() = self.0.uri(&outbound.head)?;
            // Other headers may be changed on the way.
            let kind = outbound.head.headers.get(CONTENT_TYPE).cloned();
            signed.headers_mut().extend(kind.map(|kind| (CONTENT_TYPE, kind)));
            proof.sign(&mut signed, &body, (super::SERVICE, region))?;
            outbound.head.headers.remove(AUTHORIZATION);
            outbound.head.headers.extend(std::mem::take(signed.headers_mut()));
            outbound.payload = if body.is_empty() { Payload::Empty } else { Payload::Buffered(body) };
        }
        let reply = self.0.invoke(outbound).await?;
        if let Some(proof) = proof {
            proof.judge(reply.status(), reply.headers(), &Bytes::new());
        }
        told(reply)
    }
}

/// The function's answer, or what the service's means.
fn told(mut reply: Reply) -> Result<Reply, InvokeError> {
    let status = reply.status();
    // The service names its own refusals.
    if reply.headers().contains_key(answer::ERROR_TYPE) {
        return Err(answer::refused(status, reply.headers(), &[]));
    }
    // So it says of a function that failed.
    if status == StatusCode::BAD_GATEWAY {
        return Err(InvokeError::FunctionFailed(status.as_u16().to_string()));
    }
    platform::reserve(reply.headers_mut(), &OWN);
    Ok(reply)
}
