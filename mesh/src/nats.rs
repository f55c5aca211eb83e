//! NATS: its servers' addresses, the names that it takes, and how its official client is told who we are.

use async_nats::ConnectOptions;
use secrecy::{ExposeSecret, SecretString};
use std::{io, net::IpAddr, path::Path, time::Duration};
use url::Url;

/// Most servers that may be named.
pub const SERVERS_MAX: usize = 16;
/// Longest subject, stream or user, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Length of the seed of an NKey, in bytes.
const SEED_BYTES: usize = 58;

/// Who we are.
#[derive(Clone, Debug)]
pub enum Login {
    /// Nobody in particular.
    Anonymous,
    /// A token.
    Token(SecretString),
    /// A user and a password.
    User(String, SecretString),
    /// The seed of an NKey.
    NKey(SecretString),
    /// The text of a credentials file: a JWT and the seed of its NKey.
    Credentials(SecretString),
}

/// A server's address as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// It is reached over TLS.
    pub secure: bool,
    /// It is on this machine.
    pub loopback: bool,
}

/// Why a text is no server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `nats://host:port` or `tls://host:port`.
    #[error("it is no address of a NATS server such as `tls://nats.internal:4222`")]
    Unreadable,
    /// A user, a password or a token stands in it.
    #[error("the address has user information")]
    UserInformation,
    /// Something follows the port.
    #[error("the address of a NATS server ends with its port")]
    Longer,
}

impl Address {
    /// Reads one.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "nats" | "tls") && url.has_host());
        let url = url.ok_or(AddressError::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::UserInformation);
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Longer);
        }
        Ok(Self { secure: url.scheme() == "tls", loopback: is_loopback(&url) })
    }
}

/// Hosts of such addresses are not parsed as those of the web.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// Whether a text can name a stream.
#[must_use]
pub fn is_stream(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_graphic() && !b".*>/\\".contains(&b);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(sound)
}

/// Whether something can be sent to a subject: words with dots between, none of them a wildcard. What begins with `$` is the
/// server's own.
#[must_use]
pub fn is_subject(text: &str) -> bool {
    let sound = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && !b"*>{}".contains(&b));
    text.len() <= NAME_BYTES_MAX && !text.starts_with('$') && text.split('.').all(sound)
}

impl Login {
    /// Why the secret is none of its kind. It is not repeated.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let (sound, problem) = match self {
            Self::Anonymous => return None,
            Self::Token(secret) | Self::User(_, secret) => (!secret.expose_secret().is_empty(), "the secret is empty"),
            Self::NKey(seed) => (
                is_seed(seed.expose_secret().as_bytes()),
                "the secret is no seed of a user's NKey: 58 letters that begin with `SU`",
            ),
            Self::Credentials(text) => (
                ConnectOptions::with_credentials(text.expose_secret()).is_ok(),
                "the secret is no credentials file: a JWT and the seed of its NKey",
            ),
        };
        (!sound).then_some(problem)
    }

    /// What a connection is made with: where it may go, the configuration says alone. A connection that is lost is tried once
    /// at each of the `servers`, and is over then.
    ///
    /// # Errors
    /// Credentials that are none.
    pub fn options(&self, ca: Option<&Path>, timeout: Duration, servers: usize) -> io::Result<ConnectOptions> {
        let options = ConnectOptions::new();
        let options = match self {
            Self::Anonymous => options,
            Self::Token(token) => options.token(token.expose_secret().to_owned()),
            Self::User(user, password) => options.user_and_password(user.clone(), password.expose_secret().to_owned()),
            Self::NKey(seed) => options.nkey(seed.expose_secret().to_owned()),
            Self::Credentials(text) => options.credentials(text.expose_secret())?,
        };
        let options = match ca {
            Some(ca) => options.add_root_certificates(ca.to_owned()),
            None => options,
        };
        Ok(options.name("latchwork").connection_timeout(timeout).ignore_discovered_servers().max_reconnects(servers))
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
        match (self, other) {
            (Self::Anonymous, Self::Anonymous) => true,
            (Self::User(user, password), Self::User(other, others)) => user == other && same(password, others),
            (Self::Token(a), Self::Token(b))
            | (Self::NKey(a), Self::NKey(b))
            | (Self::Credentials(a), Self::Credentials(b)) => same(a, b),
            _ => false,
        }
    }
}

impl Eq for Login {}

fn is_seed(text: &[u8]) -> bool {
    text.len() == SEED_BYTES && text.starts_with(b"SU") && text.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = Address::parse;
        assert_eq!(read("tls://nats.internal:4222"), Ok(Address { secure: true, loopback: false }));
        assert_eq!(read("nats://[::1]:4222"), Ok(Address { secure: false, loopback: true }));
        assert_eq!(read("nats://localhost"), Ok(Address { secure: false, loopback: true }));
        assert_eq!(read("http://nats.internal"), Err(AddressError::Unreadable));
        assert_eq!(read("nats.internal:4222"), Err(AddressError::Unreadable));
        assert_eq!(read("nats://user:pass@nats.internal"), Err(AddressError::UserInformation));
        assert_eq!(read("nats://nats.internal/orders"), Err(AddressError::Longer));
    }

    #[test]
    fn names_are_told_apart() {
        assert!(is_stream("ORDERS") && !is_stream("") && !is_stream("a.b") && !is_stream("a b"));
        assert!(is_subject("orders.7.made") && is_subject("orders"));
        for wrong in ["", "a..b", "a.*", "a.>", "a b", "$JS.API", ".a", "a\n"] {
            assert!(!is_subject(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn secrets_are_checked_and_compared() {
        let seed = |text: &str| Login::NKey(text.into());
        let sound = "SUAIO3FHUX5PNV2LQIIP7TZ3N4L7TX3W53MQGEIVYFIGA635OZCKEYHFLM";
        assert_eq!(seed(sound).problem(), None);
        assert!(seed("SUA").problem().is_some() && Login::Credentials("no".into()).problem().is_some());
        assert!(Login::Token("".into()).problem().is_some());
        assert!(seed(sound) == seed(sound) && seed(sound) != Login::Token(sound.into()));
        assert!(Login::User("a".into(), "b".into()) != Login::User("a".into(), "c".into()));
        assert!(!format!("{:?}", seed(sound)).contains(sound));
    }
}
