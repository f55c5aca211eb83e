//! What an instance writes becomes log lines: bounded in length and number, and never a reason for it to wait.

use crate::host::openwhisk::ends_activation;
use policy::question::FunctionName;
use std::{
    mem,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::unix::pipe, time::Instant};
use uuid::Uuid;

/// Longest line, in bytes; the rest of a longer one is dropped.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Most lines of one stream of one instance per second; further ones are counted only.
const LINES_PER_SECOND_MAX: u32 = 500;

/// The call that an instance runs, shared with its log.
#[derive(Clone, Debug, Default)]
pub(super) struct Current(Arc<Mutex<Option<Uuid>>>);

impl Current {
    /// Another call, or none.
    pub(super) fn set(&self, call_id: Option<Uuid>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = call_id;
    }

    fn get(&self) -> Option<Uuid> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose lines they are.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) function: FunctionName,
    pub(super) pid: i32,
    pub(super) stream: &'static str,
    pub(super) current: Current,
}

/// Reads until the last writer has closed the pipe.
pub(super) async fn capture(pipe: OwnedFd, source: Source) {
    let Ok(mut pipe) = pipe::Receiver::from_owned_fd(pipe) else { return };
    let mut lines = Lines::new(source);
    let mut buffer = vec![0; LINE_BYTES_MAX];
    while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
        lines.take(buffer.get(..n).unwrap_or_default());
    }
    lines.end();
}

struct Lines {
    source: Source,
    line: Vec<u8>,
    cut: bool,
    second: Instant,
    in_second: u32,
}

impl Lines {
    fn new(source: Source) -> Self {
        Self { source, line: Vec::new(), cut: false, second: Instant::now(), in_second: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|b| *b == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend(piece.iter().take(room));
            self.cut |= piece.len() > room;
            if pieces.peek().is_some() {
                self.emit();
            }
        }
    }

    fn end(&mut self) {
        if !self.line.is_empty() {
            self.emit();
        }
        self.report_dropped();
    }

    fn emit(&mut self) {
        let (line, cut) = (mem::take(&mut self.line), mem::take(&mut self.cut));
        if ends_activation(&line) {
            return;
        }
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.report_dropped();
            (self.second, self.in_second) = (Instant::now(), 0);
        }
        self.in_second += 1;
        if self.in_second > LINES_PER_SECOND_MAX {
            return;
        }
        let Source { function, pid, stream, current } = &self.source;
        let call_id = current.get().map(tracing::field::display);
        let line = printable(&line);
        tracing::info!(target: "latchwork::function", %function, pid, stream, call_id, cut, "{line}");
    }

    fn report_dropped(&self) {
        let dropped = self.in_second.saturating_sub(LINES_PER_SECOND_MAX);
        if dropped > 0 {
            let Source { function, pid, stream, .. } = &self.source;
            tracing::warn!(target: "latchwork::function", %function, pid, stream, dropped, "too many lines in a second");
        }
    }
}

/// A function may not write to the gateway's log what a terminal would obey.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let keep = |c: char| match c {
        // Runtimes separate the lines of one record so.
        '\r' => ' ',
        '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    String::from_utf8_lossy(line).chars().map(keep).collect()
}

#[cfg(test)]
mod tests;
