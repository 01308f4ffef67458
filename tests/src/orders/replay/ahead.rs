// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a recorded session tells later on about a ring.

use vhost::vhost_user::message::FrontendReq as Req;

use crate::orders::{Payload, Side, Step};

/// Where the ring `index` stood when the recorded session next told, from the step `at` on.
pub(super) fn target(steps: &[Step], at: usize, index: u8) -> Option<u16> {
    steps[at..]
        .iter()
        .find_map(|step| match step {
            Step::Message(Side::BackEnd, it) if is(it, Req::GET_VRING_BASE, index) => {
                Some(it.u32(4))
            }
            Step::Message(Side::FrontEnd, it) if is(it, Req::SET_VRING_BASE, index) => {
                Some(it.u32(4))
            }
            _ => None,
        })
        .and_then(|position| u16::try_from(position).ok())
}

/// Whether the ring `index`, which is disabled by the step `at`, is told of again before it is
/// enabled again.
pub(super) fn ends(steps: &[Step], at: usize, index: u8) -> bool {
    let mut enabled = steps[at + 1..].iter().map_while(|step| match step {
        Step::Message(Side::FrontEnd, it) if is(it, Req::GET_VRING_BASE, index) => None,
        Step::Message(Side::FrontEnd, it) if is(it, Req::SET_VRING_ENABLE, index) => {
            Some(it.u32(4) == 1)
        }
        _ => Some(false),
    });
    !enabled.any(|enabled| enabled)
}

fn is(message: &Payload, request: Req, index: u8) -> bool {
    message.request == u32::from(request) && message.u32(0) == u32::from(index)
}
