//! One source of keys, and how to notice that its files changed.

use super::profile;
use crate::sign::aws_v4::Keys;
use secrecy::SecretString;
use std::{
    env,
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Longest file of secrets, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Longest key, secret or token, in bytes: session tokens have some hundreds.
const SECRET_BYTES_MAX: usize = 16 * 1024;

/// Variables of sources that are not spoken here: they are told of instead of looked past.
const UNSUPPORTED: [&str; 3] =
    ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// Where keys come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The variables that all clients of this provider know.
    Environment,
    /// One reference for each part.
    References {
        /// Id.
        access_key: Reference,
        /// Secret.
        secret_key: Reference,
        /// Token of temporary keys.
        session_token: Option<Reference>,
    },
    /// A profile by name.
    Profile(String),
}

/// A secret that lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// `env:NAME`
    Variable(String),
    /// `file:PATH`
    File(PathBuf),
}

/// What changes when a file is written or replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(u64, i64, i64, u64)>);

impl Source {
    /// The keys as they are now.
    pub(super) fn read(&self) -> Result<Keys, String> {
        match self {
            Self::Environment => environment(&|name| env::var_os(name)),
            Self::References { access_key, secret_key, session_token } => Ok(Keys {
                id: access_key.read()?,
                secret: secret_key.read()?.into(),
                token: session_token.as_ref().map(Reference::read).transpose()?.map(SecretString::from),
            }),
            Self::Profile(name) => profile::read(name, &profile::Files::of_this_process()?),
        }
    }

    /// What the files look like now.
    pub(super) fn stamps(&self) -> Vec<Stamp> {
        self.files().iter().map(|path| Stamp::of(path)).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Environment => Vec::new(),
            Self::References { access_key, secret_key, session_token } => {
                let all = [Some(access_key), Some(secret_key), session_token.as_ref()];
                let file = |reference: &Reference| match reference {
                    Reference::File(path) => Some(path.clone()),
                    Reference::Variable(_) => None,
                };
                all.into_iter().flatten().filter_map(file).collect()
            }
            Self::Profile(_) => {
                profile::Files::of_this_process().map_or_else(|_| Vec::new(), |f| vec![f.credentials, f.config])
            }
        }
    }
}

impl Reference {
    /// Reads how it is written. What is no reference may be the secret itself, so it is not repeated.
    pub(super) fn parse(name: &str, text: &str, base: &Path) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", variable)) if !variable.is_empty() && !variable.contains(['=', '\0']) => {
                Ok(Self::Variable(variable.to_owned()))
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(base.join(path))),
            _ => Err(format!("`{name}` is given by reference: `env:NAME` or `file:PATH`")),
        }
    }

    fn read(&self) -> Result<String, String> {
        match self {
            Self::Variable(name) => {
                let value = env::var_os(name).ok_or_else(|| format!("`{name}` is not in the environment"))?;
                sound(&value.to_string_lossy())
                    .ok_or_else(|| format!("`{name}` in the environment is empty or no text"))
            }
            Self::File(path) => {
                let text = read_file(path)?;
                sound(&text).ok_or_else(|| format!("`{}` is empty or no text", path.display()))
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|m| (m.ino(), m.mtime(), m.mtime_nsec(), m.len())))
    }
}

/// Keys from variables.
pub(super) fn environment(variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Result<Keys, String> {
    if let Some(name) = UNSUPPORTED.iter().find(|name| variable(name).is_some_and(|value| !value.is_empty())) {
        return Err(format!("`{name}` is set, and such credentials are not supported: set keys, or name a profile"));
    }
    let text = |name: &str| match variable(name) {
        Some(value) if !value.is_empty() => {
            let text =
                value.to_str().and_then(sound).ok_or_else(|| format!("`{name}` in the environment is no key"))?;
            Ok(Some(text))
        }
        _ => Ok::<_, String>(None),
    };
    let needed = |name: &str| text(name)?.ok_or_else(|| format!("`{name}` is not in the environment"));
    Ok(Keys {
        id: needed("AWS_ACCESS_KEY_ID")?,
        secret: needed("AWS_SECRET_ACCESS_KEY")?.into(),
        token: text("AWS_SESSION_TOKEN")?.map(SecretString::from),
    })
}

/// A file's text, if it is one and not too long.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
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
pub(super) fn sound(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=SECRET_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}
