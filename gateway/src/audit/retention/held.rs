//! Which segments are on legal hold: everything, or those that have records of somebody who is.

use super::stock::Stored;
use crate::audit::{
    query::Records,
    record::Kind,
    subject::{NOBODY, hold::Holds},
};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};
use uuid::Uuid;

/// See the file's first line. What was found is remembered until something else is on hold.
#[derive(Debug, Default)]
pub(crate) struct Held {
    holds: Holds,
    known: HashMap<(Uuid, u64), bool>,
    /// Calls of those who are on hold, by incarnation: their ends may be in a later segment.
    calls: HashSet<(Uuid, Uuid)>,
}

/// What of a record says whose it is.
#[derive(Deserialize)]
struct Whose<'a> {
    kind: Kind,
    #[serde(default)]
    call: Option<Uuid>,
    #[serde(default, borrow)]
    principal: Option<Who<'a>>,
    #[serde(default, borrow)]
    who: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    detail: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Who<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl Held {
    /// From now on this is on hold.
    pub(crate) fn follow(&mut self, holds: Holds) {
        if holds != self.holds {
            *self = Self { holds, ..Self::default() };
        }
    }

    /// What it goes by.
    pub(crate) fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Whether a segment is on hold. One that can't be read is, as long as anybody is on hold.
    pub(crate) fn has(&mut self, segment: &Stored) -> bool {
        if self.holds.all.is_some() || self.holds.subjects.is_empty() {
            return self.holds.all.is_some();
        }
        let key = (segment.incarnation, segment.name.first);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let mut found = false;
        for line in Records::of_sources(vec![segment.source()]) {
            let whose = line.as_ref().ok().and_then(|line| serde_json::from_slice::<Whose<'_>>(&line.bytes).ok());
            // All of it is read, so that the calls are known that end later.
            found |= whose.is_none_or(|whose| self.concerns(segment.incarnation, &whose));
        }
        self.known.insert(key, found);
        found
    }

    fn concerns(&mut self, incarnation: Uuid, whose: &Whose<'_>) -> bool {
        let on_hold = |id: &str| self.holds.subjects.contains_key(id);
        let named = match (&whose.principal, whose.kind) {
            (Some(principal), _) => on_hold(&principal.id),
            (None, Kind::Refused | Kind::Summary) => on_hold(NOBODY),
            // What was done about somebody names them in its detail.
            (None, Kind::Admin) => {
                let detail = whose.detail.as_deref().unwrap_or_default();
                whose.who.as_deref().is_some_and(on_hold)
                    || self.holds.subjects.keys().any(|subject| detail.contains(subject.as_str()))
            }
            (None, _) => false,
        };
        let Some(call) = whose.call else { return named };
        if named {
            self.calls.insert((incarnation, call));
        }
        named || self.calls.contains(&(incarnation, call))
    }
}
