// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which numbers the payload of a message is made of, so that people can read it.

use vhost::vhost_user::message::FrontendReq as Req;

use super::{Payload, Side};

/// One part of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A number of so many bytes: 2, 4 or 8.
    Number(usize),
    /// A number of 8 bytes that is another one in each run: an address of the front end's process.
    Address,
    /// The rest begins on a line of its own.
    Line,
}

use Field::{Address, Line, Number};

/// A memory region: guest address, size, user address, offset in its file.
const REGION: [Field; 5] = [Line, Number(8), Number(8), Address, Number(8)];

/// The parts at the beginning of a message's payload; what is behind them has no structure.
pub(super) fn of(side: Side, message: &Payload) -> Vec<Field> {
    let Ok(request) = Req::try_from(message.request) else { return Vec::new() };
    match (side, request) {
        (Side::BackEnd, Req::GET_VRING_BASE) => vec![Number(4), Number(4)],
        (_, Req::GET_CONFIG | Req::SET_CONFIG) if message.bytes.len() > 8 => vec![Number(4); 3],
        (_, Req::GET_INFLIGHT_FD) => in_flight(),
        (Side::BackEnd, _) => vec![Number(8)],
        (Side::FrontEnd, request) => of_request(request, message),
    }
}

fn of_request(request: Req, message: &Payload) -> Vec<Field> {
    match request {
        Req::SET_FEATURES
        | Req::SET_PROTOCOL_FEATURES
        | Req::SET_VRING_KICK
        | Req::SET_VRING_CALL
        | Req::SET_VRING_ERR
        | Req::SET_STATUS
        | Req::NET_SET_MTU => vec![Number(8)],
        Req::SET_VRING_NUM | Req::SET_VRING_BASE | Req::GET_VRING_BASE | Req::SET_VRING_ENABLE => {
            vec![Number(4); 2]
        }
        Req::SET_VRING_ADDR => {
            vec![Number(4), Number(4), Address, Address, Address, Number(8)]
        }
        Req::SET_LOG_BASE => vec![Number(8); 2],
        Req::SET_INFLIGHT_FD => in_flight(),
        Req::ADD_MEM_REG | Req::REM_MEM_REG => [vec![Number(8)], REGION[1..].to_vec()].concat(),
        Req::SET_MEM_TABLE => {
            let regions = usize::try_from(message.u32(0)).unwrap_or(0).min(64);
            [vec![Number(4); 2], REGION.repeat(regions)].concat()
        }
        _ => Vec::new(),
    }
}

/// Size and offset of the region, number of queues, size of a queue.
fn in_flight() -> Vec<Field> {
    vec![Number(8), Number(8), Number(2), Number(2)]
}
