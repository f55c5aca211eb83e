//! The segment that is written: how long it is, how much room it has, and whether it can be trusted.

use crate::audit::segment::{Disk, Name, Segment};
use std::{
    io,
    time::{Duration, Instant},
};

/// Room that is reserved on disk ahead of need, so that it need not be asked for each time.
const RESERVE_AHEAD_BYTES: u64 = 1024 * 1024;

/// See the file's first line.
pub(super) struct Current {
    pub(super) name: Name,
    pub(super) segment: Box<dyn Segment>,
    /// Length up to the last accepted record.
    pub(super) bytes: u64,
    /// Room on disk is reserved up to here.
    pub(super) reserved_to: u64,
    /// The file system can reserve room.
    pub(super) reserves: bool,
    /// What the disk holds of it is not known; a new segment is needed.
    pub(super) broken: bool,
}

impl Current {
    pub(super) fn new(name: Name, segment: Box<dyn Segment>) -> Self {
        Self { name, segment, bytes: 0, reserved_to: 0, reserves: true, broken: false }
    }

    /// Makes sure that so many bytes more can be written.
    pub(super) fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        if !self.reserves || self.bytes + bytes <= self.reserved_to {
            return Ok(());
        }
        let ahead = self.reserve_up_to(self.bytes + bytes + RESERVE_AHEAD_BYTES);
        let done = if ahead.is_err() { self.reserve_up_to(self.bytes + bytes) } else { ahead };
        match done {
            Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) => {
                self.reserves = false;
                Ok(())
            }
            done => done,
        }
    }

    fn reserve_up_to(&mut self, end: u64) -> io::Result<()> {
        self.segment.reserve(self.reserved_to.max(self.bytes), end - self.reserved_to.max(self.bytes))?;
        self.reserved_to = end;
        Ok(())
    }

    /// Appends and, if durable, syncs; returns how long the sync took.
    pub(super) fn write(&mut self, bytes: &[u8], durable: bool) -> io::Result<Option<Duration>> {
        if let Err(error) = self.segment.append(bytes) {
            self.cut();
            return Err(error);
        }
        let mut took = None;
        if durable {
            let started = Instant::now();
            if let Err(error) = self.segment.sync() {
                self.cut();
                // After a failed sync the kernel may hold for clean what never reached the disk.
                self.broken = true;
                return Err(error);
            }
            took = Some(started.elapsed());
        }
        self.bytes += bytes.len() as u64;
        Ok(took)
    }

    /// Ends it: what was not accepted goes, what is left is durable and gets its last name. `next` is the number
    /// after its last record.
    pub(super) fn close(&mut self, next: u64, disk: &mut dyn Disk) -> io::Result<()> {
        let file = self.name.file();
        if !disk.is_there(&file) {
            return Ok(());
        }
        if self.bytes == 0 {
            return disk.remove(&file);
        }
        self.segment.truncate(self.bytes)?;
        self.segment.sync()?;
        let last = Name { last: next.checked_sub(1), ..self.name };
        disk.rename(&file, &last.file())
    }

    /// Takes what was not accepted off the end.
    fn cut(&mut self) {
        if self.segment.truncate(self.bytes).is_err() {
            self.broken = true;
        }
        self.reserved_to = self.bytes;
    }
}
