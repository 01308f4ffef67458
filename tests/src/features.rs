// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Virtio features as sets of bits, to be joined with `|`.

use virtio_bindings::bindings::{virtio_blk, virtio_config, virtio_net, virtio_ring};

pub use vhost::vhost_user::message::VhostUserProtocolFeatures as Protocol;

/// VIRTIO_F_VERSION_1: not a legacy device.
pub const VERSION_1: u64 = 1 << virtio_config::VIRTIO_F_VERSION_1;
/// VIRTIO_F_INDIRECT_DESC: a descriptor may stand for a table of them.
pub const INDIRECT_DESC: u64 = 1 << virtio_ring::VIRTIO_RING_F_INDIRECT_DESC;
/// VIRTIO_F_EVENT_IDX: each side says at which index it wants to be notified.
pub const EVENT_IDX: u64 = 1 << virtio_ring::VIRTIO_RING_F_EVENT_IDX;
/// VHOST_USER_F_PROTOCOL_FEATURES: there are protocol features, and rings start disabled.
pub const PROTOCOL_FEATURES: u64 = 1 << 30;
/// VHOST_F_LOG_ALL: the back end logs what it writes.
pub const LOG_ALL: u64 = 1 << 26;

/// VIRTIO_BLK_F_SEG_MAX: the config space says how many segments a request may have.
pub const SEG_MAX: u64 = 1 << virtio_blk::VIRTIO_BLK_F_SEG_MAX;
/// VIRTIO_BLK_F_RO: the device is read-only.
pub const RO: u64 = 1 << virtio_blk::VIRTIO_BLK_F_RO;
/// VIRTIO_BLK_F_BLK_SIZE: the config space has the block size.
pub const BLK_SIZE: u64 = 1 << virtio_blk::VIRTIO_BLK_F_BLK_SIZE;
/// VIRTIO_BLK_F_FLUSH: there is a flush request.
pub const FLUSH: u64 = 1 << virtio_blk::VIRTIO_BLK_F_FLUSH;
/// VIRTIO_BLK_F_TOPOLOGY: the config space has the sizes that suit the device.
pub const TOPOLOGY: u64 = 1 << virtio_blk::VIRTIO_BLK_F_TOPOLOGY;
/// VIRTIO_BLK_F_CONFIG_WCE: the driver may say whether there is a write-back cache.
pub const CONFIG_WCE: u64 = 1 << virtio_blk::VIRTIO_BLK_F_CONFIG_WCE;
/// VIRTIO_BLK_F_DISCARD: there is a discard request.
pub const DISCARD: u64 = 1 << virtio_blk::VIRTIO_BLK_F_DISCARD;
/// VIRTIO_BLK_F_WRITE_ZEROES: there is a request for zeroes.
pub const WRITE_ZEROES: u64 = 1 << virtio_blk::VIRTIO_BLK_F_WRITE_ZEROES;
/// VIRTIO_BLK_F_MQ: the config space has the number of queues.
pub const MQ: u64 = 1 << virtio_blk::VIRTIO_BLK_F_MQ;

/// VIRTIO_NET_F_CTRL_VQ: there is a control queue, behind the last pair.
pub const CTRL_VQ: u64 = 1 << virtio_net::VIRTIO_NET_F_CTRL_VQ;
/// VIRTIO_NET_F_MQ: a network device's config space has the number of pairs of queues.
pub const NET_MQ: u64 = 1 << virtio_net::VIRTIO_NET_F_MQ;
