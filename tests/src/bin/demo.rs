// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The demonstration: a QEMU guest boots from a directory that virtiofsd shares, beside a disk that
//! vhost-user-blk serves, works on both in its shell and powers off; then the host finds what the guest
//! wrote, in the directory and in the image.
//!
//! It keeps its files in a temporary directory, which goes when it ends.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use vhost_user_tests::daemon::{Daemon, Exit, binary};
use vhost_user_tests::guest::{
    Accel, Attached, Boot, Disk, Guest, Kernel, Qemu, ROOT_TAG, Share, Shared, Watch,
};

/// A line of text that the guest writes into its root directory.
const NOTE: &str = "/root/note";
const TEXT: &str = "written by the guest";
/// 16 MiB of random bytes that the guest writes to the disk with direct I/O.
const NOISE: &str = "/root/noise";
/// Where the guest mounts the disk.
const MOUNT: &str = "/disk";

fn main() -> Result<()> {
    let started = Instant::now();
    step(1, "building the daemons, unless they are built")?;
    for daemon in ["virtiofsd", "vhost-user-blk"] {
        detail(binary(daemon).display())?;
    }

    step(2, "making a root directory of busybox, and a disk image")?;
    let dir = tempfile::tempdir().context("make a directory for the demonstration")?;
    let root = dir.path().join("root");
    fs::create_dir(&root).context("make the root directory")?;
    let share = Share::create(root)?;
    let disk = Disk::create(dir.path().join("disk.img"))?;
    detail(share.path().display())?;
    detail(disk.path().display())?;

    step(3, "serving them")?;
    let fs = Daemon::fs().share(share.path()).start();
    let blk = Daemon::blk().arg("--blk-file").arg(disk.path()).start();
    let (socket, root) = (fs.socket().display(), share.path().display());
    detail(format_args!("virtiofsd --socket-path {socket} --shared-dir {root}"))?;
    let (socket, image) = (blk.socket().display(), disk.path().display());
    detail(format_args!("vhost-user-blk --socket-path {socket} --blk-file {image}"))?;

    let hash = run_guest(fs.socket(), blk.socket(), dir.path())?;
    ensure!(fs.wait() == Exit::Clean, "virtiofsd did not end with its front end");
    ensure!(blk.sigterm().wait() == Exit::Clean, "vhost-user-blk did not end well");

    step(6, "looking for it on the host")?;
    look_for_it(&share, &disk, &hash)?;
    line(format_args!("\nAll is well, after {:.0} s.", started.elapsed().as_secs_f32()))
}

/// Boots, works, powers off. Returns the SHA-256 of [`NOISE`] as the guest says it.
fn run_guest(fs: &Path, blk: &Path, dir: &Path) -> Result<String> {
    let qemu = Qemu::installed()?;
    let boot = Boot::to_share(Kernel::of_this_machine()?, &["virtio_blk", "ext4"], dir)?;
    step(4, "booting a guest from the directory")?;
    let accel = Accel::of_this_machine(&qemu, &boot)?;
    let processor = match accel {
        Accel::Kvm => "with KVM",
        Accel::Tcg => "with an emulated processor, since KVM boots no guest here",
    };
    let (version, release) = (qemu.version(), boot.kernel().release());
    detail(format_args!("QEMU {version} {processor}; Linux {release}"))?;
    let share = [Shared { socket: fs.to_owned(), tag: ROOT_TAG.to_owned(), queues: 1 }];
    let disk = [Attached { socket: blk.to_owned(), queues: 2 }];
    detail(command_line(&qemu.command_with_shares(&boot, accel, (&share, &disk))))?;
    let mut guest = qemu.start_with_shares(&boot, accel, (&share, &disk), Watch::Live)?;
    let booted = guest.wait_for_shell()?;

    line("")?;
    step(5, &format!("working in its shell, which was there after {:.1} s", booted.as_secs_f32()))?;
    let hash = work(&mut guest)?;
    guest.power_off()?;
    Ok(hash)
}

fn work(guest: &mut Guest) -> Result<String> {
    let noise = format!("{MOUNT}{NOISE}");
    // The prompt that is there scrolled away with the line above.
    for command in ["", "uname -a", "mount | head -n 2"] {
        guest.shell(command)?;
    }
    guest.shell(&format!("mkdir {MOUNT} && mount -t ext4 /dev/vda {MOUNT}"))?;
    guest.shell(&format!("df -h {MOUNT}"))?;
    guest.shell("ls /sys/block/vda/mq    # the disk's queues")?;
    guest.shell(&format!("echo {TEXT} >{NOTE}"))?;
    guest.shell("dd if=/dev/urandom of=/tmp/noise bs=1M count=16")?;
    guest.shell(&format!("dd if=/tmp/noise of={noise} bs=64k oflag=direct"))?;
    let written = guest.shell("sha256sum </tmp/noise")?;
    let read =
        guest.shell(&format!("dd if={noise} bs=64k iflag=direct 2>/dev/null | sha256sum"))?;
    guest.shell(&format!("umount {MOUNT} && rmdir {MOUNT}"))?;
    ensure!(read == written, "the guest reads something else than it wrote");
    Ok(written.trim_end_matches(['-', ' ']).to_owned())
}

fn look_for_it(share: &Share, disk: &Disk, hash: &str) -> Result<()> {
    let note = share.path().join(NOTE.trim_start_matches('/'));
    let text = fs::read_to_string(&note).with_context(|| format!("read {}", note.display()))?;
    ensure!(text.trim_end() == TEXT, "{NOTE} is not what the guest wrote: {text}");
    detail(format_args!("{}: {}", note.display(), text.trim_end()))?;
    let here = disk.sha256_of_file(NOISE)?;
    ensure!(here == hash, "{NOISE} is not what the guest wrote: its SHA-256 is {here}");
    detail(format_args!("{NOISE} of the image: SHA-256 {here}, as in the guest"))?;
    disk.check()?;
    detail("e2fsck: the file system of the image is clean")
}

/// A command as one would type it, as far as that matters to a reader.
fn command_line(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.contains(' ') { format!("'{word}'") } else { word.into_owned() }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn step(number: u8, what: &str) -> Result<()> {
    line(format_args!("{number}/6 {what}"))
}

fn detail(what: impl std::fmt::Display) -> Result<()> {
    line(format_args!("    {what}"))
}

fn line(text: impl std::fmt::Display) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).context("write to stdout")
}
