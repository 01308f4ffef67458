// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The crate `virtio-driver`, which is below libblkio.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::features::{BLK_SIZE, FLUSH, INDIRECT_DESC, MQ, VERSION_1};
use vhost_user_tests::memory::GuestMemory;
use virtio_driver::{VhostUser, VirtioBlkQueue, VirtioBlkTransport};

use crate::stage::{Device, Scenario, Stage};

const FEATURES: u64 = VERSION_1 | FLUSH | MQ | BLK_SIZE | INDIRECT_DESC;

const MEMORY: usize = 1 << 20;

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![Scenario::new("virtio-driver-blk", Device::Blk, play)]
}

fn play(stage: &mut Stage) -> Result<()> {
    stage.about("front-end", "virtio-driver 0.6.1");
    stage.about("device", "blk");
    let how = "VhostUser::new, VirtioBlkQueue::setup_queues of 2 queues of 64, then map_mem_region";
    stage.about("command", how);
    let socket = stage.socket();
    let socket = socket.to_str().context("a path in UTF-8")?;
    let transport = VhostUser::new(socket, FEATURES).context("connect")?;
    let mut transport: Box<VirtioBlkTransport> = Box::new(transport);
    let mut queues: Vec<VirtioBlkQueue<'_, u64>> =
        VirtioBlkQueue::setup_queues(transport.as_mut(), 2, 64).context("set up queues")?;
    let memory = GuestMemory::new(1 << 20);
    let region = &memory.regions()[0];
    let fd = region.file().as_raw_fd();
    stage.recorder.note("map_mem_region")?;
    transport.map_mem_region(region.host_address(), MEMORY, fd, 0).context("map memory")?;
    stage.recorder.note("a flush on the first queue")?;
    queues[0].flush(1).context("queue a flush")?;
    transport.get_submission_notifier(0).notify().context("kick")?;
    let call = transport.get_completion_fd(0);
    anyhow::ensure!(Deadline::new().readable(&call), "the flush was not completed");
    stage.recorder.note("unmap_mem_region")?;
    transport.unmap_mem_region(region.host_address(), MEMORY).context("unmap memory")?;
    Ok(())
}
