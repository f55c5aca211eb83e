//! One source of keys, and how to notice that its files changed.

use super::profile;
use crate::{
    secret::{Reference, Stamp, sound},
    sign::aws_v4::Keys,
};
use secrecy::SecretString;
use std::{env, path::PathBuf};

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
                all.into_iter().flatten().filter_map(|r| r.file().map(Into::into)).collect()
            }
            Self::Profile(_) => {
                profile::Files::of_this_process().map_or_else(|_| Vec::new(), |f| vec![f.credentials, f.config])
            }
        }
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
