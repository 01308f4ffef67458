// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the kernel can do about system calls that are not allowed, and what we say about one.

use std::io;
use std::mem::zeroed;
use std::ptr;
use std::sync::OnceLock;

use super::checked;

/// Whether the kernel can end a process that makes a system call which its filter does not allow.
///
/// # Errors
/// Those of seccomp(2): ENOSYS or EINVAL, there are no filters; EOPNOTSUPP, before Linux 4.14.
pub(crate) fn check() -> io::Result<()> {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the call reads the four bytes of `action`, which live through it.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the handler says in front of the number.
static COMPLAINT: OnceLock<String> = OnceLock::new();

/// From now on, a thread that gets SIGSYS writes a line to standard error, with `name` in front and
/// the number of the system call, and then the process ends by that signal.
///
/// # Errors
/// Those of sigaction(2).
pub(crate) fn say_on_sigsys(name: &str) -> io::Result<()> {
    COMPLAINT.get_or_init(|| format!("{name}: error: --seccomp trap: system call "));
    // SAFETY: the structure is plain data, for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { zeroed() };
    let handler: extern "C" fn(_, _, _) = on_sigsys;
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND | libc::SA_NODEFER;
    // SAFETY: `action` is whole, and its handler makes only calls that a handler may make.
    checked(unsafe { libc::sigaction(libc::SIGSYS, &raw const action, ptr::null_mut()) }).map(drop)
}

extern "C" fn on_sigsys(signal: libc::c_int, cause: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // The layout of siginfo_t with SIGSYS: three numbers, padding, the address of the call, its number.
    const NUMBER: usize = 24;
    let number = cause.cast::<libc::c_int>().wrapping_byte_add(NUMBER);
    // SAFETY: the kernel passes a whole siginfo_t to a handler with SA_SIGINFO; for SIGSYS the
    // number of the call lies there.
    let number = unsafe { number.read() };
    let mut digits = [0; 10];
    let parts = [
        COMPLAINT.get().map_or(&b""[..], |text| text.as_bytes()),
        decimal(number.unsigned_abs(), &mut digits),
        b" is not allowed\n",
    ];
    // In one piece, since other threads write lines as well.
    let mut line = [0; 256];
    let mut len = 0;
    for (to, from) in line.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
        len += 1;
    }
    // SAFETY: `line` has `len` bytes and lives through the call, which a handler may make. Nobody can be
    // told if it does not work.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), len) };
    // The signal has its usual effect again (SA_RESETHAND), and is not held back here (SA_NODEFER).
    // SAFETY: raise(3) takes a number, and may be called in a handler.
    unsafe { libc::raise(signal) };
    // The first process of a PID namespace is spared by it.
    // SAFETY: _exit(2) may be called in a handler.
    unsafe { libc::_exit(128 + signal) };
}

/// The number in decimal, without memory of its own.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_in_decimal_has_no_zeroes_in_front() {
        for number in [0, 7, 10, 425, u32::MAX] {
            assert_eq!(decimal(number, &mut [0; 10]), number.to_string().as_bytes());
        }
    }
}
