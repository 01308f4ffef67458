// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Limits that the system sets to a process, met while it serves.

use vhost_user_tests::prelude::*;

#[test]
fn write_beyond_the_limit_on_file_sizes_fails_and_ends_nothing() {
    let mut it = Served::blk();
    it.daemon.process().limit_file_size(16384);
    for _ in 0..3 {
        assert_eq!(it.disk.write(40, &Image::contents(1)), Err(Status::IoErr));
    }
    let reason = "queue 0: write 512 bytes at offset 20480: File too large (os error 27)";
    assert!(it.daemon.log().has(reason), "{reason}");
    assert_eq!(it.disk.write(31, &Image::contents(1)), Ok(()));
    assert_eq!(it.disk.read(40, 1), Ok(Image::contents(40)));
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}
