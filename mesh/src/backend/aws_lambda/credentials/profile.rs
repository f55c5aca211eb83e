//! A profile of the shared files. What a profile says and we do not do is an error, never passed over.

use super::{
    Place, Variable,
    plan::{self, Base},
    sts::{Role, WebIdentity},
    written::{check_role, check_session},
};
use crate::{
    secret::{Reference, read_file, sound},
    sign::aws_v4::Keys,
};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf};

/// Longest name of a profile, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Most profiles that take their keys from one another.
const CHAIN_MAX: usize = 8;

/// Keys of a profile that take credentials from programs, browsers or people.
const UNSUPPORTED: [&str; 6] =
    ["credential_process", "mfa_serial", "sso_session", "sso_start_url", "sso_account_id", "login_session"];

/// The shared files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Keys, in sections `[NAME]`.
    pub(super) credentials: PathBuf,
    /// Settings, in sections `[profile NAME]`.
    pub(super) config: PathBuf,
}

/// What a profile says, in both files: keys and settings.
type Section = BTreeMap<String, String>;

impl Files {
    /// Where the environment says they are.
    pub(super) fn by(variable: Variable<'_>) -> Result<Self, String> {
        let place = |name: &str, file: &str| match variable(name) {
            Some(path) => Ok(PathBuf::from(path)),
            None => match variable("HOME") {
                Some(home) => Ok(PathBuf::from(home).join(".aws").join(file)),
                None => Err(format!("neither `{name}` nor `HOME` says where profiles are")),
            },
        };
        Ok(Self {
            credentials: place("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
            config: place("AWS_CONFIG_FILE", "config")?,
        })
    }

    /// What both say of a profile; keys in the one go before those in the other.
    fn profile(&self, name: &str) -> Result<Section, String> {
        let wanted = |header: &str| match header.strip_prefix("profile") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.trim() == name,
            _ => name == "default" && header == "default",
        };
        let read = |path: &PathBuf, wanted: &dyn Fn(&str) -> bool| match path.exists() {
            true => section(&read_file(path)?, wanted).map_err(|l| format!("`{}`:{l} can't be read", path.display())),
            false => Ok(None),
        };
        let settings = read(&self.config, &wanted)?;
        let keys = read(&self.credentials, &|header| header == name)?;
        if settings.is_none() && keys.is_none() {
            let (credentials, config) = (self.credentials.display(), self.config.display());
            return Err(format!("neither `{credentials}` nor `{config}` has profile `{name}`"));
        }
        let mut all = settings.unwrap_or_default();
        all.extend(keys.unwrap_or_default());
        match UNSUPPORTED.iter().find(|key| all.contains_key(**key)) {
            Some(key) => Err(format!("profile `{name}` has `{key}`, and such credentials are not supported")),
            None => Ok(all),
        }
    }
}

/// The name, if it can be one.
pub(super) fn check(name: &str) -> Result<(), String> {
    let odd = name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || name.trim() != name
        || name.chars().any(|c| c.is_control() || c == '[' || c == ']');
    if odd { Err(format!("`{}` is no name of a profile", name.escape_debug())) } else { Ok(()) }
}

/// Where a profile's keys come from, and the roles that it assumes with them.
pub(super) fn resolve(
    name: &str,
    files: &Files,
    metadata: Option<&str>,
    variable: Variable<'_>,
) -> Result<(Base, Vec<Role>), String> {
    let (mut name, mut roles, mut seen) = (name.to_owned(), Vec::new(), Vec::new());
    loop {
        let profile = Profile { section: files.profile(&name)?, name: name.clone() };
        if seen.len() == CHAIN_MAX || seen.contains(&name) {
            return Err(format!("profile `{name}` takes its keys from itself, or from too many others"));
        }
        seen.push(name);
        let Some(arn) = profile.get("role_arn") else {
            return profile.without_role().map(|keys| (Base::Keys(keys), reversed(roles)));
        };
        let role = profile.role(arn)?;
        let sources = ["web_identity_token_file", "source_profile", "credential_source"];
        let sources: Vec<(&str, &str)> = sources.into_iter().filter_map(|s| Some((s, profile.get(s)?))).collect();
        let base = match sources.as_slice() {
            [("web_identity_token_file", file)] => {
                let token = Reference::File(file.into());
                return Ok((Base::WebIdentity(WebIdentity { token, role }), reversed(roles)));
            }
            [("source_profile", source)] if *source == profile.name => Base::Keys(profile.keys()?),
            [("source_profile", source)] => {
                check(source)?;
                name = (*source).to_owned();
                roles.push(role);
                continue;
            }
            [("credential_source", source)] => profile.source(source, metadata, variable)?,
            _ => {
                let name = &profile.name;
                return Err(format!("profile `{name}` assumes a role and has not one of {}", SOURCES));
            }
        };
        roles.push(role);
        return Ok((base, reversed(roles)));
    }
}

