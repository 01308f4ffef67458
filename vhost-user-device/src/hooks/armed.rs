// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The hooks as a test sets them, by two variables in the environment:
//!
//! - `VHOST_USER_TEST_ABORT=POINT:N` ends the process by SIGABRT at the N-th time that the point is
//!   passed, counted from 1 over all queues: `mark`, `submission`, `completion`, `used-element`,
//!   `used-idx`, `half-marks` or `call`.
//! - `VHOST_USER_TEST_SHUFFLE=SEED` takes all that is available before it serves any of it, and
//!   serves it in pseudo-random order.

use std::env;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Point;
use crate::ring::Request;

static ABORT: LazyLock<Option<(Point, u64)>> = LazyLock::new(|| {
    let text = env::var("VHOST_USER_TEST_ABORT").ok()?;
    Some(parse(&text).unwrap_or_else(|| panic!("VHOST_USER_TEST_ABORT={text}")))
});

static SHUFFLE: LazyLock<Option<AtomicU64>> = LazyLock::new(|| {
    let text = env::var("VHOST_USER_TEST_SHUFFLE").ok()?;
    let seed: u64 = text.parse().unwrap_or_else(|_| panic!("VHOST_USER_TEST_SHUFFLE={text}"));
    Some(AtomicU64::new(seed))
});

static PASSED: AtomicU64 = AtomicU64::new(0);

fn parse(text: &str) -> Option<(Point, u64)> {
    let (point, time) = text.split_once(':')?;
    let point = match point {
        "mark" => Point::Mark,
        "submission" => Point::Submission,
        "completion" => Point::Completion,
        "used-element" => Point::UsedElement,
        "used-idx" => Point::UsedIdx,
        "half-marks" => Point::HalfMarks,
        "call" => Point::Call,
        _ => return None,
    };
    Some((point, time.parse().ok()?))
}

pub(super) fn arm() {
    LazyLock::force(&ABORT);
    LazyLock::force(&SHUFFLE);
}

pub(super) fn pass(point: Point) {
    if let Some((chosen, time)) = *ABORT
        && chosen == point
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == time
    {
        std::process::abort();
    }
}

#[derive(Default)]
pub(super) struct Held(Vec<Request>);

impl Held {
    pub(super) fn hold(&mut self, request: Request) -> Option<Request> {
        if SHUFFLE.is_none() {
            return Some(request);
        }
        self.0.push(request);
        None
    }

    pub(super) fn shuffled(self) -> impl Iterator<Item = Request> {
        let mut requests = self.0;
        if let Some(state) = &*SHUFFLE {
            for end in (2..=requests.len()).rev() {
                let place = usize::try_from(random(state)).unwrap_or(0) % end;
                requests.swap(place, end - 1);
            }
        }
        requests.into_iter()
    }
}

/// The next number (splitmix64). Queues share the sequence.
fn random(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut number = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
