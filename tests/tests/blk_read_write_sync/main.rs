// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The tests of `blk_read_write` once more, with all input and output by threads: `--io-engine sync`, which
//! every block device gets that a program of such a name starts.

#[path = "../blk_read_write/main.rs"]
mod blk_read_write;
