// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a process has by being root's, or by having been started by one who gave it much: given up,
//! for this thread and those that it starts, and for good.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet, runtime};

use super::Kept;
use crate::config::SocketPath;
use crate::sys;

/// A right that could not be given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivilegesError {
    #[error("fix the limits of the process")]
    Limits(#[source] io::Error),

    #[error("give up the capabilities")]
    Capabilities(#[from] CapsError),

    #[error("give up gaining privileges")]
    NoNewPrivileges(#[source] io::Error),
}

/// The capabilities that the process still has a use for: none, or the one by which root goes where other
/// users' permissions do not let it, if files are to be removed at the end from a directory of another
/// user's, or if the front end to connect to is, or may be, another user's. What is kept `anyway` is not
/// worth a word.
///
/// # Errors
/// The kernel does not say which ones there are.
pub(super) fn needed(
    kept: &Kept<'_>,
    anyway: &[Capability],
) -> Result<CapsHashSet, PrivilegesError> {
    let mut needed = CapsHashSet::new();
    let (user, _) = sys::namespace::effective_ids();
    let others = kept.removing.iter().any(|place| !is_of(user, place.directory().metadata()))
        || kept.connecting.is_some_and(|front_end| may_be_anothers(user, front_end));
    if others && caps::has_cap(None, CapSet::Effective, OVERRIDE)? {
        if !anyway.contains(&OVERRIDE) {
            log::info!("{OVERRIDE} is kept, for a directory or a front end of another user");
        }
        needed.insert(OVERRIDE);
    }
    Ok(needed)
}

/// Which of the capabilities the process may have, and which it may not.
///
/// # Errors
/// The kernel does not say which ones there are.
pub(super) fn of_those_had(
    wanted: &[Capability],
) -> Result<(CapsHashSet, Vec<Capability>), PrivilegesError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let (had, lacking): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|capability| permitted.contains(capability));
    Ok((had.into_iter().collect(), lacking))
}

const OVERRIDE: Capability = Capability::CAP_DAC_OVERRIDE;

/// Whether the file is there, and this user's.
fn is_of(user: libc::uid_t, metadata: io::Result<Metadata>) -> bool {
    metadata.is_ok_and(|metadata| metadata.uid() == user)
}

/// Whether another user has made the socket, or can make it.
fn may_be_anothers(user: libc::uid_t, front_end: &SocketPath) -> bool {
    const BY_OTHERS: u32 = 0o022;
    let directory = fs::metadata(front_end.directory());
    let closed = directory.as_ref().is_ok_and(|directory| directory.mode() & BY_OTHERS == 0);
    let socket: &Path = front_end.as_ref();
    !closed || !is_of(user, directory) || (socket.exists() && !is_of(user, fs::metadata(socket)))
}

/// Gives up all capabilities but the `needed` ones, and the ways to gain others, and fixes the limits of
/// the process.
///
/// # Errors
/// The kernel refuses.
pub(super) fn give_up_all_but(needed: &CapsHashSet) -> Result<(), PrivilegesError> {
    sys::process::fix_limits().map_err(PrivilegesError::Limits)?;
    sys::process::gain_no_privileges().map_err(PrivilegesError::NoNewPrivileges)?;
    // While there still is the capability that this takes. One who has not got it has none that
    // matters: nothing that is executed from here on brings any.
    for capability in runtime::thread_all_supported() {
        if let Err(error) = caps::drop(None, CapSet::Bounding, capability) {
            log::debug!("take {capability} from the bounding set: {error}");
            break;
        }
    }
    if runtime::ambient_set_supported().is_ok() {
        caps::clear(None, CapSet::Ambient)?;
    }
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, needed)?;
    caps::set(None, CapSet::Permitted, needed)?;
    Ok(())
}
