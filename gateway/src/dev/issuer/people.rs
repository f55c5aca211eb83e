//! `people.toml`: who may get tokens from the development issuer, and what their tokens say.

use super::Claims;
use crate::dev::{
    DevError,
    file::{self, Readers},
};
use aws_lc_rs::constant_time;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// Everyone.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct People {
    /// Audiences that may be asked for; the first is the default.
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    #[serde(default)]
    person: Vec<Person>,
}

/// A person or a program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    subject: String,
    #[serde(deserialize_with = "secret")]
    secret: SecretString,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    claims: Map<String, Value>,
}

/// Writes a first `people.toml` with secrets of its own, unless there is one.
///
/// # Errors
/// When it can't be written.
pub(super) fn welcome(path: &Path, audience: &str, people: &[(&str, &[&str])]) -> Result<(), DevError> {
    if path.exists() {
        return Ok(());
    }
    let mut text = format!(
        "# Who may get tokens from the development issuer: `latchwork call --as NAME`,\n\
         # `latchwork token mint --subject NAME`, or\n\
         # curl -u NAME:SECRET -d grant_type=client_credentials ISSUER/token\n\
         audiences = [{audience:?}]\n"
    );
    for (subject, groups) in people {
        let secret = uuid::Uuid::new_v4().simple();
        text.push_str(&format!("\n[[person]]\nsubject = {subject:?}\nsecret = \"{secret}\"\ngroups = {groups:?}\n"));
    }
    file::write(path, &text, Readers::Owner)
}

impl People {
    /// Reads the file anew, so that an edit counts at once. Without a file there is nobody.
    pub(super) fn load(path: &Path) -> Result<Self, DevError> {
        let Some(text) = file::read(path, Readers::All)? else { return Ok(Self::default()) };
        let content = |e: toml::de::Error| DevError::Content { path: path.to_owned(), problem: e.message().to_owned() };
        toml::from_str(&text).map_err(content)
    }

    /// The person with this subject.
    pub(super) fn named(&self, subject: &str) -> Option<&Person> {
        self.person.iter().find(|p| p.subject == subject)
    }

    /// The person with this subject and secret.
    pub(super) fn authenticate(&self, subject: &str, secret: &str) -> Option<&Person> {
        let person = self.person.iter().find(|p| p.subject == subject)?;
        let expected = person.secret.expose_secret().as_bytes();
        constant_time::verify_slices_are_equal(expected, secret.as_bytes()).ok()?;
        (!expected.is_empty()).then_some(person)
    }
}

impl Person {
    /// What the person's token says.
    pub(super) fn claims(&self, audience: String, scopes: Vec<String>) -> Claims {
        let mut claims = Claims::new(self.subject.clone(), audience);
        claims.groups.clone_from(&self.groups);
        claims.scopes = scopes;
        claims.extra.clone_from(&self.claims);
        claims
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}
