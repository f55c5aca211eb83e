//! The input of a call that only the shadow looks at: read as strictly as policy wants it, and refused to nobody.

use super::judge::NotJudged;
use crate::{front::soap, generation::Served};
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::Value;
use std::sync::Arc;

/// Reads bodies of one function.
#[derive(Debug)]
pub(super) struct Reader {
    served: Arc<Served>,
    headers: HeaderMap,
}

/// What the shadow is given of an input.
#[derive(Debug)]
pub(super) enum Input {
    /// What the policies in force were given.
    AsAsked,
    /// A body that is to be read.
    Body(Reader, Bytes),
    /// There is none to be had.
    Lost(NotJudged),
}

impl Reader {
    pub(super) fn new(served: &Arc<Served>, headers: &HeaderMap) -> Self {
        let mut kept = HeaderMap::new();
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            for value in headers.get_all(&name) {
                kept.append(name.clone(), value.clone());
            }
        }
        Self { served: served.clone(), headers: kept }
    }

    /// Longest body that is read.
    pub(super) fn bytes_max(&self) -> u64 {
        self.served.function.request_bytes_max
    }

    fn read(&self, bytes: &Bytes) -> Result<Arc<Value>, NotJudged> {
        soap::input(&self.served, &self.headers, bytes).ok().flatten().ok_or(NotJudged::Input)
    }
}

impl Input {
    /// The value, where it is not the one that the policies in force were given.
    pub(super) fn value(&self) -> Result<Option<Arc<Value>>, NotJudged> {
        match self {
            Self::AsAsked => Ok(None),
            Self::Body(reader, bytes) => reader.read(bytes).map(Some),
            Self::Lost(why) => Err(*why),
        }
    }
}
