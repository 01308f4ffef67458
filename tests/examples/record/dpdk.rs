// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! DPDK's virtio-user, a network driver in a program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::stage::{Device, Scenario, Stage};

pub(crate) fn scenarios() -> Vec<Scenario> {
    [1, 2]
        .map(|pairs| {
            let name = if pairs == 1 { "one-pair" } else { "two-pairs" };
            Scenario::new(format!("dpdk-22.11-net-{name}"), Device::Net, move |stage| {
                play(stage, pairs)
            })
        })
        .into()
}

fn play(stage: &mut Stage, pairs: u16) -> Result<()> {
    let mut version = Command::new("dpdk-testpmd");
    version.args(["-v", "-l", "0", "--no-huge", "-m", "64", "--no-pci", "--", "--help"]);
    let version = version.output().context("start dpdk-testpmd")?;
    let version = [version.stdout, version.stderr].concat();
    let version = String::from_utf8_lossy(&version);
    let version = version.split("DPDK ").nth(1).and_then(|rest| rest.split(['\'', '\n']).next());
    let version = version.context("find DPDK's version")?.to_owned();

    let mut command = Command::new("dpdk-testpmd");
    command.args(["-l", "0,1", "--no-huge", "-m", "256", "--no-pci", "--file-prefix", "record"]);
    let device = format!("net_virtio_user0,path={},queues={pairs}", stage.socket().display());
    command.arg("--vdev").arg(device);
    command.args(["--", "--total-num-mbufs=4096", "--auto-start", "--forward-mode=txonly"]);
    command.args([format!("--rxq={pairs}"), format!("--txq={pairs}")]);
    stage.about("front-end", format!("DPDK {version} (virtio-user)"));
    stage.about("device", "net");
    stage.about_command(&command);

    // It would keep to itself what it says to a pipe.
    let mut unbuffered = Command::new("stdbuf");
    unbuffered.arg("-oL").arg(command.get_program()).args(command.get_args());
    let mut command = unbuffered;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("start dpdk-testpmd")?;
    let output = child.stdout.take().context("read what dpdk-testpmd says")?;
    let mut lines = BufReader::new(output).lines();
    let started = lines.any(|line| line.is_ok_and(|line| line.contains("Press enter to exit")));
    ensure!(started, "dpdk-testpmd ended too soon");
    stage.recorder.note("it sends")?;
    let mut input = child.stdin.take().context("type to dpdk-testpmd")?;
    stage.recorder.note("enter: it ends")?;
    input.write_all(b"\n").context("type to dpdk-testpmd")?;
    lines.for_each(drop);
    let ended = child.wait().context("wait for dpdk-testpmd")?;
    ensure!(ended.success(), "dpdk-testpmd ended with {ended}");
    Ok(())
}
