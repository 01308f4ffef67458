// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The beginning of a session.

use super::wire::wire;

wire! {
    /// `fuse_init_in`, of which clients up to 7.35 send [`InitIn::SHORT`] bytes.
    InitIn[64] {
        major: u32,
        minor: u32,
        max_readahead: u32,
        flags: u32,
        flags2: u32,
        unused: [u32; 11],
    }

    /// `fuse_init_out`.
    InitOut[64] {
        major: u32,
        minor: u32,
        max_readahead: u32,
        flags: u32,
        max_background: u16,
        congestion_threshold: u16,
        max_write: u32,
        time_gran: u32,
        max_pages: u16,
        map_alignment: u16,
        flags2: u32,
        max_stack_depth: u32,
        unused: [u32; 6],
    }
}

impl InitIn {
    /// The bytes that all clients send.
    pub(crate) const SHORT: usize = 16;
}
