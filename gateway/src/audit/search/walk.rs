//! Goes through segments, and gathers what of their calls is meant.
//!
//! First what is known of each segment is fetched, and calls that several segments tell of are joined. Then the calls of each
//! segment are looked through, the newest first, on several threads; those that can't have what is wanted are left out.

use super::{
    Call, End, Means, Question, SearchError, Segment, View, filter::On, groups::Groups, text::Texts, top::Top,
};
use crate::audit::{
    index::{
        self, Index,
        block::{Block, Maker, Place},
        build, file,
    },
    record::Kind,
};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use uuid::Uuid;

/// Most calls that stay in memory between the two passes; what does not is read twice.
const HELD_MAX: usize = 4_000_000;

/// What was gathered.
#[derive(Debug)]
pub(crate) enum Gathered {
    Calls(Top<Box<Call>>),
    /// Where the records of each call, and each other record, are.
    Records(Top<Vec<Place>>),
    Groups(Groups),
}

/// Calls of a block that are looked through.
struct Looked<'a> {
    block: &'a Block,
    node: &'a Arc<str>,
    incarnation: Uuid,
}

pub(crate) fn walk(
    segments: &[Segment],
    question: &Question,
    means: Means<'_>,
) -> Result<(Gathered, End), SearchError> {
    let (search, held) =
        (Search { segments, question, means, texts: Texts::new(&question.filter.texts) }, AtomicUsize::new(0));
    let fetched = each(segments.len(), means.workers, |number| search.fetch(number, &held))?;
    let (mut end, mut indexes) = (End::default(), Vec::new());
    for mut index in fetched {
        std::mem::take(&mut index.problems).into_iter().for_each(|problem| end.problem(&problem));
        indexes.push(index);
    }
    let mut gathered = question.begin();
    for (block, node, incarnation) in join(segments, &indexes) {
        search.look(&Looked { block: &block, node: &node, incarnation }, &mut gathered)?;
    }
    if let (View::Records(kinds), Gathered::Records(top)) = (&question.view, &mut gathered) {
        for index in &indexes {
            search.others(&index.parts, kinds, top)?;
        }
    }
    // Those that may have the newest first: with them found, the others need not be looked through.
    let latest = |number: &usize| indexes.get(*number).and_then(|index| index.reach.times).map_or(i64::MIN, |t| t.1);
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by_key(|number| std::cmp::Reverse(latest(number)));
    let parts = workers(means.workers, order.len(), question, |turn, gathered| match order.get(turn) {
        Some(number) => search.whole(*number, indexes.get(*number), gathered),
        None => Ok(true),
    })?;
    end.counted = true;
    for (part, counted) in parts {
        end.counted &= counted;
        gathered.merge(part)?;
    }
    end.found = gathered.found();
    Ok((gathered, end))
}

/// What is asked, and of what.
struct Search<'a> {
    segments: &'a [Segment],
    question: &'a Question,
    means: Means<'a>,
    texts: Option<Texts>,
}

