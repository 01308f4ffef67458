// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The daemon is killed again and again under a load that goes on, with requests completed out of
//! order.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::prelude::*;
use vhost_user_tests::random::Random;

use super::Lives;
use super::checked_disk::{Asked, CheckedDisk};

/// How often the daemon is killed.
const KILLS: u64 = 50;
/// At the kill in the middle more requests are to be in flight, or this test shows little.
const IN_FLIGHT: usize = 8;
/// The longest time from a daemon's first completion to its end.
const LONGEST: Duration = Duration::from_millis(40);

const SIZE: u16 = 128;
/// How many requests the driver has in flight on each queue.
const DEPTH: usize = 32;
/// What a request reads or writes, in sectors, and how many such blocks each queue has.
const COUNT: usize = 32;
const BLOCK: u64 = COUNT as u64;
const BLOCKS: u64 = 64;
const SECTORS: u64 = BLOCKS * BLOCK;

#[test]
fn disk_whose_daemon_is_killed_fifty_times_under_load_loses_nothing() {
    kill_under_load(&[]);
}

/// Then the host has the requests in its hands when the daemon ends, and they take their time.
#[test]
fn disk_past_the_page_cache_whose_daemon_is_killed_fifty_times_under_load_loses_nothing() {
    kill_under_load(&["--cache", "none"]);
}

#[track_caller]
fn kill_under_load(arguments: &[&str]) {
    let seed = Random::seed();
    tell(&format!("VHOST_USER_TEST_SEED={seed}"));
    let mut random = Random::of(seed);
    let mut lives = Lives::new(2 * SECTORS, SIZE);
    let mut loads =
        [0, 1].map(|queue| Load::new(lives.queue(), queue * SECTORS, Random::of(random.number())));
    let mut marks = Vec::new();
    for kill in 0..KILLS {
        let shuffle = random.number().to_string();
        let launch = Daemon::blk_with_hooks().env("VHOST_USER_TEST_SHUFFLE", shuffle);
        let launch = launch.args(arguments.iter().copied());
        let life = lives.begin(launch, loads.iter().flat_map(|load| load.disk.queues()));
        let delay = Duration::from_micros(
            random.below(u64::try_from(LONGEST.as_micros()).expect("a time")),
        );
        let (served, gone) = (AtomicU64::new(0), EventFd::new());
        thread::scope(|scope| {
            for load in &mut loads {
                scope.spawn(|| load.run(&served, &gone));
            }
            until("a request to be served", || (served.load(Ordering::Relaxed) > 0).then_some(()));
            let ended = Deadline::after(delay).readable(&life.daemon.process().ended_fd());
            assert!(!ended, "the daemon ended by itself in life {kill}");
            life.daemon.sigkill();
            gone.signal();
        });
        marks.push(lives.region.as_ref().expect("a region").marks());
    }
    let served: u64 = loads.iter().map(|load| load.served).sum();
    tell(&format!("FIGURE: {served} requests were served; in flight at each kill: {marks:?}"));
    marks.sort_unstable();
    let median = marks[marks.len() / 2];
    tell(&format!("FIGURE: in flight at a kill, median: {median}"));
    assert!(median > IN_FLIGHT, "{median} requests in flight at a kill, median");

    let mut disks = loads.map(|load| load.disk);
    let life = lives.begin(Daemon::blk(), disks.iter().flat_map(CheckedDisk::queues));
    disks.iter_mut().for_each(CheckedDisk::wait_for_all);
    life.end_settled(&lives, &disks);
}

#[expect(clippy::print_stdout, reason = "whoever reads of a failure wants to play it again")]
fn tell(line: &str) {
    println!("{line}");
}

/// A driver that keeps a queue filled with writes, reads and, now and then, a flush.
struct Load {
    disk: CheckedDisk,
    /// The first sector of each block that a request in flight is about.
    busy: HashSet<u64>,
    first: u64,
    random: Random,
    served: u64,
}

impl Load {
    fn new(queue: BlkQueue, first: u64, random: Random) -> Self {
        let disk = CheckedDisk::new(vec![queue], first..first + SECTORS);
        Self { disk, busy: HashSet::new(), first, random, served: 0 }
    }

    /// Goes on until the daemon is `gone`, counting what was `served`. Whatever it had given back
    /// is looked at, and the queue is left filled.
    fn run(&mut self, served: &AtomicU64, gone: &EventFd) {
        loop {
            let over = Deadline::after(Duration::ZERO).readable(gone);
            while let Some(asked) = self.disk.take(0) {
                if let Asked::Write { sector, .. } | Asked::Read { sector, .. } = asked {
                    self.busy.remove(&sector);
                }
                self.served += 1;
                served.fetch_add(1, Ordering::Relaxed);
            }
            while self.disk.in_flight() < DEPTH {
                self.ask();
            }
            self.disk.publish();
            if over {
                return;
            }
            self.wait(gone);
        }
    }

    /// One request more, to a block that is in no other one.
    fn ask(&mut self) {
        let kind = self.random.below(32);
        if kind < 2 {
            self.disk.flush(0);
            return;
        }
        let mut block = || self.first + self.random.below(BLOCKS) * BLOCK;
        let mut sector = block();
        while !self.busy.insert(sector) {
            sector = block();
        }
        if kind < 12 {
            self.disk.read(0, sector, COUNT);
        } else {
            self.disk.write(0, sector, COUNT);
        }
    }

    /// Waits for a call, or for the daemon to be `gone`.
    fn wait(&mut self, gone: &EventFd) {
        let queue = &self.disk.queue(0).queue;
        queue.set_used_event(queue.next_unused());
        std::sync::atomic::fence(Ordering::SeqCst);
        if queue.used_index() != queue.next_unused() {
            return;
        }
        let fds = [queue.call_fd(), gone].map(std::os::fd::AsFd::as_fd);
        match Deadline::new().first_readable(&fds) {
            Some(0) => drop(queue.call_fd().take()),
            Some(_) => (),
            None => panic!("no call, with {} requests in flight", self.disk.in_flight()),
        }
    }
}
