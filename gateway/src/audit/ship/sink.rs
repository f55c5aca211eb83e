//! The places that records go to: a closed list. Each takes records in order and says up to where it has them for good.

use super::{Origin, Status, Stop, feed::Batch, file::Appended, nats::Published, objects::Objects, otlp::Logs};
use crate::config;
use std::{fmt, io, path::Path, sync::Arc, time::Duration};

/// A place that records go to. Its calls block its own thread, and end in bounded time where that is in its power.
pub(super) enum Sink {
    File(Appended),
    Objects(Objects),
    Otlp(Box<Logs>),
    Nats(Box<Published>),
}

/// Why records were not taken. The same ones are given again.
#[derive(Debug)]
pub(super) struct Trouble(pub(super) String);

impl Sink {
    pub(super) fn new(settings: &config::Sink, origin: &Origin) -> Self {
        match settings {
            config::Sink::File(settings) => Self::File(Appended::new(settings.clone())),
            config::Sink::Otlp(settings) => Self::Otlp(Box::new(Logs::new(settings.clone(), Arc::clone(&origin.node)))),
            config::Sink::Nats(settings) => {
                Self::Nats(Box::new(Published::new(settings.clone(), Arc::clone(&origin.node))))
            }
            config::Sink::Objects(settings) => {
                Self::Objects(Objects::new(settings.clone(), origin.folder.clone(), &origin.node))
            }
        }
    }

    /// Takes records. Answers the number up to which it has everything of this incarnation for good.
    pub(super) fn take(&mut self, batch: &Batch, status: &Status) -> Result<u64, Trouble> {
        match self {
            Self::File(file) => file.take(batch),
            Self::Objects(objects) => objects.take(batch),
            Self::Otlp(logs) => logs.take(batch, status),
            Self::Nats(published) => published.take(batch),
        }
    }

    /// Whether it keeps records until they make a whole, so that time and the end of a segment concern it, too.
    pub(super) fn gathers(&self) -> bool {
        match self {
            Self::Objects(_) => true,
            Self::File(_) | Self::Otlp(_) | Self::Nats(_) => false,
        }
    }

    /// Forgets what it has taken and not acknowledged.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Objects(objects) => objects.reset(),
            Self::File(_) | Self::Otlp(_) | Self::Nats(_) => {}
        }
    }

    /// Does nothing for a while, but what keeps a connection alive.
    pub(super) fn pause(&mut self, time: Duration, stop: &Stop) {
        match self {
            Self::File(_) | Self::Objects(_) => stop.wait(time),
            Self::Otlp(logs) => logs.pause(time, stop),
            Self::Nats(published) => published.pause(time, stop),
        }
    }
}

impl Trouble {
    /// A file that can't be used as it should.
    pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self(format!("`{}`: {error}", path.display()))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
