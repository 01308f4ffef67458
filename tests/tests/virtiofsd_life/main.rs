// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The life of a process that shares a directory, where it differs from that of other daemons: its front
//! end's end is its own, its pid is beside its socket, and its sandbox is made of the directory.

mod lives;
mod mistakes;
mod sandbox;

use std::path::Path;

use vhost_user_tests::daemon::{Daemon, Launch};

/// A daemon that shares `folder`, on a socket in a folder of its own.
fn sharing(folder: &Path) -> Launch {
    Daemon::fs().share(folder)
}
