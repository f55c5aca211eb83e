//! Packing a segment, and moving it to the archive: the new file is whole and durable before the old one goes.

use super::{
    Worker, settled,
    stock::{Stored, UNFINISHED},
};
use crate::audit::{
    archive, packed,
    segment::{self, Name},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

impl Worker {
    /// Packs a segment.
    pub(super) fn pack(&self, segment: &Stored) -> io::Result<()> {
        let to = segment.path.with_file_name(Name { packed: true, ..segment.name }.file());
        let unfinished = unfinished(&to);
        let mut file = BufWriter::new(create(&unfinished)?);
        self.step("pack")?;
        packed::pack(BufReader::new(File::open(&segment.path)?), &mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        self.step("packed")?;
        let unpacked = packed::Unpacked::new(File::open(&unfinished)?)?;
        if !same(unpacked, BufReader::new(File::open(&segment.path)?))? {
            return Err(io::Error::other(format!("`{}` does not unpack to what was packed", unfinished.display())));
        }
        fs::rename(&unfinished, &to)?;
        settled(&to)?;
        self.step("packed and named")?;
        fs::remove_file(&segment.path)?;
        settled(&segment.path)
    }

    /// Moves a packed segment to the archive.
    pub(super) fn archive(&self, segment: &Stored) -> io::Result<()> {
        let root = self.retention.archive.as_ref().map(|archive| archive.path.as_path()).unwrap_or(Path::new(""));
        // What is not mounted is not made up for by a folder of that name.
        let there = |error| io::Error::other(format!("the archive `{}` can't be used: {error}", root.display()));
        root.read_dir().map_err(there)?;
        let folder = archive::of(&segment.home).ok_or_else(|| there(io::ErrorKind::NotFound.into()))?;
        segment::create_folder(&folder).map_err(there)?;
        for above in folder.ancestors().take(2) {
            settled(above)?;
        }
        let to = folder.join(segment.path.file_name().unwrap_or_default());
        let moved = match File::open(&to) {
            Ok(there) => same(BufReader::new(there), BufReader::new(File::open(&segment.path)?))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !moved {
            let unfinished = unfinished(&to);
            let mut file = create(&unfinished)?;
            self.step("move")?;
            io::copy(&mut File::open(&segment.path)?, &mut file)?;
            file.flush()?;
            file.sync_all()?;
            self.step("moved")?;
            fs::rename(&unfinished, &to)?;
            settled(&to)?;
        }
        self.step("moved and named")?;
        fs::remove_file(&segment.path)?;
        settled(&segment.path)
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Whether two have the same bytes.
fn same(mut one: impl BufRead, mut other: impl BufRead) -> io::Result<bool> {
    loop {
        let (ours, theirs) = (one.fill_buf()?, other.fill_buf()?);
        let length = ours.len().min(theirs.len());
        if ours.get(..length) != theirs.get(..length) {
            return Ok(false);
        }
        if length == 0 {
            return Ok(ours.is_empty() && theirs.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}
