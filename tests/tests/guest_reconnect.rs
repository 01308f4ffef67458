// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A guest of QEMU works on its root disk while the disk's daemon is killed again and again.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vhost_user_tests::daemon::{Daemon, Exit};
use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::guest::{Accel, Attached, Boot, Disk, Found, Guest, Kernel, Qemu, required};
use vhost_user_tests::in_flight::{Geometry, InFlightRegion};
use vhost_user_tests::random::Random;

/// How many processes of the guest write and read back, and how many only read, at the same time.
/// Each writer has a piece of the disk behind the file system for itself.
const WRITERS: u64 = 6;
const READERS: u64 = 8;
/// The length of a piece, in bytes, and in blocks. What is written are so many consecutive blocks
/// of random ones, from another one on in each of so many rounds.
const PIECE: u64 = BLOCKS * BLOCK;
const BLOCK: u64 = 256 << 10;
const BLOCKS: u64 = 16;
const ROUNDS: u64 = 24;

/// At the kill in the middle more requests are to be in flight, or this test shows little.
const IN_FLIGHT: usize = 8;

/// After so many requests on a queue its daemon knows all about it: at its start it may finish what
/// an earlier one had begun to give back, and that is counted, too.
const SERVED: u16 = 256;

#[test]
fn guest_of_the_installed_qemu_survives_a_daemon_that_is_killed() {
    let qemu = Qemu::installed().map(Found::Here);
    if let Some(qemu) = required("QEMU", qemu) {
        let seed = Random::seed();
        println!("VHOST_USER_TEST_SEED={seed}");
        println!("FIGURE: {}", survive_kills(&qemu, 15, Listener::Daemons, seed).unwrap());
    }
}

#[test]
fn guest_of_a_newer_qemu_survives_a_daemon_that_is_killed() {
    if let Some(qemu) = required("the QEMU of the backports", Qemu::from_backports()) {
        let seed = Random::seed();
        println!("VHOST_USER_TEST_SEED={seed}");
        println!("FIGURE: {}", survive_kills(&qemu, 35, Listener::Daemons, seed).unwrap());
    }
}

#[test]
fn guest_survives_a_daemon_that_is_killed_and_started_again_on_the_same_socket() {
    let qemu = Qemu::installed().map(Found::Here);
    if let Some(qemu) = required("QEMU", qemu) {
        let seed = Random::seed();
        println!("VHOST_USER_TEST_SEED={seed}");
        println!("FIGURE: {}", survive_kills(&qemu, 6, Listener::Supervisors, seed).unwrap());
    }
}

/// How long a supervisor takes until it starts the next daemon, at most: as RestartSec= in the unit.
const RESTART: Duration = Duration::from_millis(100);

/// Who listens for front ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    /// Each daemon makes a socket.
    Daemons,
    /// There is one socket for all of them, which whoever starts them keeps, as systemd does.
    Supervisors,
}

/// Boots from the disk, kills its daemon so many times under load, powers off, looks at the image.
/// Returns what happened.
fn survive_kills(qemu: &Qemu, kills: u64, listener: Listener, seed: u64) -> Result<String> {
    let mut random = Random::of(seed);
    let dir = tempfile::tempdir()?;
    let disk = Disk::create(dir.path().join("disk.img"))?;
    let boot = Boot::new(Kernel::of_this_machine()?, dir.path())?;
    let accel = Accel::of_this_machine(qemu, &boot)?;
    let attached = Attached { socket: dir.path().join("socket"), queues: 2 };
    let kept = match listener {
        Listener::Daemons => None,
        Listener::Supervisors => Some(UnixListener::bind(&attached.socket)?),
    };
    let start = |seed| start(&disk, &attached, kept.as_ref(), seed);
    let mut daemon = start(random.number())?;
    let lifetime = Duration::from_secs(240);
    let mut guest = qemu.start_reconnecting(&boot, accel, &attached, lifetime)?;
    guest.wait_for_shell()?;
    work(&mut guest, &disk)?;
    let region = region_of(&guest, attached.queues)?;

    let (mut marks, mut pauses) = (Vec::new(), Vec::new());
    for _ in 0..kills {
        serves(&region);
        kill(&daemon, &region, &mut random);
        let killed = Instant::now();
        marks.push(region.marks());
        daemon = start(random.number())?;
        pauses.push(killed.elapsed());
    }
    let longest = pauses.iter().max().copied().unwrap_or_default();
    ensure!(
        listener == Listener::Daemons || longest < RESTART,
        "{longest:?} until the next daemon"
    );
    let rounds = finish(&mut guest)?;
    let sums = guest.shell("cat /tmp/sums")?;
    guest.power_off()?;
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    check(&disk, &rounds, &sums)?;
    disk.check()?;

    let report = format!(
        "in flight at each kill: {marks:?}; rounds of each writer: {rounds:?}; the next daemon after \
         {longest:?} at most"
    );
    marks.sort_unstable();
    let median = marks[marks.len() / 2];
    ensure!(median > IN_FLIGHT, "{median} requests in flight at a kill, median; {report}");
    Ok(format!("QEMU {} ({accel:?}): median in flight {median}; {report}", qemu.version()))
}

