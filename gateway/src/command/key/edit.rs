//! Edits a file of keys: comments stay, the file is replaced whole or not at all, and one command at a time.

use crate::{
    config::{ApiKeys, load},
    identify::api_key::text::{Fresh, make, written},
};
use jiff::Timestamp;
use policy::finding::Finding;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

/// What a new file begins with.
const HEAD: &str = "# API keys of clients: hashes only. `latchwork key` edits this file; editing by hand works too.\n";

/// Why keys can't be edited.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    /// The file is broken, or would be.
    #[error("the file of keys has errors")]
    Findings(Vec<Finding>),
    /// The file can't be read or written.
    #[error("can't {what} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No such client.
    #[error("there is no client `{0}`")]
    NoClient(String),
    /// No such key.
    #[error("client `{0}` has no such key, or it is revoked already")]
    NoKey(String),
    /// Not a duration.
    #[error("`{0}` can't be taken: {1}")]
    Duration(String, String),
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Random,
}

/// What a client is to have.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) groups: &'a [String],
    pub(super) scopes: &'a [String],
    pub(super) tenant: Option<&'a str>,
    pub(super) tier: Option<&'a str>,
}

/// A file of keys that is being edited; others wait.
#[derive(Debug)]
pub(super) struct Editor {
    known: ApiKeys,
    path: PathBuf,
    base: PathBuf,
    document: DocumentMut,
    mode: u32,
    _lock: File,
}

impl Editor {
    /// Reads the file, or begins one.
    pub(super) fn open(known: ApiKeys, base: &Path) -> Result<Self, EditError> {
        // A link stays a link: what it points to is replaced.
        let path = fs::canonicalize(&known.file).unwrap_or_else(|_| known.file.clone());
        let failed = |source| EditError::File { what: "read", path: path.clone(), source };
        let lock = File::open(folder(&path)).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
        let (text, mode) = match fs::metadata(&path) {
            Ok(metadata) => {
                load::keys_again(&known, base).map_err(EditError::Findings)?;
                let mode = metadata.permissions().mode() & 0o660;
                (fs::read_to_string(&path).map_err(failed)?, mode)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => (HEAD.to_owned(), 0o600),
            Err(error) => return Err(failed(error)),
        };
        let document = text.parse().map_err(|_| failed(ErrorKind::InvalidData.into()))?;
        Ok(Self { known, path, base: base.to_owned(), document, mode, _lock: lock })
    }

    /// Makes a client if there is none, and gives it what is wanted.
    pub(super) fn client(&mut self, name: &str, wanted: &Wanted<'_>) -> Result<(), EditError> {
        let root = self.document.as_table_mut();
        let clients = root.entry("client").or_insert_with(implicit);
        let clients = clients.as_table_like_mut().ok_or_else(|| EditError::NoClient(name.to_owned()))?;
        let client = clients.entry(name).or_insert_with(|| Item::Table(Table::new()));
        let client = client.as_table_like_mut().ok_or_else(|| EditError::NoClient(name.to_owned()))?;
        for (key, list) in [("groups", wanted.groups), ("scopes", wanted.scopes)] {
            if !list.is_empty() {
                client.insert(key, value(list.iter().collect::<Array>()));
            }
        }
        for (key, text) in [("tenant", wanted.tenant), ("tier", wanted.tier)] {
            if let Some(text) = text {
                client.insert(key, value(text));
            }
        }
        Ok(())
    }

    /// Adds a key.
    pub(super) fn add(&mut self, client: &str, now: Timestamp, expires: Option<Timestamp>) -> Result<Fresh, EditError> {
        let fresh = make(&self.known.alias).ok_or(EditError::Random)?;
        let keys = self.found(client)?.entry("key").or_insert_with(implicit);
        let keys = keys.as_table_like_mut().ok_or_else(|| EditError::NoKey(client.to_owned()))?;
        let mut key = Table::new();
        key.insert("hash", value(written(&fresh.hash)));
        key.insert("created", value(second(now)));
        if let Some(expires) = expires {
            key.insert("expires", value(second(expires)));
        }
        keys.insert(&fresh.id, Item::Table(key));
        Ok(fresh)
    }

    /// Lets the keys of a client that still count end at `end`, if they do not end before.
    pub(super) fn end(&mut self, client: &str, now: Timestamp, end: Timestamp) -> Result<(), EditError> {
        self.each(client, |_, key| {
            let ends: Option<Timestamp> = key.get("expires").and_then(Item::as_str).and_then(|t| t.parse().ok());
            if ends.is_none_or(|ends| ends > end && ends > now) {
                key.insert("expires", value(second(end)));
            }
        })
    }

    /// Ends keys now; their ids.
    pub(super) fn revoke(&mut self, client: &str, id: Option<&str>, now: Timestamp) -> Result<Vec<String>, EditError> {
        let mut revoked = Vec::new();
        self.each(client, |name, key| {
            if id.is_none_or(|id| id == name) && !key.contains_key("revoked") {
                key.insert("revoked", value(second(now)));
                revoked.push(name.to_owned());
            }
        })?;
        if revoked.is_empty() { Err(EditError::NoKey(client.to_owned())) } else { Ok(revoked) }
    }

    /// Checks what would be in force, and replaces the file.
    pub(super) fn save(self) -> Result<(), EditError> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let fresh = self.path.with_file_name(name);
        let failed = |source| EditError::File { what: "write", path: self.path.clone(), source };
        // What a killed run left behind may have other rights.
        let _ = fs::remove_file(&fresh);
        let written = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(self.mode).open(&fresh)?;
            file.write_all(self.document.to_string().as_bytes())?;
            file.sync_all()
        };
        let kept = written().map_err(failed).and_then(|()| {
            let there = ApiKeys { file: fresh.clone(), ..self.known.clone() };
            load::keys_again(&there, &self.base).map_err(EditError::Findings)?;
            fs::rename(&fresh, &self.path).map_err(failed)
        });
        kept.inspect_err(|_| drop(fs::remove_file(&fresh)))
    }

    fn found(&mut self, client: &str) -> Result<&mut dyn TableLike, EditError> {
        let clients = self.document.get_mut("client").and_then(Item::as_table_like_mut);
        let found = clients.and_then(|clients| clients.get_mut(client)).and_then(Item::as_table_like_mut);
        found.ok_or_else(|| EditError::NoClient(client.to_owned()))
    }

    fn each(&mut self, client: &str, mut change: impl FnMut(&str, &mut dyn TableLike)) -> Result<(), EditError> {
        let Some(keys) = self.found(client)?.get_mut("key").and_then(Item::as_table_like_mut) else { return Ok(()) };
        for (id, key) in keys.iter_mut() {
            if let Some(key) = key.as_table_like_mut() {
                change(id.get(), key);
            }
        }
        Ok(())
    }
}

/// A table that has no header of its own.
fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
