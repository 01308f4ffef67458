// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the config space says, and how much of it can be asked for.

use std::thread;

use vhost_user_tests::prelude::*;

fn field<const LEN: usize>(it: &Served, offset: u32) -> [u8; LEN] {
    let len = u32::try_from(LEN).expect("the length of a field");
    let bytes = it.frontend.get_config(offset, len).expect("bytes of the config space");
    bytes.try_into().expect("as many bytes as asked for")
}

#[test]
fn config_space_describes_the_disk() {
    let it = Served::blk();
    assert_eq!(u64::from_le_bytes(field(&it, 0)), 64, "capacity");
    assert_eq!(u32::from_le_bytes(field(&it, 12)), 126, "seg_max");
    assert_eq!(u32::from_le_bytes(field(&it, 20)), 512, "blk_size");
}

#[test]
fn config_space_of_a_larger_block_has_that_size() {
    let it = Served::blk_with(&["--block-size", "4096"], USUAL | BLK_SIZE);
    assert_eq!(u32::from_le_bytes(field(&it, 20)), 4096);
    assert_eq!(u64::from_le_bytes(field(&it, 0)), 64, "the capacity counts sectors");
}

#[test]
fn config_space_is_zero_beyond_its_fields() {
    let it = Served::blk();
    let whole = it.frontend.get_config(0, 256).unwrap();
    assert_eq!(whole[60..], [0; 196]);
    assert_eq!(whole[..8], 64u64.to_le_bytes());
}

#[test]
fn config_space_is_the_same_in_one_piece_and_byte_by_byte() {
    let it = Served::blk();
    let whole = it.frontend.get_config(0, 60).unwrap();
    let bytes = (0..60).map(|offset| field::<1>(&it, offset)[0]);
    assert_eq!(whole, bytes.collect::<Vec<u8>>());
}

#[test]
fn config_space_says_as_many_queues_as_there_are_cpus_and_the_protocol_the_bound() {
    let it = Served::blk_with(&[], USUAL | MQ);
    let cpus = thread::available_parallelism().unwrap().get().min(64);
    assert_eq!(usize::from(u16::from_le_bytes(field(&it, 34))), cpus);
    assert_eq!(it.frontend.get_queue_num(), 64);
}

#[test]
fn config_space_says_no_more_queues_than_the_bound() {
    let it = Served::blk_with(&["--num-queues", "1"], USUAL | MQ);
    assert_eq!(u16::from_le_bytes(field(&it, 34)), 1);
    assert_eq!(it.frontend.get_queue_num(), 1);
}

#[test]
fn config_space_takes_no_write() {
    let it = Served::blk();
    let before = it.frontend.get_config(0, 60);
    assert_eq!(it.frontend.set_config(0, &[1; 8]), Err(Refused));
    assert_eq!(it.frontend.get_config(0, 60), before);
}
