//! Who is at the other end of the administrative interface.

use tokio::net::UnixStream;

/// Whoever reaches the interface may use it: it is on loopback, or a socket that only some may write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Somebody on this machine.
    Loopback,
    /// A process of this user id, as the kernel says.
    User(u32),
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        stream.peer_cred().map_or(Self::Loopback, |credentials| Self::User(credentials.uid()))
    }

    /// The words in records.
    pub(super) fn who(self) -> String {
        match self {
            Self::Loopback => "admin".to_owned(),
            Self::User(id) => format!("uid {id}"),
        }
    }
}
