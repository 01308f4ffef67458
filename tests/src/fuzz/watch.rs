// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What must be so after every round, whatever was done in it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::life::{Target, bytes_at, first_contents};
use super::setting::Setting;
use super::wire::{Hung, Wire};
use crate::blk::BlkQueue;
use crate::daemon::Daemon;
use crate::deadline::Deadline;
use crate::features::{EVENT_IDX, INDIRECT_DESC, VERSION_1};
use crate::frontend::Frontend;
use crate::memory::GuestMemory;

/// What the well-behaved front end reads and writes, in bytes: a block of any size.
const BLOCK: usize = 4096;
const SECTORS: usize = BLOCK / 512;

/// Where: the last whole block of the disk.
const SECTOR: u64 = 2048 - 8;

/// How much memory of its own the daemon may have more than at its beginning, in KiB.
const MORE_MEMORY: u64 = 24 << 10;
/// The same with AddressSanitizer, which keeps what was freed for a while.
const MORE_MEMORY_SANITIZED: u64 = 160 << 10;

/// For how long it is watched doing nothing, how much of this it may be at work, how often it may be
/// found to be, and at every how manieth look.
const IDLE: Duration = Duration::from_millis(40);
const MOST_WORK: Duration = Duration::from_millis(20);
const IDLE_TRIES: u32 = 10;
const IDLE_EVERY: u64 = 16;

/// How many lines it may write to the log: at once, and in a second.
const LINES: u64 = 300;
const LINES_PER_SECOND: u64 = 30;
/// And for each connection that is made or refused.
const LINES_PER_CONNECTION: u64 = 4;

/// What a daemon has at the first look.
#[derive(Clone, Copy, Debug)]
struct Base {
    descriptors: usize,
    /// Of what others may have mapped, too.
    mappings: usize,
    /// In KiB.
    memory: u64,
}

/// What is known of a daemon from its beginning on.
#[derive(Debug)]
pub(super) struct Watch {
    queue_size: u16,
    read_only: bool,
    keeps: bool,
    image: u64,
    more_memory: u64,
    patience: Duration,
    base: Option<Base>,
    looks: u64,
    connections: u64,
    started: Instant,
}

impl Watch {
    pub(super) fn over(setting: &Setting, target: &Target) -> Self {
        Self {
            queue_size: setting.queue_size().min(16),
            read_only: setting.is_read_only(),
            keeps: setting.keeps(),
            image: setting.image,
            more_memory: if target.abilities.sanitized {
                MORE_MEMORY_SANITIZED
            } else {
                MORE_MEMORY
            },
            patience: target.patience,
            base: None,
            looks: 0,
            connections: 0,
            started: Instant::now(),
        }
    }

    /// So many connections more have been made.
    pub(super) fn connected(&mut self, connections: u64) {
        self.connections += connections;
    }

    /// Connects, and sees whether all is well; what is not.
    pub(super) fn look(&mut self, daemon: &Daemon, image: Option<&Path>) -> Result<(), String> {
        let frontend = self.connect(daemon).map_err(|hung| hung.0.to_owned())?;
        let mut frontend = frontend.negotiate(VERSION_1 | EVENT_IDX | INDIRECT_DESC);
        frontend.set_mem_table(&GuestMemory::new(1 << 16)).map_err(|_| "it refuses memory")?;
        let mut disk = frontend.blk(0, self.queue_size);
        self.serve(&mut disk, image)?;
        self.count(daemon)?;
        drop(frontend);
        if self.looks % IDLE_EVERY == 1 {
            idle(daemon)?;
        }
        self.read_log(daemon)
    }

    /// A connection that is served. Others may have been before it, whose ends it has not seen yet.
    fn connect(&mut self, daemon: &Daemon) -> Result<Frontend, Hung> {
        let deadline = Deadline::after(self.patience);
        loop {
            if deadline.is_over() {
                return Err(Hung("it serves no front end any more"));
            }
            let Ok(mut wire) = Wire::connect(daemon.socket(), self.patience) else {
                return Err(Hung("nobody listens on its socket"));
            };
            self.connections += 1;
            wire.settle()?;
            if wire.is_open() {
                return Ok(Frontend::over(wire.into_socket()));
            }
            thread::yield_now();
        }
    }

    fn serve(&mut self, disk: &mut BlkQueue, image: Option<&Path>) -> Result<(), String> {
        self.looks += 1;
        let read = disk.read(SECTOR, SECTORS).map_err(|e| format!("a good read: {e:?}"))?;
        let offset = SECTOR * 512;
        if let Some(image) = image {
            let there = bytes_at(image, offset, BLOCK).map_err(|e| format!("the image: {e}"))?;
            if *read != *there {
                return Err("what was read is not what is in the image".to_owned());
            }
        }
        if self.read_only {
            let at = usize::try_from(offset).unwrap_or_default();
            let first = first_contents(self.image, at, BLOCK);
            return if *read == *first { Ok(()) } else { Err("the image was written".to_owned()) };
        }
        let [stamp, ..] = self.looks.to_le_bytes();
        disk.write(SECTOR, &[stamp; BLOCK]).map_err(|e| format!("a good write: {e:?}"))?;
        let read = disk.read(SECTOR, SECTORS).map_err(|e| format!("a good read: {e:?}"))?;
        if self.keeps && *read != [stamp; BLOCK] {
            return Err("what was read is not what was written".to_owned());
        }
        Ok(())
    }

    /// What it has, compared with the first time.
    fn count(&mut self, daemon: &Daemon) -> Result<(), String> {
        let now = || Base {
            descriptors: daemon.descriptors(),
            mappings: daemon.shared_mappings(),
            memory: daemon.rss_anon_kib(),
        };
        let first = *self.base.get_or_insert_with(now);
        // What is closed may take a moment.
        let deadline = Deadline::after(self.patience);
        while daemon.descriptors() != first.descriptors {
            if deadline.is_over() {
                let names = daemon.process().descriptors().join(", ");
                return Err(format!("{:?} instead of {first:?}: {names}", now()));
            }
            thread::yield_now();
        }
        let now = now();
        if now.mappings != first.mappings || now.memory > first.memory + self.more_memory {
            return Err(format!("{now:?} instead of {first:?}"));
        }
        Ok(())
    }

    /// Whether it fills the log.
    fn read_log(&self, daemon: &Daemon) -> Result<(), String> {
        let lines = u64::try_from(daemon.log().count("")).unwrap_or(u64::MAX);
        let seconds = self.started.elapsed().as_secs();
        let most = LINES + LINES_PER_SECOND * seconds + LINES_PER_CONNECTION * self.connections;
        if lines > most {
            return Err(format!(
                "{lines} lines of log in {seconds} s and {} connections",
                self.connections
            ));
        }
        Ok(())
    }
}

/// Nobody is connected: none of its threads has anything to do.
fn idle(daemon: &Daemon) -> Result<(), String> {
    let mut work = Duration::ZERO;
    for _ in 0..IDLE_TRIES {
        let before = worked(daemon);
        thread::sleep(IDLE);
        work = worked(daemon).saturating_sub(before);
        if work < MOST_WORK {
            return Ok(());
        }
    }
    Err(format!("it is at work for {work:?} of {IDLE:?} with nothing to do"))
}

/// How long its threads have run so far.
fn worked(daemon: &Daemon) -> Duration {
    let folder = format!("/proc/{}/task", daemon.process().pid());
    let threads = fs::read_dir(folder).into_iter().flatten();
    let texts =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    let times = texts.filter_map(|text| text.split_whitespace().next()?.parse().ok());
    times.map(Duration::from_nanos).sum()
}
