// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Making an io_uring: as quick as the kernel has it, and able to do no more than we do.

use std::io;

use io_uring::register::Restriction;
use io_uring::{Builder, IoUring, opcode};

/// Submissions that fit at once; when they are full they are handed over.
const ENTRIES: u32 = 32;

/// Completions that fit.
const COMPLETIONS: u32 = 256;

/// The most operations that the kernel has at once: there is room for the completions of all of them,
/// and for some words about descriptors. Where there is none the kernel takes no submissions.
pub(super) const MOST_SUBMITTED: usize = 240;

/// What the kernel may be asked for.
const OPERATIONS: [u8; 6] = [
    opcode::Readv::CODE,
    opcode::Writev::CODE,
    opcode::Fsync::CODE,
    opcode::Fallocate::CODE,
    opcode::PollAdd::CODE,
    opcode::PollRemove::CODE,
];

/// What makes it quick, the best first.
const MODES: [fn(&mut Builder); 3] = [
    // Linux 6.1.
    |builder| _ = builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag(),
    // Linux 5.19.
    |builder| _ = builder.setup_coop_taskrun().setup_taskrun_flag(),
    |_| {},
];

/// An io_uring for the calling thread.
pub(super) fn ring() -> io::Result<IoUring> {
    let ring = newest()?;
    // As old as polls that stay armed, which say nothing of themselves: Linux 5.13.
    if !ring.params().is_feature_resource_tagging() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel is older than 5.13"));
    }
    let mut allowed = OPERATIONS.map(Restriction::sqe_op);
    ring.submitter().register_restrictions(&mut allowed)?;
    ring.submitter().register_enable_rings()?;
    Ok(ring)
}

/// One that is not enabled yet, in the best mode that the kernel knows.
fn newest() -> io::Result<IoUring> {
    let mut result = Err(io::ErrorKind::Unsupported.into());
    for mode in MODES {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_cqsize(COMPLETIONS).setup_clamp().setup_r_disabled();
        mode(&mut builder);
        result = builder.build(ENTRIES);
        match &result {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            _ => break,
        }
    }
    result
}
