// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Limits of processes, and sockets that take their time.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use super::check;

/// Limits the length that the process `pid` can give to a file, in bytes.
pub(crate) fn limit_file_size(pid: u32, len: u64) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let limit = libc::rlimit { rlim_cur: len, rlim_max: len };
    // SAFETY: `limit` is only read; a null pointer asks for no old one.
    check(unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &raw const limit, null_mut()) })?;
    Ok(())
}

/// Lets the one who closes `socket` last wait for at most `seconds` until its other end has taken
/// all that was sent: SO_LINGER.
pub(crate) fn linger(socket: &TcpStream, seconds: i32) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: seconds };
    let len = libc::socklen_t::try_from(size_of::<libc::linger>()).map_err(io::Error::other)?;
    let (level, name, value) = (libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast());
    // SAFETY: `value` points to `len` readable bytes.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, len) })?;
    Ok(())
}
