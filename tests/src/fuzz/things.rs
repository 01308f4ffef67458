// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Descriptors of every kind, to be passed where another kind belongs.

use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use tempfile::TempDir;

use crate::sys;

/// How many kinds there are.
pub(super) const KINDS: u32 = 32;

/// The length of the files that are short, in bytes.
const SHORT: u64 = 4096;

/// The most other ends that are kept.
const KEPT: usize = 64;

/// Where descriptors of every kind come from.
#[derive(Debug)]
pub(super) struct Things {
    folder: TempDir,
    /// Other ends, which are to be there for a while.
    kept: Vec<OwnedFd>,
}

impl Things {
    pub(super) fn new() -> io::Result<Self> {
        let folder = TempDir::with_prefix("things-")?;
        std::fs::write(folder.path().join("file"), vec![0x5a; 8192])?;
        Ok(Self { folder, kept: Vec::new() })
    }

    /// A file of 8192 bytes, each of them 0x5a, that descriptors for reading are of.
    pub(super) fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("file")
    }

    /// A descriptor of the kind `kind`; any number is one.
    pub(super) fn make(&mut self, kind: u32) -> io::Result<OwnedFd> {
        if self.kept.len() > KEPT {
            self.kept.clear();
        }
        let kind = kind % KINDS;
        match kind {
            0..8 => self.pipe_or_socket(kind),
            8..16 => self.file_or_folder(kind),
            16..24 => counter(kind),
            _ => self.memory_or_odd(kind),
        }
    }

    fn pipe_or_socket(&mut self, kind: u32) -> io::Result<OwnedFd> {
        let (one, other): (OwnedFd, OwnedFd) = match kind {
            0 | 1 | 6 | 7 => {
                let (reader, writer) = io::pipe()?;
                if kind.is_multiple_of(2) {
                    (reader.into(), writer.into())
                } else {
                    (writer.into(), reader.into())
                }
            }
            2..=4 => {
                let (one, other) = UnixStream::pair()?;
                (one.into(), other.into())
            }
            _ => {
                let (one, other) = UnixDatagram::pair()?;
                (one.into(), other.into())
            }
        };
        match kind {
            // Full, so that whoever writes waits.
            3 | 7 => fill(&one)?,
            // Its other end is gone.
            4 | 6 => return Ok(one),
            _ => (),
        }
        self.kept.push(other);
        Ok(one)
    }

    fn file_or_folder(&self, kind: u32) -> io::Result<OwnedFd> {
        let opened = |path: &Path| File::open(path);
        Ok(match kind {
            8 => opened(self.folder.path())?.into(),
            9 => opened(Path::new("/dev/null"))?.into(),
            10 => opened(Path::new("/dev/zero"))?.into(),
            11 => File::options().write(true).open("/dev/full")?.into(),
            12 => opened(&self.file())?.into(),
            13 => File::options().write(true).open("/dev/null")?.into(),
            14 => sys::path_only(c"/dev/null")?,
            _ => opened(Path::new("/proc/self/status"))?.into(),
        })
    }

    fn memory_or_odd(&mut self, kind: u32) -> io::Result<OwnedFd> {
        Ok(match kind {
            24 => sys::memfd(c"empty", 0)?.into(),
            25 => sys::memfd(c"short", SHORT)?.into(),
            26 => sys::sealed_memfd(c"sealed", 1 << 20, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW)?
                .into(),
            27 => sys::sealed_memfd(c"unwritable", 1 << 20, libc::F_SEAL_WRITE)?.into(),
            28 => sys::sealed_memfd(c"frozen", 1 << 20, libc::F_SEAL_FUTURE_WRITE)?.into(),
            29 => {
                let path = self.folder.path().join(format!("socket-{}", self.kept.len()));
                // The name is taken by an earlier one, perhaps.
                let _ = std::fs::remove_file(&path);
                UnixListener::bind(path)?.into()
            }
            30 => TcpListener::bind("127.0.0.1:0")?.into(),
            _ => UdpSocket::bind("127.0.0.1:0")?.into(),
        })
    }
}

/// What somebody else counts or watches.
fn counter(kind: u32) -> io::Result<OwnedFd> {
    match kind {
        16 => sys::eventfd_at(0, 0),
        17 => sys::eventfd_at(1, libc::EFD_NONBLOCK),
        18 => sys::eventfd_at(u32::MAX, libc::EFD_SEMAPHORE),
        19 => {
            // As much as fits, so that whoever adds one waits.
            let full = sys::eventfd_at(0, 0)?;
            let mut file = File::from(full);
            file.write_all(&(u64::MAX - 1).to_ne_bytes())?;
            Ok(file.into())
        }
        20 => sys::epoll(),
        21 => sys::timerfd(),
        22 => sys::inotify(),
        _ => sys::unix_socket(libc::SOCK_SEQPACKET),
    }
}

/// Writes until no more is taken; it waits for room again then.
fn fill(fd: &impl AsFd) -> io::Result<()> {
    sys::set_nonblocking(fd, true)?;
    let mut file = File::from(fd.as_fd().try_clone_to_owned()?);
    for len in [4096, 1] {
        while file.write(&vec![0; len]).is_ok() {}
    }
    sys::set_nonblocking(fd, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_of_every_kind_can_be_made_again_and_again() {
        let mut things = Things::new().unwrap();
        for kind in 0..3 * KINDS {
            things.make(kind).unwrap_or_else(|e| panic!("kind {kind}: {e}"));
        }
    }
}
