//! Rows of calls, with the words that they share kept once.

use super::entry::{WORDS, Word};
use crate::audit::record::Kind;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, hash::Hash, ops::Range, sync::Arc};

/// Calls and other records of one segment, or of calls that several segments tell of.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Words; a row names one by its place. The first is none.
    pub(crate) words: Vec<Arc<str>>,
    /// Sets of words; the first is empty.
    pub(crate) sets: Vec<Vec<u32>>,
    pub(crate) rows: Vec<Row>,
    /// Where the records of the rows are, row after row.
    pub(crate) places: Vec<Place>,
    pub(crate) others: Vec<Other>,
}

/// What one segment, or all of them, say of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) call: [u8; 16],
    /// When its `intent` or `refused` was handed to the log, in microseconds; absent when that is not there.
    pub(crate) begun: Option<i64>,
    /// When its first record that is there was.
    pub(crate) first: i64,
    /// When its `closed` or `refused` was.
    pub(crate) ended: Option<i64>,
    /// See [`Word`].
    pub(crate) words: [u32; WORDS],
    /// The policies that decided, as a set.
    pub(crate) policies: u32,
    /// The target that was asked last.
    pub(crate) target: Option<u16>,
    /// How many were asked after the first.
    pub(crate) attempts: u32,
    pub(crate) status: Option<u16>,
    pub(crate) duration_us: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// How many records.
    pub(crate) records: u32,
}

/// A record that tells no story of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Other {
    pub(crate) kind: Kind,
    pub(crate) at: i64,
    /// Of what the shadow says.
    pub(crate) call: Option<[u8; 16]>,
    /// Who did it.
    pub(crate) who: u32,
    pub(crate) function: u32,
    pub(crate) place: Place,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Which segment, among those that are looked through; of no meaning in a file.
    #[serde(skip)]
    pub(crate) segment: u32,
    /// Line, from 1.
    pub(crate) line: u64,
    /// Byte at which it begins.
    pub(crate) offset: u64,
}

impl Row {
    /// Whether nothing more is to come, and nothing came before.
    pub(crate) fn is_whole(&self) -> bool {
        self.begun.is_some() && self.ended.is_some()
    }

    /// When it was, as far as is known.
    pub(crate) fn at(&self) -> i64 {
        self.begun.unwrap_or(self.first)
    }

    pub(crate) fn word(&self, word: Word) -> u32 {
        self.words.get(word as usize).copied().unwrap_or(0)
    }

    /// What later records of the same call say, with words of the same block.
    pub(crate) fn follow(&mut self, later: &Self) {
        self.begun = self.begun.or(later.begun);
        self.ended = later.ended.or(self.ended);
        for word in Word::ALL {
            let (Some(mine), theirs) = (self.words.get_mut(word as usize), later.word(word)) else { continue };
            if theirs != 0 && (*mine == 0 || word.is_of_the_last()) {
                *mine = theirs;
            }
        }
        if self.policies == 0 {
            self.policies = later.policies;
        }
        self.target = later.target.or(self.target);
        self.status = later.status.or(self.status);
        self.attempts = self.attempts.saturating_add(later.attempts);
        self.duration_us = self.duration_us.max(later.duration_us);
        self.bytes_in = self.bytes_in.max(later.bytes_in);
        self.bytes_out = self.bytes_out.max(later.bytes_out);
        self.records = self.records.saturating_add(later.records);
    }
}

impl Block {
    /// The text of a word; none for the first.
    pub(crate) fn text(&self, word: u32) -> Option<&Arc<str>> {
        if word == 0 { None } else { self.words.get(word as usize) }
    }

    /// The words of a set.
    pub(crate) fn set(&self, set: u32) -> impl Iterator<Item = &Arc<str>> {
        self.sets.get(set as usize).into_iter().flatten().filter_map(|word| self.text(*word))
    }

    /// The rows, each with where its records are.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Row, Range<usize>)> {
        self.rows.iter().scan(0, |next, row| {
            let range = *next..*next + row.records as usize;
            *next = range.end;
            Some((row, range))
        })
    }

    /// Whether what it refers to is there.
    pub(crate) fn is_sound(&self) -> bool {
        let (words, sets) = (self.words.len(), self.sets.len());
        let is_word = |word: &u32| (*word as usize) < words;
        words > 0
            && sets > 0
            && self.sets.iter().flatten().all(is_word)
            && self.rows.iter().all(|row| row.words.iter().all(is_word) && (row.policies as usize) < sets)
            && self.others.iter().all(|other| is_word(&other.who) && is_word(&other.function))
            && self.rows.iter().map(|row| u64::from(row.records)).sum::<u64>() == self.places.len() as u64
    }

    /// Sets the segment of every place.
    pub(crate) fn lie_in(&mut self, segment: u32) {
        self.places.iter_mut().for_each(|place| place.segment = segment);
        self.others.iter_mut().for_each(|other| other.place.segment = segment);
    }
}

/// Makes a block: gives each word and set its place.
#[derive(Debug)]
pub(crate) struct Maker {
    words: Numbers<Arc<str>>,
    sets: Numbers<Vec<u32>>,
    pub(crate) rows: Vec<Row>,
    pub(crate) places: Vec<Place>,
    pub(crate) others: Vec<Other>,
}

#[derive(Debug, Default)]
struct Numbers<T> {
    numbers: HashMap<T, u32>,
    order: Vec<T>,
}

impl<T: Eq + Hash + Clone> Numbers<T> {
    fn add(&mut self, value: T) -> u32 {
        // A block of four thousand million words does not fit into memory first.
        let number = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        self.order.push(value.clone());
        self.numbers.insert(value, number);
        number
    }
}

impl Default for Maker {
    fn default() -> Self {
        let (mut words, mut sets) = (Numbers { numbers: HashMap::new(), order: Vec::new() }, Numbers::default());
        words.add(Arc::from(""));
        sets.add(Vec::new());
        Self { words, sets, rows: Vec::new(), places: Vec::new(), others: Vec::new() }
    }
}

impl Maker {
    /// The place of a text; an empty one is none.
    pub(crate) fn word(&mut self, text: Option<&str>) -> u32 {
        let text = text.unwrap_or_default();
        match self.words.numbers.get(text) {
            Some(number) => *number,
            None => self.words.add(Arc::from(text)),
        }
    }

    pub(crate) fn set(&mut self, words: Vec<u32>) -> u32 {
        match self.sets.numbers.get(&words) {
            Some(number) => *number,
            None => self.sets.add(words),
        }
    }

    /// A row of another block in words of this one.
    pub(crate) fn adopt(&mut self, row: &Row, from: &Block) -> Row {
        let mut adopted = row.clone();
        for word in &mut adopted.words {
            *word = self.word(from.text(*word).map(|text| &**text));
        }
        let set: Vec<u32> = from.set(row.policies).map(|text| self.word(Some(text))).collect();
        adopted.policies = self.set(set);
        adopted
    }

    /// The block.
    pub(crate) fn block(self) -> Block {
        let Self { words, sets, rows, places, others } = self;
        Block { words: words.order, sets: sets.order, rows, places, others }
    }
}
