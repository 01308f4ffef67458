// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Thousands of made-up sequences of messages, each said to our session and to the `vhost`
//! crate's.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use vhost::vhost_user::message::FrontendReq as Req;
use vhost_user_oracle::accepted::ACCEPTED;
use vhost_user_oracle::author;
use vhost_user_oracle::compare::{Outcome, Seen, compare, minimised};
use vhost_user_oracle::ours::Ours;
use vhost_user_oracle::random::Random;
use vhost_user_oracle::said::Said;

/// How many sequences, if the variable ORACLE_SEQUENCES of the environment does not say.
const SEQUENCES: u64 = 20_000;

/// With fewer, an accepted difference may be missing by chance.
const ENOUGH: u64 = SEQUENCES;

/// From the environment, if it is there.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn sequences_go_as_with_vhost_but_for_accepted_differences() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = number("ORACLE_SEED").unwrap_or_else(now);
    let sequences = number("ORACLE_SEQUENCES").unwrap_or(SEQUENCES);
    println!("ORACLE_SEED={seed}: {sequences} sequences");
    let (mut ours, mut seen) = (Ours::start().unwrap(), Seen::none_of(ACCEPTED));
    let (mut messages, started) = (0, Instant::now());
    for number in 0..sequences {
        let sequence = author::sequence(Random::new(seed ^ (number << 32)));
        match compare(&mut ours, &sequence, &mut seen).unwrap() {
            Outcome::Same(count) => messages += count,
            Outcome::Different(found) => {
                let found = minimised(&mut ours, *found, &seen).unwrap();
                panic!("sequence {number} of ORACLE_SEED={seed}:\n{found}");
            }
        }
    }
    println!("{messages} messages in {:.1} s", started.elapsed().as_secs_f64());
    for (accepted, count) in seen.counts() {
        println!("{count:6} times: {}", accepted.why);
    }
    let never = seen.counts().iter().filter(|(_, count)| *count == 0);
    let never: Vec<_> = never.map(|(accepted, _)| accepted.why).collect();
    assert!(sequences < ENOUGH || never.is_empty(), "these never came:\n{}", never.join("\n"));
}

#[test]
fn seed_gives_the_same_sequence_again() {
    let [one, same, other] = [7, 7, 8].map(|seed| author::sequence(Random::new(seed)));
    assert_eq!(one, same);
    assert_ne!(one, other);
}

/// Messages of which the two agree on the first alone, as long as nothing is accepted.
fn differing() -> Vec<Said> {
    let longs = |number: u64| number.to_ne_bytes().to_vec();
    vec![
        Said::new(Req::GET_FEATURES, Vec::new(), Vec::new()),
        Said::new(Req::SET_OWNER, Vec::new(), Vec::new()),
        Said::new(Req::SET_PROTOCOL_FEATURES, longs(1 << 3), Vec::new()),
        Said::new(Req::GET_QUEUE_NUM, Vec::new(), Vec::new()),
        Said::new(Req::SET_OWNER, Vec::new(), Vec::new()),
    ]
}

#[test]
fn difference_that_is_not_accepted_is_found_and_cut_down_to_what_it_needs() {
    let (mut ours, mut seen) = (Ours::start().unwrap(), Seen::none_of(&[]));
    let Outcome::Different(found) = compare(&mut ours, &differing(), &mut seen).unwrap() else {
        panic!("nothing was found");
    };
    assert_eq!(found.sequence, differing()[..4]);
    let found = minimised(&mut ours, *found, &seen).unwrap();
    assert_eq!(
        found.to_string(),
        "  GET_QUEUE_NUM [] with []\n\
         ours says [11, 00, 00, 00, 05, 00, 00, 00, 08, 00, 00, 00, \
         02, 00, 00, 00, 00, 00, 00, 00] with 0 descriptors, goes on\n\
         vhost's says nothing, closes the connection"
    );
}

#[test]
fn difference_that_is_accepted_is_counted_and_ends_the_sequence() {
    let (mut ours, mut seen) = (Ours::start().unwrap(), Seen::none_of(ACCEPTED));
    let outcome = compare(&mut ours, &differing(), &mut seen).unwrap();
    assert!(matches!(outcome, Outcome::Same(4)), "{outcome:?}");
    assert_eq!(seen.counts().iter().map(|(_, count)| count).sum::<usize>(), 1);
}
