// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The device, made in the sandbox.

use anyhow::Context;
use vhost_user_daemon::Inside;
use vhost_user_fs_lib::passthrough::Passthrough;
use vhost_user_fs_lib::virtio::Fs;
use vhost_user_fs_lib::{Limits, Server};

use crate::config::Config;
use crate::lacking;

/// What is kept of the descriptors for what is not the guest's: memory regions and rings of the front end,
/// sockets, threads.
const RESERVE: u64 = 640;

/// The same, for each virtqueue.
const RESERVE_PER_QUEUE: u64 = 8;

/// The same, for each thread that waits for storage: what is open for one request.
const RESERVE_PER_THREAD: u64 = 4;

/// Makes the device of what is shared, as it is seen in the sandbox.
///
/// # Errors
/// The host has not got what the operator insists on.
pub fn open(config: Config, inside: Inside) -> anyhow::Result<Fs<Passthrough>> {
    let Config { mut options, device, notices } = config;
    for notice in notices {
        log::warn!("{notice}");
    }
    let Inside { root, descriptors, lacking, some_users, open_files } = inside;
    lacking::say(&lacking, some_users, options.file_handles);
    options.descriptors = budget(open_files, device.request_queues, device.threads);
    log::debug!("{} descriptors are the guest's", options.descriptors);
    let shared = Passthrough::new(root.into(), descriptors.map(Into::into), options);
    let server = Server::new(shared.context("--shared-dir")?, Limits::default());
    Ok(Fs::new(server, device))
}

/// How many descriptors there can be for the guest, of those that the process may have open: what is not
/// kept for the rest, or half of them where they are few.
fn budget(open_files: u64, request_queues: u16, threads: usize) -> usize {
    let queues = u64::from(request_queues).saturating_add(1);
    let threads = u64::try_from(threads).unwrap_or(u64::MAX);
    let reserve = RESERVE_PER_QUEUE.saturating_mul(queues).saturating_add(RESERVE);
    let reserve = RESERVE_PER_THREAD.saturating_mul(threads).saturating_add(reserve);
    let budget = open_files.saturating_sub(reserve).max(open_files / 2);
    usize::try_from(budget).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_the_guest_leave_some_for_the_rest() {
        assert_eq!(budget(1_000_000, 1, 1), 999_340);
        assert_eq!(budget(20_000, 63, 64), 18_592);
    }

    #[test]
    fn descriptors_that_are_few_are_shared() {
        assert_eq!(budget(1024, 1, 4), 512);
        assert_eq!(budget(0, 1, 1), 0);
    }
}
