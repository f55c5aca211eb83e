//! In which order the permitted targets of one call are asked, and why.

use super::{Dispatch, Order};
use crate::function::{Function, Target};
use policy::permit::TargetIndex;
use tokio::time::Instant;

/// One call in so many goes to another target than the best, so that what is known of the others stays true.
const EXPLORED: u32 = 32;

/// The order of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    order: Sequence,
    chosen: Chosen,
    resting: Vec<TargetIndex>,
}

/// Most calls have one target, and then no list is made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sequence {
    One([TargetIndex; 1]),
    Many(Vec<TargetIndex>),
}

/// Why the first target is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chosen {
    /// It is the only one that is permitted.
    Only,
    /// It is the first of the list that works.
    Listed,
    /// The lot fell on it.
    Weighted,
    /// It costs least.
    Cheapest,
    /// It answers fastest.
    Fastest,
    /// So that what is known of it stays true.
    Explored,
    /// None works, and this one has rested longest.
    Resting,
}

impl Chosen {
    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Listed => "listed",
            Self::Weighted => "weighted",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Explored => "explored",
            Self::Resting => "resting",
        }
    }
}

impl Plan {
    /// The order among what policy allows; empty if that is nothing.
    #[must_use]
    pub fn new(function: &Function, allowed: &[TargetIndex]) -> Self {
        if let [only] = allowed {
            return Self { order: Sequence::One([*only]), chosen: Chosen::Only, resting: Vec::new() };
        }
        let now = Instant::now();
        let known = allowed.iter().filter_map(|index| function.target(*index));
        let (mut good, mut resting): (Vec<&Target>, Vec<&Target>) =
            known.partition(|target| target.health.is_good(now));
        resting.sort_by_key(|target| target.health.rested_at());
        let mut chosen = Chosen::Resting;
        while !good.is_empty() {
            let (place, why) = first(&function.dispatch, &good);
            // One that has just rested is for one call to find out; whoever else comes goes on.
            if good.get(place).is_some_and(|target| target.health.take(&function.dispatch, now)) {
                let first = good.remove(place);
                rank(&function.dispatch, &mut good);
                good.insert(0, first);
                chosen = why;
                break;
            }
            resting.push(good.remove(place));
        }
        let rests = resting.iter().map(|target| target.index).collect();
        let order = good.into_iter().chain(resting).map(|target| target.index).collect();
        Self { order: Sequence::Many(order), chosen, resting: rests }
    }

    /// The first target alone, or another one of them; `None` if it is not one of them.
    #[must_use]
    pub fn only(&self, target: Option<TargetIndex>) -> Option<Self> {
        let mut order = self.order().iter();
        let only = match target {
            None => order.next(),
            Some(target) => order.find(|index| **index == target),
        };
        Some(Self { order: Sequence::One([*only?]), chosen: Chosen::Only, resting: Vec::new() })
    }

    /// The targets, the first to be asked first.
    #[must_use]
    pub fn order(&self) -> &[TargetIndex] {
        match &self.order {
            Sequence::One(one) => one,
            Sequence::Many(many) => many,
        }
    }

    /// Why the first is the first.
    #[must_use]
    pub fn chosen(&self) -> Chosen {
        self.chosen
    }

    /// Those that are permitted and do not work at the moment.
    #[must_use]
    pub fn resting(&self) -> &[TargetIndex] {
        &self.resting
    }
}

/// The place of the one that is asked first among those that work.
fn first(dispatch: &Dispatch, good: &[&Target]) -> (usize, Chosen) {
    let best = || best(dispatch, good);
    match dispatch.order {
        Order::Listed => (0, Chosen::Listed),
        Order::Weighted => (drawn(good), Chosen::Weighted),
        Order::Cheapest | Order::Fastest if good.len() > 1 && fastrand::u32(..EXPLORED) == 0 => {
            let other = fastrand::usize(..good.len() - 1);
            (if other >= best() { other + 1 } else { other }, Chosen::Explored)
        }
        Order::Cheapest => (best(), Chosen::Cheapest),
        Order::Fastest => (best(), Chosen::Fastest),
    }
}

/// The place of the best; of equals the first listed.
fn best(dispatch: &Dispatch, good: &[&Target]) -> usize {
    let scores = good.iter().map(|target| score(dispatch, target)).enumerate();
    scores.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(place, _)| place)
}

/// By lot, as weights say; without any, all are equal.
fn drawn(good: &[&Target]) -> usize {
    let sum: u64 = good.iter().map(|target| u64::from(target.weight)).sum();
    if sum == 0 {
        return fastrand::usize(..good.len());
    }
    let mut lot = fastrand::u64(..sum);
    let hit = |target: &&Target| {
        let weight = u64::from(target.weight);
        let here = lot < weight;
        lot = lot.saturating_sub(weight);
        here
    };
    good.iter().position(hit).unwrap_or(0)
}

/// What comes after the first.
fn rank(dispatch: &Dispatch, rest: &mut [&Target]) {
    match dispatch.order {
        Order::Listed => {}
        Order::Weighted => rest.sort_by_key(|target| std::cmp::Reverse(target.weight)),
        Order::Cheapest | Order::Fastest => {
            rest.sort_by(|a, b| score(dispatch, a).total_cmp(&score(dispatch, b)));
        }
    }
}

/// The smaller the better. What was never measured is tried first.
fn score(dispatch: &Dispatch, target: &Target) -> f64 {
    match dispatch.order {
        Order::Cheapest => target.measured.cost().unwrap_or(if target.price.is_some() { 0.0 } else { f64::INFINITY }),
        Order::Fastest => target.measured.seconds().unwrap_or(0.0) * f64::from(target.measured.running() + 1),
        Order::Listed | Order::Weighted => 0.0,
    }
}
