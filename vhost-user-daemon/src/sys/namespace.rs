// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Namespaces, and the mounts of our own one. All of it concerns the calling thread alone, which has
//! to be the only one.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::ptr;

use super::checked;

/// What a process can have for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    User,
    Mount,
    Network,
    Ipc,
}

/// Makes the process the first one in a namespace of its own.
///
/// # Errors
/// Those of unshare(2): EPERM without CAP_SYS_ADMIN, or where user namespaces are not for everybody;
/// ENOSPC, too many of them.
pub(crate) fn unshare(namespace: Namespace) -> io::Result<()> {
    let flag = match namespace {
        Namespace::User => libc::CLONE_NEWUSER,
        Namespace::Mount => libc::CLONE_NEWNS,
        Namespace::Network => libc::CLONE_NEWNET,
        Namespace::Ipc => libc::CLONE_NEWIPC,
    };
    // SAFETY: unshare(2) takes a number and touches no memory.
    checked(unsafe { libc::unshare(flag) }).map(drop)
}

/// The user and the group that files made by this process get.
pub(crate) fn effective_ids() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: geteuid(2) takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    // SAFETY: getegid(2) takes nothing and cannot fail.
    let group = unsafe { libc::getegid() };
    (user, group)
}

/// Keeps mounts that are made here from being seen elsewhere, and the other way round.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn keep_mounts_private() -> io::Result<()> {
    mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)
}

/// Keeps mounts that are made here from being seen elsewhere. Those that are made elsewhere come here.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn keep_own_mounts_private() -> io::Result<()> {
    mount(None, c"/", None, libc::MS_REC | FROM_ELSEWHERE, None)
}

/// The flag of mount(2) by which mounts come in and do not go out: linux/mount.h.
const FROM_ELSEWHERE: libc::c_ulong = 1 << 19;

/// Nobody runs anything from such a mount, or opens a device in it.
const INERT: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// Mounts an empty file system in memory over `place`.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn mount_empty(place: &CStr) -> io::Result<()> {
    let options = c"size=4k,nr_inodes=4,mode=755";
    mount(Some(c"tmpfs"), place, Some(c"tmpfs"), INERT, Some(options))
}

/// Lets nobody write to the mount at `place` any more.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn make_read_only(place: &CStr) -> io::Result<()> {
    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | INERT;
    mount(None, place, None, flags, None)
}

/// Has `directory` appear at `place`, without what is mounted below it, if the kernel lets us see what
/// is under that.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn bind(directory: &CStr, place: &CStr) -> io::Result<()> {
    let alone = mount(Some(directory), place, None, libc::MS_BIND, None);
    alone.or_else(|_| mount(Some(directory), place, None, libc::MS_BIND | libc::MS_REC, None))
}

/// The directory at `path` as a mount of its own, which is nowhere else: nothing is above it. Opened as a
/// place only.
///
/// # Errors
/// Those of open_tree(2): ENOSYS before Linux 5.2.
pub(crate) fn detached(path: &CStr) -> io::Result<File> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    let recursive = libc::AT_RECURSIVE.unsigned_abs();
    // As with bind: what is mounted below comes along only if it must.
    open_tree(libc::AT_FDCWD, path, flags)
        .or_else(|_| open_tree(libc::AT_FDCWD, path, flags | recursive))
}

/// What `place` stands for, with all that is mounted below it, as a mount of its own that is nowhere yet.
/// Opened as a place only.
///
/// # Errors
/// Those of open_tree(2): ENOSYS before Linux 5.2; EINVAL, it is not in this mount namespace.
pub(crate) fn copied(place: &File) -> io::Result<File> {
    let recursive = libc::AT_RECURSIVE.unsigned_abs() | libc::AT_EMPTY_PATH.unsigned_abs();
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | recursive;
    open_tree(place.as_raw_fd(), c"", flags)
}

/// Mounts what [`copied`] made over `place`.
///
/// # Errors
/// Those of move_mount(2): ENOSYS before Linux 5.2.
pub(crate) fn mount_over(place: &File, mount: &File) -> io::Result<()> {
    let both_by_descriptor = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths end with a NUL and live through the call, which writes no memory of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            place.as_raw_fd(),
            c"".as_ptr(),
            both_by_descriptor,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn open_tree(directory: RawFd, path: &CStr, flags: libc::c_uint) -> io::Result<File> {
    // SAFETY: `path` ends with a NUL and lives through the call, which writes no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd != -1);
    let fd = fd.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just handed out this descriptor, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Lets nobody write to what is mounted at `place` and below it, run anything from there, or open a
/// device.
///
/// # Errors
/// Those of mount_setattr(2): ENOSYS before Linux 5.12.
pub(crate) fn make_inert(place: &CStr) -> io::Result<()> {
    let set = libc::MOUNT_ATTR_RDONLY
        | libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | libc::MOUNT_ATTR_NOEXEC;
    set_attributes(libc::AT_FDCWD, place, libc::AT_RECURSIVE, set)
}

/// Lets nobody open a device in this mount and those below it, or become another user by what is run
/// from there.
///
/// # Errors
/// Those of mount_setattr(2): ENOSYS before Linux 5.12.
pub(crate) fn make_harmless(mount: &File) -> io::Result<()> {
    let flags = libc::AT_RECURSIVE | libc::AT_EMPTY_PATH;
    let set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set_attributes(mount.as_raw_fd(), c"", flags, set)
}

fn set_attributes(
    directory: RawFd,
    path: &CStr,
    flags: libc::c_int,
    set: libc::__u64,
) -> io::Result<()> {
    let mut attributes =
        libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: `path` ends with a NUL, `attributes` has the size that is said, and both live through
    // the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory,
            path.as_ptr(),
            flags,
            &raw mut attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the directory the working directory.
///
/// # Errors
/// Those of fchdir(2).
pub(crate) fn change_directory(directory: &File) -> io::Result<()> {
    // SAFETY: fchdir(2) takes a number.
    checked(unsafe { libc::fchdir(directory.as_raw_fd()) }).map(drop)
}

/// Makes `directory` the root for this process. The working directory stays where it is.
///
/// # Errors
/// Those of chroot(2): EPERM without CAP_SYS_CHROOT.
pub(crate) fn change_root(directory: &CStr) -> io::Result<()> {
    // SAFETY: the path ends with a NUL and lives through the call.
    checked(unsafe { libc::chroot(directory.as_ptr()) }).map(drop)
}

/// Makes the working directory, which is the root of a mount, the root of all, and lets go of the
/// root before it.
///
/// # Errors
/// Those of pivot_root(2), umount2(2) and chdir(2).
pub(crate) fn make_root() -> io::Result<()> {
    // SAFETY: both paths end with a NUL and live through the call.
    let result = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // The old root lies over the new one now, and the working directory leads to it.
    // SAFETY: the path ends with a NUL and lives through the call.
    checked(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    std::env::set_current_dir("/")
}

fn mount(
    source: Option<&CStr>,
    place: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: each text ends with a NUL and lives through the call; null is allowed for all that is
    // left out here.
    checked(unsafe {
        libc::mount(pointer(source), place.as_ptr(), pointer(kind), flags, pointer(options).cast())
    })
    .map(drop)
}
