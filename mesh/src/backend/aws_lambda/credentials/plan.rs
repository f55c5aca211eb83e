//! How keys are come by: what is configured, resolved to one source and the roles that are assumed with it.

use super::{
    CredentialsConfig, Given, Place, Variable,
    container::Container,
    instance::Instance,
    of, profile,
    sts::{Role, Sts, WebIdentity},
};
use crate::{
    secret::{Reference, sound},
    sign::aws_v4::Keys,
    token::{Lease, TokenError},
};
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Variables that say that the environment has keys, a web identity, or a container's endpoint.
const SIGNS: [(&str, Place); 4] = [
    ("AWS_ACCESS_KEY_ID", Place::Environment),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", Place::WebIdentity),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", Place::Container),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Place::Container),
];

/// One source, and what is done with its keys.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) base: Base,
    /// Assumed one after the other.
    pub(super) roles: Vec<Role>,
    sts: Sts,
}

/// Where the first keys come from.
#[derive(Debug)]
pub(super) enum Base {
    /// They are there.
    Keys(Keys),
    Container(Container),
    Instance(Instance),
    WebIdentity(WebIdentity),
}

impl Plan {
    /// The plan of a configuration; none where nothing is signed.
    pub(super) fn new(
        config: &CredentialsConfig,
        region: &str,
        base: &Path,
        variable: Variable<'_>,
    ) -> Result<Option<Self>, String> {
        let place = match config {
            CredentialsConfig::None => return Ok(None),
            CredentialsConfig::Given(given) => return Self::given(given, region, base, variable).map(Some),
            CredentialsConfig::At(place) => *place,
        };
        let base = at(place, None, variable)?;
        Ok(Some(Self { base, roles: Vec::new(), sts: Sts::new(region, None)? }))
    }

    fn given(given: &Given, region: &str, base: &Path, variable: Variable<'_>) -> Result<Self, String> {
        given.check()?;
        let metadata = given.metadata_endpoint.as_deref();
        let (first, mut roles) = if let Some(name) = &given.profile {
            profile::resolve(name, &profile::Files::by(variable)?, metadata, variable)?
        } else if let Some(place) = given.source {
            (at(place, metadata, variable)?, Vec::new())
        } else if let Some(written) = &given.web_identity {
            let token = Reference::parse("token", &written.token, base)?;
            let role = Role::new(&written.role, written.session_name.as_deref());
            (Base::WebIdentity(WebIdentity { token, role }), Vec::new())
        } else {
            (Base::Keys(referenced(given, base)?), Vec::new())
        };
        for written in &given.assume {
            let mut role = Role::new(&written.role, written.session_name.as_deref());
            role.external_id.clone_from(&written.external_id);
            role.seconds = written.seconds()?;
            roles.push(role);
        }
        Ok(Self { base: first, roles, sts: Sts::new(region, given.sts_endpoint.as_deref())? })
    }

    /// Keys for a while.
    pub(super) async fn fetch(&self) -> Result<Lease<Keys>, TokenError> {
        let mut roles = self.roles.iter();
        let mut lease = match &self.base {
            Base::Keys(keys) => match roles.next() {
                Some(role) => self.sts.assume(role, keys).await?,
                None => return Err(TokenError::new("keys that are there are not fetched")),
            },
            Base::Container(container) => container.fetch().await.map_err(of("the container's keys"))?,
            Base::Instance(instance) => instance.fetch().await.map_err(of("the instance's keys"))?,
            Base::WebIdentity(identity) => self.sts.exchange(identity).await?,
        };
        for role in roles {
            lease = self.sts.assume(role, &lease.value).await?;
        }
        Ok(lease)
    }
}

/// Files that say something else when they change.
pub(super) fn files(config: &CredentialsConfig, base: &Path) -> Vec<PathBuf> {
    let CredentialsConfig::Given(given) = config else { return Vec::new() };
    if given.profile.is_some() {
        let files = profile::Files::by(&|name| std::env::var_os(name).filter(|value| !value.is_empty()));
        return files.map_or_else(|_| Vec::new(), |files| vec![files.credentials, files.config]);
    }
    let written = [&given.access_key, &given.secret_key, &given.session_token];
    let references = written.into_iter().flatten().filter_map(|text| Reference::parse("", text, base).ok());
    references.filter_map(|reference| reference.file().map(Path::to_owned)).collect()
}

/// What comes from a place that is named by a word.
pub(super) fn at(place: Place, metadata: Option<&str>, variable: Variable<'_>) -> Result<Base, String> {
    match place {
        Place::Environment => match named(variable)? {
            Place::Container => Container::by(variable).map(Base::Container),
            Place::WebIdentity => WebIdentity::by(variable).map(Base::WebIdentity),
            Place::Environment | Place::Instance => keys(variable).map(Base::Keys),
        },
        Place::Container => Container::by(variable).map(Base::Container),
        Place::Instance => Instance::new(metadata).map(Base::Instance),
        Place::WebIdentity => WebIdentity::by(variable).map(Base::WebIdentity),
    }
}

/// What the environment names. Of several, the one that is meant can't be known.
fn named(variable: Variable<'_>) -> Result<Place, String> {
    let mut set = SIGNS.iter().filter(|(name, _)| variable(name).is_some());
    let Some((first, place)) = set.next() else { return Ok(Place::Environment) };
    match set.next() {
        None => Ok(*place),
        Some((second, _)) => {
            Err(format!("both `{first}` and `{second}` are set: say which is meant, such as `source = \"container\"`"))
        }
    }
}

/// Keys from variables.
pub(super) fn keys(variable: Variable<'_>) -> Result<Keys, String> {
    let text = |name: &str| {
        let key = |value: std::ffi::OsString| {
            value.to_str().and_then(sound).ok_or_else(|| format!("`{name}` in the environment is no key"))
        };
        variable(name).map(key).transpose()
    };
    let needed = |name: &str| text(name)?.ok_or_else(|| format!("`{name}` is not in the environment"));
    Ok(Keys {
        id: needed("AWS_ACCESS_KEY_ID")?,
        secret: needed("AWS_SECRET_ACCESS_KEY")?.into(),
        token: text("AWS_SESSION_TOKEN")?.map(SecretString::from),
    })
}

fn referenced(given: &Given, base: &Path) -> Result<Keys, String> {
    let read = |name: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| Reference::parse(name, text, base).and_then(|reference| reference.read()))
            .transpose()
    };
    let missing = || "`access_key` and `secret_key` belong together".to_owned();
    Ok(Keys {
        id: read("access_key", &given.access_key)?.ok_or_else(missing)?,
        secret: read("secret_key", &given.secret_key)?.ok_or_else(missing)?.into(),
        token: read("session_token", &given.session_token)?.map(SecretString::from),
    })
}
