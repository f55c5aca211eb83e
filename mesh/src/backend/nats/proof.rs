//! Who we are to a NATS server: at most one of the ways to say so, each secret by reference and read again when it changes.

use super::NatsConfig;
use crate::{
    backend::{ConfigError, endpoint},
    nats::{Login, NAME_BYTES_MAX},
    secret::{Reference, Secret, Watched},
};
use secrecy::SecretString;
use std::path::Path;

/// Where the secret lies.
#[derive(Debug)]
pub(super) enum Proof {
    Anonymous,
    Token(Secret),
    User(String, Secret),
    NKey(Secret),
    Credentials(Watched<SecretString>),
}

/// The keys that a login is written in.
fn written(config: &NatsConfig) -> [(&'static str, Option<&str>); 4] {
    [
        ("token", config.token.as_deref()),
        ("password", config.password.as_deref()),
        ("nkey", config.nkey.as_deref()),
        ("credentials", config.credentials.as_deref()),
    ]
}

/// Whether there is something that proves the gateway.
pub(super) fn given(config: &NatsConfig) -> bool {
    written(config).into_iter().any(|(_, text)| text.is_some())
}

/// What is wrong with it as it is written.
pub(super) fn problems(config: &NatsConfig) -> Vec<ConfigError> {
    let mut problems = Vec::new();
    let given = written(config).into_iter().filter_map(|(field, text)| Some((field, text?)));
    for (place, (field, text)) in given.enumerate() {
        problems
            .extend(Reference::parse(field, text, Path::new("")).err().map(|message| endpoint::bad(field, message)));
        if place > 0 {
            let message = "`token`, `user`, `nkey` and `credentials` exclude each other".to_owned();
            problems.push(endpoint::bad(field, message));
        }
    }
    match (&config.user, &config.password) {
        (Some(_), None) => problems.push(endpoint::bad("user", "a user has a `password`".to_owned())),
        (None, Some(_)) => problems.push(endpoint::bad("password", "a password is a `user`'s".to_owned())),
        (Some(user), Some(_))
            if user.is_empty() || user.len() > NAME_BYTES_MAX || user.chars().any(char::is_control) =>
        {
            problems.push(endpoint::bad("user", format!("`{}` is no user", endpoint::shown(user))));
        }
        _ => {}
    }
    problems
}

impl Proof {
    /// Reads the secret a first time.
    pub(super) fn new(config: &NatsConfig, base: &Path) -> Result<Self, ConfigError> {
        let secret = |field: &'static str, text: &str| {
            Secret::new(field, text, base).map_err(|message| endpoint::bad(field, message))
        };
        let NatsConfig { token, user, password, nkey, credentials, .. } = config;
        let (field, proof) = match (token, user.as_ref().zip(password.as_ref()), nkey, credentials) {
            (Some(token), ..) => ("token", Self::Token(secret("token", token)?)),
            (_, Some((user, password)), ..) => ("password", Self::User(user.clone(), secret("password", password)?)),
            (.., Some(nkey), _) => ("nkey", Self::NKey(secret("nkey", nkey)?)),
            (.., Some(text)) => {
                let whole = Watched::of("credentials", text, base, Reference::read_whole);
                ("credentials", Self::Credentials(whole.map_err(|message| endpoint::bad("credentials", message))?))
            }
            (None, None, None, None) => return Ok(Self::Anonymous),
        };
        match proof.login().problem() {
            Some(problem) => Err(endpoint::bad(field, problem.to_owned())),
            None => Ok(proof),
        }
    }

    /// Who we are now.
    pub(super) fn login(&self) -> Login {
        match self {
            Self::Anonymous => Login::Anonymous,
            Self::Token(secret) => Login::Token(secret.value()),
            Self::User(user, password) => Login::User(user.clone(), password.value()),
            Self::NKey(seed) => Login::NKey(seed.value()),
            Self::Credentials(text) => Login::Credentials(text.value()),
        }
    }
}
