// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file system (virtio 1.3, section 5.11) that can do nothing.

use vhost_user_device::Request;

/// The tag by which a driver mounts it.
const TAG: &[u8] = b"stub";
const TAG_LEN: usize = 36;

/// Request queues.
const REQUEST_QUEUES: u16 = 2;

/// The high-priority queue, and the request queues behind it.
pub(crate) const QUEUES: u16 = 1 + REQUEST_QUEUES;

/// `virtio_fs_config`: tag, number of request queues.
pub(crate) fn config_space() -> Vec<u8> {
    let mut space = TAG.to_vec();
    space.resize(TAG_LEN, 0);
    space.extend(u32::from(REQUEST_QUEUES).to_le_bytes());
    space
}

/// Answers a FUSE request with ENOSYS and returns how many bytes that is. Some (FORGET) have no
/// room for an answer, and want none.
pub(crate) fn refuse(request: &Request) -> u32 {
    /// Bytes of `fuse_out_header`: length, error, the number of the request.
    const LEN: u32 = 16;
    const ENOSYS: i32 = 38;
    // The number is behind the length and the opcode.
    let mut unique = [0; 8];
    if request.readable().read(8, &mut unique).is_err() {
        return 0;
    }
    let mut answer = LEN.to_le_bytes().to_vec();
    answer.extend((-ENOSYS).to_le_bytes());
    answer.extend(unique);
    request.writable().write(0, &answer).map_or(0, |()| LEN)
}
