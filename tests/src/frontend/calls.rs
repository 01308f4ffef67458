// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One call for each message, as a front end that knows its protocol sends them.
//!
//! A `set_` call asks for an ack as soon as REPLY_ACK was negotiated, and waits for it; before that
//! it returns at once, and nobody knows whether the back end took it. SET_LOG_BASE alone is always
//! answered.

use std::os::fd::AsFd;

use vhost::vhost_user::message::{FrontendReq as Req, VhostUserMemoryRegion};

use super::connection::{Frontend, Outcome};
use super::message::{Message, VRING_F_LOG};
use crate::dirty_log::DirtyLog;
use crate::driver::Rings;
use crate::eventfd::EventFd;
use crate::features::Protocol;
use crate::memory::{GuestMemory, Region};

/// The back end refused a message and lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// The back end's word on a message.
pub type Ack = Result<(), Refused>;

/// Asking.
impl Frontend {
    /// GET_FEATURES: the virtio features that the device offers.
    #[track_caller]
    pub fn get_features(&self) -> u64 {
        self.number(Req::GET_FEATURES)
    }

    /// GET_PROTOCOL_FEATURES: the protocol features that the back end offers, named ones only.
    #[track_caller]
    pub fn get_protocol_features(&self) -> Protocol {
        Protocol::from_bits_truncate(self.number(Req::GET_PROTOCOL_FEATURES))
    }

    /// GET_QUEUE_NUM: how many queues there may be.
    #[track_caller]
    pub fn get_queue_num(&self) -> u64 {
        self.number(Req::GET_QUEUE_NUM)
    }

    /// GET_MAX_MEM_SLOTS: how many memory regions there may be.
    #[track_caller]
    pub fn get_max_mem_slots(&self) -> u64 {
        self.number(Req::GET_MAX_MEM_SLOTS)
    }

    /// GET_VRING_BASE: stops the vring; the index of the first request that it has not taken.
    #[track_caller]
    pub fn get_vring_base(&self, index: u32) -> u32 {
        let answer = self.ask(&Message::vring(Req::GET_VRING_BASE, index, 0));
        let (fields, rest) = answer.as_chunks();
        assert_eq!((fields.len(), rest.len()), (2, 0), "the answer to GET_VRING_BASE: {answer:?}");
        let [answered, base] = [0, 1].map(|i| u32::from_ne_bytes(fields[i]));
        assert_eq!(answered, index, "the vring in the answer to GET_VRING_BASE");
        base
    }

    /// GET_STATUS: the device status that was set last.
    #[track_caller]
    pub fn get_status(&self) -> u64 {
        self.number(Req::GET_STATUS)
    }

    /// GET_CONFIG: `size` bytes of the config space from `offset`; refused without bytes.
    #[track_caller]
    pub fn get_config(&self, offset: u32, size: u32) -> Result<Vec<u8>, Refused> {
        let len = usize::try_from(size).expect("the size of a config space");
        let answer = self.ask(&Message::config(Req::GET_CONFIG, offset, size, &vec![0; len]));
        if answer.is_empty() {
            return Err(Refused);
        }
        let (head, data) = answer.split_at(answer.len().min(12));
        let asked: Vec<u8> = [offset, size, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
        assert_eq!(head, asked, "the head of the answer to GET_CONFIG");
        assert_eq!(data.len(), len, "the length of the config space in the answer to GET_CONFIG");
        Ok(data.to_vec())
    }

    #[track_caller]
    fn number(&self, request: Req) -> u64 {
        let answer = self.ask(&Message::new(request));
        let number = answer.as_slice().try_into().map(u64::from_ne_bytes);
        number.unwrap_or_else(|_| panic!("the answer to {request:?}: {answer:?}"))
    }

    #[track_caller]
    fn ask(&self, message: &Message<'_>) -> Vec<u8> {
        match self.outcome(message) {
            Outcome::Answered(payload) => payload,
            other => panic!("the answer to message {}: {other:?}", message.request),
        }
    }
}

/// Telling.
impl Frontend {
    /// SET_OWNER: a session begins.
    #[track_caller]
    pub fn set_owner(&self) -> Ack {
        self.tell(Message::new(Req::SET_OWNER))
    }

