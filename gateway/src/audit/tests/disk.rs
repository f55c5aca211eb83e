//! A disk that is slow, full or broken at will, and remembers what it was asked.

use crate::audit::segment::{Disk, Segment};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    time::Duration,
};

/// The disk; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<String, Contents>,
    /// Bytes that fit; `None` is no limit.
    pub(crate) capacity: Option<u64>,
    pub(crate) reserves: bool,
    pub(crate) read_only: bool,
    pub(crate) sync_fails: bool,
    pub(crate) truncate_fails: bool,
    pub(crate) sync_takes: Duration,
    pub(crate) syncs: usize,
}

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) bytes: Vec<u8>,
    pub(crate) synced: usize,
    reserved_to: u64,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let fake = Self::default();
        fake.state().reserves = true;
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// All bytes of all segments, in order.
    pub(crate) fn text(&self) -> String {
        self.state().files.values().map(|file| String::from_utf8(file.bytes.clone()).unwrap()).collect()
    }

    /// What would be there after a power cut.
    pub(crate) fn synced_text(&self) -> String {
        let state = self.state();
        state.files.values().map(|file| String::from_utf8(file.bytes[..file.synced].to_vec()).unwrap()).collect()
    }

    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl State {
    pub(crate) fn used(&self) -> u64 {
        self.files.values().map(|file| file.reserved_to.max(file.bytes.len() as u64)).sum()
    }

    fn free(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }
}

struct FakeSegment(Fake, String);

impl Disk for Fake {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Segment>> {
        let mut state = self.state();
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(name.to_owned(), Contents::default());
        drop(state);
        Ok(Box::new(FakeSegment(self.clone(), name.to_owned())))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.state().files.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn is_there(&mut self, name: &str) -> bool {
        self.state().files.contains_key(name)
    }
}

impl Segment for FakeSegment {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.state();
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let free = state.free();
        let file = state.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        let room = (file.reserved_to.saturating_sub(file.bytes.len() as u64)).saturating_add(free);
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        file.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.0.state();
        if state.truncate_fails || state.read_only {
            return Err(io::Error::other("truncate fails"));
        }
        let file = state.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        file.bytes.truncate(bytes as usize);
        file.synced = file.synced.min(bytes as usize);
        file.reserved_to = bytes;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let (takes, length) = {
            let state = self.0.state();
            (state.sync_takes, state.files.get(&self.1).map_or(0, |file| file.bytes.len()))
        };
        // A slow disk, not a wait for a condition: nobody ever sends.
        let (_silent, never) = mpsc::channel::<()>();
        let _ = never.recv_timeout(takes);
        let mut state = self.0.state();
        state.syncs += 1;
        if state.sync_fails {
            return Err(io::Error::other("sync fails"));
        }
        if let Some(file) = state.files.get_mut(&self.1) {
            file.synced = length;
        }
        Ok(())
    }

    fn reserve(&mut self, from: u64, bytes: u64) -> io::Result<()> {
        let mut state = self.0.state();
        if !state.reserves {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let free = state.free();
        let file = state.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        let held = file.reserved_to.max(file.bytes.len() as u64);
        if (from + bytes).saturating_sub(held) > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.reserved_to = held.max(from + bytes);
        Ok(())
    }

    fn twin(&self) -> io::Result<Box<dyn Segment>> {
        Ok(Box::new(Self(self.0.clone(), self.1.clone())))
    }
}
