//! Checks logs from outside, with nothing but the public key and checkpoints that were kept elsewhere: whether every
//! record is the one that was signed, at its place, and none is missing.
//!
//! It reads each segment once, in constant memory.

use super::{
    archive,
    checkpoint::{self, Head},
    note::VerifierKey,
    query,
    record::{Body, Kind, Predecessor, System},
    segment,
    tree::Hash,
};
use jiff::Timestamp;
use report::{Report, Trouble, What};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use subject::Subject;
use uuid::Uuid;

/// Files of which an incarnation's own folder has one, and its archive none.
const OWN: [&str; 3] = [checkpoint::NEWEST, checkpoint::ALL, segment::LOCK];

mod heads;
pub mod report;
mod retired;
mod subject;
#[cfg(test)]
mod tests;

/// A checkpoint that whoever verifies has kept, its signature checked.
#[derive(Clone, Debug)]
pub struct Held {
    /// The file it comes from.
    pub file: PathBuf,
    /// What it states.
    pub head: Head,
}

/// What is known of a tree besides its own checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) from: From,
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A checkpoint that was kept elsewhere.
    Held(PathBuf),
    /// A later incarnation, which found the log so.
    Cited(Uuid),
    /// The log's own checkpoint.
    Own,
}

/// The folders of every incarnation, by node.
type Nodes = BTreeMap<String, BTreeMap<Uuid, Vec<PathBuf>>>;

/// One incarnation of a node.
#[derive(Debug)]
struct Incarnation {
    began: Timestamp,
    id: Uuid,
    directory: PathBuf,
    /// Other folders that have segments of it.
    others: Vec<PathBuf>,
    /// What its first record says of those before it.
    cites: Vec<Predecessor>,
}

impl Incarnation {
    /// Of what is in these folders; the first that has more than segments is the incarnation's own.
    fn new(id: Uuid, mut folders: Vec<PathBuf>) -> Self {
        let own = folders.iter().position(|folder| OWN.iter().any(|file| folder.join(file).exists())).unwrap_or(0);
        let directory = folders.remove(own);
        folders.extend(archive::of(&directory).filter(|archive| !folders.contains(archive)));
        let beginning = query::beginning(id, &directory, &folders);
        let cites = beginning.as_ref().map_or_else(Vec::new, |(head, bytes)| cites(head.kind, bytes));
        let began = beginning.map_or_else(|| query::began(id, &directory), |(head, _)| head.at);
        Self { began, id, directory, others: folders, cites }
    }
}

/// What a first record says of the incarnations before.
fn cites(kind: Kind, bytes: &[u8]) -> Vec<Predecessor> {
    match Body::parse(kind, bytes) {
        Ok(Body::System(System::Started { predecessor, others, .. })) => {
            predecessor.into_iter().chain(others).collect()
        }
        _ => Vec::new(),
    }
}

/// Verifies every log in these folders: audit folders, folders of a node, or folders of an incarnation.
///
/// # Errors
/// When a folder can't be read, or there is no log in it.
pub fn verify(folders: &[PathBuf], keys: &[VerifierKey], held: &[Held]) -> io::Result<Report> {
    let mut nodes = Nodes::new();
    for folder in folders {
        discover(folder, &mut nodes)?;
    }
    let mut report = Report::default();
    for held in held {
        let known = held.head.names().is_some_and(|(node, id)| nodes.get(node).is_some_and(|n| n.contains_key(&id)));
        if !known {
            let what = What::HeldElsewhere { origin: held.head.origin.clone(), size: held.head.size };
            report.problem(Trouble::of_file(&held.file, what));
        }
    }
    for (name, incarnations) in nodes {
        let with_beginning = |(id, folders)| Incarnation::new(id, folders);
        let mut incarnations: Vec<_> = incarnations.into_iter().map(with_beginning).collect();
        incarnations.sort_by_key(|incarnation| (incarnation.began, incarnation.id));
        node(&name, &incarnations, keys, held, &mut report);
    }
    report.settle();
    Ok(report)
}

fn node(name: &str, incarnations: &[Incarnation], keys: &[VerifierKey], held: &[Held], report: &mut Report) {
    for (number, incarnation) in incarnations.iter().enumerate() {
        for predecessor in &incarnation.cites {
            if !incarnations.iter().any(|other| other.id == predecessor.incarnation) {
                let what = What::IncarnationMissing { incarnation: predecessor.incarnation, by: incarnation.id };
                report.problem(Trouble::of_file(&incarnation.directory, what));
            }
        }
        let mut expected: Vec<_> = held.iter().filter_map(|held| of_held(held, name, incarnation.id)).collect();
        let mut closed_by_other = false;
        for by in incarnations.iter().filter(|by| by.id != incarnation.id) {
            for predecessor in by.cites.iter().filter(|cited| cited.incarnation == incarnation.id) {
                closed_by_other |= predecessor.tree.is_some();
                for tree in predecessor.tree.iter().chain(&predecessor.checkpoint) {
                    if let Some(root) = Hash::parse(&tree.root) {
                        expected.push(Expected { size: tree.size, root, from: From::Cited(by.id) });
                    }
                }
            }
        }
        let may_be_torn = !closed_by_other && number + 1 == incarnations.len() || is_running(&incarnation.directory);
        let (id, directory) = (incarnation.id, incarnation.directory.as_path());
        let others = &*incarnation.others;
        let subject =
            Subject { node: name, incarnation: id, directory, others, keys, expected, may_be_torn, closed_by_other };
        subject.verify(report);
    }
}

fn of_held(held: &Held, node: &str, incarnation: Uuid) -> Option<Expected> {
    let ours = held.head.names() == Some((node, incarnation));
    let (size, root) = (held.head.size, held.head.root);
    ours.then(|| Expected { size, root, from: From::Held(held.file.clone()) })
}

/// Whether somebody writes it, here.
fn is_running(directory: &Path) -> bool {
    let lock = fs::File::open(directory.join(segment::LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Finds the logs in a folder.
fn discover(folder: &Path, nodes: &mut Nodes) -> io::Result<()> {
    let folder = folder.canonicalize()?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Ok(incarnation) = Uuid::try_parse(&name(&folder)) {
        let node = folder.parent().map(name).unwrap_or_default();
        nodes.entry(node).or_default().entry(incarnation).or_default().push(folder);
        return Ok(());
    }
    let mut found = false;
    let mut candidates = vec![folder.clone()];
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            candidates.push(entry.path());
        }
    }
    for candidate in candidates {
        for (incarnation, directory) in query::incarnations(&candidate)? {
            found = true;
            let folders = nodes.entry(name(&candidate)).or_default().entry(incarnation).or_default();
            if !folders.contains(&directory) {
                folders.push(directory);
            }
        }
    }
    if found { Ok(()) } else { Err(io::Error::new(io::ErrorKind::NotFound, "there is no audit log in it")) }
}
