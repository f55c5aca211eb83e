//! Reading a segment from the middle.

use super::{Head, RECORD_BYTES_MAX, Reader, Records, Source};
use std::{
    io::{self, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

impl Records {
    /// Of these segments, of the first only about so many bytes at its end.
    pub(crate) fn near_end(sources: Vec<Source>, bytes: u64) -> io::Result<Self> {
        // A record that is being written is begun with.
        let bytes = bytes.max(RECORD_BYTES_MAX as u64);
        let mut records = Self::of_sources(sources);
        if let Some(first) = records.segments.front()
            && let Some(from) = first.path.metadata().ok().and_then(|file| file.len().checked_sub(bytes))
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

impl Reader {
    /// Goes to the first line that begins after a byte.
    fn skip_to(&mut self, byte: u64) -> io::Result<()> {
        self.seek(byte, 0)?;
        let _ = self.next();
        let begin = self.offset;
        // A record says which it is, and so on which line, if no other was damaged.
        let head = self.next().and_then(Result::ok).and_then(|line| serde_json::from_slice::<Head>(&line).ok());
        let number = head.map_or(0, |head| head.seq.saturating_sub(self.source.first));
        self.seek(begin, number + 1)
    }

    /// Where the next line begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The file that is read.
    pub(crate) fn path(&self) -> Arc<Path> {
        Arc::clone(&self.path)
    }

    /// Goes to the byte at which a line begins. Near by, what was read already is read on.
    pub(crate) fn seek(&mut self, offset: u64, line: u64) -> io::Result<()> {
        match i64::try_from(i128::from(offset) - i128::from(self.offset)) {
            Ok(by) if !self.torn => self.file.seek_relative(by)?,
            _ => {
                self.file.seek(SeekFrom::Start(offset))?;
            }
        }
        (self.offset, self.line, self.torn) = (offset, line.saturating_sub(1), false);
        Ok(())
    }
}
