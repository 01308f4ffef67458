// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From one connection to the next: whatever became of the last one, the next one is served, and
//! nothing is left of it.

use vhost_user_tests::deadline::until;
use vhost_user_tests::dirty_log::DirtyLog;
use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::prelude::*;

mod draining;
mod killed;
mod many;

/// What the daemon says when nobody is connected and nothing in flight.
const IDLE: &str = "Waiting for vhost-user socket connection...";

/// A daemon, and how many connections it has been through.
struct Host {
    daemon: Daemon,
    image: Image,
    connections: usize,
}

/// What a daemon uses of the machine while nobody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    descriptors: usize,
    threads: usize,
    /// Mappings of what a front end shared.
    shared: usize,
}

impl Host {
    fn new() -> Self {
        let image = Image::of_sectors(64);
        let daemon = Daemon::blk().image(&image).start();
        Self { daemon, image, connections: 0 }
    }

    /// A front end with two queues, which has told the back end all that there is to tell.
    #[track_caller]
    fn connect(&mut self) -> (Frontend, [BlkQueue; 2]) {
        self.connections += 1;
        let mut frontend = Frontend::connect(&self.daemon).negotiate(USUAL | LOG_ALL);
        frontend.set_log_base(&DirtyLog::up_to(64 << 20)).expect("an ack of SET_LOG_BASE");
        frontend.set_log_fd(&EventFd::new()).expect("an ack of SET_LOG_FD");
        frontend.backend_channel();
        let region = frontend.get_inflight_fd(2, 16).expect("an in-flight region");
        frontend.set_inflight_fd(&region).expect("an ack of SET_INFLIGHT_FD");
        let disks = [0, 1].map(|index| frontend.blk(index, 16));
        (frontend, disks)
    }

    /// A whole connection, which has a request on each of two queues.
    #[track_caller]
    fn serve(&mut self, sector: u64) {
        let (frontend, mut disks) = self.connect();
        for disk in &mut disks {
            assert_eq!(disk.read(sector, 1), Ok(self.image.sector(sector)));
        }
        drop(frontend);
    }

    /// Waits until all connections are over, and says what is in use then.
    #[track_caller]
    fn idle(&self) -> Use {
        until("the end of the connection", || {
            (self.daemon.log().count(IDLE) > self.connections).then_some(())
        });
        Use {
            descriptors: self.daemon.descriptors(),
            threads: self.daemon.threads(),
            shared: self.daemon.shared_mappings(),
        }
    }
}

#[test]
fn connection_that_ended_cleanly_leaves_nothing_behind() {
    let mut it = Host::new();
    it.serve(1);
    let before = it.idle();
    let (frontend, mut disks) = it.connect();
    for disk in &mut disks {
        assert_eq!(disk.read(1, 1), Ok(it.image.sector(1)));
    }
    for index in [0, 1] {
        assert_eq!(frontend.get_vring_base(index), 1);
    }
    drop(frontend);
    assert_eq!(it.idle(), before);
    assert_eq!(before.shared, 0);
    it.serve(2);
    assert_eq!(it.idle(), before);
    assert_eq!(it.daemon.log().count("front end disconnected"), 3);
}

#[test]
fn connection_while_one_is_served_is_refused_at_once_and_each_time() {
    let mut it = Host::new();
    let (frontend, mut disks) = it.connect();
    for sector in 0..5 {
        Frontend::connect(&it.daemon).expect_dropped();
        assert_eq!(disks[0].read(sector, 1), Ok(it.image.sector(sector)));
    }
    let refused = "refused a front end, because another one is being served";
    assert!(it.daemon.log().has(refused));
    drop((frontend, disks));
    it.serve(1);
}
