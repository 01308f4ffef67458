// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One virtqueue of the device.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use vhost_user_device::{DeviceQueue, Request, Turn};

use super::chain::{Readable, Writable};
use super::parking::{Parking, Unlocks};
use crate::filesystem::FileSystem;
use crate::server::{self, Outcome, Server};

/// Serves the requests of one virtqueue.
pub struct FsQueue<F> {
    server: Arc<Server<F>>,
    unlocks: Arc<Unlocks>,
    parking: Parking,
}

impl<F: FileSystem> FsQueue<F> {
    pub(super) fn new(index: u16, server: Arc<Server<F>>, unlocks: Arc<Unlocks>) -> Self {
        let parking = Parking::new(index, Arc::clone(&unlocks));
        Self { server, unlocks, parking }
    }

    /// Sees to what has become of a request. It comes back if it waits for a lock.
    fn follow(
        &mut self,
        outcome: Outcome,
        request: Request,
        turn: &mut Turn<'_>,
    ) -> Option<Request> {
        match outcome {
            Outcome::Done(written) => {
                announce(&self.unlocks, &request);
                complete(turn, request, written);
            }
            Outcome::WouldWait => self.serve_elsewhere(request, turn),
            Outcome::Locked => return Some(request),
        }
        None
    }

    /// Has a request served by a thread that may wait.
    fn serve_elsewhere(&self, request: Request, turn: &mut Turn<'_>) {
        let (server, unlocks) = (Arc::clone(&self.server), Arc::clone(&self.unlocks));
        turn.run(move || {
            let written = match serve(&server, &request, true) {
                Outcome::Done(written) => written,
                // Who may wait has nothing to put off, and nobody waits for a lock here.
                Outcome::WouldWait | Outcome::Locked => refuse(&request, libc::EIO),
            };
            announce(&unlocks, &request);
            send_home(request, written);
        });
    }
}

impl<F: FileSystem> DeviceQueue for FsQueue<F> {
    #[inline]
    fn submit(&mut self, request: Request, turn: &mut Turn<'_>) {
        let outcome = serve(&self.server, &request, false);
        if let Some(request) = self.follow(outcome, request, turn) {
            self.parking.park(request, turn.waker());
        }
    }

    fn poll(&mut self, turn: &mut Turn<'_>) {
        for request in self.parking.due() {
            let (readable, writable) = (Readable(request.readable()), Writable(request.writable()));
            let outcome = self.server.serve_again(&readable, &writable);
            match self.follow(outcome, request, turn) {
                Some(request) => self.parking.keep(request),
                None => self.parking.let_go(),
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.parking.next()
    }

    fn cancel(&mut self, turn: &mut Turn<'_>) {
        for request in self.parking.take() {
            let written = refuse(&request, libc::EINTR);
            complete(turn, request, written);
        }
    }

    fn fail(request: &Request) -> u32 {
        u32::try_from(refuse(request, libc::EIO)).unwrap_or(0)
    }
}

pub(super) fn serve<F: FileSystem>(
    server: &Server<F>,
    request: &Request,
    may_wait: bool,
) -> Outcome {
    server.serve(&Readable(request.readable()), &Writable(request.writable()), may_wait)
}

fn refuse(request: &Request, errno: i32) -> usize {
    server::refuse(&Readable(request.readable()), &Writable(request.writable()), errno)
}

/// Has those look who wait for a lock, if there are some and this request may have given one up.
fn announce(unlocks: &Unlocks, request: &Request) {
    if unlocks.matter() && server::may_unlock(&Readable(request.readable())) {
        unlocks.announce();
    }
}

fn complete(turn: &mut Turn<'_>, mut request: Request, written: usize) {
    request.wrote_only(0..written);
    turn.complete(request, u32::try_from(written).unwrap_or(0));
}

fn send_home(mut request: Request, written: usize) {
    request.wrote_only(0..written);
    request.send_home(u32::try_from(written).unwrap_or(0));
}

impl<F> fmt::Debug for FsQueue<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsQueue").field("parking", &self.parking).finish_non_exhaustive()
    }
}
