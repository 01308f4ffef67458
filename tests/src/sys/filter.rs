// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! System calls that a process is refused.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::check;

/// Has the process that `command` starts, and its children, refused the system call `number` with
/// `errno`: a seccomp filter, as a container's.
pub(crate) fn refuse(command: &mut Command, number: i64, errno: i32) {
    let install = move || install(number, errno);
    // SAFETY: between fork and exec it makes two system calls, and neither allocates nor locks.
    unsafe { command.pre_exec(install) };
}

/// Loads the number of the system call; that one is refused, all others are allowed.
fn install(number: i64, errno: i32) -> io::Result<()> {
    const fn step(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: low(code), jt, jf, k }
    }
    let number = u32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    let refused = libc::SECCOMP_RET_ERRNO | errno.unsigned_abs();
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let filter = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program points to four steps, which outlive the call.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, filter, &raw const program) })?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the codes are of 16 bits")]
const fn low(code: u32) -> u16 {
    assert!(code <= 0xffff);
    code as u16
}
