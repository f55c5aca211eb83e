//! An instance as Fn starts its containers: it listens on a Unix socket that it is told, and is asked as Fn's agent does.

use super::{http_server::at, recipe::Address, way::CONNECT_MAX};
use crate::{
    backend::{
        ConfigError, duration,
        exchange::{Exchange, answer_bytes_max},
        fn_protocol::{self, FnCall, FnIntent},
    },
    dial::Dial,
    event::cloud_events::CloudEventConfig,
    invocation::{InvokeError, Outbound},
    payload::Reply,
};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

const CALL_ID: HeaderName = HeaderName::from_static("fn-call-id");
const DEADLINE: HeaderName = HeaderName::from_static("fn-deadline");

/// Where every call goes; the host in it means nothing on a socket.
const CALL: &str = "http://localhost/call";

/// How such an instance is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// What it takes its call for; without it, it gets the body alone.
    pub(crate) intent: Option<FnIntent>,
    /// It takes events: what a call's says.
    pub(crate) event: Option<CloudEventConfig>,
}

/// The instance.
#[derive(Clone, Debug)]
pub(super) struct FnSocket {
    form: Form,
    exchange: Exchange,
}

impl Form {
    /// The same as servers elsewhere are asked.
    pub(crate) fn form(&self) -> fn_protocol::Form<'_> {
        fn_protocol::Form { call: FnCall::Sync, intent: self.intent, event: self.event.as_ref(), introduces: true }
    }
}

impl FnSocket {
    /// Connects to nothing.
    pub(super) fn new(form: &Form, address: &Address) -> Result<Self, ConfigError> {
        let exchange = Exchange::local(Dial::new(address.socket()), duration("connect_timeout", CONNECT_MAX)?)?;
        Ok(Self { form: form.clone(), exchange })
    }

    /// Runs a call.
    pub(super) async fn run(&self, outbound: Outbound) -> Result<Reply, InvokeError> {
        let (headers, body, context) = self.form.form().request(outbound).await?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(CALL);
        *request.headers_mut() = headers;
        for (name, text) in [(CALL_ID, context.call_id.to_string()), (DEADLINE, at(context.deadline).to_string())] {
            request.headers_mut().extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
        }
        let answer = self.exchange.ask(request, context.deadline, answer_bytes_max(&context)).await?;
        self.form.form().reply(answer, &context).await
    }
}
