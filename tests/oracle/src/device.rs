// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The device that both back ends say they are.

use vhost::vhost_user::message::VhostUserProtocolFeatures as Protocol;

/// The features of its type: two bits that mean nothing here.
pub const FEATURES: u64 = 1 << 5 | 1 << 9;

/// All features: with VERSION_1, PROTOCOL_FEATURES, EVENT_IDX, INDIRECT_DESC and LOG_ALL.
pub const OFFERED: u64 = FEATURES | 1 << 32 | 1 << 30 | 1 << 29 | 1 << 28 | 1 << 26;

/// VHOST_USER_F_PROTOCOL_FEATURES.
pub const PROTOCOL_FEATURES: u64 = 1 << 30;

/// The protocol features.
pub const OFFERED_PROTOCOL: Protocol = Protocol::MQ
    .union(Protocol::LOG_SHMFD)
    .union(Protocol::REPLY_ACK)
    .union(Protocol::BACKEND_REQ)
    .union(Protocol::CONFIG)
    .union(Protocol::INFLIGHT_SHMFD)
    .union(Protocol::RESET_DEVICE)
    .union(Protocol::CONFIGURE_MEM_SLOTS)
    .union(Protocol::STATUS);

/// How many queues it has.
pub const QUEUES: u16 = 2;

/// The longest queue.
pub const LONGEST: u16 = 256;

/// The config space.
pub const CONFIG: [u8; 8] = *b"a config";

/// Offset and length of the only write to the config space that it takes.
pub const WRITABLE: (u32, usize) = (4, 1);
