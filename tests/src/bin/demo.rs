// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The demonstration: a QEMU guest boots from a disk that vhost-user-blk serves, works on it in
//! its shell and powers off; then the host finds in the image what the guest wrote.
//!
//! It keeps its files in a temporary directory, which goes when it ends.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use vhost_user_tests::daemon::{Daemon, Exit, binary};
use vhost_user_tests::guest::{Accel, Attached, Boot, Disk, Guest, Kernel, Qemu, Watch};

/// A line of text that the guest writes, and where.
const NOTE: &str = "/root/note";
const TEXT: &str = "written by the guest";
/// 16 MiB of random bytes that the guest writes with direct I/O.
const NOISE: &str = "/root/noise";

fn main() -> Result<()> {
    let started = Instant::now();
    step(1, "building the daemon, unless it is built")?;
    let program = binary("vhost-user-blk");
    detail(program.display())?;

    step(2, "making a disk image with a root file system of busybox")?;
    let dir = tempfile::tempdir().context("make a directory for the demonstration")?;
    let disk = Disk::create(dir.path().join("disk.img"))?;
    detail(disk.path().display())?;

    step(3, "serving it")?;
    let daemon = Daemon::blk().arg("--blk-file").arg(disk.path()).start();
    let (socket, image) = (daemon.socket().display(), disk.path().display());
    detail(format_args!("vhost-user-blk --socket-path {socket} --blk-file {image}"))?;

    let hash = run_guest(daemon.socket(), dir.path())?;
    ensure!(daemon.sigterm().wait() == Exit::Clean, "the daemon did not end well");

    step(6, "looking for it in the image, on the host")?;
    check_image(&disk, &hash)?;
    line(format_args!("\nAll is well, after {:.0} s.", started.elapsed().as_secs_f32()))
}

/// Boots, works, powers off. Returns the SHA-256 of [`NOISE`] as the guest says it.
fn run_guest(socket: &Path, dir: &Path) -> Result<String> {
    let qemu = Qemu::installed()?;
    let boot = Boot::new(Kernel::of_this_machine()?, dir)?;
    step(4, "booting a guest from it")?;
    let accel = Accel::of_this_machine(&qemu, &boot)?;
    let processor = match accel {
        Accel::Kvm => "with KVM",
        Accel::Tcg => "with an emulated processor, since KVM boots no guest here",
    };
    let (version, release) = (qemu.version(), boot.kernel().release());
    detail(format_args!("QEMU {version} {processor}; Linux {release}"))?;
    let disk = Attached { socket: socket.to_owned(), queues: 2 };
    detail(command_line(&qemu.command(&boot, accel, &disk)))?;
    let mut guest = qemu.start(&boot, accel, &disk, Watch::Live)?;
    let booted = guest.wait_for_shell()?;

    line("")?;
    step(5, &format!("working in its shell, which was there after {:.1} s", booted.as_secs_f32()))?;
    let hash = work(&mut guest)?;
    guest.power_off()?;
    Ok(hash)
}

fn work(guest: &mut Guest) -> Result<String> {
    // The prompt that is there scrolled away with the line above.
    for command in ["", "uname -a", "dmesg | grep -e virtio_blk -e '(vda)'", "df -h /"] {
        guest.shell(command)?;
    }
    guest.shell("ls /sys/block/vda/mq    # its queues")?;
    guest.shell(&format!("echo {TEXT} >{NOTE}"))?;
    guest.shell("dd if=/dev/urandom of=/tmp/noise bs=1M count=16")?;
    guest.shell(&format!("dd if=/tmp/noise of={NOISE} bs=64k oflag=direct"))?;
    guest.shell("sync")?;
    let written = guest.shell("sha256sum </tmp/noise")?;
    let read =
        guest.shell(&format!("dd if={NOISE} bs=64k iflag=direct 2>/dev/null | sha256sum"))?;
    ensure!(read == written, "the guest reads something else than it wrote");
    Ok(written.trim_end_matches(['-', ' ']).to_owned())
}

fn check_image(disk: &Disk, hash: &str) -> Result<()> {
    let note = disk.read_file(NOTE)?;
    let note = String::from_utf8_lossy(&note);
    ensure!(note.trim_end() == TEXT, "{NOTE} is not what the guest wrote: {note}");
    detail(format_args!("{NOTE}: {}", note.trim_end()))?;
    let here = disk.sha256_of_file(NOISE)?;
    ensure!(here == hash, "{NOISE} is not what the guest wrote: its SHA-256 is {here}");
    detail(format_args!("{NOISE}: SHA-256 {here}, as in the guest"))?;
    disk.check()?;
    detail("e2fsck: the file system is clean")
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
