// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a process has by being root's, or by having been started by one who gave it much: given up,
//! for this thread and those that it starts, and for good.

use std::io;

use caps::errors::CapsError;
use caps::{CapSet, runtime};

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

/// Gives up all capabilities and the ways to gain others, and fixes the limits of the process.
///
/// # Errors
/// The kernel refuses.
pub(super) fn give_up() -> Result<(), PrivilegesError> {
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
    caps::clear(None, CapSet::Permitted)?;
    Ok(())
}
