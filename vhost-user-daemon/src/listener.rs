// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The socket that we make and listen on.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::config::ListenAt;
use crate::entry::{Entry, Place};
use crate::occupant::Occupant;
use crate::sys;

/// How many connections may wait while one is drained.
const BACKLOG: libc::c_int = 128;

/// Makes the socket, with its group and mode, and listens on it; a stale socket in its place is
/// replaced. Returns the entry to be removed at the end with it.
///
/// `alone` says that a lock shows whoever had this socket before to be gone: then it counts as
/// stale even where `/proc` does not tell.
///
/// # Errors
/// All of them are the operator's to repair; nothing is left behind.
pub(crate) fn bind(at: &ListenAt, alone: bool) -> Result<(UnixListener, Entry), ListenError> {
    let path = at.path.as_ref();
    let group = at.group.as_deref().map(group_number).transpose()?;
    let on = |act| move |source| ListenError::Io { act, path: path.to_owned(), source };
    let place = Place::of(path).map_err(on("open the directory of"))?;
    clear(&place, path, alone)?;

    let socket = sys::socket::unix_stream().map_err(on("make"))?;
    // The file gets the mode of the socket, less the umask: only the owner, until the group is
    // right.
    let socket = File::from(socket);
    socket.set_permissions(Permissions::from_mode(0o600)).map_err(on("set the mode of"))?;
    sys::socket::bind(socket.as_fd(), &address(path)).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::TakenMeanwhile(path.to_owned()),
        _ => on("bind")(source),
    })?;

    let found = place.look().and_then(|found| found.ok_or(io::ErrorKind::NotFound.into()));
    let mut entry = Entry::new(place, found.map_err(on("look at"))?.inode);
    let opened = sys::socket::listen(socket.as_fd(), BACKLOG)
        .map_err(on("listen on"))
        .and_then(|()| let_in(&entry, group, at.mode).map_err(on("set group and mode of")));
    match opened {
        Ok(file) => {
            entry.hold(file);
            Ok((UnixListener::from(OwnedFd::from(socket)), entry))
        }
        Err(error) => {
            entry.remove();
            Err(error)
        }
    }
}

fn group_number(name: &str) -> Result<libc::gid_t, ListenError> {
    let found = match CString::new(name) {
        Ok(name) => sys::process::group_id(&name),
        Err(error) => Err(error.into()),
    };
    let found = found.map_err(|source| ListenError::Groups { name: name.to_owned(), source })?;
    let number = found.or_else(|| name.parse().ok());
    number.ok_or_else(|| ListenError::NoSuchGroup(name.to_owned()))
}

/// Removes a stale socket from the place; anything else there is an error.
fn clear(place: &Place, path: &Path, alone: bool) -> Result<(), ListenError> {
    let on = |act| move |source| ListenError::Io { act, path: path.to_owned(), source };
    let Some(found) = place.look().map_err(on("look at"))? else {
        return Ok(());
    };
    if !found.is_socket {
        return Err(ListenError::NoSocket(path.to_owned()));
    }
    match Occupant::of(path, found.inode) {
        Ok(None) => {}
        Ok(Some(occupant)) => {
            return Err(ListenError::InUse { path: path.to_owned(), occupant });
        }
        Err(error) if alone => log::debug!("read /proc/net/unix: {error}"),
        Err(source) => {
            return Err(ListenError::Unknown { path: path.to_owned(), source });
        }
    }
    if place.remove(found.inode).map_err(on("remove the stale"))? {
        log::info!("replaced the stale socket {path:?}");
    }
    Ok(())
}

/// The path as others should see it in /proc/net/unix: absolute, if an address has room for that.
fn address(path: &Path) -> PathBuf {
    match std::path::absolute(path) {
        Ok(absolute) if absolute.as_os_str().len() <= sys::socket::LONGEST_PATH => absolute,
        _ => path.to_owned(),
    }
}

