// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A host that cannot do what it is asked for: the driver gets an error, the log says which, and
//! the device lives on.

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::fuse::FuseFile;
use vhost_user_tests::prelude::*;

mod at_the_start;
mod failing;
mod full;
mod gone;

/// A daemon for `file`, about to start.
fn serving(file: &FuseFile, engine: &str) -> Launch {
    Daemon::blk().arg("--blk-file").arg(file.path()).args(["--io-engine", engine])
}

/// A file of our own with the contents of a new image.
fn file() -> Option<FuseFile> {
    FuseFile::of((0..64).flat_map(Image::contents).collect::<Vec<u8>>())
}
