// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From bytes and descriptors to messages.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::{NEED_REPLY, REPLY, VERSION, is_closed, longs, request::*, words};
use crate::memory::RegionSpan;
use crate::random::Random;
use crate::ring::InflightShape;
use crate::session::message::{FileRange, Header, MAX_PAYLOAD, Message};

const NO_DESCRIPTOR: u64 = 1 << 8;

fn header(request: u32, flags: u32, payload: u32) -> [u8; Header::SIZE] {
    words(&[request, flags, payload]).try_into().expect("three words")
}

fn header_refusal(request: u32, flags: u32, payload: u32) -> String {
    Header::parse(header(request, flags, payload)).expect_err("refused").to_string()
}

/// What a message without descriptors means.
fn meaning(request: u32, payload: &[u8]) -> String {
    format!("{:?}", Message::parse(request, payload, Vec::new()).expect("a message"))
}

/// Descriptors, and the sockets at their other ends.
fn descriptors(count: usize) -> (Vec<OwnedFd>, Vec<UnixStream>) {
    (0..count)
        .map(|_| UnixStream::pair().expect("a pair of sockets"))
        .map(|(fd, peer)| (OwnedFd::from(fd), peer))
        .unzip()
}

/// The refusal of a message with `count` descriptors, all of which must be closed then.
fn refusal(request: u32, payload: &[u8], count: usize) -> String {
    let (fds, peers) = descriptors(count);
    let error = Message::parse(request, payload, fds).expect_err("refused");
    assert!(peers.iter().all(is_closed), "descriptors are left open: {error}");
    error.to_string()
}

/// Guest address, length, user address, file offset: as on the wire.
fn region(guest: u64) -> [u64; 4] {
    [guest, 0x2000, guest + 0x10_0000, guest + 0x20_0000]
}

fn span(guest: u64) -> RegionSpan {
    RegionSpan { guest, len: 0x2000, user: guest + 0x10_0000, file_offset: guest + 0x20_0000 }
}

fn mem_table(count: u32, regions: &[[u64; 4]]) -> Vec<u8> {
    [words(&[count, 0]), longs(regions.as_flattened())].concat()
}

#[test]
fn header_of_a_request_is_taken() {
    let parsed = Header::parse(header(SET_OWNER, VERSION, 4096)).expect("a header");
    assert_eq!((parsed.request, parsed.payload, parsed.needs_reply()), (SET_OWNER, 4096, false));
}

#[test]
fn header_with_need_reply_says_so() {
    assert!(
        Header::parse(header(SET_OWNER, VERSION | NEED_REPLY, 0)).expect("a header").needs_reply()
    );
}

#[test]
fn header_with_flags_of_later_versions_of_the_protocol_is_taken() {
    Header::parse(header(SET_OWNER, VERSION | 0xffff_fff0, 0)).expect("a header");
}

#[test]
fn header_of_another_version_is_refused() {
    for (flags, shown) in [(0, "0x0"), (2, "0x2"), (3, "0x3")] {
        let expected = format!("message 3 has flags {shown}, which are not those of a request");
        assert_eq!(header_refusal(SET_OWNER, flags, 0), expected);
    }
}

#[test]
fn header_of_a_reply_is_refused() {
    let expected = "message 1 has flags 0x5, which are not those of a request";
    assert_eq!(header_refusal(GET_FEATURES, VERSION | REPLY, 0), expected);
}

#[test]
fn header_with_a_payload_beyond_the_longest_is_refused() {
    let expected = "message 5 has a payload of 4097 bytes, more than 4096";
    assert_eq!(header_refusal(SET_MEM_TABLE, VERSION, 4097), expected);
    let expected = "message 5 has a payload of 4294967295 bytes, more than 4096";
    assert_eq!(header_refusal(SET_MEM_TABLE, VERSION, u32::MAX), expected);
}

#[test]
fn header_name_is_the_message_or_its_number() {
    let name = |request| Header::parse(header(request, VERSION, 0)).expect("a header").name();
    assert_eq!(name(SET_VRING_KICK), "SET_VRING_KICK");
    assert_eq!(name(4711), "message 4711");
}

#[test]
fn reply_has_the_request_the_reply_flag_and_the_length() {
    let header = Header::parse(header(GET_QUEUE_NUM, VERSION | NEED_REPLY, 0)).expect("a header");
    let expected = [words(&[GET_QUEUE_NUM, VERSION | REPLY, 8]), longs(&[3])].concat();
    assert_eq!(header.reply(&longs(&[3])), expected);
}

