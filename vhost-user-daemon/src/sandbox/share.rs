// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The sandbox of a process that looks for files while it serves: what it shares is all that there is.
//!
//! In namespaces of its own, a directory that is shared becomes the root, as a mount in which no device
//! can be opened, with all that is mounted below it, now and later. A file that is shared becomes the only
//! one in an empty root. `/proc/self/fd` stays as a mount that nothing is above, so that it leads nowhere
//! else; what it is for, see [`crate::Inside`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};

use super::{Kept, Lack, users};
use crate::args::SandboxMode;
use crate::config::SocketPath;
use crate::entry::{Inode, Place};
use crate::policy::Share;
use crate::sys;
use crate::sys::namespace::{self, Namespace};

/// What there is after [`enter`].
#[derive(Debug)]
pub(super) struct Entered {
    /// The share, opened as a place only.
    pub(super) root: File,
    /// `/proc/self/fd`, opened as a place only.
    pub(super) descriptors: Option<File>,
    /// Whether there are only some users, in a user namespace.
    pub(super) some_users: bool,
    /// Whether the directory for connecting is the working directory now, and out of reach otherwise.
    pub(super) moved: bool,
}

/// What is to be shared cannot be, or not in this sandbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    #[error("open {path:?}, which is to be shared")]
    Open { path: PathBuf, source: io::Error },

    #[error("{0:?} is neither a directory nor a regular file, and nothing else can be shared")]
    OtherKind(PathBuf),

    #[error(
        "--sandbox namespace lacks {0}; --sandbox chroot does without, for root, and --sandbox none \
         for everybody"
    )]
    NoNamespaces(String),

    #[error(
        "--sandbox chroot is for root, or whoever has CAP_SYS_CHROOT; --sandbox none does without"
    )]
    NoChroot,

    #[error("users and groups are mapped with --sandbox namespace, and not for root")]
    Mapped,

    #[error("try out --sandbox namespace")]
    Probe(#[source] io::Error),

    #[error("{act}")]
    Enter { act: &'static str, source: io::Error },
}

/// Whether it can be shared in this way. To be called before there are threads, and before there is a
/// socket.
///
/// # Errors
/// It cannot.
pub(super) fn check(
    share: &Share,
    mode: SandboxMode,
    connecting: Option<&SocketPath>,
) -> Result<(), ShareError> {
    open(&share.path)?;
    let mapped = !share.users.is_empty() || !share.groups.is_empty();
    if mapped && (mode != SandboxMode::Namespace || is_root()) {
        return Err(ShareError::Mapped);
    }
    match mode {
        SandboxMode::None => Ok(()),
        SandboxMode::Chroot if has(Capability::CAP_SYS_CHROOT) => Ok(()),
        SandboxMode::Chroot => Err(ShareError::NoChroot),
        SandboxMode::Auto | SandboxMode::Namespace => {
            let mut kept = Kept { connecting, ..Kept::default() };
            let attempt = || match enter_namespaces(share, &mut kept) {
                Ok(_) => String::new(),
                Err(lack) => lack.to_string(),
            };
            let lack = sys::probe::in_a_copy(attempt).map_err(ShareError::Probe)?;
            if lack.is_empty() { Ok(()) } else { Err(ShareError::NoNamespaces(lack)) }
        }
    }
}

/// Enters it. To be called before there are threads.
///
/// # Errors
/// The kernel refuses what it has let us do before.
pub(super) fn enter(
    share: &Share,
    mode: SandboxMode,
    kept: &mut Kept<'_>,
) -> Result<Entered, ShareError> {
    let among_some = users::are_some();
    let mut entered = match mode {
        SandboxMode::None => Ok(Entered {
            root: open(&share.path)?,
            descriptors: descriptors(),
            some_users: false,
            moved: false,
        }),
        SandboxMode::Chroot => enter_directory(share, kept),
        SandboxMode::Auto | SandboxMode::Namespace => {
            enter_namespaces(share, kept).map_err(|lack| ShareError::NoNamespaces(lack.to_string()))
        }
    }?;
    entered.some_users |= among_some;
    if is_root()
        && let Err(error) = sys::process::leave_groups()
    {
        log::debug!("leave the supplementary groups: {error}");
    }
    Ok(entered)
}

fn is_root() -> bool {
    namespace::effective_ids().0 == 0
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// The share on the host's side.
fn open(path: &Path) -> Result<File, ShareError> {
    let file = place(path).map_err(|source| ShareError::Open { path: path.to_owned(), source })?;
    let kind =
        file.metadata().map_err(|source| ShareError::Open { path: path.to_owned(), source })?;
    if kind.is_dir() || kind.is_file() {
        Ok(file)
    } else {
        Err(ShareError::OtherKind(path.to_owned()))
    }
}

fn place(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)
}

/// `/proc/self/fd`, with nothing above it if that can be had.
fn descriptors() -> Option<File> {
    const PATH: &std::ffi::CStr = c"/proc/self/fd";
    let opened = namespace::detached(PATH).or_else(|_| place(Path::new("/proc/self/fd")));
    opened.inspect_err(|error| log::warn!("open /proc/self/fd: {error}")).ok()
}

/// Makes the share the root directory; of a file, an empty directory.
fn enter_directory(share: &Share, kept: &Kept<'_>) -> Result<Entered, ShareError> {
    let failed = |act| move |source| ShareError::Enter { act, source };
    let host = open(&share.path)?;
    let is_directory = is_directory(&host);
    let descriptors = descriptors();
    let connecting = kept.connecting.map(|path| Place::of(path.as_ref())).transpose();
    let connecting = connecting.map_err(failed("open the directory of the front end's socket"))?;
    if is_directory {
        namespace::change_directory(&host).map_err(failed("go to what is to be shared"))?;
        namespace::change_root(c".").map_err(failed("make what is shared the root directory"))?;
    } else {
        // There is nothing in it but numbers about this process.
        namespace::change_root(c"/proc/self/fdinfo")
            .map_err(failed("have an empty root directory"))?;
    }
    std::env::set_current_dir("/").map_err(failed("go to the root directory"))?;
    let root = if is_directory {
        place(Path::new("/")).map_err(failed("open the root directory"))?
    } else {
        host
    };
    let moved = stay_at(connecting.as_ref()).map_err(failed("go to the front end's socket"))?;
    Ok(Entered { root, descriptors, some_users: false, moved })
}

/// Makes the directory of the socket that is connected to the working directory.
fn stay_at(connecting: Option<&Place>) -> io::Result<bool> {
    match connecting {
        Some(place) => namespace::change_directory(place.directory()).map(|()| true),
        None => Ok(false),
    }
}

fn is_directory(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_dir())
}

