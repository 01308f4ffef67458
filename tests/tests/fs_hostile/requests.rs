// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Every request there is, and some that there are not, each wrong in every way.

use vhost_user_tests::fs::wire::{Fields, IN_HEADER, OUT_HEADER, opcode};
use vhost_user_tests::random::Random;

use crate::scene::{NAMED, Scene, Things, UNKNOWN, regular};

/// Numbers of requests that there are not, beside those that there are.
const STRANGE: [u32; 6] = [0, 7, 19, 54, 4096, u32::MAX];

/// The ways in which a request is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    ShortHeader,
    NoBody,
    ShortBody,
    ShorterThanItSays,
    SurplusBody,
    NoNul,
    LengthZero,
    LengthAll,
    SizeAll,
    UnknownNode,
    UnknownHandle,
    ExtensionsAll,
    NoWritable,
    OneByteWritable,
    HeaderWritable,
    Nothing,
}

const ALL: [Wrong; 16] = [
    Wrong::ShortHeader,
    Wrong::NoBody,
    Wrong::ShortBody,
    Wrong::ShorterThanItSays,
    Wrong::SurplusBody,
    Wrong::NoNul,
    Wrong::LengthZero,
    Wrong::LengthAll,
    Wrong::SizeAll,
    Wrong::UnknownNode,
    Wrong::UnknownHandle,
    Wrong::ExtensionsAll,
    Wrong::NoWritable,
    Wrong::OneByteWritable,
    Wrong::HeaderWritable,
    Wrong::Nothing,
];

/// Where the body of a request has a size or a count of 32 bits.
fn place_of_size(opcode: u32) -> Option<usize> {
    match opcode {
        opcode::READ | opcode::WRITE | opcode::READDIR | opcode::READDIRPLUS => Some(16),
        opcode::SETXATTR | opcode::GETXATTR | opcode::LISTXATTR => Some(0),
        opcode::BATCH_FORGET | opcode::REMOVEMAPPING => Some(0),
        opcode::IOCTL => Some(24),
        _ => None,
    }
}

/// Where the body of a request has a handle.
fn place_of_handle(opcode: u32) -> Option<usize> {
    match opcode {
        opcode::GETATTR | opcode::SETATTR | opcode::STATX => Some(8),
        opcode::READ | opcode::WRITE | opcode::READDIR | opcode::READDIRPLUS => Some(0),
        opcode::RELEASE | opcode::RELEASEDIR | opcode::FLUSH => Some(0),
        opcode::FSYNC | opcode::FSYNCDIR | opcode::FALLOCATE | opcode::LSEEK => Some(0),
        opcode::GETLK | opcode::SETLK | opcode::SETLKW | opcode::POLL => Some(0),
        opcode::IOCTL | opcode::COPY_FILE_RANGE | opcode::COPY_FILE_RANGE_64 => Some(0),
        opcode::SETUPMAPPING => Some(0),
        _ => None,
    }
}

