// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Every system call that needs `unsafe`, behind functions that are safe to call.
//!
//! No policy lives here: what to do about an error is the caller's to decide.

#[cfg(feature = "test-hooks")]
pub(crate) mod attempt;
#[cfg(fuzzing)]
mod counters;
pub(crate) mod file;
pub(crate) mod namespace;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod socket;
#[cfg(test)]
pub(crate) mod test;

use std::io;

/// The result of a system call that says -1 for an error and leaves the cause in `errno`.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
