// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use super::*;

const PAGE: u64 = 0x1000;

fn span(guest: u64, pages: u64, user: u64) -> RegionSpan {
    RegionSpan { guest, len: pages * PAGE, user, file_offset: 0 }
}

fn lengths(map: &MemoryMap, start: u64, len: u32) -> Result<Vec<usize>, OutsideMemory> {
    let mut pieces = Vec::new();
    map.pieces(start, len, &mut pieces)?;
    Ok(pieces.iter().map(Piece::len).collect())
}

/// Two regions that touch in guest addresses, and one far away, given in no order.
fn three_regions() -> MemoryMap {
    MemoryMap::anonymous(&[
        span(2 * PAGE, 1, 0x70_0000),
        span(0x1_0000_0000, 1, 0x50_0000),
        span(0, 2, 0x60_0000),
    ])
}

#[test]
fn pieces_within_a_region_is_one() {
    assert_eq!(lengths(&three_regions(), 0x10, 0x20), Ok(vec![0x20]));
    assert_eq!(lengths(&three_regions(), 0x1_0000_0000, 0x1000), Ok(vec![0x1000]));
}

#[test]
fn pieces_across_touching_regions_are_split_at_the_border() {
    assert_eq!(lengths(&three_regions(), 2 * PAGE - 8, 24), Ok(vec![8, 16]));
}

#[test]
fn pieces_beyond_the_last_touching_region_is_refused() {
    let start = 3 * PAGE - 4;
    assert_eq!(lengths(&three_regions(), start, 4), Ok(vec![4]));
    assert_eq!(lengths(&three_regions(), start, 5), Err(OutsideMemory { start, len: 5 }));
}

#[test]
fn pieces_that_wrap_or_lie_nowhere_are_refused() {
    for start in [u64::MAX - 3, 3 * PAGE, 0xffff_ffff, 0x1_0000_1000] {
        assert_eq!(lengths(&three_regions(), start, 16), Err(OutsideMemory { start, len: 16 }));
    }
}

#[test]
fn piece_at_user_lies_in_one_region() {
    let map = three_regions();
    assert_eq!(map.piece_at_user(0x60_0000, 0x2000).map(|piece| piece.len()), Some(0x2000));
    assert!(map.piece_at_user(0x60_0001, 0x2000).is_none());
    assert!(map.piece_at_user(0x5f_ffff, 1).is_none());
    assert!(map.piece_at_user(u64::MAX, 1).is_none());
}

#[test]
fn overlapping_regions_are_refused_in_either_address_space() {
    let map = three_regions();
    let file = || tempfile_of(PAGE);
    let same_guest = map.with(span(PAGE, 1, 0x1000), file()).expect_err("overlap");
    assert_eq!(
        same_guest.to_string(),
        "memory region guest 0x1000 user 0x1000 + 0x1000 at file offset 0x0 \
         overlaps guest 0x0 user 0x600000 + 0x2000 at file offset 0x0"
    );
    let same_user = map.with(span(0x10_0000, 1, 0x50_0800), file()).expect_err("overlap");
    assert!(matches!(same_user, MemoryError::Overlap { .. }));
}

#[test]
fn regions_that_wrap_are_empty_or_whose_file_is_too_short_are_refused() {
    let refusal = |span: RegionSpan| {
        let error = MemoryMap::default().with(span, tempfile_of(PAGE)).expect_err("refused");
        std::error::Error::source(&error).expect("a cause").to_string()
    };
    assert_eq!(refusal(span(0, 2, 0)), "its file has 0x1000 bytes");
    assert_eq!(refusal(span(0, 0, 0)), "its length is zero");
    assert_eq!(refusal(span(u64::MAX - 1, 1, 0)), "its end is beyond the address space");
    assert_eq!(refusal(span(0, 1, u64::MAX - 1)), "its end is beyond the address space");
    let late = RegionSpan { file_offset: u64::MAX - 1, ..span(0, 1, 0) };
    assert_eq!(refusal(late), "its end is beyond the address space");
}

#[test]
fn removing_names_the_region_by_its_addresses() {
    let map = three_regions();
    let other_offset = RegionSpan { file_offset: 77, ..span(0, 2, 0x60_0000) };
    let smaller = map.without(other_offset).expect("it is there");
    assert_eq!(smaller.regions.len(), 2);
    let error = smaller.without(other_offset).expect_err("it is gone");
    assert!(error.to_string().ends_with("is not in the table"), "{error}");
}

