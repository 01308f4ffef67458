// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! QEMU, with stock guests.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use vhost::vhost_user::message::FrontendReq;
use vhost_user_tests::deadline::until;
use vhost_user_tests::guest::{Accel, Boot, Found, Guest, Kernel, Qemu, Watch};
use vhost_user_tests::orders::{Side, Step};

use crate::stage::{Device, Scenario, Stage};

/// How long a guest may live; some boot three times.
const LIFETIME: Duration = Duration::from_secs(300);

/// The guest's memory, and room for more.
const MORE_MEMORY: &str = "slots=4,maxmem=2G";

/// What happens between the guest's start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Nothing.
    Boot,
    /// The machine stops and goes on, twice.
    StopCont,
    /// The guest boots again: on its own accord, then reset from outside.
    Reboot,
    /// The machine gets more memory, and has it taken away.
    Hotplug,
    /// The back end goes away, and comes again.
    Reconnect,
    /// The disk grows, and the daemon says so.
    Resize,
    /// The machine's state is written to a file, which is called off; then once more, to the end,
    /// and the machine goes on after all.
    Migrate,
}

const ACTS: [(Act, &str); 7] = [
    (Act::Boot, "boot"),
    (Act::StopCont, "stop-cont"),
    (Act::Reboot, "reboot"),
    (Act::Hotplug, "memory-hotplug"),
    (Act::Reconnect, "reconnect"),
    (Act::Resize, "resize"),
    (Act::Migrate, "migrate"),
];

/// Brings a migration to its end.
const FAST: &str = "migrate_set_parameter max-bandwidth 10G";

type Find = fn() -> Result<Qemu>;

const VERSIONS: [(&str, Find); 2] = [("7.2", Qemu::installed), ("10.0", newer)];

fn newer() -> Result<Qemu> {
    match Qemu::from_backports()? {
        Found::Here(qemu) => Ok(qemu),
        Found::NotHad(why) => bail!("{why}"),
    }
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (version, find) in VERSIONS {
        for device in Device::ALL {
            for (act, name) in ACTS {
                // A vhost-user-fs-pci of QEMU neither reconnects nor migrates without its state.
                let without = match act {
                    Act::Resize => device != Device::Blk,
                    Act::Reconnect | Act::Migrate => device == Device::Fs,
                    _ => false,
                };
                if without {
                    continue;
                }
                let name = format!("qemu-{version}-{}-{name}", device.name());
                scenarios.push(Scenario::new(name, device, move |stage| play(stage, find, act)));
            }
        }
    }
    scenarios
}

fn play(stage: &mut Stage, find: Find, act: Act) -> Result<()> {
    let qemu = find()?;
    let modules: &[&str] = match stage.device {
        Device::Blk => &[],
        Device::Net => &["virtio_pci", "virtio_net"],
        Device::Fs => &["virtio_pci", "virtiofs"],
    };
    let kernel = Kernel::of_this_machine()?;
    let boot = match stage.device {
        Device::Blk => Boot::new(kernel, stage.dir.path())?,
        _ => Boot::without_disk(kernel, modules, stage.dir.path())?,
    };
    let accel = Accel::of_this_machine(&qemu, &boot)?;
    let mut command = qemu.without_disk(&boot, accel);
    let monitor = stage.dir.path().join("monitor.sock");
    add_device(&mut command, stage, act);
    command.arg("-monitor").arg(format!("unix:{},server=on,wait=off", monitor.display()));
    if act == Act::Hotplug {
        command.args(["-m", MORE_MEMORY]);
    }
    if act == Act::Reboot {
        command.args(["-action", "reboot=reset"]);
    }
    stage.about("front-end", format!("QEMU {}", qemu.version()));
    stage.about("device", stage.device.name());
    stage.about("guest", format!("Linux {}, {accel:?}", boot.kernel().release()));
    stage.about_command(&command);

    let mut guest = Guest::of(command, Watch::Record, LIFETIME)?;
    guest.wait_for_shell()?;
    stage.recorder.note("the guest's shell is there")?;
    work(&mut guest, stage.device)?;
    let mut monitor = Monitor::connect(&monitor)?;
    perform(act, stage, &mut guest, &mut monitor)?;
    stage.recorder.note("guest: poweroff")?;
    guest.power_off()?;
    Ok(())
}

fn add_device(command: &mut Command, stage: &Stage, act: Act) {
    let reconnect = if act == Act::Reconnect { ",reconnect=1" } else { "" };
    let socket = stage.socket();
    command.arg("-chardev");
    command.arg(format!("socket,id=back,path={}{reconnect}", socket.display()));
    match stage.device {
        Device::Blk => {
            command.args(["-device", "vhost-user-blk-pci,chardev=back,num-queues=2"]);
        }
        Device::Net => {
            command.args(["-netdev", "vhost-user,id=net,chardev=back,queues=2"]);
            // Without KVM, QEMU crashes when the guest masks a vector of this device.
            let device = "virtio-net-pci,netdev=net,mq=on,vectors=0,rombar=0,romfile=";
            command.args(["-device", device]);
        }
        Device::Fs => {
            let device = "vhost-user-fs-pci,chardev=back,tag=stub,num-request-queues=2";
            command.args(["-device", device]);
        }
    }
}