/// A daemon that takes all that is available before it serves any of it, out of order.
fn start(
    disk: &Disk,
    attached: &Attached,
    kept: Option<&UnixListener>,
    seed: u64,
) -> Result<Daemon> {
    let launch = Daemon::blk_with_hooks().env("VHOST_USER_TEST_SHUFFLE", seed.to_string());
    let launch = launch.arg("--blk-file").arg(disk.path());
    Ok(match kept {
        // Who connects before it is ready waits.
        Some(socket) => launch.activated(socket.try_clone().context("share a socket")?).spawn(),
        None => launch.socket(&attached.socket).start(),
    })
}

/// Waits until both queues are served. A QEMU whose back end ends while it is being told about the
/// queues may never ask for another one (7.2 does not).
fn serves(region: &InFlightRegion) {
    let used = || [0, 1].map(|queue| region.queue(queue).used_idx());
    let before = used();
    for queue in [0, 1] {
        let served = || used()[queue].wrapping_sub(before[queue]);
        until("requests to be served", || (served() >= SERVED).then_some(()));
    }
}

/// Kills the daemon at a random time, soon after it was stopped for a while: emulated processors
/// are slow to ask, and what they ask for meanwhile is in flight all at once afterwards.
fn kill(daemon: &Daemon, region: &InFlightRegion, random: &mut Random) {
    let ended = |patience| Deadline::after(patience).readable(&daemon.process().ended_fd());
    assert!(!ended(Duration::from_millis(random.below(100))), "the daemon ended by itself");
    daemon.process().signal(libc::SIGSTOP);
    assert!(!ended(Duration::from_millis(400)), "the daemon ended by itself");
    daemon.process().signal(libc::SIGCONT);
    until("requests in flight", || (region.marks() > 0).then_some(()));
    assert!(!ended(Duration::from_micros(random.below(1000))), "the daemon ended by itself");
    daemon.sigkill();
}

