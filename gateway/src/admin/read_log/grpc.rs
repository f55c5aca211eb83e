//! The same questions over gRPC: `latchwork.admin.v1.Audit`.

use super::{Item, Pair, Piece, Pieces, SearchError, begin};
use crate::{
    admin::{Interface, Outgoing, asker::Asker, read_body},
    audit::search,
    front::grpc::{head, message, status},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use proto::{
    admin::v1::{Call, Common, End, Group, Latency, QueryRequest, QueryResponse, query_response::Part},
    prost::Message,
};
use serde_json::Value;
use std::convert::Infallible;

/// The one method.
const PATH: &str = "/latchwork.admin.v1.Audit/Query";
/// Largest question, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

const INVALID_ARGUMENT: u8 = 3;
const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const METHOD_UNKNOWN: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// Answers a call of any method.
pub(in crate::admin) async fn answer(
    interface: &Interface,
    asker: &Asker<'_>,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    if request.uri().path() != PATH {
        return ended(status::of(METHOD_UNKNOWN, "there is latchwork.admin.v1.Audit/Query"));
    }
    let mut body = match read_body(request, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(refused) => return ended(told(refused).await),
    };
    let asked = message::next(&mut body).ok().flatten().filter(|_| body.is_empty());
    let Some(Ok(asked)) = asked.map(QueryRequest::decode) else {
        return ended(status::of(INVALID_ARGUMENT, "there is no question"));
    };
    let pieces = match begin(interface, asker, &pairs(asked)).await {
        Ok(pieces) => pieces,
        Err(refused) => return ended(told(refused).await),
    };
    let frames = stream::unfold(Next::Piece(pieces), |next| async {
        let mut pieces = match next {
            Next::Piece(pieces) => pieces,
            Next::Status(fields) => return Some((Ok(Frame::trailers(fields)), Next::Nothing)),
            Next::Nothing => return None,
        };
        Some(match pieces.recv().await {
            Some(Piece::Item(item)) => (part(of_item(item)), Next::Piece(pieces)),
            Some(Piece::End(end)) => (part(Part::End(of_end(end))), Next::Status(status::ok())),
            Some(Piece::Failed(error)) => (Ok(Frame::trailers(failed(&error))), Next::Nothing),
            None => {
                let late = status::of(DEADLINE_EXCEEDED, "the answer took too long");
                (Ok(Frame::trailers(late)), Next::Nothing)
            }
        })
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.headers_mut() = head();
    response
}

/// What comes next in an answer.
enum Next {
    Piece(Pieces),
    Status(HeaderMap),
    Nothing,
}

fn part(part: Part) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(message::framed(&QueryResponse { part: Some(part) })))
}

/// A status and nothing else.
fn ended(fields: HeaderMap) -> Response<Outgoing> {
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *response.headers_mut() = head();
    response.headers_mut().extend(fields);
    response
}

/// A refusal of the interface as a status.
async fn told(refused: Response<Full<Bytes>>) -> HeaderMap {
    let code = match refused.status() {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::SERVICE_UNAVAILABLE if refused.headers().contains_key(http::header::RETRY_AFTER) => {
            RESOURCE_EXHAUSTED
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => UNAVAILABLE,
        _ => INVALID_ARGUMENT,
    };
    let body = refused.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    status::of(code, problem.get("title").and_then(Value::as_str).unwrap_or_default())
}

fn failed(error: &SearchError) -> HeaderMap {
    let code = match error {
        SearchError::Stopped => DEADLINE_EXCEEDED,
        SearchError::Groups(_) => INVALID_ARGUMENT,
        SearchError::Io(_) => INTERNAL,
    };
    // Where the log lies is nobody's business there.
    let text = if code == INTERNAL { "the audit log can't be read".to_owned() } else { error.to_string() };
    status::of(code, &text)
}

fn pairs(asked: QueryRequest) -> Vec<Pair> {
    let numbers = |numbers: Vec<u32>| numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let one = |text: String| if text.is_empty() { Vec::new() } else { vec![text] };
    let flag = |set: bool| if set { vec!["true".to_owned()] } else { Vec::new() };
    let limit = if asked.limit == 0 { Vec::new() } else { vec![asked.limit.to_string()] };
    let all = [
        ("since", one(asked.since)),
        ("until", one(asked.until)),
        ("caller", asked.caller),
        ("function", asked.function),
        ("outcome", asked.outcome),
        ("policy", asked.policy),
        ("target", numbers(asked.target)),
        ("refusal", asked.refusal),
        ("reason", asked.reason),
        ("status", asked.status),
        ("listener", asked.listener),
        ("tenant", asked.tenant),
        ("source", asked.source),
        ("call", asked.call),
        ("text", asked.text),
        ("group_by", asked.group_by),
        ("report", one(asked.report)),
        ("records", flag(asked.records)),
        ("kind", asked.kind),
        ("limit", limit),
        ("oldest", flag(asked.oldest)),
    ];
    let named = |(name, values): (&str, Vec<String>)| {
        let name = name.to_owned();
        values.into_iter().map(move |value| (name.clone(), value))
    };
    all.into_iter().flat_map(named).collect()
}

fn of_item(item: Item) -> Part {
    match item {
        Item::Call(call) => Part::Call(of_call(*call)),
        Item::Record(line) => Part::Record(line.bytes.into()),
        Item::Group(group) => Part::Group(of_group(*group)),
    }
}

fn of_call(call: search::Call) -> Call {
    let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string());
    Call {
        call: call.call.to_string(),
        at_us: call.at.as_microsecond(),
        node: call.node.to_string(),
        incarnation: call.incarnation.to_string(),
        outcome: call.outcome.to_string(),
        caller: text(call.caller),
        principal: text(call.principal),
        function: text(call.function),
        tenant: text(call.tenant),
        status: call.status.map(u32::from),
        refusal: text(call.refusal),
        stage: text(call.stage),
        reason: text(call.reason),
        policies: call.policies.iter().map(ToString::to_string).collect(),
        target: call.target.map(u32::from),
        attempts: call.attempts,
        error: text(call.error),
        listener: text(call.listener),
        source: text(call.source),
        bundle: text(call.bundle),
        duration_us: call.duration_us,
        bytes_in: call.bytes_in,
        bytes_out: call.bytes_out,
        records: call.records,
    }
}

fn of_group(group: search::Group) -> Group {
    let latency = group.latency.map(|latency| Latency {
        ran: latency.ran,
        error_rate: latency.error_rate,
        p50_us: latency.p50_us,
        p95_us: latency.p95_us,
        p99_us: latency.p99_us,
    });
    Group {
        by: group.by.into_iter().map(|(field, value)| Common { field, value }).collect(),
        calls: group.calls,
        denied: group.denied,
        refused: group.refused,
        failed: group.failed,
        last_us: group.last.as_microsecond(),
        latency,
    }
}

fn of_end(end: search::End) -> End {
    let search::End { items, found, counted, unreadable, problems } = end;
    End { items, found, counted, unreadable, problems }
}
