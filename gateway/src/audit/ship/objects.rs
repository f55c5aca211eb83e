//! Records as objects, laid out as in a bucket: closed segments byte for byte, and the checkpoints that cover them.
//!
//! `<prefix>node=NODE/date=YYYY/MM/DD/INCARNATION/FIRST-LAST.jsonl`, where the day is that of the first record (UTC), each
//! beside `FIRST-LAST.jsonl.sha256`, which comes first. An object appears whole or not at all and never changes. What is in
//! no closed segment after `age_max` goes as an object of its own; the rest of its segment is then the next one. So the
//! objects of an incarnation are its records in a row, and lie in a folder as segments do.

use super::{feed::Batch, sink::Trouble};
use crate::{
    audit::{
        query::Line,
        segment::{self, Name},
    },
    config::ObjectSink,
};
use aws_lc_rs::digest::{Context, SHA256};
use notes::Notes;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Instant,
};
use uuid::Uuid;

mod notes;

/// What a file is called until it is whole.
const NEW: &str = "new";
/// What the file with an object's hash ends in.
const HASH: &str = "sha256";

/// See the file's first line.
pub(super) struct Objects {
    settings: ObjectSink,
    /// The log's folder of the node.
    log: PathBuf,
    /// What every key of the node begins with.
    root: PathBuf,
    incarnations: BTreeMap<Uuid, State>,
}

/// How far an incarnation is.
struct State {
    /// Everything below this is in objects.
    have: u64,
    /// The number of the first record of the last of them.
    newest: u64,
    /// What was written so far of the next one.
    gathering: Option<Gathering>,
    notes: Notes,
}

/// An object that is not whole yet.
struct Gathering {
    first: u64,
    next: u64,
    folder: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    hash: Context,
    begun: Instant,
}

impl Objects {
    /// Writes nothing yet.
    pub(super) fn new(settings: ObjectSink, log: PathBuf, node: &str) -> Self {
        let root = settings.path.join(format!("{}node={node}", settings.prefix));
        Self { settings, log, root, incarnations: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, batch: &Batch) -> Result<u64, Trouble> {
        let id = batch.incarnation.to_string();
        let state = self.incarnations.entry(batch.incarnation).or_insert_with(|| {
            let notes = Notes::new(self.log.join(&id), self.root.join("checkpoints").join(&id));
            // What came before was acknowledged, up to the end of an object.
            let have = batch.records.first().map_or(batch.next, |line| line.head.seq);
            State { have, newest: have, gathering: None, notes }
        });
        for line in &batch.records {
            state.add(line, &self.root)?;
        }
        let old = |gathering: &Gathering| gathering.begun.elapsed() >= self.settings.age_max;
        let whole = |gathering: &mut Gathering| batch.closes || batch.behind == 0 && old(gathering);
        if let Some(gathering) = state.gathering.take_if(whole) {
            (state.newest, state.have) = (gathering.first, gathering.next);
            if let Err(trouble) = gathering.finish() {
                state.have = state.newest;
                return Err(trouble);
            }
        }
        state.notes.ship(state.have)?;
        // Never within an object: whoever begins there again must find it by its first record.
        Ok(match &state.gathering {
            Some(gathering) => gathering.first,
            None if batch.next < state.have => state.newest,
            None => batch.next,
        })
    }

    pub(super) fn reset(&mut self) {
        for state in self.incarnations.values_mut() {
            state.gathering = None;
        }
    }
}

impl State {
    fn add(&mut self, line: &Line, root: &Path) -> Result<(), Trouble> {
        let seq = line.head.seq;
        if self.gathering.is_none() && seq >= self.have {
            let day = line.head.at.to_zoned_datetime(jiff::tz::TimeZone::UTC).strftime("%Y/%m/%d").to_string();
            let folder = root.join(format!("date={day}")).join(line.head.incarnation.to_string());
            match there(&folder, seq)? {
                // It was written, and its acknowledgement was lost.
                Some(last) => (self.newest, self.have) = (seq, last.saturating_add(1)),
                None => self.gathering = Some(Gathering::begin(folder, seq)?),
            }
        }
        match &mut self.gathering {
            Some(gathering) if seq >= self.have => gathering.write(line),
            _ => Ok(()),
        }
    }
}

impl Gathering {
    fn begin(folder: PathBuf, first: u64) -> Result<Self, Trouble> {
        segment::create_folder(&folder).and_then(|()| forget_hashes(&folder, first)).map_err(Trouble::at(&folder))?;
        let path = folder.join(format!("{}.{NEW}", Name::open(first, 0).file()));
        let file = create(&path).map_err(Trouble::at(&path))?;
        let (file, hash, begun) = (BufWriter::new(file), Context::new(&SHA256), Instant::now());
        Ok(Self { first, next: first, folder, path, file, hash, begun })
    }

    fn write(&mut self, line: &Line) -> Result<(), Trouble> {
        for bytes in [&*line.bytes, b"\n"] {
            self.hash.update(bytes);
            self.file.write_all(bytes).map_err(Trouble::at(&self.path))?;
        }
        self.next = line.head.seq.saturating_add(1);
        Ok(())
    }

    /// Gives it its name, after its hash has one.
    fn finish(mut self) -> Result<(), Trouble> {
        let name = Name { first: self.first, again: 0, last: self.next.checked_sub(1) }.file();
        let hash = hex(self.hash.clone().finish().as_ref());
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(Trouble::at(&self.path))?;
        let stated = self.folder.join(format!("{name}.{HASH}"));
        replace(&stated, format!("{hash}  {name}\n").as_bytes()).map_err(Trouble::at(&stated))?;
        let path = self.folder.join(name);
        let named = fs::rename(&self.path, &path).and_then(|()| segment::sync_folder(&self.folder));
        named.map_err(Trouble::at(&path))
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        // It is gone when it was finished; what stays otherwise is written anew.
        let _ = fs::remove_file(&self.path);
    }
}

/// The number of the last record of an object that begins with this one.
fn there(folder: &Path, first: u64) -> Result<Option<u64>, Trouble> {
    let listed = match segment::list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        listed => listed.map_err(Trouble::at(folder))?,
    };
    let Some((last, path)) =
        listed.into_iter().find_map(|(name, path)| Some((name.last?, path)).filter(|_| name.first == first))
    else {
        return Ok(None);
    };
    let stated = path.with_extension(format!("jsonl.{HASH}"));
    let said = fs::read_to_string(&stated).unwrap_or_default();
    let hash = hash(&path).map_err(Trouble::at(&path))?;
    if said.split_whitespace().next() == Some(&hash) {
        return Ok(Some(last));
    }
    Err(Trouble(format!("`{}` is not what `{}` says: somebody else wrote it", path.display(), stated.display())))
}

/// Removes hashes of an object that did not come to be: it may have another end now.
fn forget_hashes(folder: &Path, first: u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let object = file.to_str().and_then(|file| Name::parse(file.strip_suffix(HASH)?.strip_suffix('.')?));
        if object.is_some_and(|object| object.first == first) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn hash(path: &Path) -> io::Result<String> {
    let mut file = BufReader::new(File::open(path)?);
    let mut hash = Context::new(&SHA256);
    let mut bytes = [0; 64 * 1024];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hex(hash.finish().as_ref())),
            read => hash.update(bytes.get(..read).unwrap_or_default()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{NEW}"));
    let mut file = create(Path::new(&new))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)
}
