// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! QEMU as the front end, with a stock kernel as the guest.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::running::{LIFETIME, Processes};
use super::setup::{self, Found};
use super::{Accel, Attached, Boot, Guest, Shared, Watch};

/// A QEMU program for x86-64 guests.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: PathBuf,
    /// Where it was unpacked, if it is not installed.
    unpacked: Option<PathBuf>,
    version: String,
}

impl Qemu {
    /// The QEMU that is installed.
    ///
    /// # Errors
    /// There is none.
    pub fn installed() -> Result<Self> {
        Self::at(setup::system_program("qemu-system-x86_64"), None)
    }

    /// A newer QEMU, which the set-up unpacked from the distribution's backports.
    ///
    /// # Errors
    /// The set-up has not run.
    pub fn from_backports() -> Result<Found<Self>> {
        setup::found("qemu-backports", || {
            let root = setup::dir().join("qemu-backports");
            Self::at(root.join("usr/bin/qemu-system-x86_64"), Some(root))
        })
    }

    /// The version, such as `7.2.22`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Starts a guest of two processors and 256 MiB, with `disk` as its /dev/vda.
    ///
    /// # Errors
    /// QEMU can't be started. What it complains about later is on the guest's console.
    pub fn start(&self, boot: &Boot, accel: Accel, disk: &Attached, watch: Watch) -> Result<Guest> {
        Guest::start(self.command(boot, accel, disk), Processes::One, watch, LIFETIME)
    }

    /// The command that [`Qemu::start`] starts.
    pub fn command(&self, boot: &Boot, accel: Accel, disk: &Attached) -> Command {
        let mut command = self.machine(boot, accel, "");
        attach(&mut command, "disk", disk);
        command
    }

    /// Starts the same guest with several disks, as /dev/vda, /dev/vdb and so on.
    ///
    /// # Errors
    /// QEMU can't be started.
    pub fn start_with_disks(&self, boot: &Boot, accel: Accel, disks: &[Attached]) -> Result<Guest> {
        let mut command = self.machine(boot, accel, "");
        for (number, disk) in disks.iter().enumerate() {
            attach(&mut command, &format!("disk{number}"), disk);
        }
        Guest::start(command, Processes::One, Watch::Record, LIFETIME)
    }

    /// Starts the same guest with virtio file systems, and then disks as /dev/vda and so on.
    ///
    /// # Errors
    /// QEMU can't be started.
    pub fn start_with_shares(
        &self,
        boot: &Boot,
        accel: Accel,
        (shares, disks): (&[Shared], &[Attached]),
        watch: Watch,
    ) -> Result<Guest> {
        let command = self.command_with_shares(boot, accel, (shares, disks));
        Guest::start(command, Processes::One, watch, LIFETIME)
    }

    /// The command that [`Qemu::start_with_shares`] starts.
    pub fn command_with_shares(
        &self,
        boot: &Boot,
        accel: Accel,
        (shares, disks): (&[Shared], &[Attached]),
    ) -> Command {
        let mut command = self.machine(boot, accel, "");
        for (number, Shared { socket, tag, queues }) in shares.iter().enumerate() {
            let socket = format!("socket,id=fs{number},path={}", socket.display());
            let device = format!("vhost-user-fs-pci,chardev=fs{number},tag={tag},queue-size=1024");
            let device = format!("{device},num-request-queues={queues}");
            command.args(["-chardev", &socket, "-device", &device]);
        }
        for (number, disk) in disks.iter().enumerate() {
            attach(&mut command, &format!("disk{number}"), disk);
        }
        command
    }

    /// Starts the same guest, which can be reset.
    ///
    /// # Errors
    /// QEMU can't be started.
    pub fn start_resettable(
        &self,
        boot: &Boot,
        accel: Accel,
        shares: &[Shared],
        lifetime: Duration,
    ) -> Result<Guest> {
        let command = self.command_with_shares(boot, accel, (shares, &[]));
        let mut resettable = Command::new(command.get_program());
        resettable.args(command.get_args().filter(|argument| *argument != "-no-reboot"));
        resettable.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Guest::start(resettable, Processes::One, Watch::Record, lifetime)
    }

    /// Starts the same guest, which keeps on connecting to its disk while nobody serves that, and
    /// may live for as long as `lifetime`.
    ///
    /// # Errors
    /// QEMU can't be started.
    pub fn start_reconnecting(
        &self,
        boot: &Boot,
        accel: Accel,
        disk: &Attached,
        lifetime: Duration,
    ) -> Result<Guest> {
        let mut command = self.machine(boot, accel, "");
        let socket = format!("socket,id=disk,path={}", disk.socket.display());
        command.arg("-chardev").arg(format!("{socket},{}", self.reconnect()));
        command.arg("-device");
        command.arg(format!("vhost-user-blk-pci,chardev=disk,num-queues={}", disk.queues));
        Guest::start(command, Processes::One, Watch::Record, lifetime)
    }

    /// How a socket is told to be connected to again, as soon as this version can.
    fn reconnect(&self) -> &'static str {
        let mut numbers = self.version.split('.').map_while(|number| number.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version >= (9, 2) { "reconnect-ms=100" } else { "reconnect=1" }
    }

    /// The command of the same guest without a disk, to which devices can be added.
    pub fn without_disk(&self, boot: &Boot, accel: Accel) -> Command {
        self.machine(boot, accel, "")
    }

    /// Starts a guest that only boots its kernel and ends.
    pub(super) fn probe(&self, boot: &Boot, accel: Accel, lifetime: Duration) -> Result<Guest> {
        let machine = self.machine(boot, accel, "probe");
        Guest::start(machine, Processes::One, Watch::Record, lifetime)
    }

    fn at(program: PathBuf, unpacked: Option<PathBuf>) -> Result<Self> {
        let mut qemu = Self { program, unpacked, version: String::new() };
        let said = setup::output_of(qemu.plain().arg("--version"))?;
        let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
        qemu.version = version.with_context(|| format!("find a version in {said:?}"))?.to_owned();
        Ok(qemu)
    }

    /// The program, so that it finds its libraries and firmware.
    fn plain(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.unpacked {
            command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
            for data in ["usr/share/qemu", "usr/share/seabios"] {
                command.arg("-L").arg(root.join(data));
            }
        }
        command
    }

    fn machine(&self, boot: &Boot, accel: Accel, kernel_argument: &str) -> Command {
        let mut command = self.plain();
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-machine", "q35,memory-backend=memory", "-smp", "2", "-m", "256M"]);
        command.args(["-object", "memory-backend-memfd,id=memory,size=256M,share=on"]);
        command.args(accel.arguments()).args(["-serial", "stdio"]);
        command.arg("-kernel").arg(boot.kernel().image());
        command.arg("-initrd").arg(boot.initramfs());
        // A guest that panics must end, not wait for its deadline.
        let common = "console=ttyS0 quiet panic=-1 mitigations=off";
        command.arg("-append").arg(format!("{common} {kernel_argument}").trim_end());
        command
    }
}

/// Gives the guest one disk more.
fn attach(command: &mut Command, id: &str, disk: &Attached) {
    let socket = format!("socket,id={id},path={}", disk.socket.display());
    let device = format!("vhost-user-blk-pci,chardev={id},num-queues={}", disk.queues);
    command.args(["-chardev", &socket, "-device", &device]);
}
