// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The tests of `blk_read_write` once more, past the page cache: `--cache none`, which every block device gets
//! that a program of such a name starts.

#[path = "../blk_read_write/main.rs"]
mod blk_read_write;
