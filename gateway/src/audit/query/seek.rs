//! Reading a segment from the middle.

use super::Reader;
use std::{
    io::{self, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

impl Reader {
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
