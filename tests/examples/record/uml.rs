// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! User-Mode Linux.

use anyhow::{Result, bail};
use vhost_user_tests::guest::{Boot, Found, Uml, Watch};

use crate::stage::{Device, Scenario, Stage};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let of = |device: Device| Scenario::new(format!("uml-{}-boot", device.name()), device, play);
    Device::ALL.into_iter().map(of).collect()
}

fn play(stage: &mut Stage) -> Result<()> {
    let uml = match Uml::installed()? {
        Found::Here(uml) => uml,
        Found::NotHad(why) => bail!("{why}"),
    };
    let kernel = uml.kernel().clone();
    // The types of the devices, as virtio 1.3 numbers them in section 5.
    let (boot, number) = match stage.device {
        Device::Blk => (Boot::new(kernel, stage.dir.path())?, 2),
        Device::Net => (Boot::without_disk(kernel, &["virtio_net"], stage.dir.path())?, 1),
        Device::Fs => (Boot::without_disk(kernel, &["virtiofs"], stage.dir.path())?, 26),
    };
    let device = format!("{}:{number}:1", stage.socket().display());
    stage.about("front-end", format!("User-Mode Linux {}", uml.kernel().release()));
    stage.about("device", stage.device.name());
    stage.about_command(&uml.command(&boot, &device, stage.dir.path()));

    let mut guest = uml.start_with(&boot, &device, stage.dir.path(), Watch::Record)?;
    guest.wait_for_shell()?;
    stage.recorder.note("the guest's shell is there")?;
    match stage.device {
        Device::Blk => guest.shell("dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null")?,
        Device::Net => {
            guest.shell("ip link set eth0 up && ip address replace 10.0.0.1/24 dev eth0")?;
            guest.shell("ping -c 1 -w 1 10.0.0.2 >/dev/null || true")?
        }
        Device::Fs => guest.shell("mount -t virtiofs stub /mnt; umount /mnt; true")?,
    };
    stage.recorder.note("guest: poweroff")?;
    guest.power_off()?;
    Ok(())
}