/// Has the guest use the device a little.
fn work(guest: &mut Guest, device: Device) -> Result<()> {
    match device {
        Device::Blk => {
            guest.shell("dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null")?;
        }
        Device::Net => {
            guest.shell("ip link set eth0 up && ip address replace 10.0.0.1/24 dev eth0")?;
            guest.shell("ping -c 1 -w 1 10.0.0.2 >/dev/null || true")?;
        }
        Device::Fs => {
            guest
                .shell("mount -t virtiofs stub /mnt 2>/dev/null; umount /mnt 2>/dev/null; true")?;
        }
    }
    Ok(())
}

fn perform(act: Act, stage: &Stage, guest: &mut Guest, monitor: &mut Monitor) -> Result<()> {
    let recorder = &stage.recorder;
    let mut told = |command: &str| {
        recorder.note(&format!("monitor: {command}"))?;
        monitor.say(command)
    };
    match act {
        Act::Boot => {}
        Act::StopCont => {
            for command in ["stop", "cont", "stop", "cont"] {
                told(command)?;
            }
        }
        Act::Reboot => {
            recorder.note("guest: reboot")?;
            guest.shell("reboot; sleep 60")?;
            work(guest, stage.device)?;
            guest.shell_after(|| told("system_reset").map(drop))?;
        }
        Act::Hotplug => {
            told("object_add memory-backend-memfd,id=more,size=128M,share=on")?;
            told("device_add pc-dimm,id=dimm,memdev=more")?;
            // The guest has to look at it before it can let go of it again.
            let seen = "until grep -q . /sys/bus/acpi/devices/PNP0C80:*/status; do sleep 1; done";
            guest.shell(seen)?;
            work(guest, stage.device)?;
            told("device_del dimm")?;
            until("the memory to go", || {
                let gone = monitor.say("info memory-devices").ok()?;
                (!gone.contains("dimm")).then_some(())
            });
        }
        Act::Reconnect => {
            let before = starts(&recorder.steps());
            recorder.disconnect()?;
            until("the front end to come again", || {
                (starts(&recorder.steps()) > before).then_some(())
            });
        }
        Act::Resize => {
            recorder.note("the disk grows by 1 MiB, and the daemon looks")?;
            stage.grow_disk()?;
            until("the guest to know", || {
                let sectors = guest.shell("cat /sys/block/vda/size").ok()?;
                (sectors == (193 << 20 >> 9).to_string()).then_some(())
            });
        }
        Act::Migrate => return migrate(stage, guest, monitor),
    }
    work(guest, stage.device)
}

/// Slowly first, so that the guest works while it is being migrated.
fn migrate(stage: &Stage, guest: &mut Guest, monitor: &mut Monitor) -> Result<()> {
    let recorder = &stage.recorder;
    for (end, status) in [("migrate_cancel", "cancelled"), (FAST, "completed")] {
        monitor.say("migrate_set_parameter max-bandwidth 1M")?;
        recorder.note("monitor: migrate -d \"exec:cat >/dev/null\"")?;
        monitor.say("migrate -d \"exec:cat >/dev/null\"")?;
        until("the migration to begin", || {
            let said = monitor.say("info migrate").ok()?;
            said.contains("Migration status: active").then_some(())
        });
        work(guest, stage.device)?;
        recorder.note(&format!("the guest has worked; monitor: {end}"))?;
        monitor.say(end)?;
        until("the migration to end", || {
            let said = monitor.say("info migrate").ok()?;
            said.contains(&format!("Migration status: {status}")).then_some(())
        });
        if status == "cancelled" {
            work(guest, stage.device)?;
            recorder.note("the guest has worked")?;
        }
    }
    recorder.note("monitor: cont")?;
    monitor.say("cont")?;
    work(guest, stage.device)
}

/// How many times a ring was started.
fn starts(steps: &[Step]) -> usize {
    let starts = |step: &&Step| match step {
        Step::Message(Side::FrontEnd, message) => {
            message.request == u32::from(FrontendReq::SET_VRING_KICK)
        }
        _ => false,
    };
    steps.iter().filter(starts).count()
}

/// QEMU's monitor for people.
struct Monitor(UnixStream);

impl Monitor {
    fn connect(path: &Path) -> Result<Self> {
        let socket = UnixStream::connect(path).context("connect to the monitor")?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).context("set a time limit")?;
        let mut monitor = Self(socket);
        monitor.answer()?;
        Ok(monitor)
    }

    /// Says `command` and returns what is said to it, with its echo.
    fn say(&mut self, command: &str) -> Result<String> {
        writeln!(self.0, "{command}").with_context(|| format!("tell the monitor {command}"))?;
        let said = self.answer()?;
        for complaint in ["Error:", "unknown command", "not found", "can't"] {
            if said.contains(complaint) {
                bail!("the monitor does not like `{command}`: {said}");
            }
        }
        Ok(said)
    }

    fn answer(&mut self) -> Result<String> {
        let (mut said, mut byte) = (Vec::new(), [0]);
        while !said.ends_with(b"(qemu) ") {
            self.0.read_exact(&mut byte).context("read what the monitor says")?;
            said.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}
