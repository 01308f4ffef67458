// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What every request and every answer begin with.

use super::wire::wire;

wire! {
    /// The header of a request (`fuse_in_header`).
    InHeader[40] {
        len: u32,
        opcode: u32,
        unique: u64,
        nodeid: u64,
        uid: u32,
        gid: u32,
        pid: u32,
        total_extlen: u16,
        padding: u16,
    }

    /// The header of an answer (`fuse_out_header`); `error` is 0 or a negative error number.
    OutHeader[16] {
        len: u32,
        error: i32,
        unique: u64,
    }
}
