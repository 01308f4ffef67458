// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The `vhost` crate's `BackendReqHandler`, over a [`Model`] of the device.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use vhost::vhost_user::message::FrontendReq;
use vhost::vhost_user::{BackendReqHandler, Error};

use crate::link::{Heard, Link};
use crate::model::{self, Model};
use crate::said::Said;

/// The end of GET_INFLIGHT_FD's reply is padding, in which `vhost` sends what is in memory there.
const INFLIGHT_PADDING: Range<usize> = 12 + 20..12 + 24;

/// One connection.
pub struct Theirs {
    link: Link,
    requests: BackendReqHandler<Mutex<Model>>,
}

impl Theirs {
    /// A new connection.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn connect() -> io::Result<Self> {
        let (link, socket) = Link::pair()?;
        let model = Arc::new(Mutex::new(Model::default()));
        Ok(Self { link, requests: BackendReqHandler::from_stream(socket, model) })
    }

    /// Says a message.
    ///
    /// # Errors
    /// The system fails us.
    pub fn say(&mut self, said: &Said, descriptors: &[OwnedFd]) -> io::Result<Heard> {
        self.link.send(&said.wire(), descriptors)?;
        let result = self.requests.handle_request();
        let (mut bytes, descriptors) = self.link.receive()?;
        if said.is(FrontendReq::GET_INFLIGHT_FD)
            && let Some(padding) = bytes.get_mut(INFLIGHT_PADDING)
        {
            padding.fill(0);
        }
        let alive = match result {
            Ok(()) => true,
            // "The caller needs to decide what to do when error happens" (`handle_request`). A
            // refusal that the front end has heard harms nobody, nor does one of a kind that a
            // driver may provoke at will; after any other the two sides do not agree any more.
            Err(Error::ReqHandlerError(error)) if model::is_harmless(&error) => true,
            Err(_) => !bytes.is_empty(),
        };
        Ok(Heard { bytes, descriptors, alive })
    }
}

impl std::fmt::Debug for Theirs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Theirs").field("link", &self.link).finish_non_exhaustive()
    }
}
