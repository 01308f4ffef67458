// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! DISCARD and WRITE_ZEROES: their segments, one after the other.

use vhost_user_device::{Finished, Request as Chain, Turn};

use super::{BlkQueue, Tag, refuse, succeed};
use crate::disk::{DiskError, Way};
use crate::request::{Act, HEADER_LEN, RequestError, Status};
use crate::segments::{MAX_SEGMENTS, SEGMENT_LEN, Segment, Segments};

/// A request for ranges, of which some may be done.
#[derive(Debug)]
pub(super) struct Ranges {
    act: Act,
    segments: Segments,
    /// The one that is under way.
    number: usize,
    /// How the host was asked for it.
    way: Way,
    /// It has to be on stable storage before it is completed.
    durable: bool,
}

impl BlkQueue {
    /// Has `len` bytes of segments forgotten.
    pub(super) fn discard(&mut self, chain: Chain, len: usize, turn: &mut Turn<'_>) {
        self.begin(chain, len, Act::Discard, turn);
    }

    /// Has `len` bytes of segments made zeroes.
    pub(super) fn write_zeroes(&mut self, chain: Chain, len: usize, turn: &mut Turn<'_>) {
        self.begin(chain, len, Act::WriteZeroes, turn);
    }

    /// Reads all segments, judges all of them, and only then begins with the first one.
    fn begin(&mut self, chain: Chain, len: usize, act: Act, turn: &mut Turn<'_>) {
        let mut room = [0; MAX_SEGMENTS * SEGMENT_LEN];
        let read = room.get_mut(..len).and_then(|bytes| {
            chain.readable().read(HEADER_LEN, bytes).ok()?;
            Some(&*bytes)
        });
        let segments = read
            .ok_or(RequestError::Segments { act, len })
            .and_then(|bytes| Segments::parse(bytes, act, &self.geometry()));
        match segments {
            Ok(segments) => {
                let durable = act == Act::WriteZeroes && self.is_durable();
                let ranges = Ranges { act, segments, number: 0, way: Way::Punch, durable };
                self.go_on(chain, Box::new(ranges), turn);
            }
            Err(error) => self.fail(chain, &error.into(), turn),
        }
    }

    /// Has the host do the segment `number` or the next one that is not empty, and those behind it
    /// as long as nothing waits.
    fn go_on(&mut self, chain: Chain, mut ranges: Box<Ranges>, turn: &mut Turn<'_>) {
        let Some((number, segment)) = ranges.segments.from(ranges.number) else {
            return match ranges.durable {
                true => self.flush(chain, turn),
                false => succeed(chain, 0, turn),
            };
        };
        let Some(files) = &self.files else {
            return succeed(chain, 0, turn);
        };
        let way = match ranges.act {
            Act::WriteZeroes => self.disk.way_to_zero(segment.unmap),
            Act::Discard | Act::Read | Act::Write => self.disk.way_to_discard(),
        };
        let Some(way) = way else {
            return refuse(chain, Status::Unsupported, turn);
        };
        (ranges.number, ranges.way) = (number, way);
        let operation = way.operation(segment.offset, segment.len);
        let slot = self.ranges.insert(ranges);
        let tag = Tag::Range { slot }.pack();
        if let Some(finished) = turn.start(&files.data, operation, chain, tag) {
            self.range_done(slot, finished, turn);
        }
    }

    /// A segment of the request in this slot is done.
    pub(super) fn range_done(&mut self, slot: u32, finished: Finished, turn: &mut Turn<'_>) {
        let Finished { request, result, .. } = finished;
        let Some(mut ranges) = self.ranges.remove(slot) else {
            debug_assert!(false, "an operation on ranges that nobody asked for");
            return refuse(request, Status::IoErr, turn);
        };
        if self.disk.is_missing(ranges.way, &result) {
            // The same one again, in another way.
            return self.go_on(request, ranges, turn);
        }
        if let Err(source) = result {
            let segment = ranges.segments.from(ranges.number);
            let Segment { offset, len, .. } = segment.map(|(_, one)| one).unwrap_or_default();
            let error = match ranges.act {
                Act::WriteZeroes => DiskError::WriteZeroes { offset, len, source },
                Act::Discard | Act::Read | Act::Write => DiskError::Discard { offset, len, source },
            };
            return self.fail(request, &error.into(), turn);
        }
        ranges.number = ranges.number.saturating_add(1);
        self.go_on(request, ranges, turn);
    }
}