fn enter_namespaces(share: &Share, kept: &mut Kept<'_>) -> Result<Entered, Lack> {
    let lack = |what| move |source| Lack { what, source };
    let host = place(&share.path).map_err(lack("what is to be shared"))?;
    let some_users = !has(Capability::CAP_SYS_ADMIN);
    if some_users {
        if is_root() {
            // One with nobody but root in it would be of little use to root.
            let source = io::Error::from_raw_os_error(libc::EPERM);
            return Err(Lack { what: "CAP_SYS_ADMIN", source });
        }
        users::enter(&share.users, &share.groups)?;
    }
    namespace::unshare(Namespace::Mount).map_err(lack("mount namespace"))?;
    namespace::keep_own_mounts_private().map_err(lack("mounts of its own"))?;
    for place in &mut kept.removing {
        if let Err(error) = place.detach() {
            log::warn!("keep the host out of reach of {:?}: {error}", place.path());
        }
    }
    let connecting = kept.connecting.map(|path| {
        let mut place = Place::of(path.as_ref())?;
        place.detach().map(|()| place)
    });
    let connecting = connecting.transpose().map_err(lack("way to the front end"))?;
    let descriptors = descriptors();
    // Through the path, since what was opened before is not of this namespace.
    let here = place(&share.path).map_err(lack("what is to be shared"))?;
    if inode(&here).ok() != inode(&host).ok() {
        let source = io::Error::other("another file was put in its place");
        return Err(Lack { what: "what is to be shared", source });
    }
    let mount = namespace::copied(&here).map_err(lack("mount of what is to be shared"))?;
    if let Err(error) = namespace::make_harmless(&mount) {
        log::warn!("keep devices in the share from being opened: {error}");
    }
    for (namespace, name) in
        [(Namespace::Network, "network namespace"), (Namespace::Ipc, "IPC namespace")]
    {
        namespace::unshare(namespace).map_err(lack(name))?;
    }
    let root =
        if is_directory(&here) { directory_as_root(&here, &mount) } else { file_alone(&mount) };
    let root = root.map_err(lack("root directory of its own"))?;
    let moved = stay_at(connecting.as_ref()).map_err(lack("way to the front end"))?;
    Ok(Entered { root, descriptors, some_users, moved })
}

fn inode(file: &File) -> io::Result<Inode> {
    Ok(Inode::of(&file.metadata()?))
}

fn directory_as_root(here: &File, mount: &File) -> io::Result<File> {
    namespace::mount_over(here, mount)?;
    namespace::change_directory(mount)?;
    namespace::make_root()?;
    place(Path::new("/"))
}

/// An empty root, in which there is nothing but the mount of a file.
fn file_alone(mount: &File) -> io::Result<File> {
    const NAME: &str = "shared";
    namespace::mount_empty(c"/")?;
    std::env::set_current_dir("/..")?;
    drop(File::create(NAME)?);
    namespace::mount_over(&place(Path::new(NAME))?, mount)?;
    namespace::make_read_only(c".")?;
    namespace::make_root()?;
    place(&Path::new("/").join(NAME))
}
