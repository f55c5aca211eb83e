//! Remembers deliveries for as long as they could be delivered again, bounded.

use super::Tag;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Most deliveries that are remembered. When there are more in one window, further ones are refused, not let through.
const DELIVERIES_MAX: usize = 100_000;

/// Deliveries by their signature.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<HashMap<Tag, Timestamp>>);

impl Replays {
    /// Whether this is the first time; `None` when there is no room to remember it.
    pub(crate) fn first(&self, tag: Tag, until: Timestamp, now: Timestamp) -> Option<bool> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(&tag).is_some_and(|until| *until >= now) {
            return Some(false);
        }
        if seen.len() >= DELIVERIES_MAX {
            seen.retain(|_, until| *until >= now);
            if seen.len() >= DELIVERIES_MAX {
                return None;
            }
        }
        seen.insert(tag, until);
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_a_full_one_refuses() {
        let replays = Replays::default();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let tag = |number: usize| {
            let mut tag = Tag::default();
            tag[..8].copy_from_slice(&number.to_be_bytes());
            tag
        };
        for number in 0..DELIVERIES_MAX {
            assert_eq!(replays.first(tag(number), at(100), at(0)), Some(true));
        }
        assert_eq!(replays.first(tag(0), at(100), at(0)), Some(false));
        assert_eq!(replays.first(tag(DELIVERIES_MAX), at(100), at(50)), None);
        assert_eq!(replays.first(tag(DELIVERIES_MAX), at(200), at(101)), Some(true), "the others are forgotten");
        assert_eq!(replays.0.lock().unwrap().len(), 1);
    }
}
