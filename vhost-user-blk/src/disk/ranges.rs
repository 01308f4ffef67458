// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Ranges that are forgotten or made zeroes: which of the host's ways there are, and what was
//! learned about them.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use vhost_user_device::Operation;

use super::{Discard, Disk, Medium};

/// A way to have the host forget a range, or make it zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The range becomes a hole, which reads as zeroes.
    Punch,
    /// The range becomes zeroes and keeps its room.
    Zero,
    /// A block device is told that nobody needs the range.
    Discard,
}

/// The ways that the host turned out not to have.
#[derive(Debug, Default)]
pub(super) struct Missing([AtomicBool; 3]);

impl Disk {
    /// How a range is forgotten; `None` if the host cannot.
    pub fn way_to_discard(&self) -> Option<Way> {
        let is_device = matches!(self.medium, Medium::File { is_device: true, .. });
        self.first_of([Some(Way::Punch), is_device.then_some(Way::Discard)])
    }

    /// How a range is made zeroes, if it may be given back to the host or if it may not; `None` if
    /// the host cannot.
    pub fn way_to_zero(&self, unmap: bool) -> Option<Way> {
        // What is in memory alone has no room to keep.
        let in_memory = matches!(self.medium, Medium::Memory(_));
        let punch = in_memory || (unmap && self.discard == Discard::Unmap);
        self.first_of([punch.then_some(Way::Punch), Some(Way::Zero)])
    }

    /// Takes what the host said to a way: whether it has none, so that another one is to be tried.
    /// That is remembered, and logged once.
    pub fn is_missing(&self, way: Way, result: &io::Result<usize>) -> bool {
        let Err(error) = result else { return false };
        if !matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::ENOTTY)) {
            return false;
        }
        if !self.doubts.missing.of(way).swap(true, Ordering::Relaxed) {
            log::warn!(
                "disk {:?}: the host cannot {}: {error}; it is not asked again",
                self.path,
                way.act()
            );
        }
        true
    }

    fn first_of(&self, ways: [Option<Way>; 2]) -> Option<Way> {
        let is_there = |way: &Way| !self.doubts.missing.of(*way).load(Ordering::Relaxed);
        ways.into_iter().flatten().find(is_there)
    }
}

impl Missing {
    fn of(&self, way: Way) -> &AtomicBool {
        let Self([punch, zero, discard]) = self;
        match way {
            Way::Punch => punch,
            Way::Zero => zero,
            Way::Discard => discard,
        }
    }
}

impl Way {
    /// The operation that goes this way with `len` bytes at `offset` (bytes). The length of the
    /// file stays.
    pub fn operation(self, offset: u64, len: u64) -> Operation {
        let mode = match self {
            Self::Punch => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            Self::Zero => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
            Self::Discard => return Operation::Discard { offset, len },
        };
        Operation::Allocate { mode, offset, len }
    }

    fn act(self) -> &'static str {
        match self {
            Self::Punch => "give back a range of it (FALLOC_FL_PUNCH_HOLE)",
            Self::Zero => "make a range of it zeroes (FALLOC_FL_ZERO_RANGE)",
            Self::Discard => "discard a range of it (BLKDISCARD)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Options, Source};

    fn disk(discard: Discard) -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        std::fs::write(&path, [0; 512]).unwrap();
        Disk::open(&Options { discard, ..Options::of(&path) }).unwrap()
    }

    fn error(errno: i32) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn file_is_punched_and_zeroed() {
        let disk = disk(Discard::Unmap);
        assert_eq!(disk.way_to_discard(), Some(Way::Punch));
        assert_eq!(disk.way_to_zero(true), Some(Way::Punch));
        assert_eq!(disk.way_to_zero(false), Some(Way::Zero));
    }

    #[test]
    fn zeroes_keep_their_room_where_discard_is_ignored() {
        assert_eq!(disk(Discard::Ignore).way_to_zero(true), Some(Way::Zero));
    }

    #[test]
    fn way_that_is_missing_is_not_tried_again() {
        let disk = disk(Discard::Unmap);
        assert!(disk.is_missing(Way::Punch, &error(libc::EOPNOTSUPP)));
        assert_eq!(disk.way_to_discard(), None);
        assert_eq!(disk.way_to_zero(true), Some(Way::Zero));
        assert!(disk.is_missing(Way::Zero, &error(libc::ENOSYS)));
        assert_eq!((disk.way_to_zero(true), disk.way_to_zero(false)), (None, None));
    }

    #[test]
    fn way_that_fails_otherwise_is_tried_again() {
        let disk = disk(Discard::Unmap);
        for result in [Ok(0), error(libc::EIO), error(libc::ENOSPC), error(libc::EINVAL)] {
            assert!(!disk.is_missing(Way::Punch, &result));
            assert!(!disk.is_missing(Way::Zero, &result));
        }
        assert_eq!(disk.way_to_discard(), Some(Way::Punch));
    }

    #[test]
    fn block_device_without_the_one_way_is_told_in_the_other() {
        let mut disk = disk(Discard::Unmap);
        let Medium::File { is_device, .. } = &mut disk.medium else { panic!("a file") };
        *is_device = true;
        assert_eq!(disk.way_to_discard(), Some(Way::Punch));
        assert!(disk.is_missing(Way::Punch, &error(libc::EOPNOTSUPP)));
        assert_eq!(disk.way_to_discard(), Some(Way::Discard));
        assert!(disk.is_missing(Way::Discard, &error(libc::EOPNOTSUPP)));
        assert_eq!(disk.way_to_discard(), None);
        assert_eq!(disk.way_to_zero(false), Some(Way::Zero));
    }

    #[test]
    fn memory_is_given_back_whatever_is_asked_for() {
        let options = Options { source: Source::Memory(512), ..Options::of("".as_ref()) };
        let disk = Disk::open(&options).unwrap();
        assert_eq!(disk.way_to_zero(false), Some(Way::Punch));
    }

    #[test]
    fn operations_keep_the_length_of_the_file() {
        let allocate = |mode| Operation::Allocate { mode, offset: 512, len: 1024 };
        assert_eq!(Way::Punch.operation(512, 1024), allocate(3));
        assert_eq!(Way::Zero.operation(512, 1024), allocate(0x11));
        let discard = Operation::Discard { offset: 512, len: 1024 };
        assert_eq!(Way::Discard.operation(512, 1024), discard);
    }
}
