// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is measured, beside whom, and how good it has to be.

use super::Peer;
use super::contestant::Qsd;

/// A kind of load, with all who are put under it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) load: Load,
    pub(super) disk: Disk,
    pub(super) contestants: &'static [Contestant],
    pub(super) targets: &'static [Target],
}

/// What the driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) queues: u8,
    pub(super) depth: u16,
    /// Bytes of a request.
    pub(super) block: u32,
    pub(super) writes: bool,
    /// Whether it sleeps on the call descriptor, or looks at the ring all the time.
    pub(super) sleeps: bool,
    /// How far behind a page's beginning its buffers begin, in bytes.
    pub(super) misalign: u16,
}

/// What is below the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// The file, all of it in the page cache.
    Cached,
    /// The file, nothing of it in the page cache, and read with O_DIRECT.
    Direct,
    /// Another file, of a quarter of what may be dirty.
    Written,
    /// Nothing.
    Null,
}

/// One who is put under a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contestant {
    /// Our daemon, with more arguments.
    Ours(&'static [&'static str]),
    /// qemu-storage-daemon with a way of doing I/O; of several versions, by their place among the
    /// programs.
    Qsd(Aio, usize),
    /// fio on the file itself, with one of its engines.
    Fio(Engine),
    /// A loop of pread(2) on one thread.
    Bare,
    /// A daemon that the command line named, by its place there.
    Peer(usize),
}

/// How qemu-storage-daemon does I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aio {
    Uring,
    Native,
    Threads,
    /// Not at all: a disk that is not there.
    Null,
}

/// How fio does I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Psync,
    Uring,
}

/// How good it has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// As many requests as somebody, times so much.
    Rate(Rival, f64),
    /// Processor time for a request as somebody's, times so much at most.
    Cpu(Rival, f64),
    /// Fewer requests than the driver could do alone, or they measure the driver.
    BelowCeiling,
    /// At most so many MiB of anonymous memory and of files.
    Memory(f64),
}

/// Whom it is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rival {
    /// The newest qemu-storage-daemon, with the way of doing I/O with which it is the fastest here.
    Qsd,
    Fio(Engine),
    Bare,
}

const CACHED_READ: Load =
    Load { queues: 1, depth: 32, block: 4096, writes: false, sleeps: false, misalign: 0 };

use Contestant::{Bare, Fio, Ours, Qsd as Q};

const QSD_CACHED: [Contestant; 3] = [Ours(&[]), Q(Aio::Uring, 0), Q(Aio::Threads, 0)];

