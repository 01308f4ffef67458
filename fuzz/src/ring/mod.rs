// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A ring in hostile memory: the input says how a virtqueue is set up, and is then a script of what
//! the driver, the front end and the device do, in any order. Whatever they do, what [`Bench`]
//! asserts must hold.

mod bench;
mod places;
mod surroundings;

use crate::input::Input;
use bench::Bench;
pub(crate) use places::file;

/// Nothing of interest takes longer.
const MOST_STEPS: usize = 1000;

/// Plays one input.
pub fn play(input: &[u8]) {
    let mut input = Input::new(input);
    let mut bench = Bench::new(&mut input);
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        step(&mut bench, &mut input);
    }
    bench.end();
}

/// Plays one step of a script.
fn step(bench: &mut Bench, input: &mut Input<'_>) {
    match input.u8() % 20 {
        0..=2 => {
            let slot = input.u8();
            let descriptor = places::descriptor(input);
            bench.write_descriptor(slot, descriptor);
        }
        3 => {
            let at = input.u16();
            let descriptor = places::descriptor(input);
            bench.write(at.into(), &descriptor);
        }
        4 | 5 => {
            let heads = [input.u8(), input.u8()];
            bench.offer(&heads[..1 + usize::from(heads[1] & 1)]);
        }
        6 => bench.write_avail(input.u16(), input.u16()),
        7 => {
            let at = input.u16();
            bench.write(at.into(), &input.bytes::<8>());
        }
        8..=10 => {
            for _ in 0..=input.u8() % 8 {
                bench.take();
            }
        }
        11 | 12 => bench.complete(input.u8(), input.u32()),
        13 => bench.publish(),
        14 => bench.hand_back(input.u8()),
        15 => bench.send_home(input.u8(), input.u32()),
        16 => bench.ask_for_kicks(input.u8() & 1 == 1),
        17 => bench.install(input),
        18 => bench.write_tracked(input.u16(), input.bytes()),
        _ => bench.take_over(input.u16()),
    }
}
