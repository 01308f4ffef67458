// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What may follow the arguments of requests that make something.

use super::wire::wire;

wire! {
    /// `fuse_ext_header`, and `fuse_secctx_header`, whose `nr_secctx` is the type. `size` is that of the
    /// whole extension, this header included.
    Extension[8] {
        size: u32,
        kind: u32,
    }

    /// `fuse_supp_groups`, which the groups follow.
    Groups[4] {
        nr_groups: u32,
    }

    /// `fuse_secctx`, which a name with its NUL and a value of `size` bytes follow.
    Security[8] {
        size: u32,
        padding: u32,
    }
}

impl Extension {
    /// As many security contexts at most; a type up to here is their number (`FUSE_MAX_NR_SECCTX`).
    pub(crate) const MAX_SECURITY: u32 = 31;
    /// Groups of the caller's (`FUSE_EXT_GROUPS`).
    pub(crate) const GROUPS: u32 = 32;
}
