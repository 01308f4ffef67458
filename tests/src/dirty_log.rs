// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The log of the pages that the back end wrote to (SET_LOG_BASE), as a migrating front end has it.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use crate::sys::{self, Mapping};

/// The size of a page in the log, in bytes, whatever the machine's pages are.
pub const LOG_PAGE: u64 = 4096;

/// The pages that one byte of the log stands for.
const PAGES_PER_BYTE: u64 = 8;

/// A log in a memory file: a bit for each page of guest memory, from guest address 0.
#[derive(Debug)]
pub struct DirtyLog {
    file: File,
    mapping: Mapping,
    size: u64,
    offset: u64,
}

impl DirtyLog {
    /// A log of all pages below the guest address `end`; whole words, as front ends have it.
    pub fn up_to(end: u64) -> Self {
        Self::of_size(end.div_ceil(LOG_PAGE).div_ceil(PAGES_PER_BYTE).next_multiple_of(8), 0)
    }

    /// A log of `size` bytes that begins `offset` bytes into its file.
    pub fn of_size(size: u64, offset: u64) -> Self {
        let file = sys::memfd(c"dirty-log", offset + size).expect("make a memfd for the log");
        let len = usize::try_from(size).expect("the length of the log");
        let mapping = Mapping::new(&file, offset, len).expect("map the log");
        Self { file, mapping, size, offset }
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it begins in its file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The file that it is in.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The numbers of all pages that are logged: a page's guest address divided by [`LOG_PAGE`].
    pub fn pages(&self) -> BTreeSet<u64> {
        let bytes = self.read(self.offset, self.size);
        let of_byte = |(at, byte): (u64, &u8)| {
            let byte = *byte;
            (0..PAGES_PER_BYTE)
                .filter(move |bit| byte & 1 << bit != 0)
                .map(move |bit| at * PAGES_PER_BYTE + bit)
        };
        (0..).zip(&bytes).filter(|(_, byte)| **byte != 0).flat_map(of_byte).collect()
    }

    /// Whether the page of the guest address `guest` is logged.
    pub fn has(&self, guest: u64) -> bool {
        let page = guest / LOG_PAGE;
        let byte = self.read(self.offset + page / PAGES_PER_BYTE, 1)[0];
        byte & 1 << (page % PAGES_PER_BYTE) != 0
    }

    /// The numbers of all pages that are logged, which are forgotten at once: whatever is logged
    /// meanwhile is found here or the next time.
    pub fn take(&self) -> BTreeSet<u64> {
        let word = |offset: u64| {
            let at = usize::try_from(offset).expect("an offset into the log");
            let bits = self.mapping.take_bits(at);
            let set = (0..u64::from(u64::BITS)).filter(move |bit| bits & 1 << bit != 0);
            set.map(move |bit| offset * PAGES_PER_BYTE + bit)
        };
        (0..self.size).step_by(8).flat_map(word).collect()
    }

    /// Forgets all pages. Nobody may be logging any meanwhile.
    pub fn clear(&self) {
        let len = usize::try_from(self.size).expect("the length of the log");
        self.file.write_all_at(&vec![0; len], self.offset).expect("clear the log");
    }

    /// Whether there is a bit in the file outside of the log.
    pub fn has_strays(&self) -> bool {
        let len = self.file.metadata().expect("look at the log's file").len();
        let end = self.offset + self.size;
        let around = [(0, self.offset), (end, len - end)];
        around.into_iter().any(|(from, len)| self.read(from, len).iter().any(|byte| *byte != 0))
    }

    fn read(&self, from: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(len).expect("the length of the log")];
        self.file.read_exact_at(&mut bytes, from).expect("read the log");
        bytes
    }
}

impl AsFd for DirtyLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_log_are_its_bits_from_the_lowest() {
        let log = DirtyLog::of_size(8, 4096);
        log.file.write_all_at(&[0b0000_0001, 0b1000_0010], 4096 + 2).unwrap();
        assert_eq!(log.pages(), BTreeSet::from([16, 25, 31]));
        assert!(log.has(25 * LOG_PAGE + 4095) && !log.has(26 * LOG_PAGE));
        assert!(!log.has_strays());
        assert_eq!(log.take(), BTreeSet::from([16, 25, 31]));
        assert_eq!(log.pages(), BTreeSet::new());
    }

    #[test]
    fn bit_before_or_behind_a_log_is_a_stray() {
        for at in [4095, 4096 + 8] {
            let log = DirtyLog::of_size(8, 4096);
            log.file.set_len(8192).unwrap();
            log.file.write_all_at(&[1], at).unwrap();
            assert!(log.has_strays());
        }
    }
}
