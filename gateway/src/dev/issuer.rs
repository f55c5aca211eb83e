//! The development issuer of tokens: one key on disk, tokens by hand or over OAuth. Anyone who can read its folder can be
//! anyone, so production refuses it.

mod people;
mod server;

pub use self::server::Server;

use super::{
    DevError,
    file::{self, Readers},
};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Map, Value, json};
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a token lives unless it is said.
pub const TTL: Duration = Duration::from_secs(3600);
/// Longest life of a token.
pub const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who may get tokens over HTTP, in the issuer's folder.
pub const PEOPLE_FILE: &str = "people.toml";

const KEY_FILE: &str = "issuer.key";
const PORT_FILE: &str = "issuer.port";

/// Claims that the issuer sets itself.
const OWN_CLAIMS: [&str; 7] = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"];

/// The development issuer.
pub struct Issuer {
    folder: PathBuf,
    identifier: String,
    port: u16,
    key: EncodingKey,
    jwk: Value,
    kid: String,
}

/// What a token is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// `sub`
    pub subject: String,
    /// `aud`
    pub audiences: Vec<String>,
    /// `groups`; left out when empty.
    pub groups: Vec<String>,
    /// `scope`; left out when empty.
    pub scopes: Vec<String>,
    /// From `iat` to `exp`.
    pub ttl: Duration,
    /// Other claims.
    pub extra: Map<String, Value>,
}

impl Claims {
    /// The least that a token says.
    #[must_use]
    pub fn new(subject: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            audiences: vec![audience.into()],
            groups: Vec::new(),
            scopes: Vec::new(),
            ttl: TTL,
            extra: Map::new(),
        }
    }
}

