// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! When a daemon's device comes to be.
//!
//! A device over something that can be held open is made before the sandbox, with all that the operator
//! can get wrong about it. One that looks for files while it serves is made inside: what it was given to
//! share is another mount there, and what it had opened before would lead past that.

use std::error::Error;
use std::fs::File;

use caps::Capability;
use vhost_user_device::Device;

use crate::policy::{Policy, Share};

/// Any error, on its way to the operator.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// What a device that shares something of the host finds in the sandbox.
#[derive(Debug)]
pub struct Inside {
    /// The shared directory or file, as the mount that it is in there, opened as a place only (O_PATH).
    pub root: File,
    /// The directory `/proc/self/fd`, opened as a place only: with a descriptor's number, it is the path
    /// of what that stands for. None if there is no /proc.
    pub descriptors: Option<File>,
    /// What of [`Share::capabilities`] the process has not got.
    pub lacking: Vec<Capability>,
    /// Whether it is in a user namespace, its own or one that it was started in, where only some users
    /// are, and capabilities count for their files alone.
    pub some_users: bool,
    /// How many descriptors the process may have open, all in all.
    pub open_files: u64,
}

/// How a daemon's device comes to be, in two steps.
pub(crate) trait Plan {
    /// What is served.
    type Device: Device;

    /// How the process lives.
    fn policy(&self) -> &Policy;

    /// What stays within reach in the sandbox.
    fn share(&self) -> Option<&Share>;

    /// Before there is a socket: whatever the operator can get wrong. Returns how many queues there will
    /// be.
    fn open(&mut self) -> Result<u16, Cause>;

    /// In the sandbox, before there are threads; `inside` is there if there is a share.
    fn enter(self, inside: Option<Inside>) -> Result<Self::Device, Cause>;
}

/// A device that is whole before the sandbox.
pub(crate) struct Opened<A, D, O> {
    policy: Policy,
    args_and_open: Option<(A, O)>,
    device: Option<D>,
}

impl<A, D, O> Opened<A, D, O> {
    pub(crate) fn new(args: A, open: O) -> Self {
        Self { policy: Policy::default(), args_and_open: Some((args, open)), device: None }
    }
}

impl<A, D, E, O> Plan for Opened<A, D, O>
where
    D: Device,
    E: Into<Cause>,
    O: FnOnce(A) -> Result<D, E>,
{
    type Device = D;

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn share(&self) -> Option<&Share> {
        None
    }

    fn open(&mut self) -> Result<u16, Cause> {
        let (args, open) = self.args_and_open.take().ok_or("the device is open already")?;
        let device = open(args).map_err(Into::into)?;
        let queues = device.num_queues();
        self.device = Some(device);
        Ok(queues)
    }

    fn enter(self, _: Option<Inside>) -> Result<D, Cause> {
        self.device.ok_or_else(|| "there is no device".into())
    }
}

/// A device that is made in the sandbox.
pub(crate) struct Shared<O> {
    pub(crate) policy: Policy,
    pub(crate) share: Share,
    pub(crate) open: O,
}

impl<D, E, O> Plan for Shared<O>
where
    D: Device,
    E: Into<Cause>,
    O: FnOnce(Inside) -> Result<D, E>,
{
    type Device = D;

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn share(&self) -> Option<&Share> {
        Some(&self.share)
    }

    fn open(&mut self) -> Result<u16, Cause> {
        Ok(self.share.queues)
    }

    fn enter(self, inside: Option<Inside>) -> Result<D, Cause> {
        let inside = inside.ok_or("the sandbox was not entered")?;
        (self.open)(inside).map_err(Into::into)
    }
}
