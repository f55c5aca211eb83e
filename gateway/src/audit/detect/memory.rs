//! A bounded memory: what was touched longest ago is forgotten first, and how far back it still is whole is known.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeTuple};
use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Touching something again within this time, in microseconds, does not move it: order is that coarse.
const COARSE: i64 = 60 * 1_000_000;

/// See the file's first line. Times are microseconds since 1970.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    max: usize,
    /// After this time without a touch something is as if it had never been.
    remember: i64,
    entries: HashMap<K, Entry<V>>,
    order: BTreeMap<u64, K>,
    turn: u64,
    /// When the newest of what was forgotten for want of room had been touched.
    horizon: Option<i64>,
    forgotten: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    turn: u64,
    touched: i64,
}

impl<K: Clone + Eq + Hash, V> Memory<K, V> {
    /// Remembers at most so many, each for so long after it was touched last.
    pub(super) fn new(max: usize, remember: i64) -> Self {
        let (entries, order) = (HashMap::new(), BTreeMap::new());
        Self { max, remember, entries, order, turn: 0, horizon: None, forgotten: 0 }
    }

    /// What is known of a key, which is touched.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q, at: i64) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.get_mut(key)?;
        let quiet = at.saturating_sub(entry.touched);
        if quiet >= COARSE {
            let known = self.order.remove(&entry.turn)?;
            if quiet > self.remember {
                self.entries.remove(key);
                return None;
            }
            self.turn += 1;
            self.order.insert(self.turn, known);
            (entry.turn, entry.touched) = (self.turn, at);
        }
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// What is known of a key, without touching it.
    pub(super) fn look<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Remembers something that is not known yet.
    pub(super) fn insert(&mut self, key: K, value: V, at: i64) {
        self.make_room(at);
        self.turn += 1;
        let entry = Entry { value, turn: self.turn, touched: at };
        if let Some(before) = self.entries.insert(key.clone(), entry) {
            self.order.remove(&before.turn);
        }
        self.order.insert(self.turn, key);
    }

    /// When the newest of what was forgotten for want of room had been touched.
    pub(super) fn horizon(&self) -> Option<i64> {
        self.horizon
    }

    /// How many were forgotten for want of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn make_room(&mut self, at: i64) {
        while let Some(oldest) = self.order.first_entry() {
            let touched = self.entries.get(oldest.get()).map_or(i64::MIN, |entry| entry.touched);
            let full = self.entries.len() >= self.max;
            if !full && at.saturating_sub(touched) <= self.remember {
                break;
            }
            self.entries.remove(&oldest.remove());
            if full {
                self.horizon = self.horizon.max(Some(touched));
                self.forgotten += 1;
            }
        }
    }
}

/// Oldest first, so that it is the same whatever the order of the map.
impl<K: Clone + Eq + Hash + Serialize, V: Serialize> Serialize for Memory<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = |key| self.entries.get(key).map(|entry| (key, &entry.value, entry.touched));
        let ordered: Vec<_> = self.order.values().filter_map(known).collect();
        let mut tuple = serializer.serialize_tuple(5)?;
        tuple.serialize_element(&self.max)?;
        tuple.serialize_element(&self.remember)?;
        tuple.serialize_element(&self.horizon)?;
        tuple.serialize_element(&self.forgotten)?;
        tuple.serialize_element(&ordered)?;
        tuple.end()
    }
}

type Kept<K, V> = (usize, i64, Option<i64>, u64, Vec<(K, V, i64)>);

impl<'de, K: Clone + Eq + Hash + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Memory<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (max, remember, horizon, forgotten, ordered) = Kept::<K, V>::deserialize(deserializer)?;
        let mut memory = Self { horizon, forgotten, ..Self::new(max, remember) };
        for (key, value, touched) in ordered.into_iter().take(max) {
            memory.turn += 1;
            memory.order.insert(memory.turn, key.clone());
            memory.entries.insert(key, Entry { value, turn: memory.turn, touched });
        }
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;

    #[test]
    fn what_was_touched_longest_ago_is_forgotten_first_and_it_is_known_since_when() {
        let mut memory: Memory<String, u32> = Memory::new(2, i64::MAX);
        memory.insert("a".into(), 1, 0);
        memory.insert("b".into(), 2, MINUTE);
        assert_eq!(memory.get("a", 2 * MINUTE), Some(&mut 1));
        assert_eq!((memory.horizon(), memory.forgotten()), (None, 0));
        memory.insert("c".into(), 3, 3 * MINUTE);
        assert_eq!((memory.look("b"), memory.horizon(), memory.forgotten()), (None, Some(MINUTE), 1));
        let kept = serde_json::to_string(&memory).unwrap();
        let mut again: Memory<String, u32> = serde_json::from_str(&kept).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), kept);
        again.insert("d".into(), 4, 4 * MINUTE);
        assert_eq!((again.look("a"), again.look("c"), again.horizon()), (None, Some(&3), Some(2 * MINUTE)));
    }

    #[test]
    fn what_was_not_touched_for_long_is_as_if_it_had_never_been() {
        let mut memory: Memory<String, u32> = Memory::new(9, 10 * MINUTE);
        memory.insert("a".into(), 1, 0);
        memory.insert("b".into(), 2, 5 * MINUTE);
        assert_eq!(memory.get("a", 10 * MINUTE), Some(&mut 1));
        assert_eq!(memory.get("b", 16 * MINUTE), None);
        memory.insert("b".into(), 3, 16 * MINUTE);
        memory.insert("c".into(), 4, 27 * MINUTE);
        assert_eq!((memory.entries.len(), memory.order.len()), (1, 1), "the old ones made room");
        assert_eq!((memory.horizon(), memory.forgotten()), (None, 0), "which is no want of it");
    }
}
