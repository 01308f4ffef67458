// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the process takes from itself once it has all that it needs, so that somebody who got hold of
//! it had nothing else.
//!
//! It comes in three steps. [`check`] finds out, while there is no socket yet, whether what the
//! operator insists on can be had. [`enter`] is for one thread, and comes before there are others,
//! which inherit it: namespaces with an empty root, no capabilities, no way to new privileges, limits,
//! landlock. [`seal`] is for all threads, once they have made what they need: from then on there are
//! only the system calls of the daemon's [`Profile`].
//!
//! Each of these would have to be broken by itself. The directories from which our files are removed at
//! the end become mounts without anything above them, so that they lead nowhere else.

mod calls;
mod landlock;
mod namespace;
mod privileges;
mod profile;
mod seccomp;

#[cfg(feature = "test-hooks")]
pub(crate) mod attempt;

use std::fmt;
use std::io;

use self::privileges::PrivilegesError;
pub use self::profile::{Profile, SystemCall};
use self::seccomp::SeccompError;
use crate::args::{SandboxMode, SeccompMode};
use crate::config::SocketPath;
use crate::entry::Place;
use crate::sys;

/// What the operator wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SandboxConfig {
    pub(crate) mode: SandboxMode,
    pub(crate) seccomp: SeccompMode,
}

impl SandboxConfig {
    /// Whether paths and sockets can be had once the process is in it.
    pub(crate) fn is_open(self) -> bool {
        self == Self { mode: SandboxMode::None, seccomp: SeccompMode::None }
    }
}

/// What must stay possible.
#[derive(Debug, Default)]
pub(crate) struct Kept<'a> {
    /// Where files are removed at the end.
    pub(crate) removing: Vec<&'a mut Place>,
    /// A socket that is connected to, again and again.
    pub(crate) connecting: Option<&'a SocketPath>,
}

/// Whether what the operator insists on can be had. To be called before there are threads, and before
/// there is a socket.
///
/// # Errors
/// It cannot.
pub(crate) fn check(
    config: SandboxConfig,
    connecting: Option<&SocketPath>,
) -> Result<(), SandboxError> {
    seccomp::check(config.seccomp)?;
    if config.mode == SandboxMode::Namespace {
        let mut kept = Kept { connecting, ..Kept::default() };
        let mut first_lack = || namespace::enter(&mut kept).lacks.first().map(Lack::to_string);
        let said = sys::probe::in_a_copy(|| first_lack().unwrap_or_default());
        let lack = said.map_err(SandboxError::Probe)?;
        if !lack.is_empty() {
            return Err(SandboxError::NoNamespaces(lack));
        }
    }
    Ok(())
}

/// Takes from the process what it does not need any more. Returns whether paths mean something else from
/// now on: then the directory for connecting is the working directory. To be called before there are
/// threads.
///
/// # Errors
/// The kernel refuses what it should not, or what the operator insists on.
pub(crate) fn enter(config: SandboxConfig, kept: &mut Kept<'_>) -> Result<bool, SandboxError> {
    // While the paths still lead there.
    let needed = privileges::needed(kept)?;
    if config.mode == SandboxMode::None {
        privileges::give_up_all_but(&needed)?;
        return Ok(false);
    }
    let namespace::Entered { mut lacks, moved } = namespace::enter(kept);
    if config.mode == SandboxMode::Namespace
        && let Some(lack) = lacks.first()
    {
        return Err(SandboxError::NoNamespaces(lack.to_string()));
    }
    privileges::give_up_all_but(&needed)?;
    let directories = kept.removing.iter().map(|place| place.directory());
    match landlock::restrict(directories) {
        Ok(true) => {}
        Ok(false) => {
            let source = io::Error::other("this kernel has none, or none for us");
            lacks.push(Lack { what: "landlock", source });
        }
        Err(error) => lacks.push(Lack { what: "landlock", source: io::Error::other(error) }),
    }
    if !lacks.is_empty() {
        let lacks = lacks.iter().map(Lack::to_string).collect::<Vec<_>>().join(", ");
        log::warn!("the sandbox is without what cannot be had here: {lacks}");
    }
    Ok(moved)
}

/// Leaves the threads of the process, called `name`, the system calls of `profile` and those that
/// every daemon makes; `connecting` says whether there are new connections to make.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn seal(
    name: &str,
    config: SandboxConfig,
    profile: &Profile,
    connecting: bool,
) -> Result<(), SandboxError> {
    let connecting = if connecting { calls::CONNECTING } else { &[] };
    let ending = calls::ending(std::process::id());
    let allowed = calls::EVERY_DAEMON.iter().chain(profile.system_calls);
    let allowed = allowed.chain(connecting).chain(&ending);
    Ok(seccomp::apply(name, config.seccomp, allowed, calls::REFUSED)?)
}

/// A part of the sandbox that cannot be had.
#[derive(Debug)]
struct Lack {
    what: &'static str,
    source: io::Error,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, source } = self;
        write!(f, "{what} ({source})")
    }
}

/// The process cannot be sandboxed as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    #[error("--sandbox namespace lacks {0}; --sandbox auto does with what there is")]
    NoNamespaces(String),

    #[error("try out --sandbox namespace")]
    Probe(#[source] io::Error),

    #[error(transparent)]
    Privileges(#[from] PrivilegesError),

    #[error(transparent)]
    Seccomp(#[from] SeccompError),
}