/// The request, wrong, and how much room it has for a reply; `None` where it cannot be wrong so.
fn made(scene: &mut Scene, opcode: u32, things: &Things, wrong: Wrong) -> Option<(Vec<u8>, usize)> {
    /// More than any reply takes that was asked for rightly.
    const ROOM: usize = 8192;
    let (mut node, mut body) = regular(opcode, things);
    match wrong {
        Wrong::NoBody if !body.is_empty() => body.clear(),
        Wrong::ShortBody if body.len() > 1 => body.truncate(body.len() / 2),
        Wrong::SurplusBody => body.extend([0xff; 64]),
        Wrong::NoNul if NAMED.contains(&opcode) && opcode != opcode::SETXATTR => _ = body.pop(),
        Wrong::SizeAll => {
            let at = place_of_size(opcode)?;
            body[at..at + 4].copy_from_slice(&[0xff; 4]);
        }
        Wrong::UnknownNode => node = UNKNOWN,
        Wrong::UnknownHandle => {
            let at = place_of_handle(opcode)?;
            body[at..at + 8].copy_from_slice(&UNKNOWN.to_le_bytes());
        }
        Wrong::NoBody | Wrong::ShortBody | Wrong::NoNul => return None,
        _ => (),
    }
    let mut message = scene.it.fs.message(opcode, node, &body);
    let mut room = ROOM;
    match wrong {
        Wrong::ShortHeader => message.truncate(IN_HEADER / 2),
        Wrong::ShorterThanItSays if !body.is_empty() => message.truncate(message.len() - 1),
        Wrong::ShorterThanItSays => return None,
        Wrong::LengthZero => message[..4].fill(0),
        Wrong::LengthAll => message[..4].fill(0xff),
        Wrong::ExtensionsAll => message[36..38].fill(0xff),
        Wrong::NoWritable => room = 0,
        Wrong::OneByteWritable => room = 1,
        Wrong::HeaderWritable => room = OUT_HEADER,
        _ => (),
    }
    Some((message, room))
}

/// What came back is nothing, or a reply to this request.
#[track_caller]
fn expect_a_reply(reply: &[u8], message: &[u8], room: usize, what: &str) {
    if reply.is_empty() || room < OUT_HEADER {
        assert!(reply.len() <= room, "{what}: {reply:?}");
        return;
    }
    let field = |at: usize| reply.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    let (len, error) = (field(0).map(u32::from_le_bytes), field(4).map(i32::from_le_bytes));
    assert_eq!(len.map(|len| len as usize), Some(reply.len()), "{what}: {reply:?}");
    assert!(error.is_some_and(|error| (-511..=0).contains(&error)), "{what}: {reply:?}");
    if error != Some(0) {
        assert_eq!(reply.len(), OUT_HEADER, "{what}: {reply:?}");
    }
    if message.len() >= IN_HEADER {
        assert_eq!(reply[8..16], message[8..16], "{what}: {reply:?}");
    }
}

/// Whether the request cannot be what it says to be, so that it must not have been done.
fn must_fail(opcode: u32, wrong: Wrong) -> bool {
    let no_reply = [opcode::FORGET, opcode::BATCH_FORGET, opcode::INTERRUPT].contains(&opcode);
    // These have fields that they need not have, or that do not matter.
    let lenient = [opcode::INIT, opcode::DESTROY, opcode::STATFS, opcode::SYNCFS, opcode::ACCESS];
    match wrong {
        Wrong::NoNul => true,
        Wrong::NoBody | Wrong::ShortBody => !no_reply && !lenient.contains(&opcode),
        Wrong::UnknownNode => ![opcode::INIT, opcode::DESTROY, opcode::SYNCFS].contains(&opcode),
        Wrong::UnknownHandle => [opcode::READ, opcode::WRITE, opcode::READDIR].contains(&opcode),
        _ => false,
    }
}

fn try_all(opcodes: impl Iterator<Item = u32>) {
    let mut scene = Scene::new();
    for opcode in opcodes {
        for wrong in ALL {
            let things = scene.things();
            let Some((message, room)) = made(&mut scene, opcode, &things, wrong) else { continue };
            let what = format!("opcode {opcode}, {wrong:?}");
            let reply = scene.it.fs.call(&message, room);
            expect_a_reply(&reply, &message, room, &what);
            let done = reply.get(4..8) == Some(&[0; 4]);
            assert!(!done || !must_fail(opcode, wrong), "{what}: it was done");
            if [opcode::INIT, opcode::DESTROY].contains(&opcode) {
                scene.it.fs.init();
            }
            scene.expect_unharmed(&what);
            scene.mend();
        }
    }
}

#[test]
fn requests_about_names_that_are_wrong_in_every_way_do_no_harm() {
    try_all(1..=25);
}

#[test]
fn requests_about_sessions_and_folders_that_are_wrong_in_every_way_do_no_harm() {
    try_all(26..=40);
}

