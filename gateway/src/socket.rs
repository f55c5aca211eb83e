//! Listening sockets: TCP, and Unix sockets with the mode and owner that the configuration asks for.

use crate::{address::Address, config::Access};
use rustix::{
    fs::FlockOperation,
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use std::{
    fs::{File, Metadata, Permissions},
    io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::net::{TcpStream, UnixStream};

/// Connections that may wait to be accepted; the system's own limit is lower or equal.
const BACKLOG: i32 = 4096;
/// How long another process may take to bind in the same folder.
const TURN_MAX: Duration = Duration::from_secs(2);
/// How often it is asked whether it is done.
const TURN_ASKED: Duration = Duration::from_millis(5);

/// A socket that listens; nobody accepts yet.
#[derive(Debug)]
pub enum Socket {
    /// On the network.
    Tcp(TcpListener),
    /// On this machine, and the file, if it is ours to remove.
    Unix(UnixListener, Option<SocketFile>),
}

/// The file of a Unix socket that we made; removed when dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

/// A socket whose connections are accepted.
#[derive(Debug)]
pub(crate) enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, #[expect(dead_code, reason = "held for its drop")] Option<SocketFile>),
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket {
    /// Binds and listens. The file of a Unix socket whose process is gone is replaced.
    ///
    /// # Errors
    /// When the address is taken, or not ours to take.
    pub fn bind(address: &Address, access: &Access) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).map(Self::Tcp),
            Address::Unix(path) => unix(path, access),
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(Address::Tcp),
            Self::Unix(_, Some(file)) => Ok(Address::Unix(file.path.clone())),
            Self::Unix(socket, None) => {
                let address = socket.local_addr()?;
                Ok(Address::Unix(address.as_pathname().unwrap_or(Path::new("")).to_owned()))
            }
        }
    }

    /// Makes it ready to accept; must be called inside a runtime.
    pub(crate) fn accepting(self) -> io::Result<Accepting> {
        match self {
            Self::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(socket).map(Accepting::Tcp)
            }
            Self::Unix(socket, file) => {
                socket.set_nonblocking(true)?;
                Ok(Accepting::Unix(tokio::net::UnixListener::from_std(socket)?, file))
            }
        }
    }
}

impl From<TcpListener> for Socket {
    fn from(socket: TcpListener) -> Self {
        Self::Tcp(socket)
    }
}

impl From<UnixListener> for Socket {
    /// The file stays: it belongs to whoever bound the socket.
    fn from(socket: UnixListener) -> Self {
        Self::Unix(socket, None)
    }
}

impl Accepting {
    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream, peer))
            }
            Self::Unix(socket, _) => socket.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What lies there now may be another process's.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| inode(&found) == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// INVARIANT: nobody can connect before mode and owner are as configured: that takes `listen`, which comes last.
fn unix(path: &Path, access: &Access) -> io::Result<Socket> {
    let _turn = turn(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    clear(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile { path: path.to_owned(), inode: inode(&std::fs::symlink_metadata(path)?) };
    if access.owner.is_some() || access.group.is_some() {
        chown(path, access.owner, access.group)
            .map_err(|e| io::Error::new(e.kind(), format!("its owner or group can't be set: {e}")))?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(access.mode))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(Socket::Unix(UnixListener::from(socket), Some(file)))
}

/// One process at a time looks at the files of a folder and binds there, or two could replace each other's.
#[expect(clippy::disallowed_methods, reason = "a lock on a file says nothing when it is let go")]
fn turn(folder: &Path) -> io::Result<File> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("the folder `{}`: {e}", folder.display()));
    let folder_file = File::open(folder).map_err(named)?;
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(&folder_file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(folder_file),
            Err(Errno::WOULDBLOCK) if begun.elapsed() < TURN_MAX => std::thread::sleep(TURN_ASKED),
            Err(error) => return Err(named(error.into())),
        }
    }
}

/// Removes the socket of a process that is gone; whatever else lies there is an error.
fn clear(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there"));
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path),
        // A queue that is full is a process that lives.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "a running process listens there"))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    const ACCESS: Access = Access { mode: 0o640, owner: None, group: None };

    fn bind(path: &Path) -> io::Result<Socket> {
        Socket::bind(&Address::Unix(path.to_owned()), &ACCESS)
    }

    #[test]
    fn a_socket_has_its_mode_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let socket = bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(socket.address().unwrap(), Address::Unix(path.clone()));
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a process that was killed leaves its file");
        let first = bind(&path).unwrap();
        let taken = bind(&path).unwrap_err();
        assert_eq!((taken.kind(), taken.to_string().contains("running process")), (io::ErrorKind::AddrInUse, true));
        UnixStream::connect(&path).expect("the first one still serves");

        std::fs::remove_file(&path).unwrap();
        let second = bind(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).expect("the file of the second is not the first's to remove");
        drop(second);

        std::fs::write(&path, "notes").unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
        let missing = bind(&folder.path().join("none/app.sock")).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
    }
}
