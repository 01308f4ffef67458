// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon dies with requests in flight, and another one takes its place: nothing is lost, nothing
//! is done twice, and what a front end says about a former life need not be true.

use std::path::PathBuf;

use tempfile::TempDir;
use vhost_user_tests::daemon::Launch;
use vhost_user_tests::in_flight::QueuePart;
use vhost_user_tests::prelude::*;

mod aborted;
mod by_hand;
mod checked_disk;
mod geometry;
mod hooks;
mod hostile;
mod killed;
mod restarted;

use checked_disk::CheckedDisk;

/// What outlives a daemon: the guest with its memory and queues, the image, the region.
struct Lives {
    /// Where the socket is, in each life.
    folder: TempDir,
    image: Image,
    memory: GuestMemory,
    /// The region; in the first life the daemon is asked for it.
    region: Option<InFlightRegion>,
    size: u16,
}

/// One life of a daemon, and the connection to it.
struct Life {
    frontend: Frontend,
    daemon: Daemon,
}

impl Lives {
    /// A guest with queues of `size` descriptors at most, and a disk of `sectors` sectors.
    fn new(sectors: u64, size: u16) -> Self {
        Self {
            folder: TempDir::with_prefix("lives-").expect("make a folder for the socket"),
            image: Image::of_sectors(sectors),
            memory: GuestMemory::new(16 << 20),
            region: None,
            size,
        }
    }

    /// An empty queue.
    fn queue(&self) -> BlkQueue {
        BlkQueue::new(Queue::new(&self.memory, self.size, true).from_the_end())
    }

    /// Starts a daemon, which says that it is ready.
    fn daemon(&self, launch: Launch) -> Daemon {
        launch.image(&self.image).socket(&self.socket()).start()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Starts a daemon, and connects to it with the region and with `queues`, each from the index
    /// that its used ring has.
    #[track_caller]
    fn begin<'q>(
        &mut self,
        launch: Launch,
        queues: impl IntoIterator<Item = &'q BlkQueue>,
    ) -> Life {
        self.begin_with(Protocol::REPLY_ACK, launch, queues)
    }

    /// The same for a daemon that may end as soon as the first queue has started: nothing that is
    /// said to it is acked.
    #[track_caller]
    fn begin_unacked<'q>(
        &mut self,
        launch: Launch,
        queues: impl IntoIterator<Item = &'q BlkQueue>,
    ) -> Life {
        self.begin_with(Protocol::empty(), launch, queues)
    }

    #[track_caller]
    fn begin_with<'q>(
        &mut self,
        acks: Protocol,
        launch: Launch,
        queues: impl IntoIterator<Item = &'q BlkQueue>,
    ) -> Life {
        let queues: Vec<&BlkQueue> = queues.into_iter().collect();
        let daemon = self.daemon(launch);
        let frontend = self.connect_with(acks, &daemon, queues.len());
        for (index, disk) in (0..).zip(queues) {
            start(&frontend, index, &disk.queue);
        }
        Life { frontend, daemon }
    }

    /// Connects with the region, which is made for `queues` queues if there is none yet.
    #[track_caller]
    fn connect(&mut self, daemon: &Daemon, queues: usize) -> Frontend {
        self.connect_with(Protocol::REPLY_ACK, daemon, queues)
    }

    #[track_caller]
    fn connect_with(&mut self, acks: Protocol, daemon: &Daemon, queues: usize) -> Frontend {
        let mut frontend = Frontend::connect(daemon);
        let protocol = Protocol::MQ | Protocol::CONFIG | Protocol::INFLIGHT_SHMFD | acks;
        frontend.agree(USUAL | PROTOCOL_FEATURES, protocol);
        let frontend = frontend.share(&self.memory);
        let queues = u16::try_from(queues).expect("a number of queues");
        let size = self.size;
        let region = self.region.get_or_insert_with(|| {
            frontend.get_inflight_fd(queues, size).expect("a region from the back end")
        });
        frontend.set_inflight_fd(region).expect("an ack of SET_INFLIGHT_FD");
        frontend
    }

    /// What the region says about the queue `index`.
    #[track_caller]
    fn part(&self, index: u16) -> QueuePart<'_> {
        self.region.as_ref().expect("a region").queue(index)
    }
}

/// Starts `queue` at the index that its used ring has, as a front end does whose back end went
/// without a word.
#[track_caller]
fn start(frontend: &Frontend, index: u8, queue: &Queue) {
    frontend.prepare(index, queue);
    let base = frontend.set_vring_base(index.into(), queue.used_index().into());
    base.expect("an ack of SET_VRING_BASE");
    frontend.set_vring_kick(index, queue.kick_fd()).expect("an ack of SET_VRING_KICK");
    frontend.set_vring_enable(index.into(), true).expect("an ack of SET_VRING_ENABLE");
}

impl Life {
    /// Stops all queues of `disks`, where nothing is in flight any more: the daemon took every
    /// request, nothing in the region says otherwise, and the image has what it should. Then the
    /// daemon ends.
    #[track_caller]
    fn end_settled(self, lives: &Lives, disks: &[CheckedDisk]) {
        for (index, disk) in (0u16..).zip(disks.iter().flat_map(CheckedDisk::queues)) {
            let available = disk.queue.available_index();
            assert_eq!(self.frontend.get_vring_base(index.into()), u32::from(available));
            assert_eq!(disk.queue.used_index(), available, "used elements of queue {index}");
            lives.part(index).expect_settled(available);
        }
        drop(self.frontend);
        assert_eq!(self.daemon.sigterm().wait(), Exit::Clean);
        for disk in disks {
            disk.check(&lives.image);
        }
    }
}
