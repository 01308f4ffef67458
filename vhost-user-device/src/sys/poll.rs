// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Waiting for descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use super::checked;

/// What a descriptor was waited for, and what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not readable.
    Nothing,
    /// Readable.
    Readable,
    /// Hung up or not open: it will never be readable again.
    Dead,
}

/// Waits until one of the descriptors is readable or dead, or the time is over; `None` waits for
/// ever. A signal that is handled ends the wait too.
pub(crate) fn wait_readable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> io::Result<[Wait; N]> {
    // A negative descriptor is passed over.
    let mut polled = fds.map(|fd| libc::pollfd {
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), |timeout| &raw const *timeout);
    // SAFETY: `polled` is an array of N entries, `timeout` is null or points to a timespec, and
    // both live through the call; a null signal mask is allowed.
    let result =
        unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, timeout, std::ptr::null()) };
    match checked(result) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(polled.map(|entry| match entry.revents {
            0 => Wait::Nothing,
            events if events & libc::POLLIN != 0 => Wait::Readable,
            _ => Wait::Dead,
        })),
    }
}

/// Whether the descriptor can be written to without waiting.
pub(super) fn has_room(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: `polled` is one entry that lives through the call.
    checked(unsafe { libc::poll(&raw mut polled, 1, 0) })?;
    Ok(polled.revents & libc::POLLOUT != 0)
}
