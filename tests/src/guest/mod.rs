// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whole guests with stock kernels and stock drivers, on a disk that a back end serves.
//!
//! A [`Kernel`] (the distribution's own, or User-Mode Linux with its modules) is booted with a small
//! initramfs that loads what the disk needs. The root file system is on a [`Disk`], an image made
//! without root's rights or a mount. [`Qemu`] and [`Uml`] start a [`Guest`], whose shell is on its
//! serial console: [`Guest::shell`] types a command and returns what it printed.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! # use vhost_user_tests::guest::{Accel, Attached, Boot, Disk, Kernel, Qemu, Watch};
//! let dir = tempfile::tempdir()?;
//! let disk = Disk::create(dir.path().join("disk.img"))?;
//! // A back end serves disk.path() at this socket.
//! let attached = Attached { socket: dir.path().join("blk.sock"), queues: 2 };
//! let boot = Boot::new(Kernel::of_this_machine()?, dir.path())?;
//! let qemu = Qemu::installed()?;
//! let accel = Accel::of_this_machine(&qemu, &boot)?;
//! let mut guest = qemu.start(&boot, accel, &attached, Watch::Record)?;
//! guest.wait_for_shell()?;
//! assert_eq!(guest.shell("ls -1 /sys/block/vda/mq")?, "0\n1");
//! guest.power_off()?;
//! disk.check()?;
//! # Ok(()) }
//! ```

mod accel;
mod boot;
mod console;
mod cpio;
mod disk;
mod disk_growth;
mod disk_work;
mod kernel;
mod qemu;
mod running;
mod scratch_disk;
pub(crate) mod setup;
mod share;
mod systemd;
mod tools;
mod uml;

use std::path::PathBuf;

pub use accel::Accel;
pub use boot::Boot;
pub use console::Watch;
pub use disk::Disk;
pub use disk_growth::DiskGrowth;
pub use disk_work::DiskWork;
pub use kernel::Kernel;
pub use qemu::Qemu;
pub use running::Guest;
pub use scratch_disk::ScratchDisk;
pub use setup::{Found, required};
pub use share::{ROOT_TAG, Share, Shared};
pub use systemd::SystemdRoot;
pub use tools::Tools;
pub use uml::Uml;

/// A vhost-user-blk back end, as a guest's disk.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The socket at which the back end listens.
    pub socket: PathBuf,
    /// How many request queues the guest gets, as far as its front end has a say in it.
    pub queues: u16,
}
