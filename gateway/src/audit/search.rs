//! Answers questions about logs: which calls there were, of whom, and how they ended.
//!
//! The unit is a call, its records joined. What is known of it comes from the index of its segments ([`super::index`]), or,
//! where there is none, from the records themselves by the same code. An answer is as good as the log and its indexes; it is
//! no proof.

pub mod asked;
mod call;
mod field;
mod filter;
mod groups;
mod output;
mod text;
pub mod time;
mod top;
mod walk;

pub use call::Call;
pub use field::Field;
pub use filter::{Filter, Statuses};
pub use groups::{Group, Latency};
pub use text::TEXTS_MAX;

use super::{
    index::entry::DENIED,
    query::{self, Line, Problem, Source},
    record::Kind,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most calls, records or groups that one question is answered with. For more there is exporting.
pub const LIMIT_MAX: usize = 100_000;
/// Most fields that are grouped by together.
pub const GROUP_FIELDS_MAX: usize = 4;
/// Most problems of the logs that an answer names.
const PROBLEMS_MAX: usize = 100;

/// A question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Of which calls.
    pub filter: Filter,
    /// What is wanted of them.
    pub view: View,
    /// How many at most; see [`LIMIT_MAX`].
    pub limit: usize,
    /// The oldest first, not the newest.
    pub oldest: bool,
}

/// What is wanted of the calls that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Each of them.
    #[default]
    Calls,
    /// Their records as they are in the log, and those that are of no call. Of these kinds alone, if any is named.
    Records(Vec<Kind>),
    /// How many there are of each kind by these fields.
    Groups(Vec<Field>),
    /// Who calls most.
    Callers,
    /// What policies denied.
    Denials,
    /// How functions fare: how often they fail, how long they take.
    Functions,
}

/// A part of an answer.
#[derive(Debug)]
pub enum Item {
    /// A call.
    Call(Box<Call>),
    /// A record.
    Record(Line),
    /// Calls that have something in common.
    Group(Box<Group>),
}

/// How an answer is looked for.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// With indexes. Without, every record is read.
    pub index: bool,
    /// Threads.
    pub workers: usize,
    /// Says when to give up.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl std::fmt::Debug for Means<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("index", &self.index).field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// How an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct End {
    /// Parts that were given.
    pub items: u64,
    /// Calls that the question is about: more than were given, where there are more than the limit.
    pub found: u64,
    /// Whether `found` is all there are: a search for the newest ends when it has them.
    pub counted: bool,
    /// What can't be read in the logs or is missing in them, the first hundred.
    pub problems: Vec<String>,
    /// How much is.
    pub unreadable: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The logs can't be read, or the answer can't be written.
    #[error("the audit log can't be read: {0}")]
    Io(#[from] io::Error),
    /// It took too long, or nobody waits any more.
    #[error("the search was stopped before it ended")]
    Stopped,
    /// There is more than fits.
    #[error("there are more than {0} groups; group by less, or ask of fewer calls")]
    Groups(usize),
}

/// The log of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id: the folder's name.
    pub id: Arc<str>,
    /// Its folder.
    pub folder: PathBuf,
}

/// A segment, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) node: Arc<str>,
    pub(crate) source: Source,
}

/// The logs in a folder: of one node, or of several that have folders in it.
///
/// # Errors
/// When it can't be read, or there is no log in it.
pub fn nodes(folder: &Path) -> io::Result<Vec<Node>> {
    // The name of `.` is that of the folder.
    let folder = folder.canonicalize()?;
    let mut candidates = vec![folder.clone()];
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        // The root of a disk has that one, and nobody may read it.
        if entry.file_type()?.is_dir() && entry.file_name() != "lost+found" {
            candidates.push(entry.path());
        }
    }
    candidates.sort();
    let mut nodes = Vec::new();
    for folder in candidates {
        if !query::incarnations(&folder)?.is_empty() {
            let id = folder.file_name().unwrap_or_default().to_string_lossy().into();
            nodes.push(Node { id, folder });
        }
    }
    if nodes.is_empty() {
        Err(io::Error::new(io::ErrorKind::NotFound, "there is no audit log in it"))
    } else {
        Ok(nodes)
    }
}

/// Answers a question; each part of the answer goes to `take`.
///
/// # Errors
/// [`SearchError`], also when `take` has one.
pub fn ask(
    nodes: &[Node],
    question: &Question,
    means: Means<'_>,
    take: &mut dyn FnMut(Item) -> io::Result<()>,
) -> Result<End, SearchError> {
    let mut question = question.clone();
    if question.view == View::Denials {
        question.filter.outcomes = vec![DENIED.to_owned()];
    }
    let question = &question;
    let (mut segments, mut missing) = (Vec::new(), Vec::new());
    for node in nodes.iter().filter(|node| question.filter.takes_node(&node.id)) {
        let mut sources = query::sources(&node.folder)?;
        if query::missing(&sources).next().is_some() {
            // One that got another name meanwhile may be in no listing; it is in the next.
            sources = query::sources(&node.folder)?;
        }
        missing.extend(query::missing(&sources));
        segments.extend(sources.into_iter().map(|source| Segment { node: node.id.clone(), source }));
    }
    let (gathered, mut end) = walk::walk(&segments, question, means)?;
    missing.iter().for_each(|problem| end.problem(problem));
    output::write(&segments, question, gathered, &mut end, take)?;
    Ok(end)
}

impl End {
    /// Remembers what is wrong, up to a number.
    pub(crate) fn problem(&mut self, problem: &Problem) {
        self.unreadable += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem.to_string());
        }
    }
}

impl View {
    /// The fields that calls are grouped by, if they are.
    pub(crate) fn fields(&self) -> Option<Vec<Field>> {
        Some(match self {
            Self::Calls | Self::Records(_) => return None,
            Self::Groups(fields) => fields.clone(),
            Self::Callers => vec![Field::Caller],
            Self::Denials => vec![Field::Policy, Field::Reason, Field::Function],
            Self::Functions => vec![Field::Function],
        })
    }
}
