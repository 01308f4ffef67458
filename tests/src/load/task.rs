// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the load generator can be asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect::{Connection, connect};
use super::driver::{Contents, Driver, Plan, Window};
use super::layout::Shape;
use super::pattern::Generations;
use super::process::{Counted, Resident};
use super::queue::Work;
use super::report::Report;
use super::words::Said;
use super::{ceiling, file};

/// Does what the first of the words says; what is to be printed.
///
/// # Panics
/// When the words make no sense, the back end does something else than it was asked for, or a byte
/// is not the one that it should be.
pub fn run(words: impl IntoIterator<Item = String>) -> String {
    let mut words = words.into_iter();
    let task = words.next().unwrap_or_default();
    let mut said = Said::new(words);
    let report = match task.as_str() {
        "make" => make(&mut said),
        "settle" => settle(&mut said),
        "bare" => bare(&mut said),
        "ceiling" => of_the_driver(&mut said),
        "drive" => drive(&mut said),
        other => panic!("{other:?}: it is make, settle, bare, ceiling or drive"),
    };
    said.end();
    report.line()
}

fn make(said: &mut Said) -> Report {
    let (path, len) = (file_of(said), said.number("len", 1 << 30));
    let block = said.number("block", 4096);
    file::make(&path, len, said.number("pieces", 1 << 20));
    if let Some(generations) = said.path("generations") {
        file::note(generations, len, block);
    }
    Report::default()
}

fn settle(said: &mut Said) -> Report {
    file::settle(&file_of(said), said.is("state", ["uncached", "cached"]));
    Report::default()
}

fn bare(said: &mut Said) -> Report {
    let (path, block) = (file_of(said), said.number("block", 4096));
    let (buffers, time) = (said.number("depth", 1), seconds(said, "seconds", 2.0));
    let (requests, seconds) = file::read_bare(&path, block, buffers, time);
    Report::of(&Window { requests, seconds, ..Window::default() })
}

/// The driver's own ceiling.
fn of_the_driver(said: &mut Said) -> Report {
    let (shape, time) = (shape(said), seconds(said, "seconds", 1.0));
    let plan = plan(said, shape, 1 << 30);
    let device = said.is("device", ["inline", "thread"]);
    let of = if device { ceiling::with_a_thread } else { ceiling::alone };
    Report::of(&of(shape, plan, time))
}

fn drive(said: &mut Said) -> Report {
    let socket = said.path("socket").expect("socket=PATH");
    let (shape, queues) = (shape(said), said.number("queues", 1));
    let event_idx = !said.is("notify", ["events", "flags"]);
    let pid: u32 = said.number("pid", 0);
    let times = [seconds(said, "warm", 0.3), seconds(said, "seconds", 2.0)];
    let known = said.is("contents", ["unknown", "known"]);
    let generations = said.path("generations").map(|path| {
        Generations::take(path).expect("the generations of the file, which a run left behind")
    });

    let connection = connect(&socket, queues, shape, event_idx);
    let plan = plan(said, shape, connection.disk);
    let generation = generations.as_ref().and_then(Generations::new_one).unwrap_or(1);
    let contents = known.then_some(Contents { generations, generation });
    let Connection { frontend, queues, call, event_idx, disk } = connection;
    let mut driver = Driver::new(queues, shape.depth, plan, contents, call);

    let (mut report, resident) = measured(&mut driver, times, pid);
    report.field("event_idx", u8::from(event_idx));
    report.field("disk", disk);
    report.field("rss_anon_kib", resident.anon);
    report.field("rss_file_kib", resident.file);
    driver.drain();
    if plan.work == Work::Write && known {
        report.field("checked_after", driver.check_all());
    }
    if let Some(Contents { generations: Some(generations), .. }) = driver.into_contents() {
        generations.keep().expect("note the generations of the file");
    }
    drop(frontend);
    report
}

/// The requests in the second time, after a first that does not count, and what they cost the
/// process `pid`, if that is one.
fn measured(driver: &mut Driver, [warm, time]: [Duration; 2], pid: u32) -> (Report, Resident) {
    driver.begin();
    driver.go_on(warm);
    let counted = || if pid == 0 { Counted::default() } else { Counted::of(pid) };
    let before = counted();
    let window = driver.go_on(time);
    let counted = counted().since(before);
    let resident = if pid == 0 { Resident::default() } else { Resident::of(pid) };
    let mut report = Report::of(&window);
    report.field("cpu", counted.cpu);
    report.field("fetched", counted.fetched);
    report.field("waits", counted.waits);
    (report, resident)
}

fn shape(said: &mut Said) -> Shape {
    Shape {
        depth: said.number("depth", 32),
        block: said.number("block", 4096),
        misalign: said.number("misalign", 0),
        indirect: said.is("chains", ["direct", "indirect"]),
    }
}

fn plan(said: &mut Said, shape: Shape, disk: u64) -> Plan {
    let work = if said.is("work", ["read", "write"]) { Work::Write } else { Work::Read };
    let block = u64::try_from(shape.block).expect("a length in 64 bits");
    Plan {
        work,
        sequential: said.is("order", ["random", "sequential"]),
        sleeps: said.is("waits", ["polling", "sleeping"]),
        block: shape.block,
        blocks: disk / block,
    }
}

fn file_of(said: &mut Said) -> PathBuf {
    said.path("file").as_deref().map(Path::to_owned).expect("file=PATH")
}

fn seconds(said: &mut Said, name: &str, otherwise: f64) -> Duration {
    Duration::from_secs_f64(said.number(name, otherwise))
}