impl Search<'_> {
    fn stopped(&self) -> bool {
        (self.means.stop)()
    }

    /// What is known of a segment.
    fn fetch(&self, number: usize, held: &AtomicUsize) -> Result<Index, SearchError> {
        if self.stopped() {
            return Err(SearchError::Stopped);
        }
        let Some(Segment { source, .. }) = self.segments.get(number) else { return Err(SearchError::Stopped) };
        let stop = || self.stopped();
        let made = match self.means.index {
            true => index::of(source, &stop),
            false => build::build(source, &stop).map(|built| built.index),
        };
        let mut index = match made.map_err(stopped) {
            // A segment that is gone, or another's, hides no other one.
            Err(SearchError::Io(error)) => Index::unreadable(source, error),
            made => made?,
        };
        let rows = index.whole.as_ref().map_or(0, |block| block.rows.len());
        if held.fetch_add(rows, Ordering::Relaxed) + rows > HELD_MAX {
            held.fetch_sub(rows, Ordering::Relaxed);
            index.whole = None;
        }
        let segment = u32::try_from(number).unwrap_or(u32::MAX);
        index.parts.lie_in(segment);
        Ok(index)
    }

    /// Looks through the whole calls of a segment. Whether it did, or had reason to know that none is wanted.
    fn whole(&self, number: usize, index: Option<&Index>, gathered: &mut Gathered) -> Result<bool, SearchError> {
        let (Some(index), Some(segment)) = (index, self.segments.get(number)) else { return Ok(true) };
        if self.stopped() {
            return Err(SearchError::Stopped);
        }
        if !self.question.filter.may_take(&index.reach) {
            return Ok(true);
        }
        if let Some((_, latest)) = index.reach.times
            && !self.question.oldest
            && gathered.is_past(latest)
        {
            return Ok(false);
        }
        let read;
        let block = match &index.whole {
            Some(block) => block,
            None => {
                read = self.read(segment)?;
                &read
            }
        };
        let incarnation = segment.source.incarnation;
        let looked = Looked { block, node: &segment.node, incarnation };
        self.look_in(Some(number), &looked, gathered)?;
        Ok(true)
    }

    fn read(&self, segment: &Segment) -> Result<Block, SearchError> {
        if self.means.index
            && let Some(block) = file::whole(&segment.source)
        {
            return Ok(block);
        }
        let built = build::build(&segment.source, &|| self.stopped()).map_err(stopped)?;
        Ok(built.index.whole.unwrap_or_default())
    }

    fn look(&self, looked: &Looked<'_>, gathered: &mut Gathered) -> Result<(), SearchError> {
        self.look_in(None, looked, gathered)
    }

    /// Gathers the calls that are meant. The records of a segment's whole calls are all in it.
    fn look_in(&self, home: Option<usize>, looked: &Looked<'_>, gathered: &mut Gathered) -> Result<(), SearchError> {
        let on = On::new(&self.question.filter, looked.block);
        let block = looked.block;
        let home = home.and_then(|number| u32::try_from(number).ok());
        let of = |range: std::ops::Range<usize>| -> Vec<Place> {
            let mut places = block.places.get(range).unwrap_or_default().to_vec();
            if let Some(home) = home {
                places.iter_mut().for_each(|place| place.segment = home);
            }
            places
        };
        let wanted = |row: &index::block::Row, gathered: &Gathered| on.takes(row) && !gathered.is_past(row.at());
        let texts = match &self.texts {
            None => None,
            Some(texts) => {
                let taken = block.rows().enumerate().filter(|(_, (row, _))| wanted(row, gathered));
                let places = taken.flat_map(|(number, (_, range))| of(range).into_iter().map(move |p| (p, number)));
                Some(texts.found(self.segments, places.collect(), &|| self.stopped()).map_err(stopped)?)
            }
        };
        let taken = block
            .rows()
            .enumerate()
            .filter(|(number, (row, _))| on.takes(row) && texts.as_ref().is_none_or(|texts| texts.contains(number)));
        match gathered {
            Gathered::Calls(top) => taken.for_each(|(_, (row, _))| {
                top.add(row.at(), row.call, || Box::new(Call::of(row, block, looked.node, looked.incarnation)));
            }),
            Gathered::Records(top) => {
                if let View::Records(kinds) = &self.question.view
                    && (kinds.is_empty() || kinds.iter().any(|kind| is_story(*kind)))
                {
                    taken.for_each(|(_, (row, range))| top.add(row.at(), row.call, || of(range)));
                }
            }
            Gathered::Groups(groups) => {
                groups.add((block, looked.node), |local| taken.for_each(|(_, (row, _))| local.add(row)))?;
            }
        }
        Ok(())
    }

    /// Gathers the records that are no call's story.
    fn others(&self, parts: &Block, kinds: &[Kind], top: &mut Top<Vec<Place>>) -> Result<(), SearchError> {
        let on = On::new(&self.question.filter, parts);
        let taken: Vec<_> = parts.others.iter().filter(|other| on.takes_other(other, kinds)).collect();
        let texts = match &self.texts {
            None => None,
            Some(texts) => {
                let places = taken.iter().enumerate().map(|(number, other)| (other.place, number)).collect();
                Some(texts.found(self.segments, places, &|| self.stopped()).map_err(stopped)?)
            }
        };
        for (number, other) in taken.into_iter().enumerate() {
            if texts.as_ref().is_none_or(|texts| texts.contains(&number)) {
                top.add(other.at, other.call.unwrap_or_default(), || vec![other.place]);
            }
        }
        Ok(())
    }
}

