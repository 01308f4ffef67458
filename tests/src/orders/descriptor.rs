// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a descriptor is: its kind, and which one of that kind.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::sys;

/// A descriptor that came with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub kind: Kind,
    /// Which one: two descriptors of the same thing have the same number.
    pub number: usize,
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A memory file: its length in bytes and its seals.
    Memfd {
        /// Bytes.
        len: u64,
        /// As fcntl(2) F_GET_SEALS says them; 1 (F_SEAL_SEAL) if it can't be sealed.
        seals: u32,
    },
    /// A file of huge pages, of so many bytes.
    Hugetlbfs {
        /// Bytes.
        len: u64,
    },
    /// Another regular file, of so many bytes.
    File {
        /// Bytes.
        len: u64,
    },
    /// An event counter.
    EventFd,
    /// The reading or the writing end of a pipe.
    Pipe {
        /// The writing end.
        write: bool,
    },
    /// A socket.
    Socket,
    /// Something that no front end is known to send.
    Other,
}

impl Kind {
    /// What `fd` is.
    ///
    /// # Errors
    /// `/proc` or the file can't be looked at.
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let link = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
        let link = link.to_string_lossy();
        let metadata = File::from(fd.try_clone_to_owned()?).metadata()?;
        let (kind, len) = (metadata.file_type(), metadata.len());
        Ok(if link.starts_with("anon_inode:[eventfd]") {
            Self::EventFd
        } else if kind.is_fifo() {
            Self::Pipe { write: sys::is_write_only(fd) }
        } else if kind.is_socket() {
            Self::Socket
        } else if !kind.is_file() {
            Self::Other
        } else if sys::is_huge(fd) {
            Self::Hugetlbfs { len }
        } else if link.starts_with("/memfd:") {
            Self::Memfd { len, seals: sys::seals(fd).unwrap_or_default() }
        } else {
            Self::File { len }
        })
    }
}

/// Tells descriptors of the same thing from those of different ones.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashMap<Identity, usize>);

#[derive(Debug, PartialEq, Eq, Hash)]
enum Identity {
    Inode(u64, u64),
    Counter(String),
}

impl Numbers {
    /// What `fd` is, and its number.
    ///
    /// # Errors
    /// It can't be looked at.
    pub(super) fn of(&mut self, fd: &OwnedFd) -> io::Result<Descriptor> {
        let kind = Kind::of(fd.as_fd())?;
        let identity = match kind {
            // All counters share an inode.
            Kind::EventFd => Identity::Counter(counter(fd)?),
            _ => {
                let metadata = File::from(fd.try_clone()?).metadata()?;
                Identity::Inode(metadata.dev(), metadata.ino())
            }
        };
        let next = self.0.len() + 1;
        let number = *self.0.entry(identity).or_insert(next);
        Ok(Descriptor { kind, number })
    }
}

/// The kernel's name for an event counter.
fn counter(fd: &OwnedFd) -> io::Result<String> {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let line = about.lines().find(|line| line.starts_with("eventfd-id:"));
    line.map(str::to_owned).ok_or_else(|| io::Error::other("no eventfd-id in /proc/self/fdinfo"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::eventfd::EventFd;

    #[test]
    fn kinds_of_descriptors_are_told_apart() {
        let memfd = sys::sealable_memfd(8192).unwrap();
        sys::seal(memfd.as_fd(), 2).unwrap();
        assert_eq!(Kind::of(memfd.as_fd()).unwrap(), Kind::Memfd { len: 8192, seals: 2 });
        assert_eq!(Kind::of(EventFd::new().as_fd()).unwrap(), Kind::EventFd);
        let (reader, writer) = io::pipe().unwrap();
        assert_eq!(Kind::of(reader.as_fd()).unwrap(), Kind::Pipe { write: false });
        assert_eq!(Kind::of(writer.as_fd()).unwrap(), Kind::Pipe { write: true });
        let (socket, _other) = UnixStream::pair().unwrap();
        assert_eq!(Kind::of(socket.as_fd()).unwrap(), Kind::Socket);
        let file = tempfile::tempfile().unwrap();
        file.set_len(3).unwrap();
        assert_eq!(Kind::of(file.as_fd()).unwrap(), Kind::File { len: 3 });
    }

    #[test]
    fn descriptors_of_the_same_thing_have_the_same_number() {
        let [one, other] = [0, 1].map(|_| OwnedFd::from(sys::sealable_memfd(1).unwrap()));
        let counters = [0, 1].map(|_| EventFd::new().as_fd().try_clone_to_owned().unwrap());
        let mut numbers = Numbers::default();
        let mut number = |fd: &OwnedFd| numbers.of(&fd.try_clone().unwrap()).unwrap().number;
        assert_eq!([&one, &other, &one].map(&mut number), [1, 2, 1]);
        assert_eq!([&counters[0], &counters[1], &counters[0]].map(&mut number), [3, 4, 3]);
    }
}
