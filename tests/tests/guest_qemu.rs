// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guests of QEMU, with the distribution's kernel, on a root disk of ours.

use anyhow::{Context, Result};
use vhost_user_tests::daemon::{Daemon, Exit};
use vhost_user_tests::guest::{
    Accel, Attached, Boot, Disk, DiskGrowth, DiskWork, Found, Guest, Kernel, Qemu, Watch, required,
};

#[test]
fn guest_of_the_installed_qemu_works_on_a_disk_with_two_queues() {
    let qemu = Qemu::installed().map(Found::Here);
    if let Some(qemu) = required("QEMU", qemu) {
        println!("{}", work_on_a_disk_with_two_queues(&qemu).unwrap());
    }
}

#[test]
fn guest_of_a_newer_qemu_works_on_a_disk_with_two_queues() {
    if let Some(qemu) = required("the QEMU of the backports", Qemu::from_backports()) {
        println!("{}", work_on_a_disk_with_two_queues(&qemu).unwrap());
    }
}

/// Boots from the disk, works on it, powers off, looks at the image. Returns what was read, and
/// how long it took.
fn work_on_a_disk_with_two_queues(qemu: &Qemu) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let disk = Disk::create(dir.path().join("disk.img"))?;
    let boot = Boot::new(Kernel::of_this_machine()?, dir.path())?;
    let accel = Accel::of_this_machine(qemu, &boot)?;
    let daemon = Daemon::blk().arg("--blk-file").arg(disk.path()).start();
    let attached = Attached { socket: daemon.socket().to_owned(), queues: 2 };

    let mut guest = qemu.start(&boot, accel, &attached, Watch::Record)?;
    let to_shell = guest.wait_for_shell()?;
    assert_eq!(guest.shell("ls -1 /sys/block/vda/mq")?, "0\n1");
    let mounts = guest.shell("mount")?;
    assert!(mounts.contains("/dev/vda on / type ext4 (rw"), "{mounts}");
    let work = DiskWork::run(&mut guest, &disk, 2)?;
    let interrupts = interrupts_of_queues(&mut guest)?;
    assert!(interrupts.iter().all(|count| *count > 0), "{interrupts:?}");
    let growth = DiskGrowth::run(&mut guest, &daemon, &disk)?;
    let to_end = guest.power_off()?;

    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    work.check(&disk)?;
    disk.check()?;
    growth.check(&disk)?;
    let (to_shell, to_end) = (to_shell.as_secs_f32(), to_end.as_secs_f32());
    Ok(format!(
        "{work}QEMU {} ({accel:?}): shell after {to_shell:.1} s, power-off after {to_end:.1} s",
        qemu.version()
    ))
}

/// How many interrupts each of the two request queues of the disk caused, on both processors.
fn interrupts_of_queues(guest: &mut Guest) -> Result<[u64; 2]> {
    let table = guest.shell("cat /proc/interrupts")?;
    let count = |queue: &str| -> Option<u64> {
        let line = table.lines().find(|line| line.ends_with(queue))?;
        let counts = line.split_whitespace().skip(1).take(2);
        counts.map(|count| count.parse::<u64>().ok()).sum()
    };
    let counts = count("virtio0-req.0").zip(count("virtio0-req.1"));
    counts.map(<[u64; 2]>::from).with_context(|| format!("find the queues in {table}"))
}
