//! Reading a segment from the middle.

use super::{RECORD_BYTES_MAX, Reader, Records, Source, plain_bytes};
use std::io;

impl Records {
    /// Of these segments, of the first only about so many bytes at its end.
    pub(crate) fn near_end(sources: Vec<Source>, bytes: u64) -> io::Result<Self> {
        // A record that is being written is begun with.
        let bytes = bytes.max(RECORD_BYTES_MAX as u64);
        let mut records = Self::of_sources(sources);
        if let Some(first) = records.segments.front()
            && let Some(from) = plain_bytes(&first.path).ok().and_then(|length| length.checked_sub(bytes))
            && from > 0
        {
            let mut reader = Reader::open(first.clone())?;
            reader.skip_to(from)?;
            records.segments.pop_front();
            records.reader = Some(reader);
        }
        Ok(records)
    }
}
