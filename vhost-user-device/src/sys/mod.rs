// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! System calls that the standard library has no name for, each behind a safe function.

mod file;
mod lost;
mod notify;
mod poll;
mod socket;
mod uring;

pub(crate) use file::{allocate, discard, read_at, sync_data, write_at};
pub(crate) use lost::{Watch, losses};
pub(crate) use notify::{Eventfd, Notifier};
use poll::has_room;

pub(crate) use poll::{Wait, wait_readable};
pub(crate) use socket::{MAX_FDS, hang_up, receive, send, send_with_fds};
pub(crate) use uring::Uring;

use std::io;
use std::os::fd::AsRawFd;

/// The result of a system call that returns -1 for an error.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The result of a system call that returns a length, or -1 for an error.
fn checked_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Bytes of the pages that a file is mapped in: those of hugetlbfs are its blocks.
pub(crate) fn page_size_of(file: &std::fs::File) -> io::Result<u64> {
    // SAFETY: the structure is plain data, for which zeroes are valid.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is writable and outlives the call.
    checked(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) })?;
    let huge = (stat.f_type == libc::HUGETLBFS_MAGIC).then_some(stat.f_bsize);
    // SAFETY: the call takes no pointers.
    let page = huge.unwrap_or_else(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) });
    u64::try_from(page).ok().filter(|page| page.is_power_of_two()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("its pages have {page} bytes"))
    })
}

/// Has the calling thread run on these CPUs alone; on any if there are none.
pub(crate) fn run_on(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = NO_CPUS;
    for cpu in cpus {
        if let Some(word) = set.get_mut(cpu / 64) {
            *word |= 1 << (cpu % 64);
        }
    }
    set_affinity(&set)
}

/// Has the calling thread run on each of these CPUs for a moment.
///
/// # Errors
/// The first CPU that cannot be had, and EINVAL: it is not there, or not for us.
pub(crate) fn try_cpus(cpus: &[usize]) -> Result<(), (usize, io::Error)> {
    let before = affinity().map_err(|error| (cpus.first().copied().unwrap_or(0), error))?;
    let tried = cpus.iter().try_for_each(|cpu| run_on(&[*cpu]).map_err(|error| (*cpu, error)));
    // What was allowed a moment ago is allowed still.
    let _ = set_affinity(&before);
    tried
}

/// A bit for each CPU, the first in the lowest bit of the first word. Larger than libc's `cpu_set_t`,
/// with which a host of more than 1024 CPUs does not even say which of them are ours.
type Cpus = [u64; 128];

const NO_CPUS: Cpus = [0; 128];

fn affinity() -> io::Result<Cpus> {
    let mut set = NO_CPUS;
    // SAFETY: `set` is writable, of the size that is said.
    checked(unsafe { libc::sched_getaffinity(0, size_of_val(&set), set.as_mut_ptr().cast()) })?;
    Ok(set)
}

fn set_affinity(set: &Cpus) -> io::Result<()> {
    // SAFETY: `set` is readable, of the size that is said.
    checked(unsafe { libc::sched_setaffinity(0, size_of_val(set), set.as_ptr().cast()) }).map(drop)
}

/// A file in memory whose size, `len` bytes, nobody can change.
pub(crate) fn sealed_memfd(name: &str, len: u64) -> io::Result<std::fs::File> {
    let file = memfd_with(name, libc::MFD_ALLOW_SEALING)?;
    file.set_len(len)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: the call takes no pointers.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(file)
}

/// A file in memory.
#[cfg(test)]
pub(crate) fn memfd(name: &str) -> io::Result<std::fs::File> {
    memfd_with(name, 0)
}

/// A file in memory of huge pages, of which there need not be any.
#[cfg(test)]
pub(crate) fn memfd_of_huge_pages(name: &str) -> io::Result<std::fs::File> {
    memfd_with(name, libc::MFD_HUGETLB)
}

fn memfd_with(name: &str, flags: libc::c_uint) -> io::Result<std::fs::File> {
    use std::os::fd::{FromRawFd, OwnedFd};

    let name = std::ffi::CString::new(name)?;
    // SAFETY: `name` is a C string that lives through the call.
    let fd = checked(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | flags) })?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}