/// What a profile with a role has one of.
const SOURCES: &str = "`source_profile`, `credential_source` and `web_identity_token_file`";

/// The role of the profile that was asked for is assumed last.
fn reversed(mut roles: Vec<Role>) -> Vec<Role> {
    roles.reverse();
    roles
}

struct Profile {
    name: String,
    section: Section,
}

impl Profile {
    fn get(&self, key: &str) -> Option<&str> {
        self.section.get(key).map(String::as_str)
    }

    fn role(&self, arn: &str) -> Result<Role, String> {
        let named = |problem: String| format!("profile `{}`: {problem}", self.name);
        check_role(arn).map_err(named)?;
        check_session(self.get("role_session_name")).map_err(named)?;
        let mut role = Role::new(arn, self.get("role_session_name"));
        role.external_id = self.get("external_id").map(str::to_owned);
        let seconds = self.get("duration_seconds").map(str::parse).transpose();
        role.seconds = seconds.map_err(|_| named("`duration_seconds` is no number".to_owned()))?;
        Ok(role)
    }

    /// The keys of a profile that assumes no role.
    fn without_role(&self) -> Result<Keys, String> {
        let stray = ["source_profile", "credential_source", "web_identity_token_file", "external_id"];
        match stray.into_iter().find(|key| self.get(key).is_some()) {
            Some(key) => Err(format!("profile `{}` has `{key}` and no `role_arn`", self.name)),
            None => self.keys(),
        }
    }

    fn keys(&self) -> Result<Keys, String> {
        let name = &self.name;
        let key = |key: &str| {
            self.get(key)
                .map(|value| sound(value).ok_or_else(|| format!("`{key}` of profile `{name}` is no key")))
                .transpose()
        };
        let needed = |of: &str| key(of)?.ok_or_else(|| format!("profile `{name}` has no `{of}`"));
        Ok(Keys {
            id: needed("aws_access_key_id")?,
            secret: needed("aws_secret_access_key")?.into(),
            token: key("aws_session_token")?.map(SecretString::from),
        })
    }

    fn source(&self, source: &str, metadata: Option<&str>, variable: Variable<'_>) -> Result<Base, String> {
        match source {
            "Environment" => plan::keys(variable).map(Base::Keys),
            "Ec2InstanceMetadata" => plan::at(Place::Instance, metadata, variable),
            "EcsContainer" => plan::at(Place::Container, None, variable),
            other => Err(format!("`credential_source` of profile `{}` is `{}`", self.name, other.escape_debug())),
        }
    }
}

/// A section of an INI file, or the number of the first line that is none. Sections of one name add up.
fn section(text: &str, wanted: &dyn Fn(&str) -> bool) -> Result<Option<BTreeMap<String, String>>, usize> {
    let (mut found, mut inside, mut nested) = (None, false, false);
    for (number, line) in (1_usize..).zip(text.lines()) {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = plain.strip_prefix('[') {
            let (header, _) = header.split_once(']').ok_or(number)?;
            inside = wanted(header.trim());
            if inside {
                found.get_or_insert_with(BTreeMap::new);
            }
            nested = false;
            continue;
        }
        // An empty value followed by indented lines is a nested table, of which no credential is part.
        if nested && line.starts_with([' ', '\t']) {
            continue;
        }
        let (key, value) = plain.split_once('=').ok_or(number)?;
        nested = value.trim().is_empty();
        if let Some(section) = found.as_mut().filter(|_| inside) {
            let value = value.split(" #").next().and_then(|value| value.split(" ;").next()).unwrap_or_default();
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Ok(found)
}
