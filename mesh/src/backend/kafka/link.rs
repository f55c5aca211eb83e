//! Connections to brokers: one for each, made by the first request, shared by all, and made again when it is lost.

use super::answer::{Trouble, of_partitions};
use crate::backend::http::connect::{Connected, Connector};
use http::Uri;
use hyper_util::rt::TokioIo;
use rskafka::{
    messenger::Messenger,
    protocol::{
        messages::{MetadataRequest, MetadataRequestTopic, MetadataResponse, ProduceRequest},
        primitives::{Boolean, String_},
    },
};
use std::{
    collections::BTreeMap,
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufStream, ReadBuf},
    sync::Mutex as Turn,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tower_service::Service;

/// How long nobody tries again after a connection failed: who waited for it fails with it.
const PAUSE: Duration = Duration::from_millis(250);

/// Largest answer of a broker, in bytes: a topic of some 10,000 partitions is described in it.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What brokers know us by.
const CLIENT: &str = "latchwork";

/// Connections by address.
#[derive(Debug)]
pub(super) struct Links {
    connector: Connector,
    tls: bool,
    timeout: Duration,
    slots: Mutex<BTreeMap<String, Arc<Turn<Slot>>>>,
}

#[derive(Debug, Default)]
struct Slot {
    link: Option<Arc<Link>>,
    failed: Option<(Instant, String)>,
}

/// A connection.
pub(super) struct Link {
    messenger: Messenger<BufStream<Heard>>,
    pulse: Arc<Pulse>,
    /// Until when the broker has asked for silence.
    silent: Mutex<Option<Instant>>,
}

/// What a connection shows of itself: the messenger keeps it to itself.
#[derive(Debug, Default)]
struct Pulse {
    lost: AtomicBool,
    /// How often something came.
    heard: AtomicU64,
}

/// The bytes of a connection.
struct Heard {
    io: TokioIo<Connected>,
    pulse: Arc<Pulse>,
}

impl Links {
    /// Connects to nothing yet.
    pub(super) fn new(connector: Connector, tls: bool, timeout: Duration) -> Self {
        Self { connector, tls, timeout, slots: Mutex::default() }
    }

