//! Records in a stream of NATS JetStream: each acknowledged by the stream, in order, with its id for de-duplication.

use super::{Stop, feed::Batch, id, sink::Trouble};
use crate::{
    audit::{query::Line, record::Head},
    causes::causes,
    config::NatsSink,
};
use async_nats::{
    ConnectOptions, Event,
    jetstream::{
        self,
        context::ContextBuilder,
        message::PublishMessage,
        stream::{self, StorageType},
    },
};
use bytes::Bytes;
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

/// How long a stream that is made here remembers ids.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long a lost connection would wait to be made again: longer than anybody keeps it.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A stream.
#[derive(Debug)]
pub(super) struct Published {
    settings: NatsSink,
    node: Arc<str>,
    link: Option<Link>,
}

/// A connection, and the runtime that it lives and ends with.
///
/// The client would connect again by itself and send what it had queued, behind records that are given again meanwhile: out
/// of order. So a connection that is lost is dropped with all its tasks, and a new one made.
#[derive(Debug)]
struct Link {
    runtime: Runtime,
    context: jetstream::Context,
    lost: watch::Receiver<bool>,
}

impl Published {
    /// Opens nothing yet.
    pub(super) fn new(settings: NatsSink, node: Arc<str>) -> Self {
        Self { settings, node, link: None }
    }

    pub(super) fn take(&mut self, batch: &Batch) -> Result<u64, Trouble> {
        if batch.records.is_empty() {
            return Ok(batch.next);
        }
        let link = match self.link.take().filter(|link| !*link.lost.borrow()) {
            Some(link) => link,
            None => Link::open(&self.settings, &self.node)?,
        };
        let publish = async { publish(&link.context, &self.settings, &self.node, &batch.records).await };
        link.runtime.block_on(unless_lost(publish, link.lost.clone())).map_err(Trouble)?;
        self.link = Some(link);
        Ok(batch.next)
    }

    pub(super) fn pause(&mut self, time: Duration, stop: &Stop) {
        match &self.link {
            // Pings are answered.
            Some(link) if !stop.is_stopped() && !*link.lost.borrow() => {
                link.runtime.block_on(async { tokio::time::sleep(time).await });
            }
            _ => stop.wait(time),
        }
    }
}

impl Link {
    fn open(settings: &NatsSink, node: &str) -> Result<Self, Trouble> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Trouble(format!("no connection can be made: {error}")))?;
        let (tell, lost) = watch::channel(false);
        let over = Arc::new(AtomicBool::new(false));
        let connected = async {
            let options = options(settings, tell, Arc::clone(&over)).map_err(|error| said(&error))?;
            let client = options.connect(&settings.urls).await.map_err(|error| said(&error))?;
            over.store(true, Ordering::Relaxed);
            let context = ContextBuilder::new().timeout(settings.timeout).build(client);
            if settings.create {
                context.get_or_create_stream(wanted(settings)).await.map_err(|error| said(&error))?;
            }
            tracing::debug!(stream = settings.stream, node, "connected to NATS");
            Ok(context)
        };
        let longest = settings.timeout * 2;
        let connected = runtime.block_on(async { tokio::time::timeout(longest, connected).await });
        let context =
            connected.unwrap_or_else(|_| Err(format!("no connection within {longest:?}"))).map_err(Trouble)?;
        Ok(Self { runtime, context, lost })
    }
}

/// Hands records over one after another, and waits until each is acknowledged.
async fn publish(
    context: &jetstream::Context,
    settings: &NatsSink,
    node: &str,
    records: &[Line],
) -> Result<(), String> {
    let mut acknowledgements = Vec::with_capacity(records.len());
    for line in records {
        let head = &line.head;
        let message = PublishMessage::build()
            .payload(Bytes::copy_from_slice(&line.bytes))
            .message_id(id(node, head.incarnation, head.seq))
            .expected_stream(&settings.stream);
        let sent = context.send_publish(subject(&settings.subject, node, head), message).await;
        acknowledgements.push(sent.map_err(|error| said(&error))?);
    }
    for acknowledged in acknowledgements {
        acknowledged.await.map_err(|error| said(&error))?;
    }
    Ok(())
}

async fn unless_lost(
    work: impl Future<Output = Result<(), String>>,
    mut lost: watch::Receiver<bool>,
) -> Result<(), String> {
    tokio::select! {
        done = work => done,
        _ = lost.wait_for(|lost| *lost) => Err("the connection was lost".to_owned()),
    }
}

fn options(settings: &NatsSink, tell: watch::Sender<bool>, over: Arc<AtomicBool>) -> std::io::Result<ConnectOptions> {
    let options = settings.login.options(settings.ca.as_deref(), settings.timeout, settings.urls.len())?;
    let tell = Arc::new(tell);
    Ok(options
        .request_timeout(Some(settings.timeout))
        .reconnect_delay_callback(move |_| if over.load(Ordering::Relaxed) { NEVER } else { Duration::ZERO })
        .event_callback(move |event| {
            let tell = Arc::clone(&tell);
            async move {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    tell.send_replace(true);
                }
            }
        }))
}

/// The stream as it is made where there is none.
fn wanted(settings: &NatsSink) -> stream::Config {
    let subject =
        ["{node}", "{kind}", "{incarnation}"].iter().fold(settings.subject.clone(), |s, part| s.replace(part, "*"));
    stream::Config {
        name: settings.stream.clone(),
        // A part of a word can't be a wildcard.
        subjects: vec![
            subject.split('.').map(|word| if word.contains('*') { "*" } else { word }).collect::<Vec<_>>().join("."),
        ],
        storage: StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        description: Some("audit records of Latchwork".to_owned()),
        ..stream::Config::default()
    }
}

/// A dot in a node's id would make two words of it.
fn subject(template: &str, node: &str, head: &Head) -> String {
    template
        .replace("{node}", &node.replace('.', "_"))
        .replace("{kind}", head.kind.as_str())
        .replace("{incarnation}", &head.incarnation.to_string())
}

/// An error with its causes.
fn said(error: &(dyn Error + 'static)) -> String {
    causes(error)
}