    /// RESET_OWNER, which is deprecated.
    #[track_caller]
    pub fn reset_owner(&self) -> Ack {
        self.tell(Message::new(Req::RESET_OWNER))
    }

    /// RESET_DEVICE: stops every vring, and forgets all about them and the virtio features.
    #[track_caller]
    pub fn reset_device(&self) -> Ack {
        self.tell(Message::new(Req::RESET_DEVICE))
    }

    /// SET_STATUS: the device status, as the driver wrote it.
    #[track_caller]
    pub fn set_status(&self, status: u64) -> Ack {
        self.tell(Message::new(Req::SET_STATUS).u64(status))
    }

    /// SET_FEATURES: acks virtio features.
    #[track_caller]
    pub fn set_features(&mut self, features: u64) -> Ack {
        self.tell(Message::new(Req::SET_FEATURES).u64(features))?;
        self.features = features;
        Ok(())
    }

    /// SET_PROTOCOL_FEATURES: acks protocol features.
    #[track_caller]
    pub fn set_protocol_features(&mut self, features: Protocol) -> Ack {
        self.tell(Message::new(Req::SET_PROTOCOL_FEATURES).u64(features.bits()))?;
        self.acks = features.contains(Protocol::REPLY_ACK);
        Ok(())
    }

    /// SET_MEM_TABLE: all regions of `memory` and no others.
    #[track_caller]
    pub fn set_mem_table(&mut self, memory: &GuestMemory) -> Ack {
        let message = Message::mem_table(&memory.table());
        self.tell(
            memory.regions().iter().fold(message, |message, region| message.descriptor(region)),
        )?;
        self.memory = Some(memory.clone());
        Ok(())
    }

    /// ADD_MEM_REG: one region more.
    #[track_caller]
    pub fn add_mem_reg(&self, region: &Region) -> Ack {
        self.tell(Message::mem_region(Req::ADD_MEM_REG, &region.described()).descriptor(region))
    }

    /// REM_MEM_REG: one region less.
    #[track_caller]
    pub fn rem_mem_reg(&self, region: &VhostUserMemoryRegion) -> Ack {
        self.tell(Message::mem_region(Req::REM_MEM_REG, region))
    }

    /// SET_VRING_NUM: the vring has `size` descriptors.
    #[track_caller]
    pub fn set_vring_num(&self, index: u32, size: u32) -> Ack {
        self.tell(Message::vring(Req::SET_VRING_NUM, index, size))
    }

    /// SET_VRING_BASE: the index of the first request that the vring is to take.
    #[track_caller]
    pub fn set_vring_base(&self, index: u32, base: u32) -> Ack {
        self.tell(Message::vring(Req::SET_VRING_BASE, index, base))
    }

    /// SET_VRING_ADDR: where the vring is; said in user addresses, as the protocol has it.
    #[track_caller]
    pub fn set_vring_addr(&self, index: u32, rings: Rings, memory: &GuestMemory) -> Ack {
        let user = |guest| memory.user_address(guest);
        let (descriptors, used) = (user(rings.descriptors), user(rings.used));
        self.tell(Message::vring_addr(index, descriptors, used, user(rings.available)))
    }

    /// SET_VRING_ADDR with VHOST_VRING_F_LOG: what is written to the used ring is to be logged as
    /// if that ring were at the guest address `log`.
    #[track_caller]
    pub fn set_vring_addr_logged(
        &self,
        index: u32,
        rings: Rings,
        memory: &GuestMemory,
        log: u64,
    ) -> Ack {
        let user = |guest| memory.user_address(guest);
        let places = [rings.descriptors, rings.used, rings.available].map(user);
        self.tell(Message::vring_addr_logged(index, places, VRING_F_LOG, log))
    }

