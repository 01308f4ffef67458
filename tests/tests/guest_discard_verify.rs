// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guests whose own tools discard, and verify what they have written with many requests in flight.

use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Result, ensure};
use vhost_user_tests::daemon::{Daemon, Exit, Launch};
use vhost_user_tests::guest::{
    Accel, Attached, Boot, Disk, Found, Guest, Kernel, Qemu, ScratchDisk, Tools, Uml, Watch,
    required,
};
use vhost_user_tests::requires;

const MIB: u64 = 1 << 20;

/// The disk that is discarded and written: what is beside each is 8 MiB.
const LENGTH: u64 = 96 * MIB;
const DISCARDED: (u64, u64) = (8 * MIB, 40 * MIB);
const WRITTEN: (u64, u64) = (56 * MIB, 24 * MIB);

#[test]
fn guest_of_qemu_discards_and_verifies() {
    let qemu = required("QEMU", Qemu::installed().map(Found::Here));
    if let Some(qemu) = qemu
        && requires::program("fio")
    {
        println!("{}", discard_and_verify_in_qemu(&qemu).unwrap());
    }
}

#[test]
fn guest_of_user_mode_linux_discards_and_verifies() {
    if let Some(uml) = required("User-Mode Linux", Uml::installed())
        && requires::program("fio")
    {
        println!("{}", discard_and_verify_in_uml(&uml).unwrap());
    }
}

fn attached(daemon: &Daemon, queues: u16) -> Attached {
    Attached { socket: daemon.socket().to_owned(), queues }
}

fn serving(path: &std::path::Path, arguments: &[&str]) -> Launch {
    Daemon::blk().arg("--blk-file").arg(path).args(arguments)
}

/// A root disk, two to be worked on, past the host's page cache and by threads, and one with fio.
/// Returns what it has seen.
fn discard_and_verify_in_qemu(qemu: &Qemu) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let root = Disk::create(dir.path().join("root.img"))?;
    let tools = Tools::create(dir.path().join("tools.img"), &["fio"])?;
    let disk = |name: &str| ScratchDisk::create(dir.path().join(name), LENGTH);
    let disks = [disk("direct.img")?, disk("threads.img")?];
    let boot = Boot::new(Kernel::of_this_machine()?, dir.path())?;
    let accel = Accel::of_this_machine(qemu, &boot)?;
    let daemons = [
        serving(root.path(), &[]).start(),
        serving(disks[0].path(), &["--cache", "none"]).start(),
        serving(disks[1].path(), &["--io-engine", "sync"]).start(),
        serving(tools.path(), &["--read-only"]).start(),
    ];
    let mut guest =
        qemu.start_with_disks(&boot, accel, &daemons.each_ref().map(|daemon| attached(daemon, 2)))?;
    let to_shell = guest.wait_for_shell()?;

    guest.shell("mkdir -p /tmp/tools && mount -o ro /dev/vdd /tmp/tools")?;
    for folder in ["dev", "proc", "sys", "tmp"] {
        guest.shell(&format!("mount -o bind /{folder} /tmp/tools/{folder}"))?;
    }
    for (disk, device) in disks.iter().zip(["/dev/vdb", "/dev/vdc"]) {
        let taken = disk.taken()?;
        let (start, len) = DISCARDED;
        guest.shell(&format!("blkdiscard -o {start} -l {len} {device}"))?;
        let given_back = taken.saturating_sub(disk.taken()?);
        ensure!(given_back >= len / 10 * 9, "{given_back} bytes of {len} were given back");
        fio(&mut guest, "chroot /tmp/tools /bin/fio", device, WRITTEN)?;
    }
    let to_end = guest.power_off()?;

    for daemon in &daemons {
        ensure!(daemon.sigterm().wait() == Exit::Clean, "{}", daemon.log().text());
    }
    for disk in &disks {
        check(disk)?;
    }
    Ok(format!(
        "QEMU {} ({accel:?}): shell after {:.1} s, power-off after {:.1} s",
        qemu.version(),
        to_shell.as_secs_f32(),
        to_end.as_secs_f32()
    ))
}