#[test]
#[cfg_attr(miri, ignore = "maps a file")]
fn region_added_twice_is_there_until_it_is_removed_twice() {
    let file = tempfile_of(PAGE);
    let again = || file.try_clone().expect("a descriptor more");
    let region = span(0, 1, 0x60_0000);
    let twice = MemoryMap::default().with(region, again()).expect("added");
    let twice = twice.with(region, again()).expect("added again");
    let twice = twice.with(span(PAGE, 1, 0x60_1000), tempfile_of(PAGE)).expect("its neighbour");
    assert_eq!(lengths(&twice, 0x10, 0x1000), Ok(vec![0xff0, 0x10]));
    let once = twice.without(region).expect("it is there");
    assert_eq!(lengths(&once, 0, 8), Ok(vec![8]));
    let gone = once.without(region).expect("it is there");
    assert_eq!(lengths(&gone, 0, 8), Err(OutsideMemory { start: 0, len: 8 }));
}

#[test]
#[cfg_attr(miri, ignore = "maps a file")]
fn region_added_twice_with_another_file_or_offset_is_refused() {
    let file = tempfile_of(2 * PAGE);
    let region = span(0, 1, 0x60_0000);
    let once = MemoryMap::default().with(region, file.try_clone().expect("a descriptor more"));
    let once = once.expect("added");
    let moved = RegionSpan { file_offset: PAGE, ..region };
    for (region, file) in [(region, tempfile_of(2 * PAGE)), (moved, file)] {
        let error = once.with(region, file).expect_err("overlap");
        assert!(matches!(error, MemoryError::Overlap { .. }), "{error}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "maps a file")]
fn guest_address_is_that_of_a_byte_of_a_region_wherever_its_file_begins() {
    let span = RegionSpan { guest: 0x8000, len: PAGE, user: 0x60_0000, file_offset: 0x1010 };
    let map = MemoryMap::default().with(span, tempfile_of(3 * PAGE)).expect("added");
    let mut pieces = Vec::new();
    map.pieces(0x8000, 0x1000, &mut pieces).expect("guest memory");
    let start = pieces[0].start().addr();
    let found = [0, 1, 0xfff, 0x1000].map(|offset| map.guest_address(start + offset));
    assert_eq!(found, [Some(0x8000), Some(0x8001), Some(0x8fff), None]);
    assert_eq!(map.guest_address(start - 1), None);
}

#[test]
fn a_slot_beyond_the_last_is_refused() {
    let spans: Vec<_> = (0..MAX_MEM_SLOTS as u64)
        .map(|slot| span(slot * PAGE, 1, 0x1000_0000 + slot * PAGE))
        .collect();
    let map = MemoryMap::anonymous(&spans);
    let error = map.with(span(1 << 40, 1, 1 << 41), tempfile_of(PAGE)).expect_err("full");
    assert_eq!(error.to_string(), "more than 509 memory regions");
}

#[test]
#[cfg_attr(miri, ignore = "maps a file")]
fn page_that_is_gone_is_replaced_alone_and_the_region_is_lost() {
    let file = tempfile_of(2 * PAGE);
    let map =
        MemoryMap::default().with(span(0, 2, 0), file.try_clone().expect("a descriptor more"));
    let map = map.expect("mapped");
    let at = |address| map.piece(address, 4).expect("guest memory").expect("one piece");
    at(0).write(b"here");
    file.set_len(PAGE).expect("truncate");
    assert_eq!(map.lost(), None, "nobody has touched it yet");

    assert_eq!(at(PAGE).read_once(), Some([0; 4]));
    assert_eq!(map.lost(), Some(span(0, 2, 0)));
    assert_eq!(at(0).read_once(), Some(*b"here"));
    at(PAGE).write(b"lost");
    assert_eq!(at(PAGE).read_once(), Some(*b"lost"));
}

#[test]
#[cfg_attr(miri, ignore = "maps a file")]
fn region_of_huge_pages_that_there_are_none_of_is_lost_whole() {
    const HUGE: u64 = 0x20_0000;
    let file = crate::sys::memfd_of_huge_pages("huge").expect("memfd");
    // More than any machine has to spare.
    let len = 1 << 40;
    file.set_len(len).expect("truncate");
    let region = RegionSpan { guest: 0, len, user: 0, file_offset: 0 };
    let map = MemoryMap::default().with(region, file).expect("mapped");
    let mut touched = 0;
    while map.lost().is_none() {
        assert!(touched < len, "there are huge pages without end");
        map.piece(touched, 4).expect("guest memory").expect("one piece").write(b"page");
        touched += HUGE;
    }
}

#[cfg(not(miri))]
fn tempfile_of(len: u64) -> File {
    let file = crate::sys::memfd("test").expect("memfd");
    file.set_len(len).expect("truncate");
    file
}

#[cfg(miri)]
fn tempfile_of(_len: u64) -> File {
    File::open("/dev/null").expect("open")
}
