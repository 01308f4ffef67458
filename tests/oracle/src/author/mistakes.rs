// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What no front end should say.

use vhost::vhost_user::message::FrontendReq;

use crate::link::MAX_DESCRIPTORS;
use crate::random::Random;
use crate::said::{Kind, REPLY, Said, VERSION};

/// A payload that is too long for any message.
const TOO_LONG: usize = 4097;

/// Spoils a message in one way.
pub(super) fn spoil(said: &mut Said, random: &mut Random) {
    if said.is(FrontendReq::SET_MEM_TABLE) && random.one_in(4) {
        said.flags |= REPLY;
        return;
    }
    match random.below(12) {
        0 | 1 => said.payload.truncate(random.below(said.payload.len() + 1)),
        2 | 3 => said.payload.extend(vec![0; random.pick(&[1, 4, 8, 200])]),
        4 => drop(said.with.pop()),
        5 | 6 => said.with.push(any_kind(random)),
        7 if !said.with.is_empty() => {
            let at = random.below(said.with.len());
            said.with[at] = any_kind(random);
        }
        7 => said.with = vec![Kind::Event; random.pick(&[2, 8, MAX_DESCRIPTORS])],
        8 => said.flags = random.pick(&[0, 2, 3, VERSION | REPLY]),
        9 => said.flags |= random.pick(&[0x10, 0x8000_0000]),
        10 if !said.payload.is_empty() => {
            let at = random.below(said.payload.len());
            said.payload[at] ^= 1 << random.below(8);
        }
        10 => said.payload = vec![0; 12],
        _ => said.payload.resize(TOO_LONG, 0),
    }
}

fn any_kind(random: &mut Random) -> Kind {
    random.pick(&[
        Kind::Memory(0x1000),
        Kind::Event,
        Kind::Pipe,
        Kind::Socket,
        Kind::Datagrams,
        Kind::Null,
    ])
}
