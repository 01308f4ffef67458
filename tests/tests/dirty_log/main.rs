// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The log of written pages, with which a front end migrates a running guest: every page that the
//! device wrote is in it, as long as it is on, and no longer.

use std::collections::BTreeSet;

use vhost_user_tests::dirty_log::{DirtyLog, LOG_PAGE};
use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

mod live;
mod log_file;
mod regions;
mod snapshots;
mod switching;
mod used_ring;

const MIB: u64 = 1 << 20;

/// Where buffers are whose pages nothing else is in, in the second region.
const FAR: u64 = 1 << 32;

/// A guest with a running queue 0 that is not being migrated yet.
struct Guest {
    disk: BlkQueue,
    frontend: Frontend,
    memory: GuestMemory,
    daemon: Daemon,
    image: Image,
}

impl Guest {
    fn new() -> Self {
        Self::with(&[RegionAt::new(BASE, MIB), RegionAt::new(FAR, MIB)])
    }

    fn with(regions: &[RegionAt]) -> Self {
        let memory = GuestMemory::of_regions(regions);
        let image = Image::of_sectors(64);
        let daemon = Daemon::blk().image(&image).start();
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
        let disk = frontend.blk(0, 16);
        Self { disk, frontend, memory, daemon, image }
    }

    /// A log for all of this guest's memory.
    fn log(&self) -> DirtyLog {
        let ends = self.memory.regions().iter().map(|region| region.at().guest + region.at().len);
        DirtyLog::up_to(ends.max().expect("a region"))
    }

    /// Acks LOG_ALL as well, or not any more.
    #[track_caller]
    fn log_all(&mut self, on: bool) {
        let others = self.frontend.features() & !LOG_ALL;
        let features = if on { others | LOG_ALL } else { others };
        self.frontend.set_features(features).expect("an ack of SET_FEATURES");
    }

    /// Begins to log, in a log for all of the memory.
    #[track_caller]
    fn logging(&mut self) -> DirtyLog {
        let log = self.log();
        self.frontend.set_log_base(&log).expect("an ack of SET_LOG_BASE");
        self.log_all(true);
        log
    }

    /// Reads a sector to the guest address `to`, with the status behind it.
    #[track_caller]
    fn read_to(&mut self, to: u64, sector: u64) {
        let writable = self.memory.buffer_at(to, SECTOR + 1);
        self.disk.add_in(&Request::read(sector, 1), self.memory.buffer(16), writable);
        self.disk.queue.publish();
        self.disk.queue.kick();
        let done = self.disk.wait().1;
        assert_eq!((done.status, done.bytes), (Ok(()), self.image.sector(sector)));
    }
}

/// The numbers of the pages that have one of the `len` bytes from `guest`.
fn pages(guest: u64, len: u64) -> BTreeSet<u64> {
    (guest / LOG_PAGE..=(guest + len - 1) / LOG_PAGE).collect()
}
