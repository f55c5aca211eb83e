//! Secrets that lie elsewhere: named by reference, and read again when their file changes.

use crate::invocation::InvokeError;
use secrecy::{ExposeSecret, SecretString};
use std::{
    env,
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Longest file of secrets, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Longest key, secret or token, in bytes: session tokens have some hundreds.
const SECRET_BYTES_MAX: usize = 16 * 1024;

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// `env:NAME`
    Variable(String),
    /// `file:PATH`
    File(PathBuf),
}

/// What changes when a file is written or replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, i64, i64, u64)>);

/// What lies elsewhere, as it is now.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    name: &'static str,
    reference: Reference,
    read: fn(&Reference) -> Result<T, String>,
    held: Mutex<(Option<Stamp>, T)>,
}

/// A secret of one word as it is now.
pub(crate) type Secret = Watched<SecretString>;

impl Reference {
    /// Reads how it is written. What is no reference may be the secret itself, so it is not repeated.
    pub(crate) fn parse(name: &str, text: &str, base: &Path) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", variable)) if !variable.is_empty() && !variable.contains(['=', '\0']) => {
                Ok(Self::Variable(variable.to_owned()))
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(base.join(path))),
            _ => Err(format!("`{name}` is given by reference: `env:NAME` or `file:PATH`")),
        }
    }

    /// One word without spaces, as keys and tokens are.
    pub(crate) fn read(&self) -> Result<String, String> {
        let (text, place) = self.text()?;
        sound(&text).ok_or_else(|| format!("{place} is empty or no text"))
    }

    /// All of it, such as a private key; never empty.
    pub(crate) fn read_whole(&self) -> Result<SecretString, String> {
        let (text, place) = self.text()?;
        if text.trim().is_empty() { Err(format!("{place} is empty")) } else { Ok(text.into()) }
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Variable(_) => None,
            Self::File(path) => Some(path),
        }
    }

    fn text(&self) -> Result<(String, String), String> {
        match self {
            Self::Variable(name) => {
                let value = env::var_os(name).ok_or_else(|| format!("`{name}` is not in the environment"))?;
                Ok((value.to_string_lossy().into_owned(), format!("`{name}` in the environment")))
            }
            Self::File(path) => Ok((read_file(path)?, format!("`{}`", path.display()))),
        }
    }
}

impl<T: Clone> Watched<T> {
    /// Reads it a first time. `name` is the key that it was given under.
    pub(crate) fn of(
        name: &'static str,
        written: &str,
        base: &Path,
        read: fn(&Reference) -> Result<T, String>,
    ) -> Result<Self, String> {
        let reference = Reference::parse(name, written, base)?;
        // The stamp is taken before reading: what changes in between is read again.
        let stamp = reference.file().map(Stamp::of);
        let value = read(&reference)?;
        Ok(Self { name, reference, read, held: Mutex::new((stamp, value)) })
    }

    /// The secret. When its file changed to something that can't be used, the last good one serves on, loudly.
    pub(crate) fn value(&self) -> T {
        let stamp = self.reference.file().map(Stamp::of);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 != stamp {
            held.0 = stamp;
            match (self.read)(&self.reference) {
                Ok(value) => held.1 = value,
                Err(problem) => {
                    tracing::error!(
                        key = self.name,
                        problem,
                        "a changed secret can't be used; the last good one serves"
                    );
                }
            }
        }
        held.1.clone()
    }
}

impl Secret {
    /// Reads a key or token a first time. `name` is the key that it was given under.
    pub(crate) fn new(name: &'static str, written: &str, base: &Path) -> Result<Self, String> {
        Self::of(name, written, base, |reference| reference.read().map(SecretString::from))
    }

    /// The secret as the value of a header, which no log shows; see [`credential`].
    pub(crate) fn header(&self, what: &str, prefix: &str) -> Result<http::HeaderValue, InvokeError> {
        let value = self.value();
        credential(what, &format!("{prefix}{}", value.expose_secret()))
    }
}

impl Stamp {
    /// Of a file as it is now.
    pub(crate) fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|m| (m.ino(), m.mtime(), m.mtime_nsec(), m.len())))
    }
}

/// A header's value that no log shows.
pub(crate) fn sensitive(text: &str) -> Option<http::HeaderValue> {
    let mut value = http::HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The same of a call's credential; `what` names it where it can't be one: `"the token"`.
pub(crate) fn credential(what: &str, text: &str) -> Result<http::HeaderValue, InvokeError> {
    sensitive(text).ok_or_else(|| InvokeError::NoCredential(format!("{what} can't stand in a header")))
}

/// A file's text, if it is one and not too long.
pub(crate) fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("`{shown}` can't be read: {}", error.kind());
    // A pipe or device would block or never end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(format!("`{shown}` is no file"));
    }
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("`{shown}` has more than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The text without the line end that editors add, if it can stand in a header.
pub(crate) fn sound(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=SECRET_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}
