//! Gives what was gathered, part by part.

use super::{End, Item, Question, SearchError, Segment, View, walk::Gathered};
use crate::audit::{
    index::{block::Place, file, look},
    query::{Problem, Reader, What},
};
use std::{fs, io};

pub(crate) fn write(
    segments: &[Segment],
    question: &Question,
    gathered: Gathered,
    end: &mut End,
    take: &mut dyn FnMut(Item) -> io::Result<()>,
) -> Result<(), SearchError> {
    match gathered {
        Gathered::Calls(top) => {
            for call in top.sorted() {
                take(Item::Call(call))?;
                end.items += 1;
            }
        }
        Gathered::Groups(groups) => {
            for group in groups.largest(question.limit) {
                take(Item::Group(Box::new(group)))?;
                end.items += 1;
            }
        }
        Gathered::Records(top) => {
            let mut places: Vec<Place> = top.sorted().into_iter().flatten().collect();
            places.sort_unstable();
            records(segments, question, &places, end, take)?;
        }
    }
    Ok(())
}

/// The records at these places, in the order of the log.
fn records(
    segments: &[Segment],
    question: &Question,
    places: &[Place],
    end: &mut End,
    take: &mut dyn FnMut(Item) -> io::Result<()>,
) -> Result<(), SearchError> {
    let kinds = if let View::Records(kinds) = &question.view { kinds.as_slice() } else { &[] };
    for places in places.chunk_by(|one, next| one.segment == next.segment) {
        let Some(segment) = places.first().and_then(|place| segments.get(place.segment as usize)) else { continue };
        let mut reader = Reader::open(segment.source.clone())?;
        for place in places {
            match look::line(&mut reader, *place) {
                Some(line) if kinds.is_empty() || kinds.contains(&line.head.kind) => {
                    take(Item::Record(line))?;
                    end.items += 1;
                }
                Some(_) => {}
                None => {
                    // An index that is wrong is made anew the next time.
                    if let Some(index) = file::path(&segment.source) {
                        let _ = fs::remove_file(index);
                    }
                    let what = What::Malformed("its index says that one begins there; ask again".to_owned());
                    let file = segment.source.path.as_path().into();
                    end.problem(&Problem { file, line: Some(place.line), what });
                }
            }
        }
    }
    Ok(())
}