/// The disk is zeroes where it was discarded, has something else where fio wrote, and all else is as
/// it was.
fn check(disk: &ScratchDisk) -> Result<()> {
    let (start, len) = DISCARDED;
    disk.expect_zeroes(start, len)?;
    disk.expect_untouched(0, start)?;
    disk.expect_untouched(start + len, WRITTEN.0 - start - len)?;
    let end = WRITTEN.0 + WRITTEN.1;
    disk.expect_untouched(end, LENGTH - end)?;
    ensure!(disk.expect_untouched(WRITTEN.0, WRITTEN.1).is_err(), "fio has written nothing");
    Ok(())
}

/// On its root disk: a file that is filled and removed, and the free space behind the file system.
fn discard_and_verify_in_uml(uml: &Uml) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let disk = Disk::create(dir.path().join("disk.img"))?;
    let boot = Boot::new(uml.kernel().clone(), dir.path())?;
    let daemon = serving(disk.path(), &[]).start();
    let mut guest = uml.start(&boot, &attached(&daemon, 1), dir.path(), Watch::Record)?;
    let to_shell = guest.wait_for_shell()?;

    let taken = || fs::metadata(disk.path()).map(|image| image.blocks() * 512);
    guest.shell("echo beside >/root/beside && sync")?;
    let before = taken()?;
    guest.shell("dd if=/dev/zero of=/root/filler bs=1M count=64 && sync")?;
    let filled = taken()?;
    ensure!(filled >= before + 60 * MIB, "{before} bytes before, {filled} with 64 MiB more");
    guest.shell("rm /root/filler && sync && fstrim /")?;
    let after = taken()?;
    let least = (filled - before) / 10 * 9;
    ensure!(filled - after >= least, "{filled} bytes before, {after} after a trim of 64 MiB");

    // The host's file system, with its fio.
    guest.shell("mkdir -p /tmp/host && mount -t hostfs host /tmp/host")?;
    for folder in ["dev", "proc", "sys", "tmp"] {
        guest.shell(&format!("mount -o bind /{folder} /tmp/host/{folder}"))?;
    }
    let place = (disk.free_space() + 16 * MIB, 32 * MIB);
    fio(&mut guest, "chroot /tmp/host /usr/bin/fio", "/dev/vda", place)?;
    guest.shell("umount /tmp/host/tmp /tmp/host/sys /tmp/host/proc /tmp/host/dev /tmp/host")?;
    let to_end = guest.power_off()?;

    ensure!(daemon.sigterm().wait() == Exit::Clean, "{}", daemon.log().text());
    disk.check()?;
    ensure!(disk.read_file("/root/beside")? == b"beside\n", "a file beside what was trimmed");
    Ok(format!(
        "User-Mode Linux {}: shell after {:.1} s, power-off after {:.1} s",
        uml.kernel().release(),
        to_shell.as_secs_f32(),
        to_end.as_secs_f32()
    ))
}

/// Has fio write every block of a range of the device in any order, by two jobs, past the page cache
/// and with 32 requests of each in flight, and read it all back and compare.
fn fio(guest: &mut Guest, program: &str, device: &str, (start, len): (u64, u64)) -> Result<()> {
    let half = len / 2;
    let options = "--name=verify --thread --ioengine=libaio --direct=1 --iodepth=32 \
        --rw=randwrite --bs=4k --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
        --allow_mounted_write=1 --fallocate=none --numjobs=2 --randseed=7";
    let place =
        format!("--filename={device} --offset={start} --offset_increment={half} --size={half}");
    let command = options.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = guest.shell(&format!(
        "{program} {command} {place} --minimal >/tmp/fio 2>&1; \
        ended=$?; grep -i -e verify: -e err= -e bad /tmp/fio; (exit $ended)"
    ))?;
    ensure!(said.is_empty(), "fio: {said}");
    Ok(())
}
