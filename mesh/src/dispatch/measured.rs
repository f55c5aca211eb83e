//! What calls tell of one target's speed and price: averages that follow.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// How much of an average a new value makes.
const SHARE: f64 = 0.125;

/// Speed, price and load of one target. Kept across reloads.
#[derive(Debug, Default)]
pub struct Measured {
    seconds: Average,
    cost: Average,
    running: AtomicU32,
}

impl Measured {
    /// How long it takes to the head of an answer, in seconds; `None` until there was one.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        self.seconds.get()
    }

    /// What a call is estimated to cost, in millionths of a millionth of the currency; `None` until one was estimated.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        self.cost.get()
    }

    /// Attempts under way.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running.load(Relaxed)
    }

    pub(crate) fn took(&self, took: Duration) {
        self.seconds.add(took.as_secs_f64());
    }

    /// A call was estimated to cost that much, in the same unit.
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    pub fn costs(&self, pico: u64) {
        self.cost.add(pico as f64);
    }

    /// Counts an attempt while the guard lives.
    pub(crate) fn runs(&self) -> Running<'_> {
        self.running.fetch_add(1, Relaxed);
        Running(&self.running)
    }
}

/// An attempt under way.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a AtomicU32);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// An average that weighs what is newer more. Two that add at once may lose one value, which an average can bear.
#[derive(Debug)]
struct Average(AtomicU64);

impl Default for Average {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Average {
    fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Relaxed))).filter(|average| !average.is_nan())
    }

    fn add(&self, value: f64) {
        let average = self.get().map_or(value, |average| average + SHARE * (value - average));
        self.0.store(average.to_bits(), Relaxed);
    }
}
