// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! User-Mode Linux on a root disk of ours.

use anyhow::Result;
use vhost_user_tests::daemon::{Daemon, Exit};
use vhost_user_tests::guest::{Attached, Boot, Disk, DiskGrowth, DiskWork, Uml, Watch, required};

#[test]
fn guest_of_user_mode_linux_works_on_a_disk() {
    if let Some(uml) = required("User-Mode Linux", Uml::installed()) {
        println!("{}", work_on_a_disk(&uml).unwrap());
    }
}

/// Boots from the disk, works on it, powers off, looks at the image. Returns what was read, and
/// how long it took.
fn work_on_a_disk(uml: &Uml) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let disk = Disk::create(dir.path().join("disk.img"))?;
    let boot = Boot::new(uml.kernel().clone(), dir.path())?;
    let daemon = Daemon::blk().arg("--blk-file").arg(disk.path()).start();
    let attached = Attached { socket: daemon.socket().to_owned(), queues: 1 };

    let mut guest = uml.start(&boot, &attached, dir.path(), Watch::Record)?;
    let to_shell = guest.wait_for_shell()?;
    let mounts = guest.shell("mount")?;
    assert!(mounts.contains("/dev/vda on / type ext4 (rw"), "{mounts}");
    let work = DiskWork::run(&mut guest, &disk, 1)?;
    let growth = DiskGrowth::run(&mut guest, &daemon, &disk)?;
    let to_end = guest.power_off()?;

    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    work.check(&disk)?;
    disk.check()?;
    growth.check(&disk)?;
    let (to_shell, to_end) = (to_shell.as_secs_f32(), to_end.as_secs_f32());
    let release = uml.kernel().release();
    Ok(format!(
        "{work}User-Mode Linux {release}: shell after {to_shell:.1} s, power-off after {to_end:.1} s"
    ))
}
