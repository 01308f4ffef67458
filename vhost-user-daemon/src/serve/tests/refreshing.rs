// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! SIGUSR1, and word of the host: the device looks at the host's side again, and whoever is served
//! is told.

use super::*;

#[test]
fn sigusr1_while_serving_tells_the_front_end_of_another_config_space() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    for _ in 0..2 {
        control.sigusr1();
        control.expect(Event::Refreshed);
        control.expect(Event::ConfigChanged);
    }
    front_end.write_all(b"x").unwrap();
    control.expect(Event::Read(b'x'));
    drop(front_end);
    control.expect(Event::HungUp);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigusr1_that_changes_nothing_is_not_told() {
    let (front_end, stream) = UnixStream::pair().unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    control.changed.store(false, Ordering::Relaxed);
    control.sigusr1();
    control.expect(Event::Refreshed);
    control.rests();
    drop(front_end);
    control.expect(Event::HungUp);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigusr1_while_a_message_waits_for_acks_is_heard() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    front_end.write_all(b"b").unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    control.expect(Event::Read(b'b'));
    control.sigusr1();
    control.expect(Event::Refreshed);
    control.expect(Event::ConfigChanged);
    control.sigterm();
    control.expect(Event::Asked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigusr1_while_nobody_is_there_has_the_device_look_again() {
    let room = Room::new();
    let control = Loop::start(room.listener());
    control.sigusr1();
    control.expect(Event::Refreshed);
    let front_end = room.front_end();
    control.expect(Event::Connected);
    drop(front_end);
    control.expect(Event::HungUp);
    control.sigusr1();
    control.expect(Event::Refreshed);
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigusr1_while_there_is_nobody_to_connect_to_has_the_device_look_again() {
    let room = Room::new();
    let control = Loop::start(connecting(&room.path()));
    control.sigusr1();
    control.expect(Event::Refreshed);
    control.rests();
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigusr1_during_a_drain_has_the_device_look_again_and_tells_nobody() {
    let room = Room::new();
    let mut control = Loop::start(room.listener());
    let mut front_end = room.front_end();
    control.expect(Event::Connected);
    front_end.write_all(b"r").unwrap();
    control.expect(Event::Read(b'r'));
    drop(front_end);
    control.expect(Event::HungUp);
    control.sigusr1();
    control.expect(Event::Refreshed);
    control.rests();
    control.ack();
    control.expect(Event::Acked);
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn sigusr1_while_ending_does_not_change_the_end() {
    let (mut front_end, stream) = UnixStream::pair().unwrap();
    front_end.write_all(b"r").unwrap();
    let mut control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    control.expect(Event::Read(b'r'));
    control.sigterm();
    control.expect(Event::Asked);
    // The end is under way; this one changes nothing about it.
    control.sigusr1();
    control.expect(Event::Refreshed);
    control.rests();
    control.ack();
    control.expect(Event::Acked);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn word_of_the_host_while_serving_tells_the_front_end_of_another_config_space() {
    let (front_end, stream) = UnixStream::pair().unwrap();
    let control = Loop::start(Socket::Connected(stream));
    control.expect(Event::Connected);
    for _ in 0..2 {
        control.host_says_something();
        control.expect(Event::ChangesTaken);
        control.expect(Event::ConfigChanged);
    }
    control.changed.store(false, Ordering::Relaxed);
    control.host_says_something();
    control.expect(Event::ChangesTaken);
    control.rests();
    drop(front_end);
    control.expect(Event::HungUp);
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn word_of_the_host_while_nobody_is_there_is_taken() {
    let room = Room::new();
    let control = Loop::start(room.listener());
    control.host_says_something();
    control.expect(Event::ChangesTaken);
    control.rests();
    let front_end = room.front_end();
    control.expect(Event::Connected);
    drop(front_end);
    control.expect(Event::HungUp);
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}

#[test]
fn word_of_the_host_while_there_is_nobody_to_connect_to_is_taken() {
    let room = Room::new();
    let control = Loop::start(connecting(&room.path()));
    control.host_says_something();
    control.expect(Event::ChangesTaken);
    control.rests();
    control.sigterm();
    assert_eq!(control.end(), Served::ToTheEnd);
}
