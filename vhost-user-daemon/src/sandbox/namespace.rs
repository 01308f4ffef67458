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
use std::path::Path;

use caps::{CapSet, Capability};

use super::{Kept, Lack};
use crate::config::SocketPath;
use crate::sys;
use crate::sys::namespace::Namespace;

/// What a directory that stays within reach is called in the empty root.
const REACHABLE: &str = "front-end";

/// What there is after [`enter`].
#[derive(Debug, Default)]
pub(super) struct Entered {
    /// What could not be had.
    pub(super) lacks: Vec<Lack>,
    /// Whether the root directory is another one now, and the working directory too: that which stays
    /// within reach, if there is one.
    pub(super) moved: bool,
}

/// Moves the process into namespaces of its own, as far as that can be had, and its root to an empty
/// directory, in which nothing but that of the socket can be found that is connected to, if there is one; it
/// becomes the working directory. To be called before there are threads.
pub(super) fn enter(kept: &mut Kept<'_>) -> Entered {
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
    match empty_root(kept) {
        Ok(()) => entered.moved = true,
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

fn empty_root(kept: &mut Kept<'_>) -> Result<(), Lack> {
    sys::namespace::unshare(Namespace::Mount)
        .map_err(|source| Lack { what: "mount namespace", source })?;
    for place in &mut kept.removing {
        if let Err(error) = place.detach() {
            log::warn!("keep the host out of reach of {:?}: {error}", place.path());
        }
    }
    let reachable = kept.connecting.map(SocketPath::directory);
    let before = std::env::current_dir();
    make_empty_root(reachable).map_err(|source| {
        // Relative paths shall mean what they meant, for all that does without.
        let _ = before.and_then(std::env::set_current_dir);
        Lack { what: "empty root directory", source }
    })
}

fn make_empty_root(reachable: Option<&Path>) -> io::Result<()> {
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
    match directory {
        Some(_) => std::env::set_current_dir(REACHABLE),
        None => Ok(()),
    }
}
