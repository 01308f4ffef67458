// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The wire of FUSE 7.45: structures and numbers, as Linux has them in `include/uapi/linux/fuse.h`.
//! Numbers have the byte order of the machine.

mod attr;
mod entry;
mod extension;
mod header;
mod init;
mod opcode;
mod operations;
mod wire;

pub(crate) use attr::{AttrOut, StatxIn, StatxOut};
pub(crate) use entry::{CreateOut, Dirent, EntryOut, OpenOut, RECORD};
pub(crate) use extension::{Extension, Groups, Security};
pub(crate) use header::{InHeader, OutHeader};
pub(crate) use init::{InitIn, InitOut};
pub(crate) use opcode::Opcode;
pub(crate) use operations::*;
pub(crate) use wire::Wire;

/// The version that we speak.
pub(crate) const MAJOR: u32 = 7;

/// See [`MAJOR`].
pub(crate) const MINOR: u32 = 45;
