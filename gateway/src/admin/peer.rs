//! Who is at the other end of the administrative interface, as the kernel says.

use tokio::net::UnixStream;

/// What is known of somebody without any credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Somebody on this machine.
    Loopback,
    /// A process of this user id.
    User(u32),
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        stream.peer_cred().map_or(Self::Loopback, |credentials| Self::User(credentials.uid()))
    }

    /// This process, by the same means.
    pub(super) fn own() -> Self {
        UnixStream::pair().map_or(Self::Loopback, |(one, _)| Self::of(&one))
    }

    /// Whether it is the user of this gateway, or root: both have all that the gateway has.
    pub(super) fn owns(self, own: Self) -> bool {
        matches!(self, Self::User(id) if id == 0 || self == own)
    }

    /// The words in records.
    pub(super) fn who(self) -> String {
        match self {
            Self::Loopback => "admin".to_owned(),
            Self::User(id) => format!("uid {id}"),
        }
    }
}
