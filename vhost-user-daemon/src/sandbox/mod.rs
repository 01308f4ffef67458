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
//! A process that shares a directory keeps that, as its root, and the capabilities that its files take
//! (`share`); landlock only where nothing is opened by handle.
//!
//! Each of these would have to be broken by itself. The directories from which our files are removed at
//! the end become mounts without anything above them, so that they lead nowhere else.

mod calls;
mod landlock;
mod namespace;
mod privileges;
mod profile;
mod seccomp;
mod share;
mod users;

#[cfg(feature = "test-hooks")]
pub(crate) mod attempt;

use std::fmt;
use std::fs::File;
use std::io;

use caps::CapsHashSet;

use self::privileges::PrivilegesError;
pub use self::profile::{Profile, SystemCall};
use self::seccomp::SeccompError;
use self::share::ShareError;
use crate::args::{SandboxMode, SeccompMode};
use crate::config::SocketPath;
use crate::entry::Place;
use crate::plan::Inside;
use crate::policy::Share;
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

/// What has become of the process.
#[derive(Debug, Default)]
pub(crate) struct Entered {
    /// Whether paths mean something else from now on: then the directory for connecting is the working
    /// directory.
    pub(crate) moved: bool,
    /// What there is of the share, if there is one.
    pub(crate) inside: Option<Inside>,
}

/// Whether what the operator insists on can be had. To be called before there are threads, and before
/// there is a socket.
///
/// # Errors
/// It cannot.
pub(crate) fn check(
    config: SandboxConfig,
    connecting: Option<&SocketPath>,
    share: Option<&Share>,
) -> Result<(), SandboxError> {
    seccomp::check(config.seccomp)?;
    if let Some(share) = share {
        return Ok(share::check(share, config.mode, connecting)?);
    }
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

/// Takes from the process what it does not need any more. To be called before there are threads.
///
/// # Errors
/// The kernel refuses what it should not, or what the operator insists on.
pub(crate) fn enter(
    config: SandboxConfig,
    kept: &mut Kept<'_>,
    share: Option<&Share>,
) -> Result<Entered, SandboxError> {
    // While the paths still lead there.
    let anyway = share.map_or(&[][..], |share| &share.capabilities);
    let needed = privileges::needed(kept, anyway)?;
    if let Some(share) = share {
        return enter_with(share, config, kept, needed);
    }
    if config.mode == SandboxMode::None {
        privileges::give_up_all_but(&needed)?;
        return Ok(Entered::default());
    }
    let namespace::Entered { mut lacks, moved } = namespace::enter(kept);
    if config.mode == SandboxMode::Namespace
        && let Some(lack) = lacks.first()
    {
        return Err(SandboxError::NoNamespaces(lack.to_string()));
    }
    privileges::give_up_all_but(&needed)?;
    lacks.extend(restrict_paths(kept, None));
    say_what_lacks(&lacks);
    Ok(Entered { moved, inside: None })
}

/// The same for a process that goes on to serve files.
fn enter_with(
    share: &Share,
    config: SandboxConfig,
    kept: &mut Kept<'_>,
    mut needed: CapsHashSet,
) -> Result<Entered, SandboxError> {
    let place = share::enter(share, config.mode, kept)?;
    let (kept_for_share, lacking) = privileges::of_those_had(&share.capabilities)?;
    needed.extend(kept_for_share);
    privileges::give_up_all_but(&needed)?;
    if share.landlock && config.mode != SandboxMode::None {
        let lack = restrict_paths(kept, Some(&place.root));
        say_what_lacks(lack.as_slice());
    }
    sys::process::mask_no_file_modes();
    let share::Entered { root, descriptors, some_users, moved } = place;
    let open_files = sys::process::descriptor_limit().unwrap_or(u64::MAX);
    let inside = Inside { root, descriptors, lacking, some_users, open_files };
    Ok(Entered { moved, inside: Some(inside) })
}

/// Has landlock leave nothing but the directories from which files are removed, and what is `served`.
fn restrict_paths(kept: &Kept<'_>, served: Option<&File>) -> Option<Lack> {
    let directories = kept.removing.iter().map(|place| place.directory());
    let source = match landlock::restrict(directories, served) {
        Ok(true) => return None,
        Ok(false) => io::Error::other("this kernel has none, or none for us"),
        Err(error) => io::Error::other(error),
    };
    Some(Lack { what: "landlock", source })
}

fn say_what_lacks(lacks: &[Lack]) {
    if !lacks.is_empty() {
        let lacks = lacks.iter().map(Lack::to_string).collect::<Vec<_>>().join(", ");
        log::warn!("the sandbox is without what cannot be had here: {lacks}");
    }
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
    // What the device has a use for is not refused.
    let has_use =
        |call: &SystemCall| profile.system_calls.iter().any(|own| own.number == call.number);
    let refused: Vec<SystemCall> =
        calls::REFUSED.iter().copied().filter(|call| !has_use(call)).collect();
    Ok(seccomp::apply(name, config.seccomp, allowed, &refused)?)
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
    Share(#[from] ShareError),

    #[error(transparent)]
    Privileges(#[from] PrivilegesError),

    #[error(transparent)]
    Seccomp(#[from] SeccompError),
}
