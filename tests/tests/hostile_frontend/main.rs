// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A front end that breaks the protocol is refused or dropped; the next one is served, and no
//! descriptor of the bad one stays open.

use vhost_user_tests::prelude::*;

mod config;
mod descriptors;
mod framing;
mod memory;
mod order;
mod rings;
mod silence;
mod tracking;

/// A daemon for bad front ends to connect to.
struct Target {
    daemon: Daemon,
    image: Image,
    /// How many descriptors the daemon has open while nobody is connected.
    descriptors: usize,
}

impl Target {
    fn new() -> Self {
        let image = Image::of_sectors(16);
        let daemon = Daemon::blk().image(&image).start();
        // By the time that somebody is answered, the start is over, and what it needed closed.
        let somebody = Frontend::connect(&daemon);
        assert!(somebody.is_served());
        let descriptors = daemon.descriptors() - 1;
        Self { daemon, image, descriptors }
    }

    /// A front end that has said nothing yet.
    fn stranger(&self) -> Frontend {
        Frontend::connect(&self.daemon)
    }

    /// A front end that has negotiated what is usual, REPLY_ACK among it.
    fn session(&self) -> Frontend {
        self.stranger().negotiate(USUAL)
    }

    /// A front end that has negotiated all but REPLY_ACK.
    fn session_without_acks(&self) -> Frontend {
        let mut frontend = self.stranger();
        frontend.agree(USUAL | PROTOCOL_FEATURES, Protocol::MQ | Protocol::CONFIG);
        frontend
    }

    /// `message` is refused if an answer was asked for, and costs the connection otherwise; the
    /// daemon serves on either way.
    #[track_caller]
    fn expect_refused(&self, message: &Message<'_>) {
        let frontend = self.session();
        assert_eq!(frontend.outcome(&message.clone().need_reply()), Outcome::Refused);
        self.expect_served_on(frontend);

        let frontend = self.session_without_acks();
        frontend.send(message);
        frontend.expect_dropped();
        self.expect_alive();
    }

    /// `message` costs the connection, whether an answer was asked for or not.
    #[track_caller]
    fn expect_dropped(&self, message: &Message<'_>) {
        for message in [message.clone(), message.clone().need_reply()] {
            let frontend = self.session();
            frontend.send(&message);
            frontend.expect_dropped();
            self.expect_alive();
        }
    }

    /// The connection goes on, with all that it is for, and so do the ones after it.
    #[track_caller]
    fn expect_served_on(&self, mut frontend: Frontend) {
        assert_eq!(frontend.blk(1, 16).read(2, 1), Ok(self.image.sector(2)));
        drop(frontend);
        self.expect_alive();
    }

    /// A new front end is served, and nothing of those before it is left.
    #[track_caller]
    fn expect_alive(&self) {
        let mut frontend = self.session();
        assert_eq!(frontend.blk(0, 16).read(3, 1), Ok(self.image.sector(3)));
        drop(frontend);
        self.daemon.expect_descriptors(self.descriptors);
        assert_eq!(self.daemon.guest_mappings(), 0, "mappings of guest memory");
    }
}