/// Starts the workers in the guest, all of which go around the page cache: then an emulated
/// processor has little to do for a piece, which is many requests at a time.
///
/// Of what a writer reads back it looks at one block. The host looks at all of them, in the end.
fn work(guest: &mut Guest, disk: &Disk) -> Result<()> {
    let (start, blocks) = (disk.free_space(), BLOCKS + ROUNDS - 1);
    guest
        .shell(&format!("dd if=/dev/urandom of=/tmp/noise bs={BLOCK} count={blocks} 2>/tmp/dd"))?;
    guest.shell(&format!(
        "sum() {{ dd if=$1 bs={BLOCK} skip=$2 count=1 2>/tmp/dd | md5sum; }}; \
         for k in $(seq 0 $(({blocks}-1))); do sum /tmp/noise $k; done >/tmp/sums"
    ))?;
    guest.shell("dd() { busybox dd bs=4M \"$@\"; }")?;
    let source = format!("skip=$((k*{BLOCK})) count=1 iflag=skip_bytes");
    let target = "seek=$at oflag=direct,seek_bytes conv=notrunc";
    guest.shell(&format!(
        "write() {{ n=0; at=$(({start}+$1*{PIECE})); while ! [ -e /tmp/stop ]; do n=$((n+1)); \
         k=$((n%{ROUNDS})); j=$((n%{BLOCKS})); \
         dd if=/tmp/noise of=/dev/vda {source} {target} && \
         dd if=/dev/vda of=/tmp/r$1 skip=$at count=1 iflag=direct,skip_bytes && \
         [ \"$(sum /tmp/r$1 $j)\" = \"$(sed -n $((k+j+1))p /tmp/sums)\" ] || \
         echo w$1 $n >>/tmp/bad; echo $n >/tmp/n$1; done; }}"
    ))?;
    guest.shell(
        "read_on() { while ! [ -e /tmp/stop ]; do \
         dd if=/dev/vda of=/dev/null skip=$((8*$1)) count=8 iflag=direct || \
         echo r$1 >>/tmp/bad; done; }",
    )?;
    let (writers, readers) = (WRITERS - 1, READERS - 1);
    guest.shell(&format!("for i in $(seq 0 {writers}); do write $i 2>/tmp/w$i & done"))?;
    guest.shell(&format!("for i in $(seq 0 {readers}); do read_on $i 2>/tmp/e$i & done"))?;
    Ok(())
}

/// Ends the workers. Returns how many rounds each writer has done, if all that they read was what
/// they wrote and the kernel has nothing to complain about.
fn finish(guest: &mut Guest) -> Result<Vec<u64>> {
    guest.shell("touch /tmp/stop; wait")?;
    let bad = guest.shell("cat /tmp/bad 2>/dev/null; true")?;
    ensure!(bad.is_empty(), "these workers failed: {bad}");
    let log = guest.shell("dmesg")?;
    let complaint = log.lines().find(|line| {
        let line = line.to_lowercase();
        ["i/o error", "blocked for more", "timeout", "ext4-fs error"]
            .iter()
            .any(|word| line.contains(word))
    });
    ensure!(complaint.is_none(), "the guest's kernel says: {complaint:?}");
    let last = WRITERS - 1;
    let rounds = guest.shell(&format!("for i in $(seq 0 {last}); do cat /tmp/n$i; done"))?;
    rounds.lines().map(|line| line.parse().with_context(|| format!("rounds: {line}"))).collect()
}

/// Compares what each writer wrote last with the image; `sums` are those of the random blocks.
fn check(disk: &Disk, rounds: &[u64], sums: &str) -> Result<()> {
    let sums: Vec<&str> = sums.lines().collect();
    for (writer, round) in (0..).zip(rounds) {
        for block in 0..BLOCKS {
            let at = disk.free_space() + writer * PIECE + block * BLOCK;
            let found = md5(&disk.read_at(at, usize::try_from(BLOCK)?)?)?;
            let expected = sums.get(usize::try_from(round % ROUNDS + block)?);
            ensure!(
                Some(&found.as_str()) == expected,
                "block {block} of writer {writer} is not that of round {round}"
            );
        }
    }
    Ok(())
}

/// The MD5 of `bytes`, as the program md5sum says it.
fn md5(bytes: &[u8]) -> Result<String> {
    let mut sum = Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // It says nothing before it has read all.
    sum.stdin.take().context("feed md5sum")?.write_all(bytes)?;
    let said = String::from_utf8(sum.wait_with_output()?.stdout)?;
    Ok(said.trim_end().to_owned())
}

/// The region that the front end of `guest` keeps for its disk of so many queues.
fn region_of(guest: &Guest, queues: u16) -> Result<InFlightRegion> {
    let folder = PathBuf::from(format!("/proc/{}/fd", guest.pid()));
    let entries = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let path = paths.into_iter().find(|path| {
        let link = fs::read_link(path).unwrap_or_default();
        link.to_string_lossy().starts_with("/memfd:in-flight")
    });
    let path = path.context("find the region among the descriptors of QEMU")?;
    let file = File::options().read(true).write(true).open(&path)?;
    Ok(InFlightRegion::of(file, Geometry::of(queues, 128)))
}