#[test]
fn requests_of_later_kernels_that_are_wrong_in_every_way_do_no_harm() {
    try_all(41..=53);
}

#[test]
fn requests_that_there_are_not_are_refused() {
    try_all(STRANGE.into_iter());
}

/// Requests of which some bytes are others.
const RANDOM: usize = 10_000;

#[test]
fn requests_with_bytes_of_chance_do_no_harm() {
    let mut scene = Scene::new();
    let seed = Random::seed();
    println!("seed {seed}");
    let mut random = Random::of(seed);
    let mut below = |end: usize| -> usize {
        let below = random.below(u64::try_from(end).expect("a small number"));
        usize::try_from(below).expect("a small number")
    };
    let mut things = scene.things();
    for turn in 0..RANDOM {
        let opcode = u32::try_from(below(54)).expect("a small number");
        let (node, body) = regular(opcode, &things);
        let mut message = scene.it.fs.message(opcode, node, &body);
        for _ in 0..=below(4) {
            let at = below(message.len());
            // The number of the request says what its reply is.
            if !(8..16).contains(&at) {
                message[at] = [0, 1, 0x7f, 0xff, b'/', b'.'][below(6)];
            }
        }
        if below(4) == 0 {
            let len = below(message.len());
            message.truncate(len.max(1));
        }
        if opcode_of(&message) == opcode::FALLOCATE
            && let Some(length) = message.get_mut(59..64)
        {
            // Not so much that others find the disk full.
            length.fill(0);
        }
        let room = [0, 1, 15, 16, 17, 100, 4096][below(7)];
        let what = format!("turn {turn}: {message:02x?}");
        let reply = scene.it.fs.call(&message, room);
        expect_a_reply(&reply, &message, room, &what);
        if turn % 64 == 0 || [opcode::INIT, opcode::DESTROY].contains(&opcode_of(&message)) {
            scene.mend();
            scene.it.fs.init();
            scene.expect_unharmed(&what);
            things = scene.things();
        }
    }
}

/// What the request asks for, as far as it is there.
fn opcode_of(message: &[u8]) -> u32 {
    message.get(4..8).map_or(0, |bytes| Fields::of(bytes).u32())
}

#[test]
fn request_on_the_other_queue_is_answered_all_the_same() {
    let mut scene = Scene::new();
    let things = scene.things();
    for opcode in 1..=53 {
        let (node, body) = regular(opcode, &things);
        let message = scene.it.fs.message(opcode, node, &body);
        let ticket = scene.it.fs.submit(0, &message, 4096);
        scene.it.fs.wait(ticket);
        if [opcode::INIT, opcode::DESTROY].contains(&opcode) {
            scene.it.fs.init();
        }
        scene.expect_unharmed(&format!("opcode {opcode} on the high-priority queue"));
        scene.mend();
    }
}

#[test]
fn request_cut_into_single_bytes_is_understood() {
    let mut scene = Scene::new();
    let (node, body) = regular(opcode::LOOKUP, &scene.things());
    let message = scene.it.fs.message(opcode::LOOKUP, node, &[&body[..0], b"file\0"].concat());
    let (ones, room) = (vec![1; message.len()], vec![3; 48]);
    let ticket = scene.it.fs.submit_cut(1, &message, &ones, &room);
    assert_eq!(scene.it.fs.end(ticket).map(|reply| reply.len()), Ok(128));
}

#[test]
fn request_before_init_is_refused_and_init_is_not() {
    let outer = vhost_user_tests::fs::share::new_folder();
    let launch = vhost_user_tests::prelude::Daemon::fs().share(outer.path());
    let mut it = vhost_user_tests::fs::Shared::silent(launch, outer);
    assert!(it.fs.lookup(1, "file").is_err(), "a name before INIT");
    it.fs.init();
    assert!(it.fs.getattr(1).is_ok(), "the root after INIT");
}
