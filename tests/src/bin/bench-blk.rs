// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The load generator of `cargo xtask bench blk`. It prints what it found as one line of JSON.
//!
//! ```text
//! bench-blk make file=PATH [len=BYTES] [pieces=BYTES] [generations=PATH] [block=BYTES]
//! bench-blk settle file=PATH [state=cached|uncached]
//! bench-blk bare file=PATH [block=BYTES] [depth=N] [seconds=N]
//! bench-blk ceiling [depth=N] [chains=direct|indirect] [device=thread|inline] [seconds=N]
//! bench-blk drive socket=PATH [queues=N] [depth=N] [block=BYTES] [misalign=BYTES]
//!     [work=read|write] [order=random|sequential] [waits=polling|sleeping]
//!     [chains=direct|indirect] [notify=events|flags] [contents=unknown|known]
//!     [generations=PATH] [warm=SECONDS] [seconds=N] [pid=PID]
//! ```

#![expect(clippy::print_stdout, reason = "whoever started it reads what it found")]

fn main() {
    println!("{}", vhost_user_tests::load::run(std::env::args().skip(1)));
}
