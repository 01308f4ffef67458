// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whether the descriptors that the queues will need can be had: running out of them while a guest
//! runs would be too late.

use std::fs;

use crate::sys::process;

/// What a queue in use has open beside what its device has opened for it: an io_uring, the mailbox of
/// its thread, and the front end's descriptors for kicks, calls and errors.
const PER_QUEUE: u64 = 5;

/// For the rest: the socket, the connection, signals, the log, memory regions that come and go.
const FOR_THE_REST: u64 = 64;

/// The limit on open descriptors is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{queues} queue{} {needed} open descriptors, and the limit is {limit}",
    if *.queues == 1 { " needs" } else { "s need" }
)]
pub(crate) struct TooFew {
    queues: u16,
    needed: u64,
    limit: u64,
}

/// Compares what the queues of a device need, which is open, with the limit.
pub(crate) fn check(queues: u16) -> Result<(), TooFew> {
    // One of them is for this look. Without /proc there is no telling, and what is needed in any case
    // has to do.
    let open = fs::read_dir("/proc/self/fd").map_or(0, |open| open.count().saturating_sub(1));
    let open = u64::try_from(open).unwrap_or(u64::MAX);
    let limit = process::descriptor_limit().unwrap_or(u64::MAX);
    enough(queues, open, limit)
}

fn enough(queues: u16, open: u64, limit: u64) -> Result<(), TooFew> {
    let needed = u64::from(queues).saturating_mul(PER_QUEUE).saturating_add(FOR_THE_REST);
    let needed = needed.saturating_add(open);
    if needed > limit { Err(TooFew { queues, needed, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_that_is_just_enough_is_enough() {
        assert_eq!(enough(64, 128, 512), Ok(()));
        assert_eq!(enough(1, 3, u64::MAX), Ok(()));
    }

    #[test]
    fn limit_that_is_too_low_is_told_with_what_is_needed() {
        let told = |queues, open, limit| enough(queues, open, limit).unwrap_err().to_string();
        let many = "64 queues need 512 open descriptors, and the limit is 511";
        assert_eq!(told(64, 128, 511), many);
        assert_eq!(told(1, 3, 71), "1 queue needs 72 open descriptors, and the limit is 71");
    }
}
