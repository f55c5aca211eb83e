//! The tree against `ct-merkle`, another implementation of the same RFC, and against what is hostile.

use super::*;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

/// Largest random tree.
const LEAVES_MAX: u64 = 300;

fn leaf(number: u64) -> Vec<u8> {
    format!("record {number}").into_bytes()
}

fn frontier(leaves: Range<u64>) -> Frontier {
    let mut frontier = Frontier::default();
    leaves.for_each(|number| frontier.push(Hash::of_leaf(&leaf(number))));
    frontier
}

fn hashes(ranges: Vec<Range<u64>>) -> Vec<Hash> {
    ranges.into_iter().map(|range| frontier(range).root()).collect()
}

fn oracle(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|number| tree.push(leaf(number)));
    tree
}

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

#[test]
fn small_trees_are_those_of_the_rfc() {
    let text = |root: Hash| root.0.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(text(Hash::of_nothing()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(text(Hash::of_leaf(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

proptest! {
    #[test]
    fn roots_and_inclusion_are_the_oracles(size in 1..LEAVES_MAX, at in any::<prop::sample::Index>()) {
        let (tree, index) = (oracle(size), at.index(size as usize) as u64);
        let root = frontier(0..size).root();
        prop_assert_eq!(root.0.to_vec(), tree.root().as_bytes().to_vec());
        let proof = hashes(inclusion(index, size).unwrap());
        prop_assert_eq!(bytes(&proof), tree.prove_inclusion(index as usize).as_bytes().to_vec());
        prop_assert!(includes(&Hash::of_leaf(&leaf(index)), index, size, &proof, &root));
    }

    #[test]
    fn consistency_is_the_oracles(size in 2..LEAVES_MAX, at in any::<prop::sample::Index>()) {
        let old = 1 + at.index(size as usize - 1) as u64;
        let (old_root, root) = (frontier(0..old).root(), frontier(0..size).root());
        let proof = hashes(consistency(old, size).unwrap());
        let tree = oracle(size);
        prop_assert_eq!(bytes(&proof), tree.prove_consistency((size - old) as usize).as_bytes().to_vec());
        prop_assert!(extends(old, &old_root, size, &root, &proof));
    }

    #[test]
    fn a_proof_that_was_touched_proves_nothing(
        size in 2..LEAVES_MAX,
        at in any::<prop::sample::Index>(),
        which in any::<prop::sample::Index>(),
        bit in 0..256_usize,
    ) {
        let index = at.index(size as usize) as u64;
        let (leaf, root) = (Hash::of_leaf(&leaf(index)), frontier(0..size).root());
        let proof = hashes(inclusion(index, size).unwrap());
        let mut flipped = proof.clone();
        flipped[which.index(proof.len())].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!includes(&leaf, index, size, &flipped, &root));
        prop_assert!(!includes(&leaf, index, size, &proof[1..], &root));
        prop_assert!(!includes(&leaf, index, size, &[proof.clone(), vec![root]].concat(), &root));
        prop_assert!(!includes(&leaf, (index + 1) % size, size, &proof, &root));
        let old = index.max(1);
        if old < size {
            let old_root = frontier(0..old).root();
            let proof = hashes(consistency(old, size).unwrap());
            let mut flipped = proof.clone();
            flipped[which.index(proof.len())].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!extends(old, &old_root, size, &root, &flipped));
            prop_assert!(!extends(old, &old_root, size, &root, &proof[1..]));
            prop_assert!(!extends(old, &old_root, size, &root, &[proof.clone(), vec![root]].concat()));
            prop_assert!(!extends(old, &root, size, &old_root, &proof));
        }
    }

    #[test]
    fn a_tree_is_taken_up_where_it_was_left(before in 0..LEAVES_MAX, after in 0..LEAVES_MAX) {
        let left = frontier(0..before);
        let mut taken = Frontier::resume(left.size(), left.roots().to_vec()).unwrap();
        (before..before + after).for_each(|number| taken.push(Hash::of_leaf(&leaf(number))));
        prop_assert_eq!(taken, frontier(0..before + after));
        prop_assert!(Frontier::resume(before * 2 + 1, left.roots().to_vec()).is_none());
    }
}

#[test]
fn the_edges_are_refused() {
    let (root, nothing) = (frontier(0..5).root(), Hash::of_nothing());
    assert!(!includes(&root, 0, 0, &[], &root));
    assert!(!includes(&root, 5, 5, &[], &root));
    assert!(!includes(&root, u64::MAX, u64::MAX, &[root; 64], &root));
    assert!(!includes(&root, 0, 1, &[root; 65], &root));
    assert!(extends(0, &nothing, 5, &root, &[]));
    assert!(!extends(0, &root, 5, &root, &[]));
    assert!(!extends(0, &nothing, 0, &root, &[]));
    assert!(extends(5, &root, 5, &root, &[]));
    assert!(!extends(5, &root, 5, &root, &[root]));
    assert!(!extends(6, &root, 5, &root, &[]));
    assert!(!extends(3, &root, 5, &root, &[]));
    assert!(!extends(u64::MAX - 1, &root, u64::MAX, &root, &[root; 64]));
    assert_eq!(inclusion(5, 5), None);
    assert_eq!(consistency(6, 5), None);
}