/// Gives the socket to the group, and lets in whom the mode says. Returns its file.
fn let_in(entry: &Entry, group: Option<libc::gid_t>, mode: u32) -> io::Result<File> {
    // By descriptor: the path could have been given to another file meanwhile.
    let file = entry.open()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if group.is_some() {
        std::os::unix::fs::chown(&path, None, group)?;
    }
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok(file)
}

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{act} socket {path:?}")]
    Io { act: &'static str, path: PathBuf, source: io::Error },

    #[error("socket {path:?} is in use by {occupant}")]
    InUse { path: PathBuf, occupant: Occupant },

    #[error("socket {0:?} was taken by another process just now")]
    TakenMeanwhile(PathBuf),

    #[error(
        "socket {path:?} exists, and whether it is in use cannot be told without /proc/net/unix"
    )]
    Unknown { path: PathBuf, source: io::Error },

    #[error("{0:?} exists and is no socket; it is left alone")]
    NoSocket(PathBuf),

    #[error("there is no group {0:?} to give the socket to")]
    NoSuchGroup(String),

    #[error("look up group {name:?}")]
    Groups { name: String, source: io::Error },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::config::SocketPath;

    fn at(path: &Path) -> ListenAt {
        let path = SocketPath::parse("--socket-path", path.to_owned()).unwrap();
        ListenAt { path, group: None, mode: 0o600 }
    }

    fn refusal(at: &ListenAt) -> String {
        bind(at, false).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn socket_made_takes_connections_and_is_gone_at_the_end() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let (listener, entry) = bind(&at(&path), false).unwrap();
        UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        entry.remove();
        assert!(!path.exists());
    }

    #[test]
    fn socket_gets_its_mode_whatever_the_umask() {
        let room = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o666, 0o777] {
            let path = room.path().join(format!("{mode:o}"));
            let _bound = bind(&ListenAt { mode, ..at(&path) }, false).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
    }

    #[test]
    fn socket_gets_its_group_by_name_and_by_number() {
        let room = tempfile::tempdir().unwrap();
        let own = fs::metadata(room.path()).unwrap().gid();
        let groups = fs::read_to_string("/etc/group").unwrap();
        let name = groups.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == own.to_string()).then(|| name.to_owned())
        });
        for group in [Some(own.to_string()), name].into_iter().flatten() {
            let path = room.path().join(&group);
            let given = ListenAt { group: Some(group), mode: 0o660, ..at(&path) };
            let _bound = bind(&given, false).unwrap();
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!((metadata.gid(), metadata.mode() & 0o7777), (own, 0o660));
        }
    }

    #[test]
    fn socket_for_an_unknown_group_is_refused_and_not_made() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let given = ListenAt { group: Some("no-such-group".to_owned()), ..at(&path) };
        assert_eq!(refusal(&given), "there is no group \"no-such-group\" to give the socket to");
        assert!(!path.exists());
    }

    #[test]
    fn stale_socket_is_replaced() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, _entry) = bind(&at(&path), false).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn live_socket_is_refused_and_notices_nothing() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let (listener, _entry) = bind(&at(&path), false).unwrap();
        let text = refusal(&at(&path));
        let expected = format!("socket {path:?} is in use by ");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.ends_with(&format!("(process {})", std::process::id())), "{text}");
        let waiting = listener.accept().unwrap_err();
        assert_eq!(waiting.kind(), io::ErrorKind::WouldBlock, "nobody connected to find out");
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn file_that_is_no_socket_is_refused_and_stays() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("disk.img");
        fs::write(&path, "precious").unwrap();
        assert_eq!(
            refusal(&at(&path)),
            format!("{path:?} exists and is no socket; it is left alone")
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn symbolic_link_is_no_socket_even_if_it_leads_to_one() {
        let room = tempfile::tempdir().unwrap();
        let (socket, link) = (room.path().join("socket"), room.path().join("link"));
        drop(UnixListener::bind(&socket).unwrap());
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        assert_eq!(
            refusal(&at(&link)),
            format!("{link:?} exists and is no socket; it is left alone")
        );
    }

    #[test]
    fn directory_that_is_missing_is_named() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("missing/socket");
        assert_eq!(refusal(&at(&path)), format!("open the directory of socket {path:?}"));
    }

    #[test]
    fn address_of_a_relative_path_is_absolute() {
        let there = std::env::current_dir().unwrap().join("socket");
        assert_eq!(address(Path::new("socket")), there);
    }

    #[test]
    fn address_too_long_if_absolute_stays_relative() {
        let name = "s".repeat(sys::socket::LONGEST_PATH);
        assert_eq!(address(Path::new(&name)), Path::new(&name));
    }
}
