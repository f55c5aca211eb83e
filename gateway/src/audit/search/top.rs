//! The newest or oldest of what was found, in bounded memory.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// As many as are wanted.
#[derive(Debug)]
pub(crate) struct Top<T> {
    limit: usize,
    oldest: bool,
    heap: BinaryHeap<Reverse<Kept<T>>>,
    /// How many there were.
    pub(crate) found: u64,
}

#[derive(Debug)]
struct Kept<T> {
    rank: i64,
    /// What decides between those of one moment.
    tie: [u8; 16],
    value: T,
}

impl<T> Kept<T> {
    fn key(&self) -> (i64, [u8; 16]) {
        (self.rank, self.tie)
    }
}

impl<T> Ord for Kept<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> PartialOrd for Kept<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Kept<T> {}

impl<T> Top<T> {
    pub(crate) fn new(limit: usize, oldest: bool) -> Self {
        Self { limit, oldest, heap: BinaryHeap::new(), found: 0 }
    }

    fn rank(&self, at: i64) -> i64 {
        if self.oldest { at.saturating_neg() } else { at }
    }

    /// Whether something of this moment would not be among them.
    pub(crate) fn is_past(&self, at: i64) -> bool {
        self.heap.len() >= self.limit && self.heap.peek().is_none_or(|least| least.0.rank > self.rank(at))
    }

    /// Adds something.
    pub(crate) fn add(&mut self, at: i64, tie: [u8; 16], value: impl FnOnce() -> T) {
        self.found += 1;
        if self.is_past(at) {
            return;
        }
        let rank = self.rank(at);
        if self.heap.len() >= self.limit {
            match self.heap.peek() {
                Some(least) if least.0.key() < (rank, tie) => drop(self.heap.pop()),
                _ => return,
            }
        }
        self.heap.push(Reverse(Kept { rank, tie, value: value() }));
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: Self) {
        let found = self.found + other.found;
        for Reverse(Kept { rank, tie, value }) in other.heap {
            self.add(self.rank(rank), tie, || value);
        }
        self.found = found;
    }

    /// All of them, in the order that is wanted.
    pub(crate) fn sorted(self) -> Vec<T> {
        // The least of what is reversed is the greatest.
        self.heap.into_sorted_vec().into_iter().map(|Reverse(kept)| kept.value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_or_oldest_are_kept() {
        let of = |limit, oldest, times: &[i64]| {
            let (mut one, mut other) = (Top::new(limit, oldest), Top::new(limit, oldest));
            for (number, at) in times.iter().enumerate() {
                let half = if number % 2 == 0 { &mut one } else { &mut other };
                half.add(*at, [0; 16], || *at);
            }
            one.merge(other);
            (one.found, one.sorted())
        };
        assert_eq!(of(2, false, &[3, 1, 4, 2]), (4, vec![4, 3]));
        assert_eq!(of(2, true, &[3, 1, 4, 2]), (4, vec![1, 2]));
        assert_eq!(of(9, true, &[3, 1]), (2, vec![1, 3]));
        assert_eq!(of(0, false, &[3, 1]), (2, vec![]));
        let mut top = Top::new(1, false);
        assert!(!top.is_past(0));
        top.add(5, [0; 16], || ());
        assert!(top.is_past(4) && !top.is_past(5) && !top.is_past(6));
    }
}