/// All that is measured, in this order.
pub(super) const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "cached-read",
        title: "4 KiB random reads from the page cache, depth 32",
        load: CACHED_READ,
        disk: Disk::Cached,
        contestants: &[
            Ours(&[]),
            Q(Aio::Uring, 0),
            Q(Aio::Threads, 0),
            Fio(Engine::Psync),
            Fio(Engine::Uring),
        ],
        targets: &[
            Target::Rate(Rival::Qsd, 2.0),
            Target::Rate(Rival::Fio(Engine::Psync), 0.85),
            Target::BelowCeiling,
        ],
    },
    Scenario {
        name: "cached-read-1",
        title: "4 KiB random reads from the page cache, depth 1",
        load: Load { depth: 1, ..CACHED_READ },
        disk: Disk::Cached,
        contestants: &QSD_CACHED,
        targets: &[Target::Rate(Rival::Qsd, 1.5)],
    },
    Scenario {
        name: "cached-read-1-sleeping",
        title: "4 KiB random reads from the page cache, depth 1, driver asleep",
        load: Load { depth: 1, sleeps: true, ..CACHED_READ },
        disk: Disk::Cached,
        contestants: &QSD_CACHED,
        targets: &[Target::Rate(Rival::Qsd, 1.0)],
    },
    Scenario {
        name: "cached-read-sleeping",
        title: "4 KiB random reads from the page cache, depth 32, driver asleep",
        load: Load { sleeps: true, ..CACHED_READ },
        disk: Disk::Cached,
        contestants: &QSD_CACHED,
        targets: &[],
    },
    Scenario {
        name: "direct-read",
        title: "4 KiB random reads with O_DIRECT, depth 32",
        load: CACHED_READ,
        disk: Disk::Direct,
        contestants: &[
            Ours(&["--cache", "none"]),
            Q(Aio::Uring, 0),
            Q(Aio::Native, 0),
            Q(Aio::Threads, 0),
            Fio(Engine::Uring),
        ],
        targets: &[Target::Rate(Rival::Fio(Engine::Uring), 0.9)],
    },
    Scenario {
        name: "cached-write",
        title: "4 KiB random writes to the page cache, depth 32",
        load: Load { writes: true, ..CACHED_READ },
        disk: Disk::Written,
        contestants: &[
            Ours(&[]),
            Q(Aio::Uring, 0),
            Q(Aio::Threads, 0),
            Fio(Engine::Psync),
            Fio(Engine::Uring),
        ],
        targets: &[Target::Rate(Rival::Qsd, 1.0), Target::Cpu(Rival::Qsd, 0.7)],
    },
    Scenario {
        name: "large-read",
        title: "128 KiB random reads from the page cache, depth 32",
        load: Load { block: 128 << 10, ..CACHED_READ },
        disk: Disk::Cached,
        contestants: &[Ours(&[]), Q(Aio::Uring, 0), Q(Aio::Threads, 0), Bare, Fio(Engine::Psync)],
        targets: &[Target::Rate(Rival::Bare, 0.95)],
    },
    Scenario {
        name: "null",
        title: "4 KiB random reads of a disk that is not there, depth 32",
        load: CACHED_READ,
        disk: Disk::Null,
        contestants: &[Ours(&[]), Q(Aio::Null, 0)],
        targets: &[Target::Rate(Rival::Qsd, 1.2), Target::BelowCeiling],
    },
    Scenario {
        name: "sync-direct-read",
        title: "4 KiB random reads with O_DIRECT, depth 32, without io_uring",
        load: CACHED_READ,
        disk: Disk::Direct,
        contestants: &[Ours(&["--cache", "none", "--io-engine", "sync"]), Q(Aio::Threads, 0)],
        targets: &[Target::Rate(Rival::Qsd, 0.8)],
    },
    Scenario {
        name: "sync-cached-read",
        title: "4 KiB random reads from the page cache, depth 32, without io_uring",
        load: CACHED_READ,
        disk: Disk::Cached,
        contestants: &[Ours(&["--io-engine", "sync"]), Q(Aio::Threads, 0)],
        targets: &[],
    },
    Scenario {
        name: "memory",
        title: "Memory after bounced 4 KiB reads with O_DIRECT, depth 128 on 4 queues",
        load: Load { queues: 4, depth: 128, misalign: 8, ..CACHED_READ },
        disk: Disk::Direct,
        contestants: &[Ours(&["--cache", "none"])],
        targets: &[Target::Memory(16.0)],
    },
];

impl Scenario {
    /// Whether it is about the memory that is left after a while, and not about speed.
    pub(super) fn is_of_memory(&self) -> bool {
        self.targets.iter().any(|target| matches!(target, Target::Memory(_)))
    }
}

impl Contestant {
    /// What it is called in tables.
    pub(super) fn name(self, qsds: &[Qsd], peers: &[Peer]) -> String {
        match self {
            Self::Ours([]) => "ours".to_owned(),
            Self::Ours(arguments) => format!("ours {}", arguments.join(" ")),
            Self::Qsd(aio, which) => {
                let version = qsds.get(which).map_or("", |qsd| &qsd.version);
                format!("qemu-storage-daemon {version} {}", aio.name())
            }
            Self::Fio(engine) => format!("fio {}", engine.name()),
            Self::Bare => "pread loop".to_owned(),
            Self::Peer(place) => peers[place].name.clone(),
        }
    }
}

impl Aio {
    /// As its option has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uring => "io_uring",
            Self::Native => "native",
            Self::Threads => "threads",
            Self::Null => "null-co",
        }
    }
}

impl Engine {
    /// As its option has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Psync => "psync",
            Self::Uring => "io_uring",
        }
    }
}

impl Rival {
    /// Whether it is this one.
    pub(super) fn is(self, contestant: Contestant) -> bool {
        match (self, contestant) {
            (Self::Qsd, Q(_, 0)) | (Self::Bare, Bare) => true,
            (Self::Fio(wanted), Fio(engine)) => wanted == engine,
            _ => false,
        }
    }

    /// What it is called in a verdict.
    pub(super) fn name(self) -> String {
        match self {
            Self::Qsd => "the newest qemu-storage-daemon".to_owned(),
            Self::Fio(engine) => format!("fio {}", engine.name()),
            Self::Bare => "a pread loop".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rival_of_a_target_is_measured_beside_ours() {
        for scenario in SCENARIOS {
            assert!(matches!(scenario.contestants[0], Ours(_)), "{}", scenario.name);
            for target in scenario.targets {
                if let Target::Rate(rival, _) | Target::Cpu(rival, _) = target {
                    let there = scenario.contestants.iter().any(|it| rival.is(*it));
                    assert!(there, "{} of {}", rival.name(), scenario.name);
                }
            }
        }
    }

    #[test]
    fn names_of_scenarios_are_unique() {
        let mut names = SCENARIOS.map(|scenario| scenario.name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
