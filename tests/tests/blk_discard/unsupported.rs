// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A host that cannot do it: said once, and not tried again.

use vhost_user_tests::fuse::{Call, Event, FuseFile, Op};
use vhost_user_tests::prelude::*;

on_each_engine!(
    discard_that_the_host_cannot_do_is_unsupported_and_not_tried_again,
    zeroes_that_the_host_cannot_do_are_unsupported_and_not_tried_again,
    discard_that_fails_for_another_reason_is_tried_again,
    requests_ask_the_host_for_what_they_mean,
);

const FEATURES: u64 = USUAL | DISCARD | WRITE_ZEROES;

fn serve(file: &FuseFile, engine: &str) -> Driven {
    let launch = Daemon::blk().arg("--blk-file").arg(file.path()).args(["--io-engine", engine]);
    Driven::start(launch, FEATURES)
}

fn discard_that_the_host_cannot_do_is_unsupported_and_not_tried_again(engine: &str) {
    let Some(file) = FuseFile::of(vec![5; 64 * SECTOR]) else { return };
    file.fail_all(Op::Fallocate, libc::EOPNOTSUPP);
    let mut it = serve(&file, engine);
    let mut other = it.frontend.blk(1, 16);
    for _ in 0..3 {
        assert_eq!(it.disk.discard(Extent::new(0, 8)), Err(Status::Unsupported));
        assert_eq!(other.discard(Extent::new(0, 8)), Err(Status::Unsupported));
    }
    assert_eq!(file.count(Op::Fallocate), 1);
    assert_eq!(file.bytes(), [5; 64 * SECTOR]);
}

fn zeroes_that_the_host_cannot_do_are_unsupported_and_not_tried_again(engine: &str) {
    let Some(file) = FuseFile::of(vec![5; 64 * SECTOR]) else { return };
    file.fail_all(Op::Fallocate, libc::EOPNOTSUPP);
    let mut it = serve(&file, engine);
    for _ in 0..3 {
        assert_eq!(it.disk.write_zeroes(Extent::new(0, 8)), Err(Status::Unsupported));
    }
    assert_eq!(file.count(Op::Fallocate), 1);
    // Discarding is another thing, and may be had.
    file.mend();
    assert_eq!(it.disk.discard(Extent::new(0, 8)), Ok(()));
    assert_eq!(file.count(Op::Fallocate), 2);
}

fn discard_that_fails_for_another_reason_is_tried_again(engine: &str) {
    let Some(file) = FuseFile::of(vec![5; 64 * SECTOR]) else { return };
    let mut it = serve(&file, engine);
    file.fail_next(Op::Fallocate, libc::EIO);
    assert_eq!(it.disk.discard(Extent::new(0, 8)), Err(Status::IoErr));
    assert!(it.daemon.log().has("Input/output error (os error 5)"));
    assert_eq!(it.disk.discard(Extent::new(0, 8)), Ok(()));
}

fn requests_ask_the_host_for_what_they_mean(engine: &str) {
    let Some(file) = FuseFile::of(vec![5; 64 * SECTOR]) else { return };
    let mut it = serve(&file, engine);
    assert_eq!(it.disk.discard(Extent::new(8, 8)), Ok(()));
    assert_eq!(it.disk.write_zeroes(Extent::new(24, 8).flags(UNMAP)), Ok(()));
    assert_eq!(it.disk.write_zeroes(Extent::new(40, 8)), Ok(()));
    let asked = |event: &Event| match event {
        Event::Came(Call::Fallocate { mode, offset, len }) => {
            Some((*mode, offset / 512, len / 512))
        }
        _ => None,
    };
    let asked: Vec<_> = file.events().iter().filter_map(asked).collect();
    let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let zero = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
    assert_eq!(asked, [(hole, 8, 8), (hole, 24, 8), (zero, 40, 8)]);
}
