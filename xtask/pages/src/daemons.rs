// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which daemons there are, and where their parsers are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use vhost_user_daemon::Capabilities;

/// A daemon as its library knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daemon {
    pub(crate) command: fn() -> Command,
    pub(crate) capabilities: Capabilities,
}

/// Every daemon.
pub(crate) const ALL: [Daemon; 2] = [
    Daemon { command: vhost_user_blk::Args::command, capabilities: vhost_user_blk::CAPABILITIES },
    Daemon { command: virtiofsd::Args::command, capabilities: virtiofsd::CAPABILITIES },
];

impl Daemon {
    /// The parser, with what clap adds to every one.
    pub(crate) fn parser(&self) -> Command {
        let mut command = (self.command)();
        command.build();
        command
    }

    /// The name, `vhost-user-blk`.
    pub(crate) fn name(&self) -> String {
        (self.command)().get_name().to_owned()
    }

    /// What it is, in one sentence without a full stop.
    pub(crate) fn description(&self) -> String {
        (self.command)().get_about().map(ToString::to_string).unwrap_or_default()
    }

    /// Where its page is among `docs`.
    pub(crate) fn page(&self, docs: &Path) -> PathBuf {
        docs.join(format!("{}.md", self.name()))
    }

    /// What its page among `docs` says.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn page_text(&self, docs: &Path) -> Result<String> {
        let page = self.page(docs);
        fs::read_to_string(&page).with_context(|| format!("read {}", page.display()))
    }
}