#[test]
fn messages_without_payload_are_read() {
    for (request, expected) in [
        (GET_FEATURES, "GetFeatures"),
        (SET_OWNER, "SetOwner"),
        (RESET_OWNER, "ResetOwner"),
        (GET_PROTOCOL_FEATURES, "GetProtocolFeatures"),
        (GET_QUEUE_NUM, "GetQueueNum"),
        (GET_MAX_MEM_SLOTS, "GetMaxMemSlots"),
    ] {
        assert_eq!(meaning(request, &[]), expected);
    }
}

#[test]
fn messages_with_numbers_are_read() {
    let bits = longs(&[0x1_4000_0001]);
    let state = words(&[3, 256]);
    for (request, payload, expected) in [
        (SET_FEATURES, &bits, "SetFeatures(5368709121)"),
        (SET_PROTOCOL_FEATURES, &bits, "SetProtocolFeatures(5368709121)"),
        (SET_VRING_NUM, &state, "SetVringNum { index: 3, num: 256 }"),
        (SET_VRING_BASE, &state, "SetVringBase { index: 3, base: 256 }"),
        (GET_VRING_BASE, &state, "GetVringBase { index: 3 }"),
        (SET_VRING_ENABLE, &state, "SetVringEnable { index: 3, enable: 256 }"),
        (GET_CONFIG, &words(&[4, 8, 1]), "GetConfig { offset: 4, size: 8, flags: 1 }"),
    ] {
        assert_eq!(meaning(request, payload), expected);
    }
}

#[test]
fn get_config_needs_no_room_for_the_contents() {
    let all = words(&[0, u32::MAX, 0]);
    assert_eq!(meaning(GET_CONFIG, &all), "GetConfig { offset: 0, size: 4294967295, flags: 0 }");
}

#[test]
fn set_vring_addr_is_read_in_the_order_of_the_wire() {
    let payload = [words(&[2, 1]), longs(&[0xd0, 0xe0, 0xa0, 0x10])].concat();
    let Ok(Message::SetVringAddr { index: 2, addresses, log: Some(0x10) }) =
        Message::parse(SET_VRING_ADDR, &payload, Vec::new())
    else {
        panic!("not SET_VRING_ADDR of queue 2");
    };
    assert_eq!((addresses.descriptors, addresses.used, addresses.avail), (0xd0, 0xe0, 0xa0));
}

#[test]
fn set_vring_addr_without_the_flag_for_it_is_not_logged() {
    let payload = [words(&[2, 0]), longs(&[0xd0, 0xe0, 0xa0, 0x10])].concat();
    let message = Message::parse(SET_VRING_ADDR, &payload, Vec::new());
    assert!(matches!(message, Ok(Message::SetVringAddr { log: None, .. })), "{message:?}");
}

#[test]
fn set_log_base_says_which_bytes_of_the_file() {
    let (fds, _peers) = descriptors(1);
    let message = Message::parse(SET_LOG_BASE, &longs(&[0x2000, 0x1000]), fds);
    let Ok(Message::SetLogBase(FileRange { offset: 0x1000, len: 0x2000, .. })) = message else {
        panic!("{message:?}");
    };
    let refused = refusal(SET_LOG_BASE, &longs(&[0x2000, 0x1000]), 0);
    assert_eq!(refused, "SET_LOG_BASE came with 0 descriptors instead of 1");
    let refused = refusal(SET_LOG_BASE, &longs(&[0x2000]), 1);
    assert_eq!(refused, "SET_LOG_BASE has a payload of 8 bytes, fewer than 16");
}

#[test]
fn get_inflight_fd_says_how_many_queues_of_how_many_descriptors() {
    let payload = [longs(&[0, 0]), words(&[128 << 16 | 2, 0])].concat();
    let expected = "GetInflightFd(InflightShape { num_queues: 2, queue_size: 128 })";
    assert_eq!(meaning(GET_INFLIGHT_FD, &payload), expected);
    // As the specification has it, without the padding of the C structure.
    assert_eq!(meaning(GET_INFLIGHT_FD, &payload[..20]), expected);
    let refused = refusal(GET_INFLIGHT_FD, &payload[..19], 0);
    assert_eq!(refused, "GET_INFLIGHT_FD has a payload of 19 bytes, fewer than 20");
}

