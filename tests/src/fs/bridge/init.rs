// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! INIT, which is not the same for a kernel that has a device and for one that has `/dev/fuse`.

use super::lane::{MAX_PAGES, MAX_WRITE};
use crate::fs::wire::{Fields, IN_HEADER, INIT, OUT_HEADER, init};

/// What a guest's driver never offers, since it means something only on `/dev/fuse`; or what cannot
/// be had here: a window of memory, and mounts that appear by themselves.
const OF_THE_HOST: u64 = init::SPLICE_WRITE
    | init::SPLICE_MOVE
    | init::SPLICE_READ
    | init::MAP_ALIGNMENT
    | init::HAS_INODE_DAX
    | init::PASSTHROUGH
    | init::HAS_RESEND
    | init::OVER_IO_URING
    | init::REQUEST_TIMEOUT;

/// Where the flags are in the body of an INIT, and in that of its reply.
const LOW: usize = 12;
const HIGH: usize = 16;
const HIGH_IN_REPLY: usize = 32;

/// Takes from the INIT in `request` what is not to be offered; says what is.
pub(super) fn offer(request: &mut [u8]) -> u64 {
    let body = &mut request[IN_HEADER..];
    let offered = flags(body, HIGH) & !OF_THE_HOST;
    set_flags(body, HIGH, offered);
    offered
}

/// Makes the reply to an INIT that offered `offered` one for the kernel; says what is agreed on.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(super) fn accept(reply: &mut [u8], offered: u64) -> Result<u64, String> {
    let error = Fields::of(&reply[4..]).u32().cast_signed();
    if error != 0 {
        return Err(format!("INIT: error {error}"));
    }
    if reply.len() != OUT_HEADER + INIT {
        return Err(format!("INIT: a reply of {} bytes", reply.len()));
    }
    let body = &mut reply[OUT_HEADER..];
    let agreed = flags(body, HIGH_IN_REPLY);
    let more = agreed & !offered;
    if more != 0 {
        return Err(format!("INIT: flags that were not offered: {more:#x}"));
    }
    let longest = u32::try_from(MAX_WRITE).expect("the length of a WRITE");
    let max_write = Fields::of(&body[20..]).u32().min(longest);
    let max_pages = Fields::of(&body[28..]).u16().min(MAX_PAGES);
    body[20..24].copy_from_slice(&max_write.to_le_bytes());
    body[28..30].copy_from_slice(&max_pages.to_le_bytes());
    Ok(agreed)
}

fn flags(body: &[u8], high: usize) -> u64 {
    let word = |at: usize| u64::from(Fields::of(&body[at..]).u32());
    word(LOW) | word(high) << 32
}

fn set_flags(body: &mut [u8], high: usize, flags: u64) {
    let bytes = flags.to_le_bytes();
    body[LOW..LOW + 4].copy_from_slice(&bytes[..4]);
    body[high..high + 4].copy_from_slice(&bytes[4..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::wire::{Body, Header, opcode};

    fn request(flags: [u32; 2]) -> Vec<u8> {
        let len = u32::try_from(IN_HEADER + INIT).unwrap();
        let (opcode, unique, node) = (opcode::INIT, 2, 0);
        let header = Header { len, opcode, unique, node, uid: 0, gid: 0, pid: 0, extensions: 0 };
        let body = Body::new().u32s(&[7, 45, 0, flags[0], flags[1]]).u32s(&[0; 11]);
        [header.bytes(), body.finish()].concat()
    }

    fn reply(flags: [u32; 2], max_write: u32, max_pages: u16) -> Vec<u8> {
        let body = Body::new().u32s(&[80, 0]).u64s(&[2]).u32s(&[7, 45, 0, flags[0]]);
        let body = body.u16s(&[0, 0]).u32s(&[max_write, 1]).u16s(&[max_pages, 0]);
        body.u32s(&[flags[1]]).u32s(&[0; 7]).finish()
    }

    #[test]
    fn offer_of_all_flags_leaves_those_out_that_no_guest_has() {
        let mut request = request([u32::MAX, u32::MAX]);
        assert_eq!(offer(&mut request), !OF_THE_HOST);
        assert_eq!(flags(&request[IN_HEADER..], HIGH), !OF_THE_HOST);
    }

    #[test]
    fn reply_with_large_limits_is_given_ours() {
        let mut reply = reply([1 << 22, 1], 8 << 20, 2048);
        assert_eq!(accept(&mut reply, u64::MAX), Ok(1 << 32 | init::MAX_PAGES));
        let mut body = Fields::of(&reply[OUT_HEADER + 20..]);
        assert_eq!((body.u32(), body.u32(), body.u16()), (1 << 20, 1, 256));
    }

    #[test]
    fn reply_with_a_flag_that_was_not_offered_is_refused() {
        let said = accept(&mut reply([1 << 22, 0], 4096, 1), 1);
        assert_eq!(said, Err("INIT: flags that were not offered: 0x400000".to_owned()));
    }
}
