//! Makes the index of a segment from its records.

use super::{
    Index, Reach,
    block::{Block, Maker, Other, Place, Row},
    entry::{Entry, Word},
};
use crate::audit::{
    query::{Problem, Reader, Source, What},
    record::VERSION,
};
use std::{collections::HashMap, io, path::Path, sync::Arc};

/// After how many records it is asked whether to go on.
const STOP_EVERY: u64 = 4096;
/// Most problems of one segment that are remembered.
const PROBLEMS_MAX: usize = 1000;

/// An index that was made.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) index: Index,
    /// The segment is closed, and every line of it is a record that belongs there, in order.
    pub(crate) sound: bool,
}

/// A call while its records come.
#[derive(Debug)]
struct Told {
    row: Row,
    places: Vec<Place>,
}

/// The state of the pass.
struct Pass<'a> {
    source: &'a Source,
    path: Arc<Path>,
    next: u64,
    sound: bool,
    reach: Reach,
    words: Maker,
    others: Vec<Other>,
    told: Vec<Told>,
    by_call: HashMap<[u8; 16], usize>,
    problems: Vec<Problem>,
}

/// Reads a segment through.
///
/// # Errors
/// When it can't be opened, and when it was told to stop.
pub(crate) fn build(source: &Source, stop: &dyn Fn() -> bool) -> io::Result<Built> {
    let mut reader = Reader::open(source.clone())?;
    let mut pass = Pass {
        source,
        path: source.path.as_path().into(),
        next: source.first,
        // Records that the next segment has, too, would be void in one that says otherwise by its name.
        sound: source.last.is_some_and(|last| last.checked_add(1) == source.void_from),
        reach: Reach::default(),
        words: Maker::default(),
        others: Vec::new(),
        told: Vec::new(),
        by_call: HashMap::new(),
        problems: Vec::new(),
    };
    let mut lines = 0_u64;
    loop {
        let offset = reader.offset();
        let Some(read) = reader.next() else { break };
        let place = Place { segment: 0, line: reader.line(), offset };
        match read {
            Ok(bytes) => pass.line(&bytes, place),
            // The writer may be in the middle of it, or was stopped there.
            Err(What::Torn(_)) if source.last.is_none() => {}
            Err(what) => pass.wrong(place, what),
        }
        lines += 1;
        if lines.is_multiple_of(STOP_EVERY) && stop() {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(pass.end())
}

impl Pass<'_> {
    fn wrong(&mut self, place: Place, what: What) {
        self.sound = false;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { file: Arc::clone(&self.path), line: Some(place.line), what });
        }
    }

    fn line(&mut self, bytes: &[u8], place: Place) {
        let entry = match Entry::read(bytes) {
            Ok(entry) => entry,
            Err(error) => return self.wrong(place, What::Malformed(error.to_string())),
        };
        if self.source.void_from.is_some_and(|void_from| entry.seq >= void_from) {
            self.sound = false;
            return;
        }
        if entry.v != VERSION {
            return self.wrong(place, What::Version(entry.v));
        }
        if entry.incarnation != self.source.incarnation {
            return self.wrong(place, What::Foreign(entry.incarnation));
        }
        if entry.is_nobodys() {
            return self.wrong(place, What::Malformed("it names no call".to_owned()));
        }
        if entry.seq != self.next {
            self.wrong(place, What::Order { expected: self.next, found: entry.seq });
        }
        self.next = entry.seq.saturating_add(1);
        self.reach.extend(entry.at.as_microsecond(), entry.call.map(uuid::Uuid::into_bytes));
        match entry.story() {
            Some(call) => self.call(call.into_bytes(), &entry, place),
            None => {
                let (who, function) =
                    (self.words.word(entry.word(Word::Caller)), self.words.word(entry.word(Word::Function)));
                let (kind, at) = (entry.kind, entry.at.as_microsecond());
                let call = entry.call.map(uuid::Uuid::into_bytes);
                self.others.push(Other { kind, at, call, who, function, place });
            }
        }
    }

    fn call(&mut self, call: [u8; 16], entry: &Entry<'_>, place: Place) {
        let at = entry.at.as_microsecond();
        let row = Row {
            call,
            begun: entry.begins().then_some(at),
            first: at,
            ended: entry.ends().then_some(at),
            words: Word::ALL.map(|word| self.words.word(entry.word(word))),
            policies: self.policies(entry),
            target: entry.target(),
            attempts: u32::from(entry.kind == crate::audit::record::Kind::Attempt),
            status: entry.status,
            duration_us: entry.duration_us,
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
            records: 1,
        };
        match self.by_call.get(&call).and_then(|number| self.told.get_mut(*number)) {
            Some(told) => {
                told.row.follow(&row);
                told.places.push(place);
            }
            None => {
                self.by_call.insert(call, self.told.len());
                self.told.push(Told { row, places: vec![place] });
            }
        }
    }

    fn policies(&mut self, entry: &Entry<'_>) -> u32 {
        let words: Vec<u32> = entry.policies().map(|name| self.words.word(Some(name))).collect();
        self.words.set(words)
    }

    fn end(self) -> Built {
        let sound = self.sound && self.source.last.and_then(|last| last.checked_add(1)) == Some(self.next);
        let all = self.words.block();
        let (mut whole, mut parts) = (Maker::default(), Maker::default());
        for Told { row, places } in self.told {
            let maker = if row.is_whole() { &mut whole } else { &mut parts };
            let row = maker.adopt(&row, &all);
            maker.rows.push(row);
            maker.places.extend(places);
        }
        for mut other in self.others {
            for word in [&mut other.who, &mut other.function] {
                *word = parts.word(all.text(*word).map(|text| &**text));
            }
            parts.others.push(other);
        }
        let index = Index {
            reach: self.reach,
            parts: parts.block(),
            whole: Some(Block { others: Vec::new(), ..whole.block() }),
            problems: self.problems,
        };
        Built { index, sound }
    }
}