#[test]
fn set_inflight_fd_says_which_bytes_of_the_file_are_for_how_many_queues() {
    let (fds, _peers) = descriptors(1);
    let payload = [longs(&[0x2000, 0x1000]), words(&[128 << 16 | 2, 0])].concat();
    let message = Message::parse(SET_INFLIGHT_FD, &payload, fds);
    let shape = InflightShape { num_queues: 2, queue_size: 128 };
    match message {
        Ok(Message::SetInflightFd(said, FileRange { offset: 0x1000, len: 0x2000, .. })) => {
            assert_eq!(said, shape);
        }
        other => panic!("{other:?}"),
    }
    let refused = refusal(SET_INFLIGHT_FD, &payload, 0);
    assert_eq!(refused, "SET_INFLIGHT_FD came with 0 descriptors instead of 1");
}

#[test]
fn set_log_fd_comes_with_a_descriptor() {
    let (fds, _peers) = descriptors(1);
    assert!(matches!(Message::parse(SET_LOG_FD, &[], fds), Ok(Message::SetLogFd(_))));
    let refused = refusal(SET_LOG_FD, &[], 0);
    assert_eq!(refused, "SET_LOG_FD came with 0 descriptors instead of 1");
}

#[test]
fn status_is_a_number_of_64_bits() {
    assert_eq!(meaning(SET_STATUS, &longs(&[15])), "SetStatus(15)");
    assert_eq!(meaning(GET_STATUS, &[]), "GetStatus");
    assert_eq!(meaning(RESET_DEVICE, &[]), "ResetDevice");
}

#[test]
fn set_config_takes_as_many_bytes_as_it_says() {
    let payload = [words(&[32, 2, 0]), vec![1, 2, 3]].concat();
    assert_eq!(meaning(SET_CONFIG, &payload), "SetConfig { offset: 32, data: [1, 2], flags: 0 }");
}

#[test]
fn set_config_with_a_size_beyond_its_payload_is_refused() {
    let payload = |size| [words(&[0, size, 0]), vec![1, 2, 3]].concat();
    let expected = "SET_CONFIG has a payload of 15 bytes, fewer than 16";
    assert_eq!(refusal(SET_CONFIG, &payload(4), 0), expected);
    let expected = "SET_CONFIG has a payload of 15 bytes, fewer than 4294967307";
    assert_eq!(refusal(SET_CONFIG, &payload(u32::MAX), 0), expected);
}

#[test]
fn vring_descriptor_is_the_one_that_came() {
    for request in [SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR] {
        let (fds, peers) = descriptors(1);
        let raw = fds[0].as_raw_fd();
        let parsed = Message::parse(request, &longs(&[7]), fds).expect("a message");
        let (Message::SetVringKick { index, fd }
        | Message::SetVringCall { index, fd }
        | Message::SetVringErr { index, fd }) = parsed
        else {
            panic!("{parsed:?}");
        };
        assert_eq!((index, fd.map(|fd| fd.as_raw_fd())), (7, Some(raw)));
        assert!(peers.iter().all(is_closed));
    }
}

#[test]
fn vring_descriptors_of_kick_call_and_err_are_told_apart() {
    let nothing = longs(&[NO_DESCRIPTOR | 255]);
    for (request, expected) in [
        (SET_VRING_KICK, "SetVringKick { index: 255, fd: None }"),
        (SET_VRING_CALL, "SetVringCall { index: 255, fd: None }"),
        (SET_VRING_ERR, "SetVringErr { index: 255, fd: None }"),
    ] {
        assert_eq!(meaning(request, &nothing), expected);
    }
}

#[test]
fn vring_descriptor_that_came_despite_the_bit_is_closed() {
    let (fds, peers) = descriptors(2);
    let parsed = Message::parse(SET_VRING_CALL, &longs(&[NO_DESCRIPTOR]), fds).expect("a message");
    assert!(matches!(parsed, Message::SetVringCall { index: 0, fd: None }));
    assert!(peers.iter().all(is_closed));
}

