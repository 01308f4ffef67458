// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! FUSE requests as chains in hostile memory.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vhost_user_fuzz::chain::play(input));
