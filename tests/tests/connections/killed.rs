// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A front end that is killed in the middle of requests.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Host;

/// A front end in a process of its own, with requests in flight on two queues.
fn busy_frontend(it: &mut Host) -> Child {
    it.connections += 1;
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    let mut child =
        command.arg(it.daemon.socket()).stdout(Stdio::piped()).spawn().expect("run a front end");
    let output = child.stdout.take().expect("the front end's standard output");
    let mut word = String::new();
    BufReader::new(output).read_line(&mut word).expect("read the front end's word");
    assert_eq!(word, "serving\n");
    child
}

#[test]
fn connection_after_one_whose_front_end_was_killed_is_served() {
    let mut it = Host::new();
    it.serve(1);
    let before = kill(&mut it);
    for _ in 0..10 {
        assert_eq!(kill(&mut it), before);
        it.serve(5);
    }
}

/// Has a busy front end killed; what the daemon uses after it.
#[track_caller]
fn kill(it: &mut Host) -> crate::Use {
    let mut child = busy_frontend(it);
    child.kill().expect("kill the front end");
    child.wait().expect("wait for the front end");
    let left = it.idle();
    assert_eq!(left.shared, 0);
    left
}