    /// SET_VRING_KICK: how the driver will notify the device; the vring starts.
    #[track_caller]
    pub fn set_vring_kick(&self, index: u8, kick: &impl AsFd) -> Ack {
        self.tell(Message::vring_descriptor(Req::SET_VRING_KICK, index, Some(kick)))
    }

    /// SET_VRING_KICK without a descriptor: the device is to look by itself; the vring starts.
    #[track_caller]
    pub fn set_vring_no_kick(&self, index: u8) -> Ack {
        self.tell(Message::vring_descriptor(Req::SET_VRING_KICK, index, None::<&EventFd>))
    }

    /// SET_VRING_CALL: how the device is to notify the driver.
    #[track_caller]
    pub fn set_vring_call(&self, index: u8, call: &impl AsFd) -> Ack {
        self.tell(Message::vring_descriptor(Req::SET_VRING_CALL, index, Some(call)))
    }

    /// SET_VRING_CALL without a descriptor: the driver looks by itself.
    #[track_caller]
    pub fn set_vring_no_call(&self, index: u8) -> Ack {
        self.tell(Message::vring_descriptor(Req::SET_VRING_CALL, index, None::<&EventFd>))
    }

    /// SET_VRING_ERR: how the device is to say that the vring is broken.
    #[track_caller]
    pub fn set_vring_err(&self, index: u8, err: &impl AsFd) -> Ack {
        self.tell(Message::vring_descriptor(Req::SET_VRING_ERR, index, Some(err)))
    }

    /// SET_VRING_ENABLE: whether the device may take requests from the vring.
    #[track_caller]
    pub fn set_vring_enable(&self, index: u32, enable: bool) -> Ack {
        self.tell(Message::vring(Req::SET_VRING_ENABLE, index, enable.into()))
    }

    /// SET_CONFIG: writes `data` to the config space, at `offset`, as the driver does.
    #[track_caller]
    pub fn set_config(&self, offset: u32, data: &[u8]) -> Ack {
        self.set_config_with(offset, data, 0)
    }

    /// SET_CONFIG with flags: 0 if the driver writes, 1 if a migration does.
    #[track_caller]
    pub fn set_config_with(&self, offset: u32, data: &[u8], flags: u32) -> Ack {
        let size = u32::try_from(data.len()).expect("the size of a config space");
        let message = Message::new(Req::SET_CONFIG).u32(offset).u32(size).u32(flags);
        self.tell(message.bytes(data))
    }

    /// SET_LOG_BASE: where the pages that are written are to be logged; always answered, with what
    /// was said.
    #[track_caller]
    pub fn set_log_base(&self, log: &DirtyLog) -> Ack {
        self.tell(Message::log_base(log.size(), log.offset()).descriptor(log))
    }

    /// SET_LOG_FD: how the device is to say that it has logged pages.
    #[track_caller]
    pub fn set_log_fd(&self, logged: &impl AsFd) -> Ack {
        self.tell(Message::new(Req::SET_LOG_FD).descriptor(logged))
    }

    /// SET_BACKEND_REQ_FD: the socket on which the back end may send messages of its own.
    #[track_caller]
    pub fn set_backend_req_fd(&self, channel: &impl AsFd) -> Ack {
        self.tell(Message::new(Req::SET_BACKEND_REQ_FD).descriptor(channel))
    }

    /// Sends a message that has no answer but an ack, and waits for that if there can be one.
    #[track_caller]
    pub fn tell(&self, message: Message<'_>) -> Ack {
        let message = if self.acks {
            message.need_reply()
        } else if message.request == u32::from(Req::SET_LOG_BASE) {
            message
        } else {
            self.send(&message);
            return Ok(());
        };
        match self.outcome(&message) {
            Outcome::Acked => Ok(()),
            Outcome::Refused => Err(Refused),
            Outcome::Answered(said) if message.request == u32::from(Req::SET_LOG_BASE) => {
                assert!(message.wire().ends_with(&said), "SET_LOG_BASE answered with {said:?}");
                Ok(())
            }
            other => panic!("the answer to message {}: {other:?}", message.request),
        }
    }
}