#[test]
fn one_descriptor_is_wanted_but_none_or_two_came_is_refused() {
    let add = longs(&[0, 1, 2, 3, 4]);
    for (request, name, payload) in [
        (SET_VRING_KICK, "SET_VRING_KICK", longs(&[0])),
        (SET_VRING_CALL, "SET_VRING_CALL", longs(&[0])),
        (SET_VRING_ERR, "SET_VRING_ERR", longs(&[0])),
        (SET_BACKEND_REQ_FD, "SET_BACKEND_REQ_FD", Vec::new()),
        (ADD_MEM_REG, "ADD_MEM_REG", add),
    ] {
        for count in [0, 2] {
            let expected = format!("{name} came with {count} descriptors instead of 1");
            assert_eq!(refusal(request, &payload, count), expected);
        }
    }
}

#[test]
fn set_backend_req_fd_is_the_descriptor_that_came() {
    let (fds, _peers) = descriptors(1);
    let raw = fds[0].as_raw_fd();
    let parsed = Message::parse(SET_BACKEND_REQ_FD, &[], fds).expect("a message");
    assert!(matches!(parsed, Message::SetBackendReqFd(fd) if fd.as_raw_fd() == raw));
}

#[test]
fn mem_table_has_each_region_with_its_descriptor() {
    let (fds, _peers) = descriptors(2);
    let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let payload = mem_table(2, &[region(0x8000), region(0)]);
    let Ok(Message::SetMemTable(regions)) = Message::parse(SET_MEM_TABLE, &payload, fds) else {
        panic!("not SET_MEM_TABLE");
    };
    let regions: Vec<_> = regions.iter().map(|(span, file)| (*span, file.as_raw_fd())).collect();
    assert_eq!(regions, [(span(0x8000), raw[0]), (span(0), raw[1])]);
}

#[test]
fn mem_table_of_no_regions_is_read() {
    assert_eq!(meaning(SET_MEM_TABLE, &mem_table(0, &[])), "SetMemTable([])");
}

#[test]
fn mem_table_padded_to_its_largest_size_is_read() {
    // User-Mode Linux: one region, room for two.
    let payload = mem_table(1, &[region(0x8000), [0; 4]]);
    assert_eq!(payload.len(), 72);
    let (fds, _peers) = descriptors(1);
    let Ok(Message::SetMemTable(regions)) = Message::parse(SET_MEM_TABLE, &payload, fds) else {
        panic!("not SET_MEM_TABLE");
    };
    assert_eq!(regions.iter().map(|(span, _)| *span).collect::<Vec<_>>(), [span(0x8000)]);
}

#[test]
fn mem_table_whose_count_is_not_that_of_its_descriptors_is_refused() {
    let text = |count, fds| refusal(SET_MEM_TABLE, &mem_table(count, &[region(0); 2]), fds);
    assert_eq!(text(2, 1), "SET_MEM_TABLE came with 1 descriptors instead of 2");
    assert_eq!(text(1, 2), "SET_MEM_TABLE came with 2 descriptors instead of 1");
    assert_eq!(text(u32::MAX, 0), "SET_MEM_TABLE came with 0 descriptors instead of 4294967295");
}

#[test]
fn mem_table_with_fewer_regions_than_descriptors_is_refused() {
    let payload = mem_table(2, &[region(0)]);
    let expected = "SET_MEM_TABLE has a payload of 40 bytes, fewer than 72";
    assert_eq!(refusal(SET_MEM_TABLE, &payload, 2), expected);
}

#[test]
fn add_mem_reg_has_a_region_behind_its_padding() {
    let (fds, _peers) = descriptors(1);
    let raw = fds[0].as_raw_fd();
    let payload = [longs(&[u64::MAX]), longs(&region(0x4000))].concat();
    let Ok(Message::AddMemReg(added, file)) = Message::parse(ADD_MEM_REG, &payload, fds) else {
        panic!("not ADD_MEM_REG");
    };
    assert_eq!((added, file.as_raw_fd()), (span(0x4000), raw));
}

#[test]
fn rem_mem_reg_has_a_region_and_closes_the_descriptor_that_some_send() {
    let payload = [longs(&[0]), longs(&region(0x4000))].concat();
    let (fds, peers) = descriptors(1);
    let parsed = Message::parse(REM_MEM_REG, &payload, fds).expect("a message");
    assert!(matches!(parsed, Message::RemMemReg(removed) if removed == span(0x4000)));
    assert!(peers.iter().all(is_closed));
}

