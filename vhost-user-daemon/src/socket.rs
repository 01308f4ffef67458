// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The way front ends reach us, and the sockets that we are given for it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::config::SocketPath;
use crate::sys;

/// How connections with front ends come about.
#[derive(Debug)]
pub(crate) enum Socket {
    /// Front ends connect to us, one after the other.
    Listening(UnixListener),
    /// There is one connection, already made.
    Connected(UnixStream),
    /// We connect to a front end, again and again.
    Connecting(FrontEnd),
}

/// A front end that listens.
#[derive(Debug)]
pub(crate) struct FrontEnd {
    /// What the operator calls it.
    pub(crate) path: SocketPath,
    /// Whether its directory is the working directory now, and no longer where the operator sees it.
    pub(crate) moved: bool,
}

impl FrontEnd {
    /// Whether nothing can be connected to any more: the directory that was kept within reach was
    /// removed, and one that was made anew is another one.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.moved && fs::metadata(".").is_ok_and(|directory| directory.nlink() == 0)
    }

    /// What to connect to.
    pub(crate) fn address(&self) -> &Path {
        if self.moved { Path::new(self.path.name()) } else { self.path.as_ref() }
    }
}

/// Takes over the inherited socket `fd`, listening or connected: `--fd`.
///
/// To be called before this process has opened anything, see [`sys::process::adopt_inherited`].
///
/// # Errors
/// It is not open, or no such socket.
pub(crate) fn inherited(fd: RawFd) -> Result<Socket, InheritError> {
    let socket =
        sys::process::adopt_inherited(fd).map_err(|source| InheritError::NotOpen { fd, source })?;
    let option = |name| {
        sys::socket::option(socket.as_fd(), name)
            .map_err(|source| InheritError::NoSocket { fd, source })
    };
    if option(libc::SO_DOMAIN)? != libc::AF_UNIX || option(libc::SO_TYPE)? != libc::SOCK_STREAM {
        return Err(InheritError::OtherKind(fd));
    }
    if option(libc::SO_ACCEPTCONN)? != 0 {
        return Ok(Socket::Listening(UnixListener::from(socket)));
    }
    connected(fd, socket)
}

fn connected(fd: RawFd, socket: OwnedFd) -> Result<Socket, InheritError> {
    let stream = UnixStream::from(socket);
    match stream.peer_addr() {
        Ok(_) => Ok(Socket::Connected(stream)),
        Err(source) => Err(InheritError::Unconnected { fd, source }),
    }
}

/// Takes over the socket that a service manager passed: LISTEN_FDS.
///
/// To be called before this process has opened anything, and before there are threads.
///
/// # Errors
/// There is not exactly one, or it is no socket that can be used.
pub(crate) fn activated() -> Result<Socket, InheritError> {
    match sys::process::take_listen_fds().map_err(InheritError::Environment)?[..] {
        [fd] => inherited(fd),
        [] => Err(InheritError::NoSocketSaid),
        ref more => Err(InheritError::ManyActivated(more.len())),
    }
}

/// The socket that we were to inherit cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritError {
    #[error("file descriptor {fd} was not inherited")]
    NotOpen { fd: RawFd, source: io::Error },

    #[error("file descriptor {fd} is no socket")]
    NoSocket { fd: RawFd, source: io::Error },

    #[error("file descriptor {0} is a socket, but no Unix stream socket")]
    OtherKind(RawFd),

    #[error("file descriptor {fd} is a socket that neither listens nor is connected")]
    Unconnected { fd: RawFd, source: io::Error },

    #[error("read the sockets that the service manager passed")]
    Environment(#[source] io::Error),

    #[error("the service manager passed {0} sockets where there must be one")]
    ManyActivated(usize),

    #[error(
        "no socket: one of --socket-path, --fd and --connect is needed, \
         or a service manager that passes a socket (LISTEN_FDS)"
    )]
    NoSocketSaid,
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn refusal(fd: RawFd) -> String {
        inherited(fd).unwrap_err().to_string()
    }

    #[test]
    fn fd_of_a_listening_socket_is_listened_on() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let fd = UnixListener::bind(&path).unwrap().into_raw_fd();
        let Socket::Listening(listener) = inherited(fd).unwrap() else { panic!("not listening") };
        UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn fd_inherited_is_not_inherited_any_further() {
        let (_far, near) = UnixStream::pair().unwrap();
        let fd = near.into_raw_fd();
        sys::test::let_be_inherited(fd);
        let _socket = inherited(fd).unwrap();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_eq!(flags & libc::O_CLOEXEC, libc::O_CLOEXEC);
    }

    #[test]
    fn fd_of_a_connected_socket_is_a_connection() {
        let (_far, near) = UnixStream::pair().unwrap();
        assert!(matches!(inherited(near.into_raw_fd()).unwrap(), Socket::Connected(_)));
    }

    #[test]
    fn fd_of_a_fresh_socket_is_refused() {
        let fd = sys::socket::unix_stream().unwrap().into_raw_fd();
        assert_eq!(
            refusal(fd),
            format!("file descriptor {fd} is a socket that neither listens nor is connected")
        );
    }

    #[test]
    fn fd_of_another_kind_of_socket_is_refused() {
        let internet = TcpListener::bind("127.0.0.1:0").unwrap().into_raw_fd();
        let datagrams = UnixDatagram::unbound().unwrap().into_raw_fd();
        for fd in [internet, datagrams] {
            assert_eq!(
                refusal(fd),
                format!("file descriptor {fd} is a socket, but no Unix stream socket")
            );
        }
    }

    #[test]
    fn fd_of_a_file_is_refused() {
        let fd = tempfile::tempfile().unwrap().into_raw_fd();
        assert_eq!(refusal(fd), format!("file descriptor {fd} is no socket"));
    }

    #[test]
    fn fd_that_is_not_open_is_refused() {
        assert_eq!(
            refusal(RawFd::MAX),
            format!("file descriptor {} was not inherited", RawFd::MAX)
        );
    }
}
