//! Seeded chance: the same seed gives the same traffic.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to just below 1.
    pub(super) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True so often.
    pub(super) fn happens(&mut self, often: f64) -> bool {
        self.part() < often
    }

    /// One of these numbers, the last not among them.
    pub(super) fn among(&mut self, range: std::ops::Range<i64>) -> i64 {
        range.start + (self.next() % u64::try_from(range.end - range.start).unwrap()) as i64
    }

    /// One of these, the first ones more often than the last.
    pub(super) fn zipf<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let all: f64 = (1..=of.len()).map(|rank| 1.0 / rank as f64).sum();
        let mut left = self.part() * all;
        for (rank, one) in of.iter().enumerate() {
            left -= 1.0 / (rank + 1) as f64;
            if left < 0.0 {
                return one;
            }
        }
        &of[of.len() - 1]
    }

    /// With this mean, and a long tail.
    pub(super) fn waits(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.part()).ln()
    }
}
