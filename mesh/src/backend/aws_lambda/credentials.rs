//! Whose keys calls are signed with. Exactly one source is configured, and that one is used: none stands in for another.

mod container;
mod instance;
mod plan;
mod profile;
mod sts;
mod written;

use super::answer::is_stale;
use crate::{
    backend::ConfigError,
    invocation::InvokeError,
    secret::Stamp,
    sign::aws_v4::{Form, Keys, Scope, sign_request},
    token::{Kept, TokenError},
};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use plan::{Base, Plan};
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tokio::time::Instant;

pub use written::{AssumeConfig, CredentialsConfig, Given, Place, WebIdentityConfig};

/// Looks up a variable of the environment.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Keys as they are now. Files are read again when they change; what ends is fetched ahead of its end.
#[derive(Debug)]
pub(in crate::backend) struct Credentials {
    config: CredentialsConfig,
    region: String,
    base: PathBuf,
    /// What says something else when it changes.
    files: Vec<PathBuf>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    stamps: Vec<Stamp>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing is signed.
    Unsigned,
    /// Keys that are there.
    Fixed(Arc<Keys>),
    /// Keys that are asked for.
    Fetched(Arc<Kept<Keys>>),
}

/// What a call is signed with.
#[derive(Debug)]
pub(in crate::backend) struct Proof {
    /// The keys.
    keys: Arc<Keys>,
    kept: Option<Arc<Kept<Keys>>>,
}

impl Credentials {
    /// Reads what files and variables say; connects to nothing.
    pub(in crate::backend) fn new(config: &CredentialsConfig, region: &str, base: &Path) -> Result<Self, ConfigError> {
        // Stamps are taken before reading: what changes in between is read again.
        let files = plan::files(config, base);
        let stamps = stamps(&files);
        let state = state(config, region, base).map_err(bad)?;
        let held = Mutex::new(Held { stamps, state });
        Ok(Self { config: config.clone(), region: region.to_owned(), base: base.to_owned(), files, held })
    }

    /// What to sign with, until `deadline`; nothing where nothing is signed.
    pub(in crate::backend) async fn proof(&self, deadline: Instant) -> Result<Option<Proof>, InvokeError> {
        match self.state() {
            State::Unsigned => Ok(None),
            State::Fixed(keys) => Ok(Some(Proof { keys, kept: None })),
            State::Fetched(kept) => Ok(Some(Proof { keys: kept.get(deadline).await?, kept: Some(kept) })),
        }
    }

    /// When files changed to something that can't be used, the last good state serves on, loudly.
    fn state(&self) -> State {
        let stamps = stamps(&self.files);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.stamps != stamps {
            held.stamps = stamps;
            match state(&self.config, &self.region, &self.base) {
                Ok(state) => held.state = state,
                Err(problem) => tracing::error!(problem, "changed credentials can't be used; the last good ones serve"),
            }
        }
        held.state.clone()
    }
}

impl Proof {
    /// Signs a call.
    pub(in crate::backend) fn sign(
        &self,
        request: &mut Request<Full<Bytes>>,
        body: &[u8],
        (service, region): (&str, &str),
    ) -> Result<(), InvokeError> {
        let scope = Scope { region, service, at: SystemTime::now() };
        let signed = sign_request(request, body, &self.keys, scope, Form::default());
        signed.map_err(|error| InvokeError::Refused(error.to_string()))
    }

    /// Forgets keys that were asked for and that, as the service says, count no more.
    pub(in crate::backend) fn judge(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        if let Some(kept) = self.kept.as_ref().filter(|_| is_stale(status, headers, body)) {
            kept.reject(&self.keys, Instant::now());
        }
    }
}

impl CredentialsConfig {
    /// What is wrong with it as it is written; nothing is read.
    pub(in crate::backend) fn check(&self) -> Result<(), ConfigError> {
        match self {
            // Most often its keys were unknown and have been reported: that none is left follows. `new` refuses it.
            Self::Given(given) if **given == Given::default() => Ok(()),
            Self::Given(given) => given.check().map_err(bad),
            Self::At(_) | Self::None => Ok(()),
        }
    }
}

fn state(config: &CredentialsConfig, region: &str, base: &Path) -> Result<State, String> {
    let Some(plan) = Plan::new(config, region, base, &|name| env::var_os(name).filter(|value| !value.is_empty()))?
    else {
        return Ok(State::Unsigned);
    };
    match plan {
        Plan { base: Base::Keys(keys), roles, .. } if roles.is_empty() => Ok(State::Fixed(Arc::new(keys))),
        plan => {
            let plan = Arc::new(plan);
            Ok(State::Fetched(Arc::new(Kept::new(move || {
                let plan = plan.clone();
                Box::pin(async move { plan.fetch().await })
            }))))
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|path| Stamp::of(path)).collect()
}

fn bad(message: String) -> ConfigError {
    ConfigError { field: "credentials", message }
}

/// A failure of a source, which is named.
fn of(source: impl Into<String>) -> impl Fn(TokenError) -> TokenError {
    let source = source.into();
    move |error| TokenError::new(format!("{source}: {error}"))
}

#[cfg(test)]
mod tests;