    /// Forgets all but these brokers.
    pub(super) fn keep(&self, brokers: &[&str]) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|broker, _| brokers.contains(&broker.as_str()));
    }

    /// What a broker says of a topic, which it is not to make.
    pub(super) async fn describe(
        &self,
        broker: &str,
        topic: &str,
        deadline: Instant,
    ) -> Result<MetadataResponse, Trouble> {
        let link = self.get(broker, deadline).await?;
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic { name: String_(topic.to_owned()) }]),
            allow_auto_topic_creation: Some(Boolean(false)),
        };
        // A broker that says nothing for so long is none; others may answer.
        let deadline = deadline.min(Instant::now() + self.timeout);
        match timeout_at(deadline, link.messenger.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                self.retire(broker, &link).await;
                Err(Trouble::Unreachable(error.to_string()))
            }
            Err(_) => {
                self.retire(broker, &link).await;
                Err(Trouble::Unreachable(format!("`{broker}` says nothing")))
            }
        }
    }

    /// Has a leader keep records. What it says of each partition, or why it says nothing.
    pub(super) async fn produce(
        &self,
        leader: &str,
        request: ProduceRequest,
        deadline: Instant,
    ) -> Result<BTreeMap<i32, Result<i64, Trouble>>, Trouble> {
        let link = self.get(leader, deadline).await.map_err(|trouble| Trouble::Moved(trouble.to_string()))?;
        link.quiet(deadline).await?;
        let heard = link.pulse.heard.load(Ordering::Relaxed);
        match timeout_at(deadline, link.messenger.request(request)).await {
            Ok(Ok(response)) => {
                // The records are kept; only what comes next has to wait.
                link.silence(response.throttle_time_ms.map_or(0, |time| time.0));
                Ok(of_partitions(response))
            }
            Ok(Err(error)) => {
                self.retire(leader, &link).await;
                Err(Trouble::broken(&error))
            }
            Err(_) => {
                // Whoever comes next tries another connection, unless this one has answered others meanwhile.
                if link.pulse.heard.load(Ordering::Relaxed) == heard {
                    self.retire(leader, &link).await;
                }
                Err(Trouble::TimedOut)
            }
        }
    }

    fn slot(&self, broker: &str) -> Arc<Turn<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(broker.to_owned()).or_default())
    }

    /// Takes a connection out of use.
    async fn retire(&self, broker: &str, link: &Arc<Link>) {
        let slot = self.slot(broker);
        let mut slot = slot.lock().await;
        slot.link.take_if(|held| Arc::ptr_eq(held, link));
    }

    /// The connection to a broker, made if need be, until `deadline`. Nothing was sent when there is none.
    async fn get(&self, broker: &str, deadline: Instant) -> Result<Arc<Link>, Trouble> {
        let slot = self.slot(broker);
        let got = timeout_at(deadline, async {
            let mut slot = slot.lock().await;
            if let Some(link) = slot.link.as_ref().filter(|link| !link.pulse.lost.load(Ordering::Relaxed)) {
                return Ok(Arc::clone(link));
            }
            slot.link = None;
            if let Some((_, words)) = slot.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
                return Err(words.clone());
            }
            let connected = timeout(self.timeout, self.connect(broker)).await;
            match connected.unwrap_or_else(|_| Err(format!("`{broker}` is not there within {:?}", self.timeout))) {
                Ok(link) => {
                    let link = Arc::new(link);
                    *slot = Slot { link: Some(Arc::clone(&link)), failed: None };
                    Ok(link)
                }
                Err(words) => {
                    slot.failed = Some((Instant::now(), words.clone()));
                    Err(words)
                }
            }
        });
        let got = got.await.unwrap_or_else(|_| Err(format!("`{broker}` is not there in time")));
        got.map_err(Trouble::Unreachable)
    }

    async fn connect(&self, broker: &str) -> Result<Link, String> {
        let at = |words: &dyn fmt::Display| format!("`{broker}`: {words}");
        let scheme = if self.tls { "https" } else { "http" };
        let place: Uri = format!("{scheme}://{broker}/").parse().map_err(|error| at(&error))?;
        let io = self.connector.clone().call(place).await.map_err(|error| at(&error))?;
        let pulse = Arc::new(Pulse::default());
        let heard = Heard { io: TokioIo::new(io), pulse: Arc::clone(&pulse) };
        let mut messenger = Messenger::new(BufStream::new(heard), ANSWER_BYTES_MAX, CLIENT.into());
        messenger.sync_versions().await.map_err(|error| at(&error))?;
        Ok(Link { messenger, pulse, silent: Mutex::default() })
    }
}

impl Link {
    /// Waits until the broker hears us again, if that is in time.
    async fn quiet(&self, deadline: Instant) -> Result<(), Trouble> {
        let silent = *self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = silent.filter(|until| *until > Instant::now()) else { return Ok(()) };
        if until >= deadline {
            return Err(Trouble::Throttled(Some(until.duration_since(Instant::now()))));
        }
        sleep_until(until).await;
        Ok(())
    }

    fn silence(&self, milliseconds: i32) {
        if let Some(time) = u64::try_from(milliseconds).ok().filter(|time| *time > 0) {
            let until = Instant::now() + Duration::from_millis(time);
            *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
    }
}

impl Heard {
    fn told<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Err(_))) {
            self.pulse.lost.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncRead for Heard {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) {
            match buffer.filled().len() > before {
                true => drop(this.pulse.heard.fetch_add(1, Ordering::Relaxed)),
                false => this.pulse.lost.store(true, Ordering::Relaxed),
            }
        }
        this.told(polled)
    }
}

impl AsyncWrite for Heard {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.told(polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_flush(cx);
        this.told(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("pulse", &self.pulse).field("silent", &self.silent).finish_non_exhaustive()
    }
}
