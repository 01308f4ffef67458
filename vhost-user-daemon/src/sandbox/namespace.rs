// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A network without interfaces, System V objects that nobody else has, and a file system without a
//! file: a process that looks around from here sees nothing of the host.
//!
//! There is no PID namespace: its first process would have to be another one than this, and who
//! started us knows this one's number.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};

use super::Lack;
use crate::sys;
use crate::sys::namespace::Namespace;

/// Where a directory that stays within reach is found in the empty root.
const REACHABLE: &str = "front-end";

/// What there is after [`enter`].
#[derive(Debug, Default)]
pub(super) struct Entered {
    /// What could not be had.
    pub(super) lacks: Vec<Lack>,
    /// Where the directory is now that was to stay within reach; `None` if it is where it was.
    pub(super) reachable: Option<PathBuf>,
}

/// Moves the process into namespaces of its own, as far as that can be had, and its root to an empty
/// directory, in which nothing but `reachable` can be found, if there is such a directory. To be called
/// before there are threads.
pub(super) fn enter(reachable: Option<&Path>) -> Entered {
    let mut entered = Entered::default();
    let mut lacks = Vec::new();
    if !may_unshare()
        && let Err(lack) = enter_user_namespace()
    {
        // Without it, none of the others can be had.
        entered.lacks.push(lack);
        return entered;
    }
    for (namespace, name) in
        [(Namespace::Network, "network namespace"), (Namespace::Ipc, "IPC namespace")]
    {
        if let Err(source) = sys::namespace::unshare(namespace) {
            lacks.push(Lack { what: name, source });
        }
    }
    match empty_root(reachable) {
        Ok(reachable) => entered.reachable = reachable,
        Err(lack) => lacks.push(lack),
    }
    entered.lacks = lacks;
    entered
}

/// Whether the other namespaces can be had without one for users.
fn may_unshare() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false)
}

/// Enters a user namespace in which this user and this group are the only ones.
fn enter_user_namespace() -> Result<(), Lack> {
    let (user, group) = sys::namespace::effective_ids();
    let lack = |source| Lack { what: "user namespace", source };
    sys::namespace::unshare(Namespace::User).map_err(lack)?;
    // Who has no rights outside has to give up changing groups before it may map one.
    fs::write("/proc/self/setgroups", "deny").map_err(lack)?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1")).map_err(lack)?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1")).map_err(lack)
}

fn empty_root(reachable: Option<&Path>) -> Result<Option<PathBuf>, Lack> {
    sys::namespace::unshare(Namespace::Mount)
        .map_err(|source| Lack { what: "mount namespace", source })?;
    make_empty_root(reachable).map_err(|source| Lack { what: "empty root directory", source })
}

fn make_empty_root(reachable: Option<&Path>) -> io::Result<Option<PathBuf>> {
    sys::namespace::keep_mounts_private()?;
    let directory = reachable.map(std::path::absolute).transpose()?;
    // Over the root that we have, so that it takes no other directory. A path that begins at the root
    // still means what is below; `..` of the root is what lies over it.
    sys::namespace::mount_empty(c"/")?;
    std::env::set_current_dir("/..")?;
    if let Some(directory) = &directory {
        let directory = CString::new(directory.as_os_str().as_bytes())?;
        let place = CString::new(REACHABLE)?;
        fs::create_dir(REACHABLE)?;
        sys::namespace::bind(&directory, &place)?;
        if let Err(error) = sys::namespace::make_inert(&place) {
            log::debug!("make {REACHABLE:?} read-only: {error}");
        }
    }
    sys::namespace::make_read_only(c".")?;
    sys::namespace::make_root()?;
    Ok(directory.map(|_| Path::new("/").join(REACHABLE)))
}
