// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guests whose root file system is a directory of the host.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Result, ensure};
use vhost_user_tests::daemon::{Daemon, Exit};
use vhost_user_tests::guest::{
    Accel, Attached, Boot, Disk, Found, Guest, Kernel, Qemu, ROOT_TAG, Share, Shared, Uml, Watch,
    required,
};

#[test]
fn guest_of_the_installed_qemu_lives_on_a_directory_beside_a_disk() {
    let qemu = Qemu::installed().map(Found::Here);
    if let Some(qemu) = required("QEMU", qemu) {
        println!("{}", live_beside_a_disk(&qemu, Kernel::of_this_machine(), 1).unwrap());
    }
}

#[test]
fn guest_of_a_newer_qemu_and_a_newer_kernel_uses_two_request_queues() {
    let Some(qemu) = required("the QEMU of the backports", Qemu::from_backports()) else { return };
    let Some(kernel) = required("a newer kernel", Kernel::with_many_queues()) else { return };
    println!("{}", live_beside_a_disk(&qemu, Ok(kernel), 2).unwrap());
}

#[test]
fn guest_of_user_mode_linux_lives_on_a_directory() {
    if let Some(uml) = required("User-Mode Linux", Uml::installed()) {
        println!("{}", live_in_user_mode(&uml).unwrap());
    }
}

fn live_beside_a_disk(qemu: &Qemu, kernel: Result<Kernel>, queues: u16) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let share = root(dir.path())?;
    let disk = Disk::create(dir.path().join("disk.img"))?;
    let boot = Boot::to_share(kernel?, &["virtio_blk", "ext4"], dir.path())?;
    let accel = Accel::of_this_machine(qemu, &boot)?;
    let fs = match queues {
        1 => Daemon::fs(),
        _ => Daemon::fs().arg(format!("--num-request-queues={queues}")),
    };
    let fs = fs.share(share.path()).start();
    let blk = Daemon::blk().arg("--blk-file").arg(disk.path()).start();
    let shared = Shared { socket: fs.socket().to_owned(), tag: ROOT_TAG.to_owned(), queues };
    let attached = Attached { socket: blk.socket().to_owned(), queues: 1 };

    let (shares, disks) = ([shared], [attached]);
    let mut guest = qemu.start_with_shares(&boot, accel, (&shares, &disks), Watch::Record)?;
    let to_shell = guest.wait_for_shell()?;
    let mounts = guest.shell("mount")?;
    ensure!(mounts.contains("rootfs on / type virtiofs (rw"), "{mounts}");
    work(&mut guest, share.path())?;
    guest.shell("mkdir /disk && mount -t ext4 /dev/vda /disk && cp -a /root/tree /disk/root/")?;
    guest.shell("diff -r /root/tree /disk/root/tree && umount /disk && rmdir /disk")?;
    let interrupts = interrupts_of_queues(&mut guest)?;
    ensure!(interrupts.len() == usize::from(queues), "{interrupts:?}");
    ensure!(interrupts.iter().all(|count| *count > 0), "{interrupts:?}");
    let to_end = guest.power_off()?;

    ensure!(fs.wait() == Exit::Clean, "virtiofsd ends when its front end has gone");
    ensure!(blk.sigterm().wait() == Exit::Clean);
    disk.check()?;
    let (to_shell, to_end) = (to_shell.as_secs_f32(), to_end.as_secs_f32());
    Ok(format!(
        "QEMU {} ({accel:?}): shell after {to_shell:.1} s, power-off after {to_end:.1} s",
        qemu.version()
    ))
}

fn live_in_user_mode(uml: &Uml) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let share = root(dir.path())?;
    let boot = Boot::to_share(uml.kernel().clone(), &[], dir.path())?;
    let fs = Daemon::fs().share(share.path()).args(["--tag", ROOT_TAG]).start();
    // A file system (26), as the first of the platform devices.
    let device = format!("{}:26:1", fs.socket().display());
    let mut guest = uml.start_with(&boot, &device, dir.path(), Watch::Record)?;
    let to_shell = guest.wait_for_shell()?;
    work(&mut guest, share.path())?;
    let to_end = guest.power_off()?;
    ensure!(fs.wait() == Exit::Clean, "virtiofsd ends when its front end has gone");
    let (to_shell, to_end) = (to_shell.as_secs_f32(), to_end.as_secs_f32());
    Ok(format!("User-Mode Linux: shell after {to_shell:.1} s, power-off after {to_end:.1} s"))
}

/// How many interrupts each request queue of the file system caused, on both processors.
fn interrupts_of_queues(guest: &mut Guest) -> Result<Vec<u64>> {
    let table = guest.shell(
        "taskset 1 ls -lR /bin >/dev/null; taskset 2 ls -lR /bin >/dev/null; \
                             cat /proc/interrupts",
    )?;
    let queues = table.lines().filter(|line| line.contains("-requests."));
    let counts = |line: &str| -> u64 {
        let counts = line.split_whitespace().skip(1).take(2);
        counts.filter_map(|count| count.parse::<u64>().ok()).sum()
    };
    Ok(queues.map(counts).collect())
}

fn root(dir: &Path) -> Result<Share> {
    let path = dir.join("root");
    fs::create_dir(&path)?;
    Share::create(path)
}

/// Makes, changes, moves and removes files in the guest, and finds on the host what it left.
fn work(guest: &mut Guest, root: &Path) -> Result<()> {
    guest.shell("mkdir -p tree/a/b && cd tree && echo one >a/one && ln a/one a/b/two")?;
    guest.shell("ln -s ../one a/b/link && chmod 4751 a/one && chown 7:8 a/one && mkfifo a/fifo")?;
    guest.shell("dd if=/dev/urandom of=noise bs=64k count=64 && sync && echo more >>a/b/two")?;
    guest
        .shell("cp noise copy && cmp noise copy && mv copy a/moved && truncate -s 100k a/moved")?;
    guest.shell("mkdir gone && touch gone/file && rm -r gone && cd ..")?;
    let sum = guest.shell("sha256sum <tree/noise")?;
    let listed = guest.shell("ls -ln tree/a/one")?;
    ensure!(listed.contains("-rws") || listed.starts_with("-rw"), "{listed}");

    let tree = root.join("root/tree");
    let one = fs::metadata(tree.join("a/one"))?;
    ensure!((one.uid(), one.gid(), one.nlink()) == (7, 8, 2), "{one:?}");
    ensure!(fs::read_to_string(tree.join("a/b/two"))? == "one\nmore\n");
    ensure!(fs::read_link(tree.join("a/b/link"))? == Path::new("../one"));
    ensure!(fs::metadata(tree.join("a/moved"))?.len() == 100 << 10);
    ensure!(!tree.join("gone").exists());
    let here = std::process::Command::new("sha256sum").arg(tree.join("noise")).output()?;
    ensure!(here.stdout.starts_with(sum.trim_end_matches([' ', '-']).as_bytes()), "{sum}");

    // What the host changes is seen by the guest, when what it has kept is no longer true.
    fs::write(tree.join("from the host"), "hello")?;
    guest.shell("sleep 2")?;
    ensure!(guest.shell("cat 'tree/from the host'")? == "hello");
    Ok(())
}
