// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Lets a fuzzer see which edges of the program were taken, while it runs. Only its builds have this.
//!
//! The compiler keeps a counter of a byte for each edge, and calls
//! `__sanitizer_cov_8bit_counters_init` before `main` with where they are. If the environment names a
//! file in VHOST_USER_FUZZ_COUNTERS, then the pages that have the counters become pages of that file:
//! 4096 bytes with the offset of the first counter and their number, both of eight bytes, and then the
//! pages.

use std::ffi::CStr;
use std::os::fd::RawFd;

const VARIABLE: &CStr = c"VHOST_USER_FUZZ_COUNTERS";

/// The size of a page, and of what is before the pages in the file.
const PAGE: usize = 4096;

/// See the module. It may be called several times, and before anything of ours has run.
// SAFETY: the name is the one that the compiler's instrumentation calls, and nobody else has it.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    // SAFETY: the name is a C string, and there is no thread yet that changes the environment.
    let path = unsafe { libc::getenv(VARIABLE.as_ptr()) };
    if path.is_null() || start.is_null() || start == stop {
        return;
    }
    let mode: libc::mode_t = 0o600;
    // SAFETY: the path is a C string.
    let file = unsafe { libc::open(path, libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC, mode) };
    let first = start.addr() % PAGE;
    let pages = start.wrapping_sub(first);
    let count = stop.addr() - start.addr();
    let len = (first + count).next_multiple_of(PAGE);
    let mut head = [0u8; PAGE];
    head[..8].copy_from_slice(&first.to_ne_bytes());
    head[8..16].copy_from_slice(&count.to_ne_bytes());
    if write(file, head.as_ptr(), PAGE, 0) && write(file, pages, len, PAGE) {
        share(file, pages, len);
    }
    // SAFETY: it is ours, or no descriptor at all.
    unsafe { libc::close(file) };
}

/// Writes `len` bytes at `at`, which are mapped. By its number: a sanitizer would look at what of them
/// belongs to a variable, and not all does.
fn write(file: RawFd, bytes: *const u8, len: usize, at: usize) -> bool {
    // SAFETY: the kernel reads `len` bytes, or says that they are not there.
    let written = unsafe { libc::syscall(libc::SYS_pwrite64, file, bytes, len, at) };
    usize::try_from(written) == Ok(len)
}

/// Has the pages, which are those of the counters, be those of the file behind its first one.
fn share(file: RawFd, pages: *mut u8, len: usize) {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: the pages have the same bytes in them afterwards, and there is no other thread yet that
    // could write to them meanwhile.
    unsafe { libc::syscall(libc::SYS_mmap, pages, len, access, flags, file, PAGE) };
}
