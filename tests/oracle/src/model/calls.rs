// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The model as the `vhost` crate calls it: one function for each message that it knows.

use std::fs::File;

use vhost::vhost_user::message::{
    VhostTransferStateDirection, VhostTransferStatePhase, VhostUserConfigFlags, VhostUserInflight,
    VhostUserLog, VhostUserMemoryRegion, VhostUserProtocolFeatures, VhostUserShMemConfig,
    VhostUserSharedMsg, VhostUserSingleMemoryRegion, VhostUserVringAddrFlags, VhostUserVringState,
};
use vhost::vhost_user::{GpuBackend, Result, VhostUserBackendReqHandlerMut};

use super::memory::{Memory, can_be_mapped};
use super::rings::{Ring, can_notify};
use super::{Model, inflight, refused, refused_to_driver};
use crate::device::{CONFIG, OFFERED, OFFERED_PROTOCOL, QUEUES, WRITABLE};

/// How many regions there may be: what libvhost-user says too.
const MAX_MEM_SLOTS: u64 = 509;

impl VhostUserBackendReqHandlerMut for Model {
    fn set_owner(&mut self) -> Result<()> {
        Ok(())
    }

    fn reset_owner(&mut self) -> Result<()> {
        Ok(())
    }

    fn reset_device(&mut self) -> Result<()> {
        self.rings = [Ring::default(), Ring::default()];
        Ok(())
    }

    fn get_features(&mut self) -> Result<u64> {
        Ok(OFFERED)
    }

    fn set_features(&mut self, features: u64) -> Result<()> {
        if features & !OFFERED == 0 { Ok(()) } else { Err(refused("not offered")) }
    }

    fn set_mem_table(
        &mut self,
        regions: &[VhostUserMemoryRegion],
        files: Vec<File>,
        _postcopy: Option<bool>,
    ) -> Result<Option<Vec<u64>>> {
        self.memory = Memory::of(regions, &files)?;
        self.look_for_rings();
        Ok(None)
    }

    fn set_vring_num(&mut self, index: u32, num: u32) -> Result<()> {
        self.ring(index)?.set_size(num)
    }

    fn set_vring_addr(
        &mut self,
        index: u32,
        _flags: VhostUserVringAddrFlags,
        descriptors: u64,
        used: u64,
        available: u64,
        _log: u64,
    ) -> Result<()> {
        self.ring(index)?.set_parts([descriptors, available, used]);
        self.look_for_rings();
        Ok(())
    }

    fn set_vring_base(&mut self, index: u32, base: u32) -> Result<()> {
        self.ring(index)?.set_base(base)
    }

    fn get_vring_base(&mut self, index: u32) -> Result<VhostUserVringState> {
        let base = self.ring(index)?.stop();
        Ok(VhostUserVringState::new(index, base))
    }

    fn set_vring_kick(&mut self, index: u8, fd: Option<File>) -> Result<()> {
        can_notify(fd.as_ref())?;
        let inflight = self.inflight.and_then(|shape| shape.for_queue(index.into()));
        self.ring(index.into())?.start(inflight)?;
        self.look_for_rings();
        Ok(())
    }

    fn set_vring_call(&mut self, index: u8, fd: Option<File>) -> Result<()> {
        can_notify(fd.as_ref())?;
        self.ring(index.into()).map(drop)
    }

    fn set_vring_err(&mut self, index: u8, fd: Option<File>) -> Result<()> {
        can_notify(fd.as_ref())?;
        self.ring(index.into()).map(drop)
    }

    fn get_protocol_features(&mut self) -> Result<VhostUserProtocolFeatures> {
        Ok(OFFERED_PROTOCOL)
    }

    fn set_protocol_features(&mut self, features: u64) -> Result<()> {
        if features & !OFFERED_PROTOCOL.bits() == 0 { Ok(()) } else { Err(refused("not offered")) }
    }

    fn get_queue_num(&mut self) -> Result<u64> {
        Ok(QUEUES.into())
    }

    fn set_vring_enable(&mut self, index: u32, _enable: bool) -> Result<()> {
        self.ring(index).map(drop)
    }

    fn get_config(&mut self, offset: u32, size: u32, _: VhostUserConfigFlags) -> Result<Vec<u8>> {
        let byte = |at: u32| usize::try_from(at).ok().and_then(|at| CONFIG.get(at).copied());
        Ok((offset..offset + size).map(|at| byte(at).unwrap_or(0)).collect())
    }

    fn set_config(&mut self, offset: u32, data: &[u8], flags: VhostUserConfigFlags) -> Result<()> {
        // 0 is the driver, 1 a migration; there is no 2, whatever `vhost` calls it.
        if flags.contains(VhostUserConfigFlags::LIVE_MIGRATION) {
            return Err(refused("unknown flags"));
        }
        if (offset, data.len()) == WRITABLE {
            Ok(())
        } else {
            Err(refused_to_driver("is read-only"))
        }
    }

    fn set_gpu_socket(&mut self, _socket: GpuBackend) -> Result<()> {
        Err(refused("not offered"))
    }

    fn get_shared_object(&mut self, _: VhostUserSharedMsg) -> Result<File> {
        Err(refused("not offered"))
    }

    fn get_inflight_fd(&mut self, said: &VhostUserInflight) -> Result<(VhostUserInflight, File)> {
        inflight::new(said)
    }

    fn set_inflight_fd(&mut self, said: &VhostUserInflight, file: File) -> Result<()> {
        self.inflight = Some(inflight::take(said, &file)?);
        Ok(())
    }

    fn get_max_mem_slots(&mut self) -> Result<u64> {
        Ok(MAX_MEM_SLOTS)
    }

    fn add_mem_region(
        &mut self,
        region: &VhostUserSingleMemoryRegion,
        fd: File,
        _postcopy: Option<bool>,
    ) -> Result<Option<u64>> {
        self.memory.add(region, &fd)?;
        self.look_for_rings();
        Ok(None)
    }

    fn remove_mem_region(&mut self, region: &VhostUserSingleMemoryRegion) -> Result<()> {
        self.memory.remove(region)
    }

    fn set_device_state_fd(
        &mut self,
        _direction: VhostTransferStateDirection,
        _phase: VhostTransferStatePhase,
        _fd: File,
    ) -> Result<Option<File>> {
        Err(refused("not offered"))
    }

    fn check_device_state(&mut self) -> Result<()> {
        Err(refused("not offered"))
    }

    fn get_shmem_config(&mut self) -> Result<VhostUserShMemConfig> {
        Err(refused("not offered"))
    }

    fn set_log_base(&mut self, log: &VhostUserLog, file: File) -> Result<()> {
        can_be_mapped(&file, log.mmap_offset, log.mmap_size)
    }
}
