// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The entries of a directory on their way to the client.

use super::Entry;

/// An entry of a directory, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry<'e> {
    /// The number of the inode, as getdents64(2) says it.
    pub ino: u64,
    /// The position behind it.
    pub offset: u64,
    /// Its type (`DT_...`).
    pub kind: u32,
    /// Its name, as the host has it.
    pub name: &'e [u8],
}

/// An entry with what LOOKUP would say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// It has one reference more.
    Entry(Entry),
    /// Nothing: `.`, `..`, or it could not be looked up.
    Nothing,
}

/// The room for entries in the answer to a READDIR or READDIRPLUS.
pub trait Directory {
    /// Whether the client wants to know what LOOKUP would say of each entry (READDIRPLUS).
    fn is_plus(&self) -> bool;

    /// Whether there is room for an entry whose name has `len` bytes. To be asked before it is looked up,
    /// since that takes a reference.
    fn has_room_for(&self, len: usize) -> bool;

    /// Adds an entry, for which there is room.
    fn add(&mut self, entry: &DirectoryEntry<'_>, plus: Plus);
}
