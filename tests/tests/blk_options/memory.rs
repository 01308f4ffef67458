// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `--blk-file mem:SIZE`: a disk in the daemon's memory, which goes with it.

use vhost_user_tests::prelude::*;

const FEATURES: u64 = USUAL | DISCARD | WRITE_ZEROES;

fn memory() -> Driven {
    Driven::start(Daemon::blk().args(["--blk-file", "mem:1M"]), FEATURES)
}

#[test]
fn disk_in_memory_is_zeroes_and_keeps_what_is_written() {
    let mut it = memory();
    assert_eq!(it.frontend.blk_config().capacity, 2048);
    assert_eq!(it.disk.read(0, 64), Ok(vec![0; 64 * SECTOR].into()));
    for sector in [0, 5, 2047] {
        assert_eq!(it.disk.write(sector, &Image::contents(sector)), Ok(()));
    }
    assert_eq!(it.disk.flush(), Ok(()));
    let mut other = it.frontend.blk(1, 16);
    for sector in [0, 5, 2047] {
        assert_eq!(other.read(sector, 1), Ok(Image::contents(sector)));
    }
    assert_eq!(it.disk.read(2048, 1), Err(Status::IoErr));
}

#[test]
fn disk_in_memory_outlives_a_connection() {
    let mut it = memory();
    assert_eq!(it.disk.write(5, &Image::contents(5)), Ok(()));
    drop((it.disk, it.frontend));
    let mut frontend = Frontend::connect(&it.daemon).negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).read(5, 1), Ok(Image::contents(5)));
}

#[test]
fn disk_in_memory_gives_discarded_space_back() {
    let mut it = memory();
    assert_eq!(it.disk.write(0, &[7; 512 << 10]), Ok(()));
    assert_eq!(it.disk.discard(Extent::new(512, 256)), Ok(()));
    assert_eq!(it.disk.read(512, 256), Ok(vec![0; 256 * SECTOR].into()));
    assert_eq!(it.disk.read(511, 1), Ok(vec![7; SECTOR].into()));
    assert_eq!(it.disk.read(768, 1), Ok(vec![7; SECTOR].into()));
}

#[test]
fn disk_in_memory_is_served_by_either_engine_and_many_requests_at_once() {
    for engine in ["io_uring", "sync"] {
        let launch = Daemon::blk().args(["--blk-file", "mem:1M", "--io-engine", engine]);
        let mut it = Driven::start(launch, USUAL);
        let mut disk = it.frontend.blk(1, 256);
        let writes: Vec<Request> =
            (0..64).map(|sector| Request::write(sector, &Image::contents(sector))).collect();
        disk.submit_all(&writes);
        while disk.in_flight() > 0 {
            assert_eq!(disk.wait().1.status, Ok(()));
        }
        let all: Bytes = (0..64).flat_map(Image::contents).collect();
        assert_eq!(it.disk.read(0, 64), Ok(all));
    }
}
