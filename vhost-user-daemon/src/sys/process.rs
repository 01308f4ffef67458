// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What belongs to the process as a whole: groups, file mode mask, inherited descriptors.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::checked;

/// The number of the group called `name`, or `None` if there is no such group.
///
/// # Errors
/// Those of getgrnam_r(3): the group database could not be read.
pub(crate) fn group_id(name: &CStr) -> io::Result<Option<libc::gid_t>> {
    const LONGEST_ENTRY: usize = 1 << 20;
    let mut strings: Vec<libc::c_char> = vec![0; 1024];
    loop {
        let mut group = MaybeUninit::<libc::group>::uninit();
        let mut found: *mut libc::group = ptr::null_mut();
        // SAFETY: `name` ends with a NUL; `group`, `strings` (with its own length) and `found` are
        // ours to write, and all of them live until the entry has been read below.
        let error = unsafe {
            libc::getgrnam_r(
                name.as_ptr(),
                group.as_mut_ptr(),
                strings.as_mut_ptr(),
                strings.len(),
                &mut found,
            )
        };
        match error {
            0 if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: no error and an entry found, so getgrnam_r has filled `group`.
                return Ok(Some(unsafe { group.assume_init() }.gr_gid));
            }
            libc::ERANGE if strings.len() < LONGEST_ENTRY => {
                strings.resize(strings.len() * 2, 0);
            }
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The bits that files made by this process do not get. To be called before there are threads,
/// since it can be read only by setting it.
pub(crate) fn file_mode_mask() -> libc::mode_t {
    // SAFETY: umask(2) takes any value and cannot fail.
    let mask = unsafe { libc::umask(0o077) };
    // SAFETY: as above; it puts back what was there.
    unsafe { libc::umask(mask) };
    mask
}

/// Lets files that this process makes have all the bits that they are made with. To be called before
/// there are threads.
pub(crate) fn mask_no_file_modes() {
    // SAFETY: umask(2) takes any value and cannot fail.
    unsafe { libc::umask(0) };
}

/// Leaves all supplementary groups.
///
/// # Errors
/// Those of setgroups(2): EPERM without CAP_SETGID, or where it was given up.
pub(crate) fn leave_groups() -> io::Result<()> {
    // SAFETY: with a length of 0 the list is not looked at.
    checked(unsafe { libc::setgroups(0, ptr::null()) }).map(drop)
}

/// Becomes root of the user namespace. To be called before there are threads.
///
/// # Errors
/// Those of setresuid(2) and setresgid(2): EINVAL if there is no such user or group here.
pub(crate) fn become_root() -> io::Result<()> {
    // SAFETY: setresgid(2) takes numbers alone.
    checked(unsafe { libc::setresgid(0, 0, 0) })?;
    // SAFETY: setresuid(2) takes numbers alone.
    checked(unsafe { libc::setresuid(0, 0, 0) }).map(drop)
}

/// Takes over a descriptor that whoever started this process left open for it, and keeps it from
/// being inherited any further.
///
/// To be called once per number, and before this process has opened anything itself: only then is
/// the number surely an inherited one.
///
/// # Errors
/// EBADF: no descriptor with that number is open.
pub(crate) fn adopt_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD changes a flag of the descriptor table and touches no memory.
    checked(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the descriptor is open, as fcntl has just shown, and by the condition above nobody
    // else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes what whoever started this process has left open, and nobody has adopted. All that this process
/// has opened by itself is closed on exec, and so told apart.
///
/// To be called before there are threads.
///
/// # Errors
/// /proc does not say which descriptors there are.
pub(crate) fn close_inherited() -> io::Result<()> {
    let names = std::fs::read_dir("/proc/self/fd")?.flatten().map(|entry| entry.file_name());
    let numbers: Vec<RawFd> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| *fd > libc::STDERR_FILENO) {
        // SAFETY: F_GETFD reads a flag of the descriptor table and touches no memory.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == 0 {
            // SAFETY: the descriptor is open and not of our making, so nothing here owns it.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    Ok(())
}

/// The numbers of the descriptors that a service manager passed (sd_listen_fds(3)); they are no
/// longer announced in the environment afterwards. To be called before there are threads.
///
/// # Errors
/// LISTEN_PID or LISTEN_FDS is no number, or a descriptor that they announce is not open.
pub(crate) fn take_listen_fds() -> io::Result<Vec<RawFd>> {
    // SAFETY: the environment is changed while this process has a single thread, by the condition
    // above, so nobody reads it at the same time.
    Ok(unsafe { sd_notify::listen_fds_and_unset_env() }?.collect())
}

/// Makes the descriptor number `target` (0, 1 or 2) mean what `source` means.
///
/// # Errors
/// Those of dup2(2).
pub(crate) fn replace_standard_stream(source: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    debug_assert!((0..=2).contains(&target), "{target} is no standard stream");
    // SAFETY: dup2 touches no memory, and the standard streams are used by number alone, so no
    // owner of `target` is surprised.
    checked(unsafe { libc::dup2(source.as_raw_fd(), target) })?;
    Ok(())
}

/// Raises the limit on open descriptors as far as it may go: each memory region, each queue and
/// each notification wants one.
///
/// # Errors
/// Those of setrlimit(2).
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    raise_to_the_hard_limit(libc::RLIMIT_NOFILE)
}

/// Sets the limit on open descriptors, and that on the limit, if it is below.
///
/// # Errors
/// Those of setrlimit(2): EPERM, beyond the hard limit without CAP_SYS_RESOURCE, or beyond the kernel's
/// own.
pub(crate) fn set_descriptor_limit(number: u64) -> io::Result<()> {
    let most = limits(libc::RLIMIT_NOFILE)?.rlim_max.max(number);
    set_limits(libc::RLIMIT_NOFILE, libc::rlimit { rlim_cur: number, rlim_max: most })
}

/// Raises the limit on memory that cannot be swapped out as far as it may go: newer kernels count that of
/// each io_uring, and that of all processes of a user together.
///
/// # Errors
/// Those of setrlimit(2).
pub(crate) fn raise_locked_memory_limit() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // That is for the privileged.
    set_limits(libc::RLIMIT_MEMLOCK, none)
        .or_else(|_| raise_to_the_hard_limit(libc::RLIMIT_MEMLOCK))
}

/// Takes from this process the way to raise its limits, and the memory that it leaves behind when it
/// crashes: a guest's data are in it.
///
/// # Errors
/// Those of setrlimit(2).
pub(crate) fn fix_limits() -> io::Result<()> {
    let descriptors = limits(libc::RLIMIT_NOFILE)?.rlim_cur;
    for (resource, most) in [(libc::RLIMIT_NOFILE, descriptors), (libc::RLIMIT_CORE, 0)] {
        set_limits(resource, libc::rlimit { rlim_cur: most, rlim_max: most })?;
    }
    Ok(())
}

/// From now on nothing that this thread, or one that it starts, executes gives it rights that it has
/// not got.
///
/// # Errors
/// Those of prctl(2).
pub(crate) fn gain_no_privileges() -> io::Result<()> {
    const YES: libc::c_ulong = 1;
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: this prctl(2) takes numbers alone.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, YES, UNUSED, UNUSED, UNUSED) })
        .map(drop)
}

/// How many descriptors this process may have open.
///
/// # Errors
/// Those of getrlimit(2).
pub(crate) fn descriptor_limit() -> io::Result<u64> {
    limits(libc::RLIMIT_NOFILE).map(|limits| limits.rlim_cur)
}

/// Which limit: the kernel's number of it, in the C library's type.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn raise_to_the_hard_limit(resource: Resource) -> io::Result<()> {
    let limits = limits(resource)?;
    set_limits(resource, libc::rlimit { rlim_cur: limits.rlim_max, ..limits })
}

fn limits(resource: Resource) -> io::Result<libc::rlimit> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limits` is ours to write.
    checked(unsafe { libc::getrlimit(resource, &raw mut limits) })?;
    Ok(limits)
}

fn set_limits(resource: Resource, limits: libc::rlimit) -> io::Result<()> {
    // SAFETY: `limits` lives through the call, which only reads it.
    checked(unsafe { libc::setrlimit(resource, &raw const limits) }).map(drop)
}

/// A new epoll descriptor, closed on exec.
///
/// # Errors
/// Those of epoll_create1(2).
pub(crate) fn epoll() -> io::Result<OwnedFd> {
    let fd = epoll::create(true)?;
    // SAFETY: the kernel has just handed out this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
