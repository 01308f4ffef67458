// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whether QEMU may use the host's processor for its guests.

use std::env;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Boot, Qemu, setup};

/// How long a kernel may take to boot under a KVM that is worth using.
const PROBE: Duration = Duration::from_secs(10);

/// What runs the guest's processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// The host's processor.
    Kvm,
    /// QEMU's emulation, which works everywhere.
    Tcg,
}

impl Accel {
    /// What `GUEST_ACCEL` in the environment says (`kvm` or `tcg`); without it, KVM if a kernel
    /// boots under it. A device that opens is no proof of that: the answer is tried out, once
    /// since the host's start, and kept with the set-up of the guests.
    ///
    /// # Errors
    /// The environment says something else, or the answer can't be kept.
    pub fn of_this_machine(qemu: &Qemu, boot: &Boot) -> Result<Self> {
        match env::var("GUEST_ACCEL").as_deref() {
            Ok("kvm") => return Ok(Self::Kvm),
            Ok("tcg") => return Ok(Self::Tcg),
            Ok(other) => bail!("GUEST_ACCEL={other}: it is kvm or tcg"),
            Err(_) => {}
        }
        let kvm = fs::File::options().read(true).write(true).open("/dev/kvm");
        if kvm.is_err() {
            return Ok(Self::Tcg);
        }
        let kept = setup::dir().join("kvm-boots");
        let this_boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .context("read the id of the host's boot")?;
        let known = fs::read_to_string(&kept).unwrap_or_default();
        let boots = match known.strip_suffix(&this_boot) {
            Some(answer) => answer == "yes ",
            None => {
                let boots = boots_under_kvm(qemu, boot);
                let answer = if boots { "yes" } else { "no" };
                fs::create_dir_all(setup::dir())
                    .and_then(|()| fs::write(&kept, format!("{answer} {this_boot}")))
                    .with_context(|| format!("write {}", kept.display()))?;
                boots
            }
        };
        Ok(if boots { Self::Kvm } else { Self::Tcg })
    }

    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => &["-accel", "tcg,thread=multi"],
        }
    }
}

/// Whether a kernel gets as far as its initramfs and from there to its end.
fn boots_under_kvm(qemu: &Qemu, boot: &Boot) -> bool {
    let probe = qemu.probe(boot, Accel::Kvm, PROBE);
    probe.is_ok_and(|mut guest| {
        guest.wait_for_end().is_ok() && guest.transcript().contains("initramfs: up")
    })
}
