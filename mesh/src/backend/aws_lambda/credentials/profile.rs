//! A profile of the shared files. What a profile says and we do not do is an error, never passed over.

use crate::{
    secret::{read_file, sound},
    sign::aws_v4::Keys,
};
use secrecy::SecretString;
use std::{collections::BTreeMap, env, path::PathBuf};

/// Longest name of a profile, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Keys of a profile that take credentials from elsewhere.
const UNSUPPORTED: [&str; 9] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "login_session",
];

/// The shared files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Keys, in sections `[NAME]`.
    pub(super) credentials: PathBuf,
    /// Settings, in sections `[profile NAME]`.
    pub(super) config: PathBuf,
}

impl Files {
    /// Where they are for this process.
    pub(super) fn of_this_process() -> Result<Self, String> {
        let place = |variable: &str, name: &str| match env::var_os(variable).filter(|path| !path.is_empty()) {
            Some(path) => Ok(PathBuf::from(path)),
            None => match env::var_os("HOME").filter(|home| !home.is_empty()) {
                Some(home) => Ok(PathBuf::from(home).join(".aws").join(name)),
                None => Err(format!("neither `{variable}` nor `HOME` says where profiles are")),
            },
        };
        Ok(Self {
            credentials: place("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
            config: place("AWS_CONFIG_FILE", "config")?,
        })
    }
}

/// The name, if it can be one.
pub(super) fn check(name: &str) -> Result<String, String> {
    let odd = name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || name.trim() != name
        || name.chars().any(|c| c.is_control() || c == '[' || c == ']');
    if odd { Err(format!("`{}` is no name of a profile", name.escape_debug())) } else { Ok(name.to_owned()) }
}

/// The keys of a profile.
pub(super) fn read(name: &str, files: &Files) -> Result<Keys, String> {
    let shown = files.credentials.display();
    let own = section(&read_file(&files.credentials)?, &|header| header == name)
        .map_err(|line| format!("`{shown}`:{line} can't be read"))?;
    if files.config.exists() {
        let wanted = |header: &str| match header.strip_prefix("profile") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.trim() == name,
            _ => name == "default" && header == "default",
        };
        let text = read_file(&files.config)?;
        let settings =
            section(&text, &wanted).map_err(|l| format!("`{}`:{l} can't be read", files.config.display()))?;
        supported(name, &settings.unwrap_or_default())?;
    }
    let own = own.ok_or_else(|| format!("`{shown}` has no profile `{name}`"))?;
    supported(name, &own)?;
    let key = |key: &str| {
        own.get(key).map(|value| sound(value).ok_or_else(|| format!("`{key}` of profile `{name}` is no key")))
    };
    let needed = |name_of: &str| key(name_of).unwrap_or_else(|| Err(format!("profile `{name}` has no `{name_of}`")));
    Ok(Keys {
        id: needed("aws_access_key_id")?,
        secret: needed("aws_secret_access_key")?.into(),
        token: key("aws_session_token").transpose()?.map(SecretString::from),
    })
}

fn supported(name: &str, section: &BTreeMap<String, String>) -> Result<(), String> {
    match UNSUPPORTED.iter().find(|key| section.contains_key(**key)) {
        Some(key) => Err(format!("profile `{name}` has `{key}`, and such credentials are not supported")),
        None => Ok(()),
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
