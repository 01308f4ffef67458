// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The messages about the region in which the back end notes what it has in flight.

use std::fs::File;

use vhost::vhost_user::message::FrontendReq as Req;

use super::calls::Ack;
use super::connection::Frontend;
use super::message::Message;
use crate::in_flight::{Geometry, InFlightRegion};

/// The length of the payload of both messages: C pads the structure to a multiple of 8 bytes, and
/// so it goes over the socket.
const PAYLOAD: usize = 24;

impl Message<'_> {
    /// GET_INFLIGHT_FD or SET_INFLIGHT_FD of a region of this `geometry`; the descriptor of the
    /// latter is still to be attached.
    pub fn inflight(request: Req, geometry: Geometry) -> Self {
        let Geometry { mmap_size, mmap_offset, num_queues, queue_size } = geometry;
        let head = Self::new(request).u64(mmap_size).u64(mmap_offset);
        head.bytes(&num_queues.to_ne_bytes()).bytes(&queue_size.to_ne_bytes()).u32(0)
    }
}

impl Frontend {
    /// GET_INFLIGHT_FD: a new region for `num_queues` queues of `queue_size` descriptors; `None` if
    /// the back end has none for so many or such ones.
    ///
    /// # Panics
    /// When the answer is not of 24 bytes, or has not one descriptor with a region and none
    /// without.
    #[track_caller]
    pub fn get_inflight_fd(&self, num_queues: u16, queue_size: u16) -> Option<InFlightRegion> {
        let asked = Geometry { mmap_size: 0, ..Geometry::of(num_queues, queue_size) };
        self.send(&Message::inflight(Req::GET_INFLIGHT_FD, asked));
        let answer = self.answer_with_descriptors(Req::GET_INFLIGHT_FD.into());
        let (payload, descriptors) = answer.expect("an answer to GET_INFLIGHT_FD");
        assert_eq!(payload.len(), PAYLOAD, "the length of the answer to GET_INFLIGHT_FD");
        let [mmap_size, mmap_offset] =
            [0, 8].map(|at| u64::from_ne_bytes(payload[at..at + 8].try_into().expect("8 bytes")));
        let [num_queues, queue_size] =
            [16, 18].map(|at| u16::from_ne_bytes([payload[at], payload[at + 1]]));
        let geometry = Geometry { mmap_size, mmap_offset, num_queues, queue_size };
        let count = descriptors.len();
        assert_eq!(count, usize::from(mmap_size > 0), "descriptors with the answer {geometry:?}");
        let file = File::from(descriptors.into_iter().next()?);
        Some(InFlightRegion::of(file, geometry))
    }

    /// SET_INFLIGHT_FD: the back end is to note in `region` what it has in flight, and to go on
    /// with what is noted there.
    #[track_caller]
    pub fn set_inflight_fd(&self, region: &InFlightRegion) -> Ack {
        self.set_inflight_fd_as(region, region.geometry())
    }

    /// SET_INFLIGHT_FD of the file of `region`, said to be of this `geometry`.
    #[track_caller]
    pub fn set_inflight_fd_as(&self, region: &InFlightRegion, geometry: Geometry) -> Ack {
        self.tell(Message::inflight(Req::SET_INFLIGHT_FD, geometry).descriptor(region))
    }
}
