//! `audit/query`: answers questions about this node's log, as JSON lines or over gRPC, to those whom policy lets.
//!
//! A question is recorded before it is answered. It is worked on beside the interface's runtime, a few at once, for a bounded
//! time; what is found goes through a short queue, so that a slow reader holds little and stops nobody else.

mod grpc;

use super::{Interface, Outgoing, asker::Asker, error, whole};
use crate::audit::{
    record::Admin,
    search::{
        self, End, Item, Means, Node, Question, SearchError,
        asked::{self, Pair},
    },
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};

pub(super) use grpc::answer as answer_grpc;

/// The verb that policy is asked for.
const VERB: &str = "audit.read";
/// Questions that are answered at once.
pub(super) const QUESTIONS_MAX: usize = 2;
/// Most calls, records or groups of one answer here.
const LIMIT_MAX: usize = 10_000;
/// Longest time for one answer, its reading included.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Parts of an answer that wait for who reads it.
const WAITING_MAX: usize = 64;

/// A part of an answer on its way.
enum Piece {
    Item(Item),
    End(End),
    Failed(SearchError),
}

type Pieces = mpsc::Receiver<Piece>;

/// Places for questions.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(QUESTIONS_MAX))
}

/// Answers with JSON lines: what was found, then `{"end": …}`.
pub(super) async fn answer(interface: &Interface, asker: &Asker<'_>, query: &str) -> Response<Outgoing> {
    let pairs: Vec<Pair> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let pieces = match begin(interface, asker, &pairs).await {
        Ok(pieces) => pieces,
        Err(refused) => return whole(refused),
    };
    let frames = stream::unfold(pieces, |mut pieces| async {
        let line = line(pieces.recv().await?)?;
        Some((Ok::<_, Infallible>(Frame::data(line)), pieces))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let kind = HeaderValue::from_static("application/jsonl");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn line(piece: Piece) -> Option<Bytes> {
    let text = match piece {
        Piece::Item(Item::Record(line)) => Ok(String::from_utf8_lossy(&line.bytes).into_owned()),
        Piece::Item(Item::Call(call)) => serde_json::to_string(&call),
        Piece::Item(Item::Group(group)) => serde_json::to_string(&group),
        Piece::End(end) => serde_json::to_string(&json!({ "end": end })),
        // An answer without its last line is known to be cut.
        Piece::Failed(_) => return None,
    };
    // What is made of strings and numbers can be written.
    text.ok().map(|text| (text + "\n").into())
}

/// Asks policy, records the question, and starts to answer it.
async fn begin(interface: &Interface, asker: &Asker<'_>, pairs: &[Pair]) -> Result<Pieces, Response<Full<Bytes>>> {
    let actor = asker.may(VERB, None).await?;
    let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
    let mut question = asked::question(pairs, &now).map_err(|wrong| error(StatusCode::UNPROCESSABLE_ENTITY, &wrong))?;
    question.limit = question.limit.min(LIMIT_MAX);
    let Ok(place) = interface.questions.clone().try_acquire_owned() else {
        let title = format!("{QUESTIONS_MAX} questions are being answered; ask again soon");
        let mut busy = error(StatusCode::SERVICE_UNAVAILABLE, &title);
        busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return Err(busy);
    };
    let said: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let record = Admin { detail: Some(said.join(" ")), ..Admin::by(&actor, VERB) };
    if let Err(unrecorded) = asker.log().admin(&record).await {
        return Err(error(StatusCode::SERVICE_UNAVAILABLE, &format!("the question can't be recorded: {unrecorded}")));
    }
    let config = &asker.generation().config;
    let id = config.node.id.clone();
    let nodes = vec![Node { folder: config.audit.path.join(&*id), id }];
    let (sender, pieces) = mpsc::channel(WAITING_MAX);
    drop(tokio::task::spawn_blocking(move || {
        work(&nodes, &question, &sender);
        drop(place);
    }));
    Ok(pieces)
}

fn work(nodes: &[Node], question: &Question, sender: &mpsc::Sender<Piece>) {
    let until = Instant::now() + TIME_MAX;
    let stop = || Instant::now() >= until || sender.is_closed();
    let means = Means { index: true, workers: 1, stop: &stop };
    let mut give = |item| {
        let given = send(sender, Piece::Item(item), until);
        if given { Ok(()) } else { Err(std::io::ErrorKind::TimedOut.into()) }
    };
    let last = match search::ask(nodes, question, means, &mut give) {
        Ok(end) => Piece::End(end),
        Err(error) => {
            tracing::warn!(%error, "a question about the audit log has no answer");
            Piece::Failed(error)
        }
    };
    send(sender, last, until);
}

/// Whether somebody takes it in time. It blocks, as a thread for that may.
fn send(sender: &mpsc::Sender<Piece>, piece: Piece, until: Instant) -> bool {
    let taken = tokio::time::timeout_at(until.into(), sender.send(piece));
    matches!(Handle::current().block_on(taken), Ok(Ok(())))
}
