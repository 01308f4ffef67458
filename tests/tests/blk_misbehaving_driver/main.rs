// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A driver that breaks the rules breaks its own request, at worst its own queue: the daemon lives,
//! other queues go on, no descriptor is left behind, and the log says it once.

use vhost_user_tests::memory::Buffer;
use vhost_user_tests::prelude::*;

mod chains;
mod indirect;
mod memory;
mod noise;
mod requests;
mod ring;

/// How often a driver makes the same mistake; the log is to mention it once.
const TIMES: usize = 3;

/// The queue of a bad driver beside one of a good driver, on the same device.
struct Bench {
    /// The queue 0, to be abused.
    bad: BlkQueue,
    /// The queue 1, to be served all the time.
    good: BlkQueue,
    frontend: Frontend,
    memory: GuestMemory,
    daemon: Daemon,
    image: Image,
    /// How many descriptors the daemon had open before anything bad was done.
    descriptors: usize,
}

/// The buffers of a read of the sector 3: where the chain is right, it is served.
struct Read {
    header: Buffer,
    data: Buffer,
    status: Buffer,
}

impl Bench {
    fn new() -> Self {
        Self::with(&[], USUAL)
    }

    fn with(arguments: &[&str], features: u64) -> Self {
        let memory = GuestMemory::new(8 << 20);
        Self::on(arguments, features, &memory)
    }

    fn on(arguments: &[&str], features: u64, memory: &GuestMemory) -> Self {
        let image = Image::of_sectors(64);
        let daemon = Daemon::blk().image(&image).args(arguments).start();
        let frontend = Frontend::connect(&daemon).negotiate(features);
        let mut frontend = frontend.share(memory);
        let (mut bad, mut good) = (frontend.blk(0, 16), frontend.blk(1, 16));
        assert_eq!(bad.read(1, 1), Ok(image.sector(1)));
        assert_eq!(good.read(1, 1), Ok(image.sector(1)));
        let descriptors = daemon.descriptors();
        Self { bad, good, frontend, memory: memory.clone(), daemon, image, descriptors }
    }

    /// The buffers of a good read.
    fn read(&self) -> Read {
        let read = Read {
            header: self.memory.buffer(16),
            data: self.memory.buffer(SECTOR),
            status: self.memory.buffer(1),
        };
        read.header.write(&[&[0; 8][..], &3u64.to_le_bytes()].concat());
        read.data.write(&[0xee; SECTOR]);
        read.status.write(&[0xff]);
        read
    }

    /// Makes the chain at `head` available a few times, and sees it given back unserved.
    #[track_caller]
    fn offer_unserved(&mut self, head: u16) {
        for _ in 0..TIMES {
            self.bad.queue.offer(head);
            let expected = Used { head, len: 0 };
            assert_eq!(self.bad.queue.wait(), expected);
        }
    }

    /// The chain at `head` is none that the device can walk. It is given back unserved, and all
    /// else goes on; `reason` is what the log has to say.
    #[track_caller]
    fn expect_bad_chain(mut self, head: u16, reason: &str) {
        self.offer_unserved(head);
        assert_eq!(self.bad.read(5, 1), Ok(self.image.sector(5)), "the queue itself goes on");
        self.expect_rest_unharmed(&format!("bad chain at head {head}: {reason}"));
    }

    /// The other queue goes on, no descriptor was left behind, and the log has `line` once.
    #[track_caller]
    fn expect_rest_unharmed(mut self, line: &str) {
        assert_eq!(self.good.read(6, 2), Ok(self.image.sectors(6, 2)), "the other queue goes on");
        assert_eq!(self.daemon.descriptors(), self.descriptors, "open descriptors");
        assert!(self.frontend.is_served(), "the front end is served");
        assert!(self.daemon.log().has(line), "{line:?} in the log");
        assert_eq!(self.daemon.sigterm().wait(), Exit::Clean);
        let log = self.daemon.log().whole();
        let lines = log.lines().filter(|said| said.contains(line) && said.contains("queue 0"));
        assert_eq!(lines.count(), 1, "{line:?} about queue 0 in the log:\n{log}");
    }
}

impl Read {
    fn segments(&self) -> [Segment; 3] {
        [
            Segment::readable(self.header.address(), 16),
            Segment::writable(self.data.address(), SECTOR),
            Segment::writable(self.status.address(), 1),
        ]
    }

    /// Nothing was written to its buffers.
    #[track_caller]
    fn expect_untouched(&self) {
        assert_eq!(self.data.bytes(), [0xee; SECTOR]);
        assert_eq!(self.status.bytes(), [0xff]);
    }
}
