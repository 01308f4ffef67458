// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What was typed.

use clap::{Parser, ValueEnum};
use vhost_user_daemon::CommonArgs;

/// Pretend to be a device.
#[derive(Parser)]
pub(crate) struct Args {
    /// Pretend to be this one.
    #[arg(long, value_enum)]
    pub(crate) device: Kind,

    #[command(flatten)]
    common: CommonArgs,
}

/// What the daemon can pretend to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A network device of up to four queue pairs, with a control queue.
    Net,
    /// A file system of two request queues.
    Fs,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}
