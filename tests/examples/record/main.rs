// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Records the orders of messages in `tests/fixtures/orders` from running front ends.
//!
//! ```text
//! cargo run -p vhost-user-tests --example record             # the names of all there are
//! cargo run -p vhost-user-tests --example record -- qemu-7.2-blk-boot uml-net-boot
//! cargo run -p vhost-user-tests --example record -- all
//! ```
//!
//! A recording needs the front end that it is of: QEMU and User-Mode Linux as `tests/setup test`
//! installs them, DPDK's `dpdk-testpmd` with its virtio driver from the distribution. What changes
//! from one recording to the next is to be read before it is committed: a fixture says what front
//! ends do, and what the back end offered them when it was recorded.

mod dpdk;
mod driver;
mod qemu;
mod stage;
mod uml;

use std::env;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use stage::Scenario;

fn main() -> Result<()> {
    let scenarios = [qemu::scenarios(), uml::scenarios(), dpdk::scenarios(), driver::scenarios()];
    let scenarios: Vec<Scenario> = scenarios.into_iter().flatten().collect();
    let asked: Vec<String> = env::args().skip(1).collect();
    if asked.is_empty() {
        return scenarios.iter().try_for_each(|scenario| line(&scenario.name));
    }
    if let Some(unknown) = asked
        .iter()
        .find(|name| *name != "all" && !scenarios.iter().any(|scenario| scenario.name == **name))
    {
        bail!("there is no recording {unknown}");
    }
    for scenario in &scenarios {
        if asked.contains(&scenario.name) || asked.iter().any(|name| name == "all") {
            let order = scenario.record().with_context(|| format!("record {}", scenario.name))?;
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/orders");
            let path = folder.join(format!("{}.order", scenario.name));
            std::fs::write(&path, order.to_string())
                .with_context(|| format!("write {}", path.display()))?;
            line(&format!("{}: {} steps", scenario.name, order.steps.len()))?;
        }
    }
    Ok(())
}

fn line(text: &str) -> Result<()> {
    writeln!(io::stdout(), "{text}").context("write to stdout")
}
