//! Texts that records must have, looked for in the records themselves: the index has none of them.

use super::Segment;
use crate::audit::{index::block::Place, query::Reader};
use memchr::memmem::Finder;
use std::{collections::HashSet, io};

/// Most texts of one question.
pub const TEXTS_MAX: usize = 8;
/// After how many records it is asked whether to go on.
const STOP_EVERY: usize = 4096;

/// Texts as they stand in JSON.
#[derive(Debug)]
pub(crate) struct Texts(Vec<Finder<'static>>);

impl Texts {
    /// Nothing, where there is nothing to look for.
    pub(crate) fn new(texts: &[String]) -> Option<Self> {
        let finder = |text: &String| Finder::new(escaped(text).as_bytes()).into_owned();
        let finders: Vec<_> = texts.iter().take(TEXTS_MAX).map(finder).collect();
        (!finders.is_empty()).then_some(Self(finders))
    }

    /// Which of those that have their records at these places have every text, each in some record.
    pub(crate) fn found(
        &self,
        segments: &[Segment],
        mut places: Vec<(Place, usize)>,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<HashSet<usize>> {
        places.sort_unstable();
        let mut reader: Option<(u32, Reader)> = None;
        let mut seen = std::collections::HashMap::<usize, u8>::new();
        for (number, (place, owner)) in places.into_iter().enumerate() {
            if number % STOP_EVERY == 0 && stop() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let Some(bytes) = bytes(&mut reader, segments, place)? else { continue };
            let has = self.0.iter().enumerate().filter(|(_, finder)| finder.find(&bytes).is_some());
            let has = has.fold(0, |has, (place, _)| has | 1 << place);
            if has != 0 {
                *seen.entry(owner).or_default() |= has;
            }
        }
        let all = u8::MAX >> (TEXTS_MAX - self.0.len());
        Ok(seen.into_iter().filter(|(_, has)| *has == all).map(|(owner, _)| owner).collect())
    }
}

/// The bytes at a place; the file of the last one stays open.
fn bytes(reader: &mut Option<(u32, Reader)>, segments: &[Segment], place: Place) -> io::Result<Option<Vec<u8>>> {
    let open = |wanted: u32| -> io::Result<Option<(u32, Reader)>> {
        let Some(segment) = segments.get(wanted as usize) else { return Ok(None) };
        Ok(Some((wanted, Reader::open(segment.source.clone())?)))
    };
    if reader.as_ref().is_none_or(|(open, _)| *open != place.segment) {
        *reader = open(place.segment)?;
    }
    let Some((_, reader)) = reader else { return Ok(None) };
    reader.seek(place.offset, place.line)?;
    Ok(reader.next().and_then(Result::ok))
}

/// A text as it stands within a string of JSON.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text).to_owned()
}
