// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A network device (virtio 1.3, section 5.1).

use vhost_user_device::{Request, VirtioFeatures};
use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MAC, VIRTIO_NET_F_MQ, VIRTIO_NET_F_MRG_RXBUF,
    VIRTIO_NET_F_STATUS,
};

use crate::stub::Role;

/// Pairs of a receive queue and a transmit queue.
const PAIRS: u16 = 4;

/// The pairs, and the control queue behind them.
pub(crate) const QUEUES: u16 = 2 * PAIRS + 1;

/// A locally administered address.
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

pub(crate) fn features() -> VirtioFeatures {
    VirtioFeatures::default()
        .with(VIRTIO_NET_F_MAC)
        .with(VIRTIO_NET_F_MRG_RXBUF)
        .with(VIRTIO_NET_F_STATUS)
        .with(VIRTIO_NET_F_CTRL_VQ)
        .with(VIRTIO_NET_F_MQ)
}

/// `virtio_net_config`: address, status (the link is up), pairs.
pub(crate) fn config_space() -> Vec<u8> {
    let mut space = MAC.to_vec();
    space.extend(1_u16.to_le_bytes());
    space.extend(PAIRS.to_le_bytes());
    space
}

/// What the queue `index` is for. The control queue is behind all pairs that a driver may use:
/// one if it does not know of more.
pub(crate) fn role(index: u16, acked: VirtioFeatures) -> Role {
    let pairs = if acked.has(VIRTIO_NET_F_MQ) { PAIRS } else { 1 };
    match index {
        index if acked.has(VIRTIO_NET_F_CTRL_VQ) && index == 2 * pairs => Role::Control,
        index if index % 2 == 0 => Role::Receive,
        _ => Role::Transmit,
    }
}

/// Answers a command with VIRTIO_NET_OK, whatever it is; returns how many bytes that is.
pub(crate) fn ack(request: &Request) -> u32 {
    const VIRTIO_NET_OK: u8 = 0;
    let writable = request.writable();
    let last = writable.len().checked_sub(1);
    last.and_then(|last| writable.write(last, &[VIRTIO_NET_OK]).ok()).map_or(0, |()| 1)
}
