//! Policies that are asked beside those in force. What they would have answered is counted and recorded; no call waits for
//! it, and none is answered otherwise.

mod beside;
mod copied;
mod input;
mod judge;
mod load;

pub use beside::Beside;
pub use judge::Judge;
pub use load::Read;
pub(crate) use load::read;

use crate::{config::Config, emergency::Emergencies, signed::Signed};
use policy::{
    bundle::Source,
    engine::Snapshot,
    finding::Finding,
    permit::BundleId,
    question::{FunctionName, Principal},
    shadow::{Kind, Shadow},
};
use std::sync::Arc;

/// What is asked beside the policies in force.
#[derive(Clone, Debug)]
pub struct Shadows {
    all: Arc<[Shadow]>,
    bundle: Option<Good>,
    problems: Vec<Finding>,
}

/// A shadow bundle that loaded.
#[derive(Clone, Debug)]
struct Good {
    id: BundleId,
    sources: Arc<[Source]>,
    signed: Option<Arc<Signed>>,
}

impl Shadows {
    /// The shadow of a snapshot, and the bundle that the configuration names. A bundle that can't be asked is told of; the
    /// last good one stays.
    #[must_use]
    pub fn new(
        snapshot: &Snapshot,
        read: Option<Read>,
        (emergencies, config): (&Emergencies, &Config),
        before: Option<&Self>,
    ) -> Self {
        let mut all: Vec<Shadow> = snapshot.shadow().into_iter().collect();
        let (mut bundle, mut problems) = (None, Vec::new());
        if let Some(read) = read {
            let asked = before.and_then(|before| before.all.iter().find(|shadow| shadow.kind() == Kind::Bundle));
            let load = |sources: &[Source], signed: Option<&Signed>| {
                load::shadow((snapshot, asked), sources, signed, (emergencies, config))
            };
            let fresh = read.and_then(|(sources, signed)| {
                let shadow = load(&sources, signed.as_deref())?;
                Ok((shadow, sources.into(), signed))
            });
            let asked = fresh.or_else(|findings| {
                problems = findings;
                // What was good once may not fit another catalog.
                let good = before.and_then(|before| before.bundle.clone()).ok_or(())?;
                let shadow = load(&good.sources, good.signed.as_deref()).map_err(drop)?;
                Ok::<_, ()>((shadow, good.sources, good.signed))
            });
            if let Ok((shadow, sources, signed)) = asked {
                bundle = Some(Good { id: shadow.id().clone(), sources, signed });
                all.push(shadow);
            }
        }
        Self { all: all.into(), bundle, problems }
    }

    /// The same for another snapshot of the same configuration.
    #[must_use]
    pub fn again(&self, snapshot: &Snapshot, around: (&Emergencies, &Config)) -> Self {
        let read = self.bundle.as_ref().map(|good| Ok((good.sources.to_vec(), good.signed.clone())));
        let next = Self::new(snapshot, read, around, Some(self));
        let problems = [self.problems.clone(), next.problems].concat();
        Self { problems, ..next }
    }

    /// Whether the same bundle is asked, and the same is wrong.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let id = |shadows: &Self| shadows.bundle.as_ref().map(|good| good.id.clone());
        id(self) == id(other) && self.problems == other.problems
    }

    /// Why the bundle on disk is not the one that is asked.
    #[must_use]
    pub fn problems(&self) -> &[Finding] {
        &self.problems
    }

    /// Whether the answer of any can depend on the input.
    #[must_use]
    pub fn need_input(&self, function: &FunctionName, principal: &Principal) -> bool {
        self.all.iter().any(|shadow| shadow.needs_input(function, principal))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
