//! Remembers verified tokens by their digest, never the tokens themselves.

use super::Identity;
use aws_lc_rs::digest::{Context, SHA256};
use quick_cache::{Weighter, sync};
use std::sync::Arc;

/// About how much memory remembered tokens may take, in bytes.
const CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How many tokens are expected.
const TOKENS_EXPECTED: usize = 16 * 1024;
/// What an entry takes besides what came from its token, in bytes.
const ENTRY_BYTES: u64 = 512;

/// SHA-256 over a token and the issuers that count where it was shown.
pub(crate) type Digest = [u8; 32];

/// A verified token.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Whose it is.
    pub(crate) identity: Arc<Identity>,
    /// The generation of the key set that verified it.
    pub(crate) generation: u64,
}

/// Verified tokens, bounded.
pub(crate) struct Cache(sync::Cache<Digest, (Entry, usize), ByTokenSize>);

#[derive(Clone)]
struct ByTokenSize;

impl Weighter<Digest, (Entry, usize)> for ByTokenSize {
    fn weight(&self, _: &Digest, (_, token_bytes): &(Entry, usize)) -> u64 {
        ENTRY_BYTES + 2 * (*token_bytes as u64)
    }
}

impl Cache {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::new(Self(sync::Cache::with_weighter(TOKENS_EXPECTED, CACHE_BYTES_MAX, ByTokenSize)))
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Entry> {
        self.0.get(digest).map(|(entry, _)| entry)
    }

    pub(crate) fn insert(&self, digest: Digest, entry: Entry, token_bytes: usize) {
        self.0.insert(digest, (entry, token_bytes));
    }

    pub(crate) fn remove(&self, digest: &Digest) {
        self.0.remove(digest);
    }
}

/// INVARIANT: the same token has another digest where other issuers count, or where one of them changed.
pub(crate) fn digest(token: &str, instances: impl Iterator<Item = u64>) -> Digest {
    let mut context = Context::new(&SHA256);
    let mut count: u64 = 0;
    for instance in instances {
        context.update(&instance.to_be_bytes());
        count += 1;
    }
    context.update(token.as_bytes());
    context.update(&count.to_be_bytes());
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
