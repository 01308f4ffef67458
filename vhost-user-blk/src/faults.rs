// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests that failed: whose fault it was, what the driver is told, and what the log is.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use log::Level;
use vhost_user_device::RateLimit;

use crate::disk::DiskError;
use crate::request::{RequestError, Status};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It was not one that the disk can be asked for.
    #[error(transparent)]
    Driver(#[from] RequestError),
    /// The host could not do it.
    #[error(transparent)]
    Host(#[from] DiskError),
}

/// A virtqueue's requests that failed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    of_driver: Tally,
    of_host: Tally,
}

/// How many requests failed, and how often that is logged.
#[derive(Debug, Default)]
struct Tally {
    count: AtomicU64,
    limit: RateLimit,
}

impl Fault {
    /// What the driver is told.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Driver(error) => error.status(),
            Self::Host(
                DiskError::Read { .. }
                | DiskError::Write { .. }
                | DiskError::Discard { .. }
                | DiskError::WriteZeroes { .. }
                | DiskError::Flush { .. }
                | DiskError::Lost,
            ) => Status::IoErr,
        }
    }
}

impl Faults {
    /// Counts a request of virtqueue `index` that failed, and logs it if the last such line was
    /// long ago.
    pub(crate) fn note(&self, index: u16, fault: &Fault) {
        let (tally, level) = match fault {
            Fault::Driver(_) => (&self.of_driver, Level::Warn),
            Fault::Host(_) => (&self.of_host, Level::Error),
        };
        tally.count.fetch_add(1, Ordering::Relaxed);
        if let Some(held_back) = tally.limit.allow() {
            log::log!(level, "{}", line(index, fault, held_back));
        }
    }
}

/// What the log says of a request that failed, when `held_back` others were not logged.
fn line(index: u16, fault: &Fault, held_back: u64) -> String {
    let mut line = format!("queue {index}: {fault}");
    if let Some(source) = fault.source() {
        line.push_str(&format!(": {source}"));
    }
    if held_back != 0 {
        line.push_str(&format!(" (and {held_back} others since the last such line)"));
    }
    line
}

/// Logs how many requests failed on all queues together, if any did.
pub(crate) fn log_sum(queues: &[Arc<Faults>]) {
    let (driver, host) = sum(queues);
    if driver != 0 || host != 0 {
        log::info!("requests that failed: {driver} by the driver's fault, {host} by the host's");
    }
}

/// How many requests failed by the driver's fault, and how many by the host's.
fn sum(queues: &[Arc<Faults>]) -> (u64, u64) {
    let counts = |faults: &Arc<Faults>| {
        let [driver, host] = [&faults.of_driver, &faults.of_host];
        (driver.count.load(Ordering::Relaxed), host.count.load(Ordering::Relaxed))
    };
    let add = |sum: (u64, u64), more: (u64, u64)| (sum.0 + more.0, sum.1 + more.1);
    queues.iter().map(counts).fold((0, 0), add)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn driver_fault() -> Fault {
        Fault::Driver(RequestError::Unsupported { kind: 77 })
    }

    fn host_fault() -> Fault {
        let source = io::Error::from_raw_os_error(libc::EIO);
        Fault::Host(DiskError::Read { offset: 512, len: 4096, source })
    }

    #[test]
    fn line_of_a_drivers_fault_says_the_queue() {
        assert_eq!(line(3, &driver_fault(), 0), "queue 3: request type 77 is not supported");
    }

    #[test]
    fn line_of_a_hosts_fault_says_the_errno() {
        let expected = "queue 0: read 4096 bytes at offset 512: Input/output error (os error 5)";
        assert_eq!(line(0, &host_fault(), 0), expected);
    }

    #[test]
    fn line_after_others_says_how_many_were_held_back() {
        let expected =
            "queue 0: request type 77 is not supported (and 9 others since the last such line)";
        assert_eq!(line(0, &driver_fault(), 9), expected);
    }

    #[test]
    fn driver_is_told_the_status_of_its_own_fault_and_an_io_error_otherwise() {
        assert_eq!(driver_fault().status(), Status::Unsupported);
        assert_eq!(host_fault().status(), Status::IoErr);
        assert_eq!(Fault::Host(DiskError::Lost).status(), Status::IoErr);
    }

    #[test]
    fn sum_counts_every_fault_on_every_queue() {
        let queues: [Arc<Faults>; 2] = Default::default();
        queues[0].note(0, &driver_fault());
        queues[0].note(0, &driver_fault());
        queues[1].note(1, &driver_fault());
        queues[1].note(1, &host_fault());
        assert_eq!(sum(&queues), (3, 1));
    }
}