/// Calls that several segments tell of, or that have no end, joined: a block for each incarnation.
fn join(segments: &[Segment], indexes: &[Index]) -> Vec<(Block, Arc<str>, Uuid)> {
    let mut by_log: BTreeMap<(Arc<str>, Uuid), Vec<&Block>> = BTreeMap::new();
    for (segment, index) in segments.iter().zip(indexes) {
        by_log.entry((segment.node.clone(), segment.source.incarnation)).or_default().push(&index.parts);
    }
    let joined = by_log.into_iter().map(|((node, incarnation), parts)| {
        let mut maker = Maker::default();
        let mut told: Vec<(index::block::Row, Vec<Place>)> = Vec::new();
        let mut by_call = HashMap::new();
        for part in parts {
            for (row, range) in part.rows() {
                let places = part.places.get(range).unwrap_or_default();
                let row = maker.adopt(row, part);
                match by_call.get(&row.call).and_then(|number: &usize| told.get_mut(*number)) {
                    Some((before, all)) => {
                        before.follow(&row);
                        all.extend_from_slice(places);
                    }
                    None => {
                        by_call.insert(row.call, told.len());
                        told.push((row, places.to_vec()));
                    }
                }
            }
        }
        for (row, places) in told {
            maker.rows.push(row);
            maker.places.extend(places);
        }
        (maker.block(), node, incarnation)
    });
    joined.collect()
}

/// Whether records of this kind tell the story of a call.
pub(crate) fn is_story(kind: Kind) -> bool {
    match kind {
        Kind::Intent | Kind::Attempt | Kind::Answered | Kind::Closed | Kind::Refused => true,
        Kind::Shadow | Kind::Summary | Kind::Admin | Kind::System => false,
    }
}

fn stopped(error: io::Error) -> SearchError {
    if error.kind() == io::ErrorKind::TimedOut { SearchError::Stopped } else { SearchError::Io(error) }
}

impl Question {
    fn begin(&self) -> Gathered {
        match (&self.view, self.view.fields()) {
            (view, Some(fields)) => Gathered::Groups(Groups::new(fields, *view == View::Functions)),
            (View::Records(_), None) => Gathered::Records(Top::new(self.limit, self.oldest)),
            (_, None) => Gathered::Calls(Top::new(self.limit, self.oldest)),
        }
    }
}

impl Gathered {
    fn is_past(&self, at: i64) -> bool {
        match self {
            Self::Calls(top) => top.is_past(at),
            Self::Records(top) => top.is_past(at),
            Self::Groups(_) => false,
        }
    }

    fn found(&self) -> u64 {
        match self {
            Self::Calls(top) => top.found,
            Self::Records(top) => top.found,
            Self::Groups(groups) => groups.found,
        }
    }

    fn merge(&mut self, other: Self) -> Result<(), SearchError> {
        match (self, other) {
            (Self::Calls(mine), Self::Calls(more)) => mine.merge(more),
            (Self::Records(mine), Self::Records(more)) => mine.merge(more),
            (Self::Groups(mine), Self::Groups(more)) => mine.merge(more)?,
            // Each part began with the same question.
            _ => {}
        }
        Ok(())
    }
}

/// Does so many pieces of work on some threads; what they make, in order.
fn each<T: Send>(
    number: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, SearchError> + Sync,
) -> Result<Vec<T>, SearchError> {
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(number)));
    let run = || -> Result<(), SearchError> {
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= number {
                return Ok(());
            }
            let done = work(turn)?;
            made.lock().unwrap_or_else(PoisonError::into_inner).push((turn, done));
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(number)).map(|_| scope.spawn(run)).collect();
        let mine = run();
        let all = others.into_iter().map(|thread| thread.join().unwrap_or(Err(SearchError::Stopped)));
        all.fold(mine, Result::and)
    })?;
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.sort_unstable_by_key(|(turn, _)| *turn);
    Ok(made.into_iter().map(|(_, done)| done).collect())
}

/// Does so many pieces of work on some threads, each gathering for itself; and whether they did all of it.
fn workers(
    threads: usize,
    number: usize,
    question: &Question,
    work: impl Fn(usize, &mut Gathered) -> Result<bool, SearchError> + Sync,
) -> Result<Vec<(Gathered, bool)>, SearchError> {
    let next = AtomicUsize::new(0);
    each(threads.clamp(1, number.max(1)), threads, |_| {
        let (mut gathered, mut all) = (question.begin(), true);
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= number {
                return Ok((gathered, all));
            }
            all &= work(turn, &mut gathered)?;
        }
    })
}
