// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The tests of `blk_misbehaving_driver` once more, with all input and output by threads: `--io-engine sync`, which
//! every block device gets that a program of such a name starts.

#[path = "../blk_misbehaving_driver/main.rs"]
mod blk_misbehaving_driver;