impl Issuer {
    /// Loads the issuer of `folder`; makes its key and chooses its port when they are not there.
    ///
    /// # Errors
    /// When a file can't be read, written or understood, or others may read the key.
    pub fn load_or_create(folder: &Path) -> Result<Self, DevError> {
        file::create_folder(folder)?;
        if let Some(issuer) = Self::load(folder)? {
            return Ok(issuer);
        }
        let key_path = folder.join(KEY_FILE);
        if file::read(&key_path, Readers::Owner)?.is_none() {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| DevError::Crypto("make a key"))?;
            file::write(&key_path, &key.serialize_pem(), Readers::Owner)?;
        }
        let port_path = folder.join(PORT_FILE);
        if file::read(&port_path, Readers::All)?.is_none() {
            let address = listen(0).and_then(|l| l.local_addr()).map_err(DevError::Listen)?;
            file::write(&port_path, &format!("{}\n", address.port()), Readers::All)?;
        }
        let missing = DevError::Content { path: folder.to_owned(), problem: "its files vanish".to_owned() };
        Self::load(folder)?.ok_or(missing)
    }

    /// Loads the issuer of `folder`, if there is one.
    ///
    /// # Errors
    /// As [`Issuer::load_or_create`].
    pub fn load(folder: &Path) -> Result<Option<Self>, DevError> {
        let (key_path, port_path) = (folder.join(KEY_FILE), folder.join(PORT_FILE));
        let (key, port) = (file::read(&key_path, Readers::Owner)?, file::read(&port_path, Readers::All)?);
        let (Some(key), Some(port)) = (key, port) else { return Ok(None) };
        let content = |path: PathBuf, problem: String| DevError::Content { path, problem };
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)
            .map_err(|e| content(key_path, e.to_string()))?;
        let port = port.trim().parse::<u16>().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| content(port_path, "it is not a port number".to_owned()))?;
        let (jwk, kid) = public(&key)?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            identifier: identifier(port),
            port,
            key: EncodingKey::from_ec_der(key.serialized_der()),
            jwk,
            kid,
        }))
    }

    /// The issuer identifier: what `iss` says and configuration has to repeat.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Lets `iss` say something else, such as the identifier that the configuration has.
    pub fn identify_as(&mut self, identifier: impl Into<String>) {
        self.identifier = identifier.into();
    }

    /// The keys, as the issuer publishes them.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }

    /// A signed token (RFC 9068), from now on.
    ///
    /// # Errors
    /// When `extra` has a claim that the issuer sets itself, or the signature fails.
    pub fn mint(&self, claims: &Claims) -> Result<String, DevError> {
        self.mint_at(claims, Timestamp::now())
    }

    /// A signed token, issued at `now`.
    ///
    /// # Errors
    /// As [`Issuer::mint`].
    pub fn mint_at(&self, claims: &Claims, now: Timestamp) -> Result<String, DevError> {
        let ttl = i64::try_from(claims.ttl.min(TTL_MAX).as_secs()).unwrap_or(i64::MAX);
        let audience = match &*claims.audiences {
            [one] => json!(one),
            several => json!(several),
        };
        let mut body = json!({
            "iss": self.identifier,
            "sub": claims.subject,
            "aud": audience,
            "client_id": claims.subject,
            "iat": now.as_second(),
            "exp": now.as_second().saturating_add(ttl),
            "jti": uuid::Uuid::now_v7().to_string(),
        });
        if !claims.scopes.is_empty() {
            set(&mut body, "scope", json!(claims.scopes.join(" ")));
        }
        if !claims.groups.is_empty() {
            set(&mut body, "groups", json!(claims.groups));
        }
        for (name, value) in &claims.extra {
            if OWN_CLAIMS.contains(&&**name) {
                return Err(DevError::Claim(name.clone()));
            }
            set(&mut body, name, value.clone());
        }
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": self.kid });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&body));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, Algorithm::ES256)
            .map_err(|_| DevError::Crypto("sign a token"))?;
        Ok(format!("{signed}.{signature}"))
    }

    /// Listens on the issuer's port. When that is taken, on another, which is the issuer's from then on: its identifier
    /// changes, and configuration has to follow.
    ///
    /// # Errors
    /// When no port can be had or the new one can't be stored.
    pub fn bind(mut self) -> Result<Server, DevError> {
        let listener = match listen(self.port) {
            Ok(listener) => listener,
            Err(_) => {
                let listener = listen(0).map_err(DevError::Listen)?;
                self.port = listener.local_addr().map_err(DevError::Listen)?.port();
                self.identifier = identifier(self.port);
                file::write(&self.folder.join(PORT_FILE), &format!("{}\n", self.port), Readers::All)?;
                listener
            }
        };
        Server::new(self, listener)
    }

    /// Listens on the issuer's own port only.
    ///
    /// # Errors
    /// When it is taken.
    pub fn bind_exactly(self) -> Result<Server, DevError> {
        let listener = listen(self.port).map_err(DevError::Listen)?;
        Server::new(self, listener)
    }

    /// Takes over a port that somebody else chose; the identifier follows.
    ///
    /// # Errors
    /// When it can't be stored.
    pub fn at_port(mut self, port: u16) -> Result<Self, DevError> {
        if self.port != port {
            self.port = port;
            self.identifier = identifier(port);
            file::write(&self.folder.join(PORT_FILE), &format!("{port}\n"), Readers::All)?;
        }
        Ok(self)
    }

    /// Writes a first `people.toml`, unless there is one: subjects and their groups.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn welcome(folder: &Path, audience: &str, people: &[(&str, &[&str])]) -> Result<(), DevError> {
        file::create_folder(folder)?;
        people::welcome(&folder.join(PEOPLE_FILE), audience, people)
    }

    /// What a token of this person says; `None` for somebody whom `people.toml` does not know.
    ///
    /// # Errors
    /// When the file can't be read or understood.
    pub fn claims_of(&self, subject: &str, audience: &str) -> Result<Option<Claims>, DevError> {
        let people = people::People::load(&self.people_path())?;
        let claims = people.named(subject).map(|p| p.claims(audience.to_owned(), p.scopes.clone()));
        Ok(claims)
    }

    fn people_path(&self) -> PathBuf {
        self.folder.join(PEOPLE_FILE)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("identifier", &self.identifier).field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(members) = body.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn identifier(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The public key as a JWK, and its thumbprint (RFC 7638), which is its id.
fn public(key: &KeyPair) -> Result<(Value, String), DevError> {
    let wrong = || DevError::Crypto("read the public key");
    let (x, y) = key.public_key_raw().strip_prefix(&[4]).and_then(|p| p.split_at_checked(32)).ok_or_else(wrong)?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig" });
    Ok((jwk, kid))
}
