// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! fio on the file itself: what can be had without any device.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::outcome::Run;
use super::scenario::{Disk, Engine, Scenario};

/// How long it may take beyond what it was told.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file that fio writes its report to.
const REPORT: &str = "fio.json";

/// fio with the load of a scenario, on one thread, at its fastest: without a look at the clock for
/// each request, and without a note of which blocks were read.
pub(super) fn command(engine: Engine, scenario: &Scenario, file: &str, seconds: f64) -> Command {
    let load = scenario.load;
    let mut command = Command::new("fio");
    command.args(["--name=bench", "--thread", "--time_based", "--norandommap", "--gtod_reduce=1"]);
    let work = if load.writes { "randwrite" } else { "randread" };
    command.arg(format!("--filename={file}")).arg(format!("--rw={work}"));
    command.arg(format!("--bs={}", load.block)).arg(format!("--ioengine={}", engine.name()));
    if engine == Engine::Uring {
        command.arg(format!("--iodepth={}", load.depth));
    }
    // Otherwise it would begin with having the kernel forget the file.
    command.arg("--invalidate=0");
    command.arg(if scenario.disk == Disk::Direct { "--direct=1" } else { "--direct=0" });
    command.arg(format!("--runtime={seconds}")).arg("--ramp_time=0.3");
    command.args(["--output-format=json", "--output", REPORT]);
    command
}

/// Runs it in `folder`; what it reports, and how many bytes were fetched from a disk for it.
///
/// # Errors
/// It can't be started, fails, or takes too long.
pub(super) fn run(mut command: Command, folder: &Path, seconds: f64) -> Result<Run> {
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().context("start fio")?;
    let limit = Duration::from_secs_f64(seconds) + PATIENCE;
    let fetched = fetched_until_the_end(&mut child, limit)?;
    let status = child.wait().context("wait for fio")?;
    ensure!(status.success(), "fio: {status}");
    let text = fs::read_to_string(folder.join(REPORT)).context("read fio's report")?;
    let run = report(&text).with_context(|| format!("understand fio's report: {text}"))?;
    Ok(Run { fetched, ..run })
}

/// Waits until it has ended, and asks the kernel about it before its last traces go.
fn fetched_until_the_end(child: &mut Child, limit: Duration) -> Result<u64> {
    let (pid, begin) = (child.id(), Instant::now());
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("look at fio")?;
        if state(&stat) == Some('Z') {
            break;
        }
        if begin.elapsed() > limit {
            child.kill().and_then(|()| child.wait()).context("kill fio")?;
            bail!("fio was killed: it had not ended after {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let io = fs::read_to_string(format!("/proc/{pid}/io")).context("look at what fio did")?;
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).context("no read_bytes of fio")
}

/// The letter behind the name, which is in brackets and may have any in it.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The run in fio's report. Lines before it are warnings.
fn report(text: &str) -> Option<Run> {
    let begin = text.find('{')?;
    let report: Value = serde_json::from_str(&text[begin..]).ok()?;
    let job = &report["jobs"][0];
    let number = |value: &Value| value.as_f64();
    let rate = number(&job["read"]["iops"])? + number(&job["write"]["iops"])?;
    let busy = (number(&job["usr_cpu"])? + number(&job["sys_cpu"])?) / 100.0;
    (job["error"] == 0 && rate > 0.0).then(|| Run {
        rate,
        cpu: Some(busy / rate * 1e6),
        memory: None,
        fetched: 0,
        checked: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::blk::contestant::typed;
    use crate::bench::blk::scenario::SCENARIOS;

    const REPORTED: &str = r#"fio: a warning
{ "fio version" : "fio-3.33", "jobs" : [ { "error" : 0, "read" : { "iops" : 800000.5 },
  "write" : { "iops" : 0.0 }, "usr_cpu" : 30.0, "sys_cpu" : 50.0 } ] }"#;

    #[test]
    fn report_has_the_rate_and_what_it_cost() {
        let run = report(REPORTED).unwrap();
        assert_eq!(run.rate, 800_000.5);
        assert!((run.cpu.unwrap() - 1.0).abs() < 1e-5, "{run:?}");
    }

    #[test]
    fn report_of_a_failure_is_none() {
        assert!(report(&REPORTED.replace("\"error\" : 0", "\"error\" : 5")).is_none());
        assert!(report("fio: no such file\n").is_none());
    }

    #[test]
    fn state_is_found_behind_any_name() {
        assert_eq!(state("7 (a) b) Z 1 7"), Some('Z'));
        assert_eq!(state(""), None);
    }

    #[test]
    fn command_has_the_load_of_the_scenario() {
        let direct = SCENARIOS.iter().find(|scenario| scenario.name == "direct-read").unwrap();
        let line = typed(&command(Engine::Uring, direct, "a.img", 2.0));
        let wanted = "--filename=a.img --rw=randread --bs=4096 --ioengine=io_uring --iodepth=32 \
                      --invalidate=0 --direct=1 --runtime=2 ";
        assert!(line.contains(wanted), "{line}");
    }
}
