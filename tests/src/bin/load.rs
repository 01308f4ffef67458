// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A front end that keeps a block device busy until somebody kills it: `load SOCKET [QUEUES]`, two
//! queues if not said otherwise. It says `serving` once requests are given back and others are in flight.

#![expect(clippy::print_stdout, reason = "whoever started it waits for its word")]

use std::env;

use vhost_user_tests::prelude::*;

/// Requests in flight on each queue.
const DEPTH: u64 = 32;

fn main() {
    let socket = env::args_os().nth(1).expect("the path of a socket");
    let queues = env::args().nth(2).map_or(2, |queues| queues.parse().expect("a number of queues"));
    let mut frontend = Frontend::connect(socket).negotiate(USUAL);
    let mut disks: Vec<BlkQueue> = (0..queues).map(|index| frontend.blk(index, 256)).collect();
    let request = |turn: u64| match turn % 4 {
        0 => Request::write(turn % 64, &Image::contents(turn % 64)),
        _ => Request::read(turn % 64, 1),
    };
    for turn in 0..DEPTH {
        for disk in &mut disks {
            disk.submit(&request(turn));
        }
    }
    for turn in DEPTH.. {
        for disk in &mut disks {
            disk.watch();
            disk.submit(&request(turn));
        }
        if turn == 2 * DEPTH {
            println!("serving");
        }
    }
}
