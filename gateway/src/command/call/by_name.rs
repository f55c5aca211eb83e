//! `latchwork call --grpc`: the same call through `latchwork.invoke.v1`.

use super::{CallArgs, answered, base, body, pairs, through, token};
use crate::{
    client::Trailers,
    command::{Exit, Format, tell},
    config::{Config, Listener},
    front::{grpc::message, response::CALL_ID},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use proto::{
    invoke::v1::{InvokeRequest, InvokeResponse, Parameter, Payload, payload::Form},
    prost::Message,
};
use serde_json::json;
use std::io::Write;

/// Codes that a denied or unknown caller sees.
const DENIED: [u16; 2] = [7, 16];

/// The request; the body is JSON if it is text.
pub(super) fn request(args: &CallArgs, config: &Config, listener: &Listener) -> Result<Request<Full<Bytes>>, String> {
    let parameter = |(name, value)| Parameter { name, value };
    let header = |given: &String| {
        let (name, value) = given.split_once(':').ok_or_else(|| format!("`{given}` is not NAME: VALUE"))?;
        Ok(Parameter { name: name.trim().to_ascii_lowercase(), value: value.trim().to_owned() })
    };
    let body = body(args)?;
    let form = match String::from_utf8(body.to_vec()) {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(Form::Json(text)),
        Err(_) => Some(Form::Binary(body)),
    };
    let message = InvokeRequest {
        function: args.function.clone(),
        input: form.map(|form| Payload { form: Some(form), content_type: String::new() }),
        path: pairs(&args.parameters)?.into_iter().collect(),
        query: pairs(&args.query)?.into_iter().map(parameter).collect(),
        headers: args.headers.iter().map(header).collect::<Result<_, String>>()?,
    };
    let base = base(args, config, listener);
    let mut request = Request::post(format!("{}/latchwork.invoke.v1.Invoke/Invoke", base.url))
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers");
    if let Some(token) = token(args, config, listener)? {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let framed = message::framed(&message);
    let request = request.body(Full::new(framed)).map_err(|e| format!("the request can't be made: {e}"))?;
    Ok(through(request, base))
}

/// What came back: the function's answer as over HTTP, or a status.
pub(super) fn told(format: Format, response: &Response<Bytes>, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let trailers = response.extensions().get::<Trailers>().map(|t| &t.0);
    let fields = if response.headers().contains_key("grpc-status") {
        response.headers()
    } else {
        trailers.unwrap_or(response.headers())
    };
    let code = text(fields, "grpc-status").parse::<u16>().ok();
    let whole = message::next(&mut response.body().clone()).ok().flatten().and_then(|m| InvokeResponse::decode(m).ok());
    if let (Some(0), Some(answer)) = (code, whole) {
        return answered(format, &over_http(answer), out, talk);
    }
    let call = response.headers().get(CALL_ID).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let message = percent_decode_str(text(fields, "grpc-message")).decode_utf8_lossy().into_owned();
    let shown = code.map_or_else(|| "no status".to_owned(), |code| format!("status {code}"));
    match format {
        Format::Human => tell(talk, format_args!("grpc {shown}  call {call}\n{message}")),
        Format::Json => {
            tell(out, format_args!("{}", json!({"grpc_status": code, "message": message, "call_id": call})))
        }
    }
    if code.is_some_and(|code| DENIED.contains(&code)) { Exit::Denied } else { Exit::Failed }
}

fn over_http(answer: InvokeResponse) -> Response<Bytes> {
    let body = match answer.output.and_then(|output| output.form) {
        Some(Form::Json(text)) => text.into(),
        Some(Form::Binary(bytes)) => bytes,
        None => Bytes::new(),
    };
    let mut response = Response::new(body);
    let status = u16::try_from(answer.http_status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    *response.status_mut() = status.unwrap_or(StatusCode::BAD_GATEWAY);
    if let Ok(call) = HeaderValue::try_from(answer.call_id) {
        response.headers_mut().insert(CALL_ID, call);
    }
    response
}

fn text<'a>(fields: &'a HeaderMap, name: &str) -> &'a str {
    fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