#[test]
fn payload_a_byte_too_short_is_refused_with_its_lengths() {
    for (request, name, least) in [
        (SET_FEATURES, "SET_FEATURES", 8),
        (SET_PROTOCOL_FEATURES, "SET_PROTOCOL_FEATURES", 8),
        (SET_VRING_NUM, "SET_VRING_NUM", 8),
        (SET_VRING_ADDR, "SET_VRING_ADDR", 40),
        (SET_VRING_BASE, "SET_VRING_BASE", 8),
        (GET_VRING_BASE, "GET_VRING_BASE", 8),
        (SET_VRING_KICK, "SET_VRING_KICK", 8),
        (SET_VRING_CALL, "SET_VRING_CALL", 8),
        (SET_VRING_ERR, "SET_VRING_ERR", 8),
        (SET_VRING_ENABLE, "SET_VRING_ENABLE", 8),
        (SET_MEM_TABLE, "SET_MEM_TABLE", 8),
        (GET_CONFIG, "GET_CONFIG", 12),
        (SET_CONFIG, "SET_CONFIG", 12),
        (ADD_MEM_REG, "ADD_MEM_REG", 40),
        (REM_MEM_REG, "REM_MEM_REG", 40),
    ] {
        let len = least - 1;
        let expected = format!("{name} has a payload of {len} bytes, fewer than {least}");
        assert_eq!(refusal(request, &vec![0; len], 1), expected);
    }
}

#[test]
fn surplus_bytes_are_ignored() {
    let payload = [words(&[3, 256]), vec![0xff; MAX_PAYLOAD - 8]].concat();
    assert_eq!(meaning(SET_VRING_NUM, &payload), "SetVringNum { index: 3, num: 256 }");
    assert_eq!(meaning(GET_FEATURES, &payload), "GetFeatures");
}

#[test]
fn surplus_descriptors_are_closed() {
    let (fds, peers) = descriptors(3);
    assert!(matches!(Message::parse(GET_FEATURES, &[], fds), Ok(Message::GetFeatures)));
    assert!(peers.iter().all(is_closed));
}

#[test]
fn unknown_message_is_refused() {
    for request in [0, 45, u32::MAX] {
        assert_eq!(refusal(request, &[0; 64], 2), format!("unknown message {request}"));
    }
}

#[test]
fn message_that_is_not_implemented_is_refused_by_name() {
    for (request, name) in [(SEND_RARP, "SEND_RARP"), (20, "NET_SET_MTU"), (22, "IOTLB_MSG")] {
        assert_eq!(refusal(request, &[0; 64], 1), format!("{name} is not implemented"));
    }
}

/// A payload that is often nearly right: small numbers, counts, lengths.
fn payload(random: &mut Random) -> Vec<u8> {
    let len = match random.below(8) {
        0 => random.below(4097),
        1 => 0,
        _ => random.below(90),
    };
    let small = random.one_in(2);
    (0..len)
        .map(|at| if small && at % 4 != 0 { 0 } else { random.next().to_le_bytes()[3] })
        .map(|byte| if small { byte & 7 } else { byte })
        .collect()
}

fn descriptors_in(message: &Message) -> usize {
    match message {
        Message::SetMemTable(regions) => regions.len(),
        Message::SetVringKick { fd, .. }
        | Message::SetVringCall { fd, .. }
        | Message::SetVringErr { fd, .. } => usize::from(fd.is_some()),
        Message::SetBackendReqFd(_)
        | Message::AddMemReg(..)
        | Message::SetLogBase(_)
        | Message::SetLogFd(_)
        | Message::SetInflightFd(..) => 1,
        _ => 0,
    }
}

#[test]
fn random_messages_never_panic_and_leave_no_descriptor_open() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let (mut messages, mut errors) = (0, 0);
    for _ in 0..20_000 {
        let request = u32::try_from(random.below(46)).expect("a small number");
        let payload = payload(&mut random);
        let count = usize::try_from(random.below(4)).expect("a small number");
        let (fds, peers) = descriptors(count);
        let parsed = Message::parse(request, &payload, fds);
        let held = parsed.as_ref().map_or(0, descriptors_in);
        let open = peers.iter().filter(|peer| !is_closed(peer)).count();
        assert_eq!(open, held, "{request} {payload:?} {count}: {parsed:?}");
        let counter = if parsed.is_ok() { &mut messages } else { &mut errors };
        *counter += 1;
        drop(parsed);
        assert!(peers.iter().all(is_closed));
    }
    assert!(messages > 1000 && errors > 1000, "{messages} messages, {errors} errors");
}
