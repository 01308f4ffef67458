// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The tests of `in_flight` once more, with all input and output by threads: `--io-engine sync`, which
//! every block device gets that a program of such a name starts.

#[path = "../in_flight/main.rs"]
mod in_flight;
