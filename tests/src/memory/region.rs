// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One piece of guest memory: a memfd at a guest address.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vhost::vhost_user::message::VhostUserMemoryRegion;

use super::free::Free;
use super::index;
use crate::sys::{self, HUGE_PAGE, Mapping, SMALL_PAGE};

/// What the kernel calls it in the list of a process's mappings.
const NAME: &CStr = c"guest-memory";

/// One memfd at one guest address.
#[derive(Debug)]
pub struct Region {
    at: RegionAt,
    user: u64,
    file: File,
    mapping: Mapping,
    free: Mutex<Free>,
}

/// Where a region is to be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionAt {
    /// Its first guest address.
    pub guest: u64,
    /// Its length.
    pub len: u64,
    /// Where it begins in its file.
    pub offset: u64,
}

impl RegionAt {
    /// A region of `len` bytes from `guest`, at the beginning of its file.
    pub const fn new(guest: u64, len: u64) -> Self {
        Self { guest, len, offset: 0 }
    }
}

impl Region {
    pub(super) fn new(at: RegionAt, user: u64) -> Self {
        let file = sys::memfd(NAME, at.offset + at.len).expect("make a memfd");
        Self::in_file(file, at, user, SMALL_PAGE)
    }

    /// A region in huge pages, of which it may begin and end within one.
    pub(super) fn huge(at: RegionAt, user: u64) -> Self {
        let len = (at.offset + at.len).next_multiple_of(HUGE_PAGE);
        let file = sys::huge_memfd(NAME, len).expect("make a memfd in huge pages");
        Self::in_file(file, at, user, HUGE_PAGE)
    }

    fn in_file(file: File, at: RegionAt, user: u64, page: u64) -> Self {
        let mapping = Mapping::in_pages(&file, at.offset, index(at.len), page);
        let mapping = mapping.expect("map guest memory");
        let free = Mutex::new(Free::new(at.guest, at.len));
        Self { at, user, file, mapping, free }
    }

    /// Where it is.
    pub fn at(&self) -> RegionAt {
        self.at
    }

    /// It, as SET_MEM_TABLE, ADD_MEM_REG and REM_MEM_REG describe it.
    pub fn described(&self) -> VhostUserMemoryRegion {
        VhostUserMemoryRegion::new(self.at.guest, self.at.len, self.user, self.at.offset)
    }

    /// Where this process has it mapped: a number for those who want such addresses as the user
    /// addresses.
    pub fn host_address(&self) -> usize {
        self.mapping.address()
    }

    /// The file behind it.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    pub(super) fn has(&self, guest: u64) -> bool {
        guest.wrapping_sub(self.at.guest) < self.at.len
    }

    /// The first guest address behind it.
    pub(super) fn end(&self) -> u64 {
        self.at.guest + self.at.len
    }

    /// Where `guest` is in its mapping.
    pub(super) fn offset(&self, guest: u64) -> usize {
        index(guest - self.at.guest)
    }

    /// Those of its guest addresses that no buffer has. The list is whole between two calls, so
    /// that it does not matter if a test has panicked.
    pub(super) fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Region {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
