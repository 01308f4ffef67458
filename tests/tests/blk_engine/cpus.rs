// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Queues on CPUs of their own.

use super::*;

/// The CPUs that this process may use.
fn ours() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let list = list.expect("the CPUs of this process").trim();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<usize>().expect("the number of a CPU");
        number(first)..=number(last)
    };
    list.split(',').flat_map(range).collect()
}

#[test]
fn queues_run_on_the_cpus_of_the_list_in_turn() {
    let cpus = ours();
    let (one, other) = (cpus[0], cpus[cpus.len() - 1]);
    for engine in ["io_uring", "sync"] {
        let list = format!("{one},{other}");
        let arguments = ["--cpus", &list, "--num-queues", "3", "--io-engine", engine];
        let mut it = Served::blk_with(&arguments, USUAL);
        for (queue, cpu) in [("blk-q0", one), ("blk-q1", other), ("blk-q2", one)] {
            let thread = it.daemon.process().thread_named(queue);
            assert_eq!(thread.cpus, cpu.to_string(), "{queue}");
        }
        let mut last = it.frontend.blk(2, 16);
        assert_eq!(last.read(1, 1), Ok(it.image.sector(1)));
        assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    }
}

#[test]
fn range_of_cpus_is_a_list_of_them() {
    let cpus = ours();
    if cpus.get(1) != Some(&(cpus[0] + 1)) {
        // Not two that follow each other; the list was shown by another test.
        return;
    }
    let list = format!("{}-{}", cpus[0], cpus[1]);
    let it = Served::blk_with(&["--cpus", &list, "--num-queues", "2"], USUAL);
    let of = |name: &str| it.daemon.process().thread_named(name).cpus;
    assert_eq!([of("blk-q0"), of("blk-q1")], [cpus[0], cpus[1]].map(|cpu| cpu.to_string()));
}

#[test]
fn queues_without_a_list_run_wherever_they_may() {
    let it = Served::blk();
    let all = it.daemon.process().threads();
    assert!(all.iter().all(|thread| thread.cpus == all[0].cpus), "{all:?}");
}

#[test]
fn cpu_that_cannot_be_had_is_named() {
    let image = Image::of_sectors(8);
    for list in ["8191", "0-", "x", "", "3-1"] {
        let launch = Daemon::blk().image(&image);
        let ran = launch.arg(format!("--cpus={list}")).run();
        assert_eq!(ran.exit, Exit::Code(2), "{list:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("cpu"), "{}", ran.stderr);
        assert!(list != "8191" || ran.stderr.contains("8191"), "{}", ran.stderr);
        assert!(!ran.touched, "a socket of a daemon that did not start");
    }
}
