//! One of the two bundles that are compared.

use super::{
    head::{Asked, Index},
    special::Reviewed,
};
use crate::{
    bundle::{self, Source, grants::Surroundings},
    declared::Declared,
    engine::Snapshot,
    finding::Finding,
};
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// A bundle made ready to be compared: loaded as the gateway would, and its policies as a proof needs them.
pub struct Side {
    pub(super) declared: Arc<Declared>,
    pub(super) policies: Vec<Reviewed>,
    snapshot: Snapshot,
    index: Index,
}

impl Side {
    /// Loads it; the second part are warnings.
    ///
    /// # Errors
    /// When the gateway would not load it.
    pub fn new(
        sources: &[Source],
        declared: Arc<Declared>,
        now: Timestamp,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let (snapshot, warnings) = bundle::load(sources, Arc::clone(&declared), now)?;
        let mut policies = Vec::new();
        let around = Surroundings { vocabulary: snapshot.vocabulary(), declared: &declared };
        let written = bundle::read(sources, Some(around), &mut Vec::new());
        // What is in shadow grants and guards nothing.
        for written in written.into_iter().filter(|written| !written.shadowed) {
            let reviewed = Reviewed::new(&written);
            policies.push(reviewed.map_err(|message| vec![written.place.finding("not_reviewable", message, None)])?);
        }
        let index = Index::new(policies.iter().map(|policy| &policy.head));
        Ok((Self { declared, policies, snapshot, index }, warnings))
    }

    /// The loaded bundle.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The policies that can concern an action and a resource.
    pub(super) fn slice(&self, asked: &Asked) -> Vec<&Reviewed> {
        let near = self.index.near(asked).into_iter().filter_map(|place| self.policies.get(place));
        near.filter(|policy| policy.head.matches(asked)).collect()
    }
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("bundle", self.snapshot.id()).field("policies", &self.policies.len()).finish()
    }
}
