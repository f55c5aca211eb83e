//! Following a log as it grows: records as they come, read from the disk.

use super::query::{self, Line, Problem, Reader, Records, Source};
use std::{io, path::Path};

/// In how many looks it looks for new incarnations, too.
const FOLLOW_ALL_EVERY: u32 = 5;

/// Goes on where reading ended, from segment to segment and from incarnation to incarnation.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    folder: &'a Path,
    reader: Option<Reader>,
    last: Option<Source>,
    /// Looks in a row that found nothing.
    idle: u32,
}

impl<'a> Follower<'a> {
    /// Goes on after these records, the last of which are of `last`.
    pub(crate) fn after(folder: &'a Path, records: Records, last: Option<Source>) -> Self {
        Self { folder, reader: records.into_reader(), last, idle: 0 }
    }

    /// The next record, if it has come meanwhile and is whole.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<Line, Problem>>> {
        if let Some(reader) = &mut self.reader
            && let Some(found) = reader.grown()?
        {
            self.idle = 0;
            return Ok(Some(found));
        }
        let sources = self.sources()?;
        let next = match &self.last {
            None => sources.first(),
            // Found by number: a segment that was closed has another name.
            Some(last) => after(&sources, last),
        };
        let Some(next) = next else { return Ok(None) };
        // What came between the last look and the new segment comes first.
        if let Some(reader) = &mut self.reader
            && let Some(found) = reader.grown()?
        {
            return Ok(Some(found));
        }
        let mut reader = Reader::open(next.clone())?;
        let found = reader.grown()?;
        self.reader = Some(reader);
        self.last = Some(next.clone());
        self.idle = 0;
        Ok(found)
    }

    /// The segments of the incarnation that is read, and now and then of all: looking at those takes longer.
    fn sources(&mut self) -> io::Result<Vec<Source>> {
        self.idle = self.idle.wrapping_add(1);
        match self.last.as_ref().and_then(|last| Some((last.incarnation, last.path.parent()?))) {
            Some((incarnation, directory)) if !self.idle.is_multiple_of(FOLLOW_ALL_EVERY) => {
                query::segments(incarnation, directory)
            }
            _ => query::sources(self.folder),
        }
    }
}

/// The segment after this one, in its incarnation or the next.
fn after<'s>(sources: &'s [Source], last: &Source) -> Option<&'s Source> {
    let same = |source: &&Source| source.incarnation == last.incarnation;
    let later = |source: &&Source| same(source) && (source.first, source.again) > (last.first, last.again);
    sources.iter().find(later).or_else(|| sources.iter().skip_while(|s| !same(s)).find(|s| !same(s)))
}
