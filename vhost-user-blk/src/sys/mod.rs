// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The system calls that the standard library lacks, as safe functions.

mod block_device;
mod file;
mod lock;
mod uevents;

pub(crate) use block_device::{
    alignment_offset, block_device_size, io_min, io_opt, is_read_only, logical_block_size,
    physical_block_size,
};
pub(crate) use file::{DirectAlignment, direct_alignment, is_in_memory, memory_file};
pub(crate) use lock::{Lock, lock_byte};
pub(crate) use uevents::uevents;
