//! Finds the records of one call without reading the others.

use super::{
    block::{Block, Place},
    file,
};
use crate::audit::{
    query::{self, Line, Problem, Reader, Records, Source},
    record::Head,
};
use std::{io, path::Path};
use uuid::Uuid;

/// The records of a call, in the order of these segments, and what is wrong where they were looked for. Segments without
/// an index are read through.
///
/// # Errors
/// When a segment can't be read.
pub(crate) fn records(sources: &[Source], call: Uuid) -> io::Result<Vec<Result<Line, Problem>>> {
    let mut found = Vec::new();
    for source in sources {
        match file::reach(source) {
            Some(reach) if !reach.may_have(call.into_bytes()) => {}
            Some(_) => match of_index(source, call) {
                Some(lines) => found.extend(lines.into_iter().map(Ok)),
                None => found.extend(scanned(source, call)),
            },
            None => found.extend(scanned(source, call)),
        }
    }
    Ok(found)
}

/// The records of a call in the logs of several nodes, node after node.
///
/// # Errors
/// When a folder can't be read.
pub(crate) fn in_nodes(nodes: &[impl AsRef<Path>], call: Uuid) -> io::Result<Vec<Result<Line, Problem>>> {
    let mut found = Vec::new();
    for node in nodes {
        found.extend(records(&query::sources(node.as_ref())?, call)?);
    }
    Ok(found)
}

fn scanned(source: &Source, call: Uuid) -> impl Iterator<Item = Result<Line, Problem>> {
    let is_of = move |found: &Result<Line, Problem>| found.as_ref().map_or(true, |line| line.head.call == Some(call));
    Records::of_sources(vec![source.clone()]).containing(&call.to_string()).filter(is_of)
}

/// Where an index says that they are; nothing when they are not there.
fn of_index(source: &Source, call: Uuid) -> Option<Vec<Line>> {
    let parts = file::read(source)?.parts;
    let mut places = places(&parts, call);
    places.extend(self::places(&file::whole(source)?, call));
    places.sort_unstable();
    let mut reader = Reader::open(source.clone()).ok()?;
    places.into_iter().map(|place| line(&mut reader, place).filter(|line| line.head.call == Some(call))).collect()
}

fn places(block: &Block, call: Uuid) -> Vec<Place> {
    let call = call.into_bytes();
    let rows = block.rows().filter(|(row, _)| row.call == call);
    let mut places: Vec<Place> =
        rows.flat_map(|(_, range)| block.places.get(range).unwrap_or_default()).copied().collect();
    places.extend(block.others.iter().filter(|other| other.call == Some(call)).map(|other| other.place));
    places
}

/// The record at a place, if one is there.
pub(crate) fn line(reader: &mut Reader, place: Place) -> Option<Line> {
    reader.seek(place.offset, place.line).ok()?;
    let bytes = reader.next()?.ok()?;
    let head = serde_json::from_slice::<Head>(&bytes).ok()?;
    Some(Line { head, bytes, file: reader.path(), line: place.line })
}
