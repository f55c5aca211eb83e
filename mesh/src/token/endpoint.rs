//! Where tokens come from: an endpoint that is asked by form, by JSON or by `GET`, and answers in JSON.

use super::TokenError;
use crate::{
    backend::{
        ConfigError,
        exchange::{AGENT, Exchange, plain},
        http::trust::{Trust, Written},
    },
    secret::sensitive,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{path::Path, time::Duration};
use tokio::time::Instant;
use url::Url;

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time until the answer; whoever fetches has a limit over all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a token counts whose issuer does not say: what most of them say.
const LIFETIME_UNSAID: Duration = Duration::from_secs(5 * 60);

/// One endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    url: Url,
    exchange: Exchange,
}

impl Endpoint {
    /// Vouched for by the system's authorities; connects to nothing.
    pub(crate) fn new(url: Url) -> Result<Self, ConfigError> {
        let tls = url.scheme() == "https";
        let trust = Trust::read(Written::default(), tls, Path::new(""))?;
        Ok(Self { url, exchange: Exchange::new(&trust, tls, CONNECT_TIMEOUT)? })
    }

    /// Sends a form.
    pub(crate) async fn form(&self, pairs: &[(&str, &str)], headers: HeaderMap) -> Result<Value, TokenError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut request = self.request(Method::POST, body.into(), headers)?;
        request.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.json(self.ask(request).await?)
    }

    /// Sends JSON, as the holder of `bearer`.
    pub(crate) async fn post(&self, body: &Value, bearer: &SecretString) -> Result<Value, TokenError> {
        let mut headers = HeaderMap::new();
        headers.extend(sensitive(&format!("Bearer {}", bearer.expose_secret())).map(|value| (AUTHORIZATION, value)));
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let request = self.request(Method::POST, body.to_string().into(), headers)?;
        self.json(self.ask(request).await?)
    }

    /// Asks for a document of JSON.
    pub(crate) async fn get(&self, pairs: &[(&str, &str)], headers: HeaderMap) -> Result<Value, TokenError> {
        let answer = self.get_whole(pairs, headers).await?;
        self.json(answer)
    }

    /// Asks for any document.
    pub(crate) async fn get_whole(
        &self,
        pairs: &[(&str, &str)],
        headers: HeaderMap,
    ) -> Result<Response<Bytes>, TokenError> {
        let mut at = self.clone();
        if !pairs.is_empty() {
            at.url.query_pairs_mut().extend_pairs(pairs);
        }
        at.send(Method::GET, Bytes::new(), headers).await
    }

    /// Asks in any way for any document.
    pub(crate) async fn send(
        &self,
        method: Method,
        body: Bytes,
        headers: HeaderMap,
    ) -> Result<Response<Bytes>, TokenError> {
        let answer = self.ask(self.request(method, body, headers)?).await?;
        if answer.status() == StatusCode::OK { Ok(answer) } else { Err(self.refused(&answer)) }
    }

    /// The same server at another address of its own.
    pub(crate) fn at(&self, url: Url) -> Self {
        Self { url, exchange: self.exchange.clone() }
    }

    /// A request as all of them are, to be signed.
    pub(crate) fn request(
        &self,
        method: Method,
        body: Bytes,
        headers: HeaderMap,
    ) -> Result<Request<Full<Bytes>>, TokenError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        let uri = self.url.as_str().parse();
        *request.uri_mut() = uri.map_err(|_| TokenError::new(format!("`{}` can't be asked", self.shown())))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(USER_AGENT, AGENT);
        request.headers_mut().entry(ACCEPT).or_insert(http::HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// The answer, whatever its status.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, TokenError> {
        let asked = self.exchange.ask(request, Instant::now() + ANSWER_TIMEOUT, ANSWER_BYTES_MAX).await;
        asked.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            TokenError::new(format!("`{}`: {error}{cause}", self.shown()))
        })
    }

    fn json(&self, answer: Response<Bytes>) -> Result<Value, TokenError> {
        if answer.status() != StatusCode::OK {
            return Err(self.refused(&answer));
        }
        // The cause could repeat parts of a token.
        serde_json::from_slice(answer.body())
            .map_err(|_| TokenError::new(format!("`{}` answers what is no JSON", self.shown())))
    }

    /// Status and the error's name; descriptions may repeat what was sent.
    fn refused(&self, answer: &Response<Bytes>) -> TokenError {
        let said: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let error = said.as_ref().and_then(|said| said.get("error"));
        let word = error.and_then(|error| error.as_str().or_else(|| error.get("status")?.as_str())).unwrap_or_default();
        let words = format!("`{}` answers {} {}", self.shown(), answer.status().as_u16(), plain(word));
        TokenError::new(words.trim_end())
    }

    /// Without its query, which may name accounts.
    fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }
}

/// The token under a name, if it can stand in a header.
pub(crate) fn token(answer: &Value, name: &str) -> Result<SecretString, TokenError> {
    let token = answer.get(name).and_then(Value::as_str).filter(|token| !token.is_empty());
    let fits = |token: &&str| token.bytes().all(|b| b.is_ascii_graphic());
    token.filter(fits).map(SecretString::from).ok_or_else(|| TokenError::new(format!("the answer has no `{name}`")))
}

/// How long a token counts: `expires_in` in seconds, written as a number or a text.
pub(crate) fn expires_in(answer: &Value) -> Duration {
    let seconds = match answer.get("expires_in") {
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(value) => value.as_u64(),
        None => None,
    };
    seconds.map_or(LIFETIME_UNSAID, Duration::from_secs)
}

/// Headers of one field.
pub(crate) fn one(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static(name), http::HeaderValue::from_static(value))])
}
