// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One connection after the other, and never two.

use vhost_user_tests::prelude::*;

#[test]
fn connection_after_connection_is_served() {
    let mut it = Served::blk();
    for sector in 0..30 {
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
        it = it.reconnected();
    }
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn connection_after_connection_leaves_nothing_behind() {
    let image = Image::of_sectors(64);
    let daemon = Daemon::blk().image(&image).start();
    // By the time that somebody is answered, the start is over, and what it needed closed.
    let somebody = Frontend::connect(&daemon);
    assert!(somebody.is_served());
    let (descriptors, threads) = (daemon.descriptors() - 1, daemon.threads());
    drop(somebody);
    for _ in 0..20 {
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        let mut disks: Vec<BlkQueue> = (0..4).map(|index| frontend.blk(index, 16)).collect();
        for disk in &mut disks {
            assert_eq!(disk.read(1, 1), Ok(image.sector(1)));
        }
    }
    daemon.expect_descriptors(descriptors);
    assert_eq!(daemon.threads(), threads);
    assert_eq!(daemon.guest_mappings(), 0);
}

#[test]
fn second_connection_is_refused_while_one_is_served() {
    let mut it = Served::blk();
    let second = Frontend::connect(&it.daemon);
    second.expect_dropped();
    assert!(it.daemon.log().has("refused a front end, because another one is being served"));
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let mut it = it.reconnected();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
}

#[test]
fn connection_made_right_after_the_last_one_ended_is_served() {
    // The end of the one is there before the other; whoever looks at the listening socket first
    // must not take the old one for alive.
    let image = Image::of_sectors(1);
    let daemon = Daemon::blk().image(&image).start();
    for _ in 0..300 {
        let frontend = Frontend::connect(&daemon);
        assert!(frontend.is_served(), "a connection was refused though no other is there");
    }
}

#[test]
fn features_of_one_connection_do_not_hold_for_the_next() {
    let it = Served::blk();
    let Served { disk, frontend, daemon, image } = it;
    drop((disk, frontend));
    let mut frontend = Frontend::connect(&daemon);
    // Acks are not negotiated; where one came, it would be taken for the answer.
    frontend.send(&Message::new(FrontendReq::SET_OWNER).need_reply());
    assert!(frontend.is_served());
    frontend.agree(VERSION_1 | PROTOCOL_FEATURES, Protocol::REPLY_ACK);
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.read(1, 1), Ok(image.sector(1)));
}

#[test]
fn sizes_and_bases_of_one_connection_do_not_hold_for_the_next() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.set_vring_base(7, 1234).unwrap();
    let it = it.reconnected();
    assert_eq!(it.frontend.get_vring_base(7), 0);
    assert_eq!(it.frontend.get_vring_base(0), 0);
}

#[test]
fn data_written_on_one_connection_is_read_on_the_next() {
    let mut it = Served::blk();
    assert_eq!(it.disk.write(5, &Image::contents(500)), Ok(()));
    let mut it = it.reconnected();
    assert_eq!(it.disk.read(5, 1), Ok(Image::contents(500)));
}

#[test]
fn requests_in_flight_when_the_connection_ends_are_still_published() {
    // A front end without an in-flight region goes on from used.idx.
    let mut it = Served::blk();
    let mut disk = it.frontend.blk(1, 256);
    let reads: Vec<Request> = (0..64).map(|sector| Request::read(sector, 1)).collect();
    let descriptors = it.daemon.descriptors();
    disk.submit_all(&reads);
    let Served { disk: first, frontend, daemon, image } = it;
    drop((first, frontend));
    vhost_user_tests::deadline::until("the connection to be over", || {
        (daemon.descriptors() < descriptors && daemon.guest_mappings() == 0).then_some(())
    });
    let published = disk.queue.used_index();
    let mut given_back = 0;
    while disk.queue.next_unused() != published {
        assert_eq!(disk.watch().1.status, Ok(()));
        given_back += 1;
    }
    // The rest goes on with the next connection, from there.
    let memory = disk.queue.memory().clone();
    let frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
    frontend.start(1, &disk.queue);
    while disk.in_flight() > 0 {
        assert_eq!(disk.wait().1.status, Ok(()));
        given_back += 1;
    }
    assert_eq!(given_back, 64);
    drop(image);
}
