//! The Merkle tree over a log (RFC 9162 §2.1, SHA-256): its root, kept in a few hashes, and what proves things of it.
//!
//! The hash of any run of leaves is the root of a tree of its own over them, so that a proof is a list of [`Range`]s to
//! hash in one pass over the records; no node is stored.

use aws_lc_rs::digest::{Context, SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{fmt, ops::Range};

mod subtree;
#[cfg(test)]
mod tests;

pub use subtree::subtrees;

/// Most hashes in a proof: one per level on either side of a tree of 2⁶³ leaves.
pub const PROOF_HASHES_MAX: usize = 64;
const LEAF: u8 = 0;
const NODE: u8 = 1;
const HASH_BYTES: usize = 32;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// Reads base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The hash of a leaf with these bytes.
    #[must_use]
    pub fn of_leaf(bytes: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[LEAF]);
        context.update(bytes);
        Self::from(context.finish().as_ref())
    }

    /// The hash of an inner node.
    #[must_use]
    pub fn of_node(left: &Self, right: &Self) -> Self {
        let mut bytes = [NODE; 1 + 2 * HASH_BYTES];
        let (_, children) = bytes.split_at_mut(1);
        let (first, second) = children.split_at_mut(HASH_BYTES);
        first.copy_from_slice(&left.0);
        second.copy_from_slice(&right.0);
        Self::from(digest(&SHA256, &bytes).as_ref())
    }

    /// The root of the tree without leaves.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self::from(digest(&SHA256, &[]).as_ref())
    }

    fn from(bytes: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(bytes);
        Self(hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A tree that grows: how many leaves it has, and the roots of its complete subtrees, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Takes up a tree where it was left; `None` if there are not as many roots as such a tree has.
    #[must_use]
    pub fn resume(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // As many subtrees are completed as the number of leaves ends in ones.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = Hash::of_node(&left, &node);
            }
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev().copied();
        let Some(last) = roots.next() else { return Hash::of_nothing() };
        roots.fold(last, |right, left| Hash::of_node(&left, &right))
    }
}

/// Which runs of leaves an inclusion proof hashes, from the leaf's sibling up. `None` if there is no such leaf.
#[must_use]
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let (mut tree, mut proof) = (0..size, Vec::new());
    while tree.end - tree.start > 1 {
        let middle = tree.start + split(tree.end - tree.start);
        let (inside, sibling) = if index < middle {
            (tree.start..middle, middle..tree.end)
        } else {
            (middle..tree.end, tree.start..middle)
        };
        proof.push(sibling);
        tree = inside;
    }
    proof.reverse();
    Some(proof)
}

/// Which runs of leaves a consistency proof hashes, in its order. `None` if the tree did not grow to that size.
#[must_use]
pub fn consistency(old: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if old > size {
        return None;
    }
    if old == 0 || old == size {
        return Some(Vec::new());
    }
    let (mut tree, mut proof, mut whole) = (0..size, Vec::new(), true);
    while old != tree.end {
        let middle = tree.start + split(tree.end - tree.start);
        if old <= middle {
            proof.push(middle..tree.end);
            tree = tree.start..middle;
        } else {
            proof.push(tree.start..middle);
            tree = middle..tree.end;
            whole = false;
        }
    }
    if !whole {
        proof.push(tree);
    }
    proof.reverse();
    Some(proof)
}

/// The largest power of two below `leaves`, which are at least two.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// Whether the leaf with this hash is at `index` in the tree of `size` leaves with this root (RFC 9162 §2.1.3.2).
#[must_use]
pub fn includes(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut position, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if position % 2 == 1 || position == last {
            hash = Hash::of_node(sibling, &hash);
            while position % 2 == 0 && position != 0 {
                position /= 2;
                last /= 2;
            }
        } else {
            hash = Hash::of_node(&hash, sibling);
        }
        position /= 2;
        last /= 2;
    }
    last == 0 && hash == *root
}

/// Whether the tree of `size` leaves with root `new_root` begins with the tree of `old` leaves with root `old_root`
/// (RFC 9162 §2.1.4.2).
#[must_use]
pub fn extends(old: u64, old_root: &Hash, size: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == Hash::of_nothing() && (size > 0 || new_root == old_root);
    }
    if old == size {
        return proof.is_empty() && old_root == new_root;
    }
    let mut hashes = proof.iter();
    // A complete tree is a node of the new one, and its root need not be sent.
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut position, mut last) = (old - 1, size - 1);
    while position % 2 == 1 {
        position /= 2;
        last /= 2;
    }
    let (mut from_old, mut from_new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if position % 2 == 1 || position == last {
            from_old = Hash::of_node(hash, &from_old);
            from_new = Hash::of_node(hash, &from_new);
            while position % 2 == 0 && position != 0 {
                position /= 2;
                last /= 2;
            }
        } else {
            from_new = Hash::of_node(&from_new, hash);
        }
        position /= 2;
        last /= 2;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}
