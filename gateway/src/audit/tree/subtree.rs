//! Complete subtrees: what stands for a run of leaves that are not there any more.

use super::{Frontier, Hash};
use std::ops::Range;

/// The fewest complete subtrees that cover these leaves, in order. Each is a node of every tree that has all of them.
#[must_use]
pub fn subtrees(leaves: Range<u64>) -> Vec<Range<u64>> {
    let (mut start, mut found) = (leaves.start, Vec::new());
    while start < leaves.end {
        let fitting = 1 << (leaves.end - start).ilog2();
        let aligned = if start == 0 { fitting } else { 1 << start.trailing_zeros() };
        let end = start + fitting.min(aligned);
        found.push(start..end);
        start = end;
    }
    found
}

impl Frontier {
    /// Adds a complete subtree of so many leaves; `false`, and nothing is added, if none can be there.
    #[must_use]
    pub fn push_subtree(&mut self, leaves: u64, root: Hash) -> bool {
        if !leaves.is_power_of_two() || !self.size.is_multiple_of(leaves) || self.size.checked_add(leaves).is_none() {
            return false;
        }
        let mut node = root;
        // As when a leaf is pushed, only that the tree's last levels are in the subtree.
        for _ in 0..(self.size / leaves).trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = Hash::of_node(&left, &node);
            }
        }
        self.roots.push(node);
        self.size += leaves;
        true
    }
}
