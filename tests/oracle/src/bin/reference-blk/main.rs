// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `reference-blk IMAGE QUEUES`: a block device on the `vhost-user-backend` crate, for the tests of
//! the tests. Standard input is the socket that it listens on; it serves one connection.

mod device;
mod request;

use std::fs::File;
use std::io::stdin;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use vhost::vhost_user::{Error, Listener};
use vhost_user_backend::{Error as DaemonError, VhostUserDaemon};
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

use device::Blk;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (image, queues) = arguments.next().zip(arguments.next()).context("say IMAGE QUEUES")?;
    let queues: u16 = queues.parse().context("the number of queues")?;
    let disk = File::options().read(true).write(true).open(image).context("open the image")?;
    let socket = stdin().as_fd().try_clone_to_owned().context("take standard input")?;
    let mut listener = Listener::from(UnixListener::from(socket));

    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let blk = Arc::new(Mutex::new(Blk::new(disk, queues, memory.clone())?));
    let daemon = VhostUserDaemon::new("reference-blk".to_owned(), blk, memory);
    let mut daemon = daemon.map_err(|error| anyhow::anyhow!("make the daemon: {error}"))?;
    let served = daemon.start(&mut listener).and_then(|()| daemon.wait());
    match served {
        // The front end has gone.
        Err(DaemonError::HandleRequest(Error::Disconnected | Error::PartialMessage)) => Ok(()),
        served => served.map_err(|error| anyhow::anyhow!("serve the connection: {error}")),
    }
}
