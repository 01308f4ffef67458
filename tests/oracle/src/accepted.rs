// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The differences between our session and `vhost` 0.18 that are meant, a line for each.
//!
//! Functions in quotation marks are in that crate's `src/vhost_user/backend_req_handler.rs`, unless
//! another file of `src/vhost_user` is named; sections are the vhost-user specification's.

use vhost::vhost_user::message::{FrontendReq as Req, VhostUserProtocolFeatures as Protocol};

use crate::compare::Case;
use crate::link::Ending::{Closed, One, Reply, Silent};
use crate::said::{Kind, REPLY};

/// A difference that is meant.
#[derive(Debug)]
pub struct Accepted {
    /// Which one it is.
    pub when: fn(&Case<'_>) -> bool,
    /// Why it is meant, and where that is written.
    pub why: &'static str,
}

const fn accepted(when: fn(&Case<'_>) -> bool, why: &'static str) -> Accepted {
    Accepted { when, why }
}

/// All of them; the first one that it is counts.
#[rustfmt::skip]
pub const ACCEPTED: &[Accepted] = &[
    // Framing.
    accepted(|it| it.only_ours_goes_on() && it.said.flags & !0xf != 0, "flags that are reserved: theirs wants them zero (message.rs, `VhostUserMsgHeader::is_valid`); ours leaves room for later versions of the protocol"),
    accepted(|it| it.only_ours_goes_on() && !it.said.with.is_empty() && takes_no_descriptor(it), "descriptors that nobody asked for: theirs ends the connection (`check_attached_files`); ours closes them"),
    accepted(|it| it.went(Closed, One) && it.said.flags & REPLY != 0, "a reply where a request should be: theirs refuses SET_MEM_TABLE, among others, aloud (`set_mem_table`); ours knows nothing to do but to end the connection"),
    accepted(|it| it.only_ours_goes_on() && is_unknown(it), "a number that is no message: theirs ends the connection (message.rs, `VhostUserMsgHeader::is_valid`); ours refuses it, so that later front ends can try"),
    accepted(|it| it.only_ours_goes_on() && of_neither(it), "a message that neither serves: theirs ends the connection (`handle_request`, last arm); ours refuses it"),
    accepted(|it| matches!(it.ours.ending(), One | Silent) && of_theirs(it), "a message for a protocol feature that is not offered: theirs answers some of them nevertheless (`handle_request`); ours refuses it"),
    accepted(|it| (it.only_ours_took() || it.only_ours_refused_aloud()) && has_more(it), "a payload that is longer than the message: theirs refuses it (`check_request_size`); ours takes no notice, for User-Mode Linux pads SET_MEM_TABLE"),

    // Acks.
    accepted(|it| it.only_ours_was_heard() && !it.known.asked, "acks before GET_FEATURES: theirs does not know what it offers before it was asked (`update_reply_ack_flag`); ours acks as soon as REPLY_ACK is negotiated (section \"Communication\")"),
    accepted(|it| it.is(Req::SET_PROTOCOL_FEATURES) && it.went(One, Closed) && it.known.asked && !it.says(Protocol::REPLY_ACK), "protocol features that are refused: theirs stores them nevertheless, and with them that no ack is wanted (`handle_request`); ours goes on with those before"),
    accepted(|it| it.is(Req::SET_PROTOCOL_FEATURES) && it.went(Closed, One) && it.says(Protocol::REPLY_ACK), "the same, when they are the first to want acks"),

    // Negotiation.
    accepted(|it| it.is(Req::SET_VRING_ENABLE) && it.only_ours_goes_on() && !it.they_have_protocol_features(), "SET_VRING_ENABLE before SET_FEATURES: theirs ends the connection (`check_feature`); QEMU's network front end says them in this order"),
    accepted(|it| it.only_ours_goes_on() && is_not_negotiated(it), "a message for a protocol feature that was offered, but not acked: theirs ends the connection (`check_proto_feature`); ours serves it"),
    accepted(|it| it.only_ours_goes_on() && (it.is(Req::GET_STATUS) || it.is(Req::SET_STATUS)), "the device status: theirs does not know it (`handle_request`); QEMU 7.2 says it as soon as STATUS is acked"),
    accepted(|it| it.only_ours_goes_on() && it.is(Req::SET_LOG_FD), "SET_LOG_FD: theirs does not know it (`handle_request`); QEMU says it when a migration begins"),

    // Payloads and descriptors that do not fit.
    accepted(|it| it.only_ours_refused_aloud() && has_less(it), "a payload that is too short: theirs ends the connection (`extract_request_body`); ours refuses the message"),
    accepted(|it| it.only_ours_goes_on() && is_vring_fd(it) && it.said.u64_at(0) & 1 << 8 != 0, "a descriptor with word that there is none: theirs ends the connection (`handle_vring_fd_request`); ours closes it"),
    accepted(|it| it.only_ours_refused_aloud() && takes_one_descriptor(it) && it.said.with.len() != 1, "no descriptor, or too many: theirs ends the connection (`take_single_file`); ours refuses the message"),
    accepted(|it| it.is(Req::SET_BACKEND_REQ_FD) && it.only_ours_took() && it.said.with == [Kind::Datagrams], "a socket for datagrams: theirs wants a stream (`validate_unix_stream_socket_fd`); ours sends whole messages, to which it is the same"),

    // Memory.
    accepted(|it| it.is(Req::SET_MEM_TABLE) && it.only_ours_took() && it.said.u32_at(0) == 0, "a memory table without regions: theirs refuses it (message.rs, `VhostUserMemory::is_valid`); to ours it says that there is no memory"),
    accepted(|it| it.is(Req::SET_MEM_TABLE) && it.only_ours_took() && it.said.u32_at(4) != 0, "padding that is not zero: theirs refuses it (message.rs, `VhostUserMemory::is_valid`); ours takes no notice"),

    // Rings.
    accepted(|it| it.is(Req::SET_VRING_ADDR) && it.only_ours_refused_aloud(), "a ring that is not aligned: theirs ends the connection (message.rs, `VhostUserVringAddr::is_valid`); ours refuses the message"),
    accepted(|it| it.is(Req::SET_VRING_ADDR) && it.only_ours_goes_on() && it.said.u32_at(4) > 1, "flags of a ring that nobody knows: theirs ends the connection (message.rs, `VhostUserVringAddr::is_valid`); ours takes no notice"),
    accepted(|it| it.is(Req::SET_VRING_ENABLE) && it.only_ours_refused_aloud() && it.said.u32_at(4) > 1, "neither 0 nor 1: theirs ends the connection (`handle_request`); ours refuses the message"),

    // The config space.
    accepted(|it| it.is(Req::GET_CONFIG) && it.went(Reply, Closed) && it.said.u32_at(8) > 3, "flags that nobody knows: theirs ends the connection (`get_config`); to ours they do not matter when it reads"),
    accepted(|it| it.is(Req::GET_CONFIG) && it.went(Reply, Closed) && it.ours.answered(it.said.request, &[]), "a part of the config space that cannot be: theirs ends the connection (message.rs, `VhostUserConfig::is_valid`); ours answers without a payload (section \"Front-end message types\", VHOST_USER_GET_CONFIG)"),
    accepted(|it| it.is(Req::GET_CONFIG) && it.went(Reply, Reply) && it.ours.answered(it.said.request, &[]), "the last bytes that a config space may have: theirs answers with zeroes; ours counts the head of the reply as well, and that there is no such part"),
    accepted(|it| it.is(Req::GET_CONFIG) && it.went(Reply, Closed) && has_less_contents(it), "no room for the contents in the request: theirs ends the connection (`get_config`); ours needs none"),
    accepted(|it| it.is(Req::SET_CONFIG) && it.went(Silent, Closed), "a write that cannot be: theirs calls the message invalid (message.rs, `VhostUserConfig::is_valid`); to ours it is one of a driver's mistakes, which cost no connection"),

    // The in-flight region.
    accepted(|it| it.only_ours_goes_on() && is_inflight(it) && (20..24).contains(&it.said.payload.len()), "an in-flight region without padding at the end of the message: theirs wants that of the structure in C (`extract_request_body`); the specification has none (section \"Inflight description\")"),
    accepted(|it| it.is(Req::SET_INFLIGHT_FD) && it.only_ours_refused_aloud() && has_no_room(it), "no queues, or queues of no descriptors: theirs ends the connection (message.rs, `VhostUserInflight::is_valid`); ours refuses the message"),
    accepted(|it| it.is(Req::GET_INFLIGHT_FD) && it.went(Reply, Closed), "an in-flight region that cannot be: theirs has no answer without a descriptor (`handle_request`); ours says that it has no bytes"),
];

/// The messages that come without a descriptor; REM_MEM_REG may have one.
fn takes_no_descriptor(it: &Case<'_>) -> bool {
    let others = [Req::SET_MEM_TABLE, Req::SET_LOG_FD, Req::REM_MEM_REG, Req::SET_DEVICE_STATE_FD];
    !takes_one_descriptor(it) && !others.into_iter().any(|request| it.is(request))
}

/// The messages that come with one, or say that there is none.
fn takes_one_descriptor(it: &Case<'_>) -> bool {
    let those =
        [Req::SET_LOG_BASE, Req::SET_BACKEND_REQ_FD, Req::SET_INFLIGHT_FD, Req::ADD_MEM_REG];
    is_vring_fd(it) || those.into_iter().any(|request| it.is(request))
}

fn is_vring_fd(it: &Case<'_>) -> bool {
    let those = [Req::SET_VRING_KICK, Req::SET_VRING_CALL, Req::SET_VRING_ERR];
    those.into_iter().any(|request| it.is(request))
}

fn is_inflight(it: &Case<'_>) -> bool {
    it.is(Req::GET_INFLIGHT_FD) || it.is(Req::SET_INFLIGHT_FD)
}

/// An in-flight region of no queues, or for queues of no descriptors.
fn has_no_room(it: &Case<'_>) -> bool {
    let shape = it.said.u32_at(16);
    shape & 0xffff == 0 || shape >> 16 == 0
}

fn is_unknown(it: &Case<'_>) -> bool {
    Req::try_from(it.said.request).is_err()
}

fn of_neither(it: &Case<'_>) -> bool {
    let those = [
        Req::SEND_RARP,
        Req::NET_SET_MTU,
        Req::IOTLB_MSG,
        Req::SET_VRING_ENDIAN,
        Req::CREATE_CRYPTO_SESSION,
        Req::CLOSE_CRYPTO_SESSION,
        Req::POSTCOPY_ADVISE,
        Req::POSTCOPY_LISTEN,
        Req::POSTCOPY_END,
        Req::VRING_KICK,
    ];
    those.into_iter().any(|request| it.is(request))
}

fn of_theirs(it: &Case<'_>) -> bool {
    let those = [
        Req::GPU_SET_SOCKET,
        Req::GET_SHARED_OBJECT,
        Req::SET_DEVICE_STATE_FD,
        Req::CHECK_DEVICE_STATE,
        Req::GET_SHMEM_CONFIG,
    ];
    those.into_iter().any(|request| it.is(request))
}

fn is_not_negotiated(it: &Case<'_>) -> bool {
    let feature = match Req::try_from(it.said.request) {
        Ok(Req::SET_LOG_BASE) => Protocol::LOG_SHMFD,
        Ok(Req::GET_QUEUE_NUM) => Protocol::MQ,
        Ok(Req::SET_BACKEND_REQ_FD) => Protocol::BACKEND_REQ,
        Ok(Req::GET_CONFIG | Req::SET_CONFIG) => Protocol::CONFIG,
        Ok(Req::GET_INFLIGHT_FD | Req::SET_INFLIGHT_FD) => Protocol::INFLIGHT_SHMFD,
        Ok(Req::RESET_DEVICE) => Protocol::RESET_DEVICE,
        Ok(Req::GET_MAX_MEM_SLOTS | Req::ADD_MEM_REG | Req::REM_MEM_REG) => {
            Protocol::CONFIGURE_MEM_SLOTS
        }
        _ => return false,
    };
    !it.they_have(feature)
}

/// Bytes of the message's payload as `vhost` has it.
fn len(it: &Case<'_>) -> usize {
    let size = |offset| usize::try_from(it.said.u32_at(offset)).unwrap_or(usize::MAX);
    match Req::try_from(it.said.request) {
        Ok(Req::SET_FEATURES | Req::SET_PROTOCOL_FEATURES) => 8,
        Ok(Req::SET_VRING_KICK | Req::SET_VRING_CALL | Req::SET_VRING_ERR) => 8,
        Ok(Req::SET_VRING_NUM | Req::SET_VRING_BASE | Req::GET_VRING_BASE) => 8,
        Ok(Req::SET_VRING_ENABLE) => 8,
        Ok(Req::SET_VRING_ADDR | Req::ADD_MEM_REG | Req::REM_MEM_REG) => 40,
        Ok(Req::SET_LOG_BASE) => 16,
        Ok(Req::GET_INFLIGHT_FD | Req::SET_INFLIGHT_FD) => 24,
        Ok(Req::SET_MEM_TABLE) => size(0).saturating_mul(32).saturating_add(8),
        Ok(Req::GET_CONFIG | Req::SET_CONFIG) => size(4).saturating_add(12),
        _ => 0,
    }
}

fn has_more(it: &Case<'_>) -> bool {
    it.said.payload.len() > len(it)
}

fn has_less(it: &Case<'_>) -> bool {
    it.said.payload.len() < len(it)
}

fn has_less_contents(it: &Case<'_>) -> bool {
    (12..len(it)).contains(&it.said.payload.len())
}
