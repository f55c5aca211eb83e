//! Who writes: whoever has the pen. Where records need not be synced before they count, a caller whose record waits
//! takes the pen itself if nobody has it, and writes all that waits: no thread is woken for it, and none waits.
//! Everything that can take long (syncs, new segments, a disk that was slow or refuses) is left to the writer's thread.

use super::{Ending, SUMMARY_EVERY, Writer};
use crate::audit::{
    Unrecorded,
    queue::{Entry, Queue},
};
use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

/// How often a caller looks again for records of others before it leaves the rest to the thread.
const TURNS_MAX: usize = 4;
/// A caller that waited longer than this for a write has met a slow disk, or did not get a core.
const SLOW: Duration = Duration::from_millis(5);
/// So many slow writes one after another are the disk's.
const SLOW_MAX: u32 = 2;
/// How long callers then leave all writing to the thread, so that no disk holds more than one of the runtime's threads.
const SLOW_FOR: Duration = Duration::from_secs(1);

/// See the file's first line.
pub(crate) struct Pen {
    queue: Arc<Queue>,
    /// Callers may write.
    shared: bool,
    writer: Mutex<Writer>,
}

impl fmt::Debug for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pen").field("queue", &self.queue).field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Pen {
    pub(crate) fn new(writer: Writer) -> Self {
        let (queue, shared) = (Arc::clone(&writer.queue), !writer.durable);
        if shared {
            queue.share();
        }
        Self { queue, shared, writer: Mutex::new(writer) }
    }

    /// See [`Queue::push`].
    pub(crate) fn push(&self, entry: Entry) -> Result<(), Unrecorded> {
        self.queue.push(entry)?;
        self.turn();
        Ok(())
    }

    /// See [`Queue::push_late`].
    pub(crate) fn push_late(&self, entry: Entry) -> Result<(), Unrecorded> {
        self.queue.push_late(entry)?;
        self.turn();
        Ok(())
    }

    /// See [`Queue::push_promised`].
    pub(crate) fn push_promised(&self, entry: Entry) -> Result<(), Unrecorded> {
        self.queue.push_promised(entry)?;
        self.turn();
        Ok(())
    }

    /// See [`Queue::push_spare`].
    pub(crate) fn push_spare(&self, entry: Entry) -> Result<(), Unrecorded> {
        self.queue.push_spare(entry)?;
        self.turn();
        Ok(())
    }

    /// See [`Queue::push_large`].
    pub(crate) fn push_large(&self, entry: Entry) -> Result<(), Entry> {
        self.queue.push_large(entry)?;
        self.turn();
        Ok(())
    }

    /// Sees to it that what waits is written: here, by whoever has the pen, or by the thread.
    fn turn(&self) {
        if !self.shared {
            // The queue wakes the thread itself, once enough waits for a sync.
            return;
        }
        for _ in 0..TURNS_MAX {
            let written = match self.writer.try_lock() {
                Ok(mut writer) => writer.turn(),
                // Whoever has it looks again once it is given back.
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(_)) => return drop(Ending(Arc::clone(&self.queue))),
            };
            if !written {
                break;
            }
            // The pen is given back: whoever came meanwhile relied on this look.
            if self.queue.is_empty() {
                return;
            }
        }
        self.queue.wake();
    }

    /// The writer's thread: runs until the log is stopped.
    pub(crate) fn run(&self) {
        let _ending = Ending(Arc::clone(&self.queue));
        let mut batch = Vec::new();
        let mut summarised = Instant::now();
        let mut taken = 0;
        loop {
            let (patience, gathering) = self.lock().patience(summarised);
            self.queue.wait(patience);
            // A slow sync is better shared: calls that are open will want one soon.
            self.queue.gather(taken, gathering);
            let mut writer = self.lock();
            let stop = self.queue.take(&mut batch);
            taken = batch.len();
            let last = stop && batch.is_empty();
            writer.handle(mem::take(&mut batch));
            if summarised.elapsed() >= SUMMARY_EVERY || last {
                summarised = Instant::now();
                writer.tick();
            }
            writer.notarise(false);
            if last {
                return writer.finish();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // No code panics while it holds the lock; should some, `turn` ends the queue.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Writes what waits, as a caller does; `false` if that is the thread's.
    fn turn(&mut self) -> bool {
        let begun = Instant::now();
        if self.state.failing.is_some() || self.slow_until.is_some_and(|until| begun < until) {
            return false;
        }
        let mut batch = mem::take(&mut self.batch);
        self.queue.take(&mut batch);
        if batch.is_empty() {
            self.batch = batch;
            return true;
        }
        if self.fitting(&batch) < batch.len() {
            self.queue.put_back(batch);
            return false;
        }
        self.write_all(&mut batch);
        self.batch = batch;
        self.notarise(false);
        self.slow = if begun.elapsed() > SLOW { self.slow + 1 } else { 0 };
        if self.slow >= SLOW_MAX {
            self.slow = 0;
            self.slow_until = Some(Instant::now() + SLOW_FOR);
        }
        true
    }
}
