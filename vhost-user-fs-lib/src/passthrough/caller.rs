// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Making something as the user who asks for it: users, groups, umask and capabilities of one thread,
//! for one operation.

use std::cell::Cell;
use std::io;

use super::Passthrough;
use crate::filesystem::{Caller, Context, Creation, Failure, InitFlags, Result};
use crate::sys::thread::{self, Capabilities};

/// The superuser, and its group.
const ROOT: u32 = 0;
/// The group of nobody's files (`/proc/sys/kernel/overflowgid`), unless somebody changed it.
const OVERFLOW: u32 = 65_534;

/// What we are, and whether we can be somebody else.
#[derive(Debug)]
pub(super) struct Callers {
    own: (u32, u32),
    /// Users and groups can be changed.
    switches: bool,
    capabilities: Capabilities,
}

/// The further groups of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Further {
    /// None that matters.
    None,
    /// The one that the directory belongs to.
    Group(u32),
    /// The client does not say them.
    Unknown,
}

thread_local! {
    /// The umask of this thread, if it has one of its own.
    static UMASK: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Who a thread is until this is dropped. If the thread cannot become itself again the process ends: it
/// would do the next client's work with this one's rights.
#[derive(Debug, Default)]
struct Borrowed {
    groups: bool,
    gid: Option<u32>,
    uid: Option<u32>,
    capabilities: Option<Capabilities>,
}

impl Callers {
    pub(super) fn new() -> Self {
        let capabilities = thread::capabilities().unwrap_or_default();
        let both = Capabilities::SETUID | Capabilities::SETGID;
        let switches = capabilities.effective & both == both;
        Self { own: thread::ids(), switches, capabilities }
    }

    /// Makes the calling thread ready: it has a umask and a current directory of its own, and no
    /// supplementary groups.
    pub(super) fn prepare_thread(&self) -> io::Result<()> {
        thread::leave_shared_files()?;
        thread::set_umask(0);
        UMASK.set(Some(0));
        if self.switches
            && let Err(error) = thread::set_groups(&[])
        {
            // In a user namespace that must not: then there are those of whoever started us.
            log::debug!("supplementary groups stay as they are: {error}");
        }
        Ok(())
    }

    /// Does `act` as `ids` of the host's, with those further groups.
    fn act_as<T>(
        &self,
        ids: (u32, u32),
        further: Further,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T> {
        let mut borrowed = Borrowed::default();
        if self.switches {
            let ((own_uid, own_gid), (uid, gid)) = (self.own, ids);
            let is_other = uid != own_uid && uid != ROOT;
            if let Further::Group(group) = further
                && is_other
            {
                thread::set_groups(&[group])?;
                borrowed.groups = true;
            }
            if gid != own_gid && switch(gid, thread::set_group)? {
                borrowed.gid = Some(own_gid);
            }
            if uid != own_uid && switch(uid, thread::set_user)? {
                borrowed.uid = Some(own_uid);
            }
            if further == Further::Unknown && is_other {
                self.pass_over_permissions(&mut borrowed)?;
            }
        }
        let result = act();
        drop(borrowed);
        Ok(result?)
    }

    /// Lets the thread, which is another user, do what that user's groups might let it do: the client has
    /// checked that already.
    fn pass_over_permissions(&self, borrowed: &mut Borrowed) -> io::Result<()> {
        let own = self.capabilities;
        // With user 0 all that was effective went, and comes back with it.
        let left = if self.own.0 == ROOT { 0 } else { own.effective };
        let effective = left | own.permitted & Capabilities::DAC_OVERRIDE;
        if effective != left {
            thread::set_capabilities(Capabilities { effective, ..own })?;
            borrowed.capabilities = Some(own);
        }
        Ok(())
    }

    /// Does `act` without the right to leave set-user-id and set-group-id bits as they are when a file is
    /// written.
    pub(super) fn without_fsetid<T>(&self, act: impl FnOnce() -> T) -> Result<T> {
        let borrowed = self.drop_fsetid()?;
        let result = act();
        drop(borrowed);
        Ok(result)
    }

    fn drop_fsetid(&self) -> Result<Borrowed> {
        let own = self.capabilities;
        let mut borrowed = Borrowed::default();
        if own.effective & Capabilities::FSETID != 0 {
            let effective = own.effective & !Capabilities::FSETID;
            thread::set_capabilities(Capabilities { effective, ..own })?;
            borrowed.capabilities = Some(own);
        }
        Ok(borrowed)
    }

    /// The same in a group of the host's: a member of a file's group may leave its set-group-id bit, too,
    /// and we are one of our own.
    fn without_fsetid_in<T>(&self, gid: u32, act: impl FnOnce() -> T) -> Result<T> {
        let mut borrowed = self.drop_fsetid()?;
        let own_gid = self.own.1;
        if self.switches && gid != own_gid {
            match thread::set_group(gid) {
                Ok(()) => borrowed.gid = Some(own_gid),
                Err(error) => log::debug!("group {gid} cannot be had to change a mode: {error}"),
            }
        }
        let result = act();
        drop(borrowed);
        Ok(result)
    }
}

impl Passthrough {
    /// Makes something new in a directory as the one who asks: `act` gets the mode that it shall have.
    pub(super) fn make_as<T>(
        &self,
        context: &Context,
        creation: &Creation<'_>,
        act: impl FnOnce(u32) -> io::Result<T>,
    ) -> Result<T> {
        let Caller { uid, gid, .. } = context.caller;
        if uid == Caller::NOBODY || gid == Caller::NOBODY {
            return Err(Failure::EPERM);
        }
        let ids = (self.options.ids.uid.to_host(uid)?, self.options.ids.gid.to_host(gid)?);
        let further = match creation.group {
            Some(group) => Further::Group(self.options.ids.gid.to_host(group)?),
            None if self.has(InitFlags::CREATE_SUPP_GROUP) => Further::None,
            None => Further::Unknown,
        };
        let mode = masked(creation.mode, creation.umask);
        self.callers.act_as(ids, further, || act(mode))
    }

    /// Does `act`, without the right to leave set-user-id bits as they are if `kill` says so.
    pub(super) fn killing<T>(&self, kill: bool, act: impl FnOnce() -> io::Result<T>) -> Result<T> {
        match kill {
            true => Ok(self.callers.without_fsetid(act)??),
            false => Ok(act()?),
        }
    }

    /// Does `act` with as little right to leave a set-group-id bit as one has who is not in the file's
    /// group: the caller, as it says.
    pub(super) fn killing_sgid<T>(
        &self,
        context: &Context,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T> {
        let gid = match context.caller.gid {
            Caller::NOBODY => OVERFLOW,
            gid => self.options.ids.gid.to_host(gid)?,
        };
        Ok(self.callers.without_fsetid_in(gid, act)??)
    }
}

/// The mode to make something with, after the thread was given this umask. Default ACLs have the host
/// pass over a umask, so it is not simply taken away.
fn masked(mode: u32, umask: u32) -> u32 {
    let umask = umask & 0o777;
    UMASK.with(|of_thread| match of_thread.get() {
        Some(current) => {
            if current != umask {
                thread::set_umask(umask);
                of_thread.set(Some(umask));
            }
            mode
        }
        None => mode & !umask,
    })
}

/// Becomes a user or a group; false if it is root that is not there, in a user namespace: what root makes
/// then is ours.
fn switch(id: u32, set: impl FnOnce(u32) -> io::Result<()>) -> Result<bool> {
    match set(id) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => match id {
            ROOT => Ok(false),
            _ => Err(Failure::EPERM),
        },
        Err(error) => Err(error.into()),
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let uid = self.uid.map_or(Ok(()), thread::set_user);
        let gid = self.gid.map_or(Ok(()), thread::set_group);
        let groups = if self.groups { thread::set_groups(&[]) } else { Ok(()) };
        let capabilities = self.capabilities.map_or(Ok(()), thread::set_capabilities);
        if let Err(error) = uid.and(gid).and(groups).and(capabilities) {
            log::error!("a thread cannot have its own rights again: {error}");
            std::process::abort();
        }
    }
}
