//! What a connection is doing, so that silent, slow and stalled ones end in time while idle ones may stay.

use crate::config::Timeouts;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// What a connection is doing. Times are milliseconds since it began, plus one; zero means "not".
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    /// Requests whose answer is not finished.
    open: AtomicUsize,
    /// Requests so far.
    requests: AtomicUsize,
    /// When the last request ended.
    quiet_since: AtomicU64,
    /// When the first byte of a head came whose end has not.
    head_since: AtomicU64,
    /// Since when the peer takes nothing of what is to be written.
    stalled_since: AtomicU64,
}

/// A request whose answer is not finished; ends when dropped.
#[derive(Debug)]
pub struct Open(Arc<Activity>);

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            open: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            quiet_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
        }
    }

    /// A head has been read.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        Open(self.clone())
    }

    /// Waits until the connection has been silent, slow or stalled for too long.
    pub(crate) async fn expired(&self, timeouts: &Timeouts) {
        loop {
            let now = Instant::now();
            let deadline = self.deadline(timeouts);
            if deadline <= now {
                return;
            }
            // What begins meanwhile may end earlier: look again after the shortest of the limits.
            let look = timeouts.header.min(timeouts.idle).min(timeouts.body).max(Duration::from_millis(10));
            tokio::time::sleep_until(deadline.min(now + look)).await;
        }
    }

    fn deadline(&self, timeouts: &Timeouts) -> Instant {
        let after = |since: u64, limit: Duration| self.began + Duration::from_millis(since.saturating_sub(1)) + limit;
        let stalled = self.stalled_since.load(Relaxed);
        if stalled > 0 {
            return after(stalled, timeouts.body);
        }
        if self.open.load(Relaxed) > 0 {
            return Instant::now() + timeouts.header;
        }
        let head = self.head_since.load(Relaxed);
        match (head, self.requests.load(Relaxed)) {
            (_, 0) => after(1, timeouts.header),
            (0, _) => after(self.quiet_since.load(Relaxed), timeouts.idle),
            (head, _) => after(head, timeouts.header).max(after(self.quiet_since.load(Relaxed), timeouts.header)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.quiet_since.store(self.0.now(), Relaxed);
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// A socket that tells [`Activity`] what moves.
#[derive(Debug)]
pub(crate) struct Tracked<I> {
    io: I,
    activity: Arc<Activity>,
    /// HTTP/2 sends control frames at any time, which are no heads; told by its preface.
    h2: Option<bool>,
}

impl<I> Tracked<I> {
    pub(crate) fn new(io: I, activity: Arc<Activity>) -> Self {
        Self { io, activity, h2: None }
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(_) => self.activity.stalled_since.store(0, Relaxed),
            Poll::Pending => {
                let _ = self.activity.stalled_since.compare_exchange(0, self.activity.now(), Relaxed, Relaxed);
            }
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Tracked<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if !fresh.is_empty() {
            let h2 = *self.h2.get_or_insert(fresh.starts_with(b"PRI "));
            if !h2 && self.activity.open.load(Relaxed) == 0 {
                let _ = self.activity.head_since.compare_exchange(0, self.activity.now(), Relaxed, Relaxed);
            }
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Tracked<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
