//! The checkpoints of an incarnation as objects, in step with its records: none says more than the objects hold.
//!
//! `<prefix>node=NODE/checkpoints/INCARNATION/SIZE.checkpoints` has those that were signed since the one before, up to this
//! size; `SIZE.cosigned` those that a witness signed, too. One after another they are the log's own files.

use super::replace;
use crate::audit::{
    checkpoint::{ALL, COSIGNED, Head, Notes as Read},
    segment,
    ship::sink::Trouble,
};
use std::{
    fs::{self, File},
    io::{self, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Digits of a size in a name, so that names sort.
const DIGITS: usize = 12;

/// See the file's first line.
pub(super) struct Notes {
    log: PathBuf,
    folder: PathBuf,
    files: [History; 2],
}

/// One of the log's files.
struct History {
    name: &'static str,
    /// The size up to which its checkpoints are in objects; unknown at first.
    shipped: Option<u64>,
    /// Where the next one begins.
    offset: u64,
    /// How long the file was, and how many records the objects had, at the last look.
    looked: (u64, u64),
}

impl Notes {
    pub(super) fn new(log: PathBuf, folder: PathBuf) -> Self {
        let history = |name| History { name, shipped: None, offset: 0, looked: (0, 0) };
        Self { log, folder, files: [history(ALL), history(COSIGNED)] }
    }

    /// Ships those that cover at most so many records.
    pub(super) fn ship(&mut self, have: u64) -> Result<(), Trouble> {
        for history in &mut self.files {
            history.ship(&self.log, &self.folder, have).map_err(Trouble::at(&self.folder))?;
        }
        Ok(())
    }
}

impl History {
    fn ship(&mut self, log: &Path, folder: &Path, have: u64) -> io::Result<()> {
        let mut file = match File::open(log.join(self.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let looked = (file.metadata()?.len(), have);
        if have == 0 || looked == self.looked {
            return Ok(());
        }
        let shipped = match self.shipped {
            Some(shipped) => shipped,
            None => *self.shipped.insert(newest(folder, self.name)?),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let (mut offset, mut size, mut text) = (self.offset, shipped, String::new());
        for found in Read::new(BufReader::new(file)) {
            let found = found?;
            let Some(note) = found.note.filter(|_| !found.torn) else { break };
            let Some(head) = Head::parse(&note.text).filter(|head| head.size <= have) else { break };
            let note = note.to_string();
            offset += note.len() as u64;
            if head.size > shipped {
                size = size.max(head.size);
                text.push_str(&note);
            }
        }
        if !text.is_empty() {
            segment::create_folder(folder)?;
            replace(&folder.join(format!("{size:0DIGITS$}.{}", self.name)), text.as_bytes())?;
            segment::sync_folder(folder)?;
        }
        (self.offset, self.shipped, self.looked) = (offset, Some(size), looked);
        Ok(())
    }
}

/// The size up to which checkpoints are in objects already.
fn newest(folder: &Path, name: &str) -> io::Result<u64> {
    let mut newest = 0;
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        listed => {
            for entry in listed? {
                let file = entry?.file_name();
                let size = file.to_str().and_then(|file| file.strip_suffix(name)?.strip_suffix('.')?.parse().ok());
                newest = newest.max(size.unwrap_or(0));
            }
        }
    }
    Ok(newest)
}
