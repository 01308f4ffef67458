// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Who has a socket file in use, read from `/proc`.
//!
//! Connecting would tell too, but a back end that serves a single connection takes the attempt for
//! that one and ends. What `/proc` does not tell is who listens in another network namespace; a
//! shared pid file does.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::entry::Inode;

/// Whoever has a socket in use, as far as `/proc` tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Occupant(Option<Process>);

#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    name: String,
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(Process { pid, name }) => write!(f, "{name} (process {pid})"),
            None => write!(f, "a process that cannot be seen from here"),
        }
    }
}

impl Occupant {
    /// Who has the socket file `inode`, found at `path`, in use; `None` if it is stale.
    ///
    /// # Errors
    /// /proc/net/unix cannot be read.
    pub(crate) fn of(path: &Path, inode: Inode) -> io::Result<Option<Self>> {
        let table = fs::read("/proc/net/unix")?;
        let sockets = table.split(|&byte| byte == b'\n').filter_map(BoundSocket::parse);
        for socket in sockets.filter(|socket| socket.path.file_name() == path.file_name()) {
            let process = holder(socket.number);
            // Addresses are kept as they were given to bind(2), so a relative one means something
            // in the directory of its process alone.
            let address = match &process {
                _ if socket.path.is_absolute() => socket.path.to_owned(),
                Some(Process { pid, .. }) if has_our_root(*pid) => {
                    PathBuf::from(format!("/proc/{pid}/cwd")).join(socket.path)
                }
                // It may be this very file, and a live socket must not be replaced. Who has another
                // root directory by now has another working directory, too.
                _ => return Ok(Some(Self(process))),
            };
            let same =
                fs::symlink_metadata(address).is_ok_and(|metadata| Inode::of(&metadata) == inode);
            if same {
                return Ok(Some(Self(process)));
            }
        }
        Ok(None)
    }
}

/// Whether paths mean the same to this process as to us.
fn has_our_root(pid: u32) -> bool {
    let root = |path: String| fs::metadata(path).ok().map(|metadata| Inode::of(&metadata));
    root(format!("/proc/{pid}/root")) == root("/".to_owned())
}

/// A line of /proc/net/unix that keeps a socket file in use.
#[derive(Debug, PartialEq, Eq)]
struct BoundSocket<'t> {
    /// Its inode number among the sockets, not that of the file.
    number: u64,
    path: &'t Path,
}

impl<'t> BoundSocket<'t> {
    /// Reads `Num RefCount Protocol Flags Type St Inode Path`, where the path is the rest of the
    /// line.
    fn parse(line: &'t [u8]) -> Option<Self> {
        const TYPE_STREAM: &[u8] = b"0001";
        const STATE_CONNECTED: &[u8] = b"03";
        let mut rest = line;
        let mut fields: [&[u8]; 7] = [&[]; 7];
        for field in &mut fields {
            rest = rest.trim_ascii_start();
            let end = rest.iter().position(u8::is_ascii_whitespace)?;
            (*field, rest) = rest.split_at(end);
        }
        let path = rest.strip_prefix(b" ")?;
        let [.., kind, state, number] = fields;
        // Accepted connections carry the address of the socket that accepted them, and may outlive
        // it. All other bound sockets are listening, about to, or waiting for datagrams.
        if path.is_empty() || path[0] == b'@' || (kind == TYPE_STREAM && state == STATE_CONNECTED) {
            return None;
        }
        let number = str::from_utf8(number).ok()?.parse().ok()?;
        Some(Self { number, path: Path::new(OsStr::from_bytes(path)) })
    }
}

/// The process that has the socket with this inode number open, if we may look at it.
fn holder(number: u64) -> Option<Process> {
    let link = PathBuf::from(format!("socket:[{number}]"));
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let mut targets = descriptors.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        if targets.any(|target| target == link) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Process { pid, name: name.trim_end().to_owned() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;

    fn occupant_of(path: &Path) -> Option<Occupant> {
        let inode = Inode::of(&fs::metadata(path).unwrap());
        Occupant::of(path, inode).unwrap()
    }

    #[test]
    fn socket_that_is_listened_on_is_ours_by_name() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("live socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(
            occupant_of(&path).unwrap().to_string(),
            format!("{} (process {})", name.trim_end(), std::process::id())
        );
    }

    #[test]
    fn socket_reached_by_another_spelling_is_found() {
        let room = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(room.path().join("socket")).unwrap();
        std::os::unix::fs::symlink(room.path(), room.path().join("link")).unwrap();
        assert!(occupant_of(&room.path().join("link/socket")).is_some());
    }

    #[test]
    fn socket_for_datagrams_is_in_use() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let _socket = UnixDatagram::bind(&path).unwrap();
        assert!(occupant_of(&path).is_some());
    }

    #[test]
    fn socket_left_behind_is_stale() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(occupant_of(&path), None);
    }

    #[test]
    fn socket_left_behind_is_stale_although_its_connections_live() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let _near = UnixStream::connect(&path).unwrap();
        let _far = listener.accept().unwrap();
        drop(listener);
        assert_eq!(occupant_of(&path), None);
    }

    #[test]
    fn socket_of_the_same_name_elsewhere_is_another_one() {
        let room = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let _listener = UnixListener::bind(elsewhere.path().join("socket")).unwrap();
        assert_eq!(occupant_of(&path), None);
    }

    #[test]
    fn line_of_the_table_gives_number_and_path_with_spaces() {
        let line = b"00000000c75101bc: 00000002 00000000 00010000 0001 01  1057 /run/a b";
        assert_eq!(
            BoundSocket::parse(line),
            Some(BoundSocket { number: 1057, path: Path::new("/run/a b") })
        );
    }

    #[test]
    fn line_of_the_table_without_a_file_is_passed_over() {
        for line in [
            &b"Num       RefCount Protocol Flags    Type St Inode Path"[..],
            b"00000000c75101bc: 00000003 00000000 00000000 0001 03  1057",
            b"00000000c75101bc: 00000002 00000000 00010000 0001 01  1057 @abstract",
            b"00000000c75101bc: 00000003 00000000 00000000 0001 03  1057 /run/accepted",
            b"",
        ] {
            assert_eq!(BoundSocket::parse(line), None, "{}", String::from_utf8_lossy(line));
        }
    }
}
