// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whether it is as good as it has to be.

use super::outcome::{Measured, Outcome};
use super::scenario::{Rival, Target};

/// A target, what came out, and whether that is enough; `None` where it is not known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) wanted: String,
    pub(super) got: Option<f64>,
    pub(super) met: Option<bool>,
}

/// Judges by the medians.
pub(super) fn of(target: Target, outcome: &Outcome) -> Verdict {
    let ours = outcome.ours();
    let rate = |measured: &Measured| measured.rate().map(|spread| spread.median);
    let cpu = |measured: &Measured| measured.cpu().map(|spread| spread.median);
    match target {
        Target::Rate(rival, least) => {
            let got = ratio(ours.and_then(rate), fastest(rival, outcome).and_then(rate));
            let wanted = format!(">= {least:.2} x {}", rival.name());
            Verdict { wanted, got, met: got.map(|got| got >= least) }
        }
        Target::Cpu(rival, most) => {
            let got = ratio(ours.and_then(cpu), fastest(rival, outcome).and_then(cpu));
            let wanted = format!("<= {most:.2} x the CPU time of {}", rival.name());
            Verdict { wanted, got, met: got.map(|got| got <= most) }
        }
        Target::BelowCeiling => {
            let ceiling = outcome.ceiling.map(|ceiling| ceiling.median);
            let got = ratio(ours.and_then(rate), ceiling);
            let wanted = "< 1.00 x the driver's own ceiling".to_owned();
            Verdict { wanted, got, met: got.map(|got| got < 1.0) }
        }
        Target::Memory(most) => {
            // Of memory the most counts, not the usual.
            let got = ours.and_then(Measured::memory).map(|spread| spread.most);
            let wanted = format!("< {most:.0} MiB of RssAnon + RssFile");
            Verdict { wanted, got, met: got.map(|got| got < most) }
        }
    }
}

/// The one with the highest median of those that a rival can be.
pub(super) fn fastest(rival: Rival, outcome: &Outcome) -> Option<&Measured> {
    let candidates = outcome.measured.iter().filter(|measured| rival.is(measured.contestant));
    let rate = |measured: &Measured| measured.rate().map_or(0.0, |spread| spread.median);
    candidates.max_by(|a, b| rate(a).total_cmp(&rate(b)))
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    Some(ours? / theirs.filter(|theirs| *theirs > 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::outcome;
    use super::*;
    use crate::bench::blk::scenario::Engine;

    #[test]
    fn rate_is_judged_by_the_fastest_of_the_rivals() {
        // Ours has 1, the two of QEMU 2 and 3, fio 4 and 5.
        let outcome = outcome("cached-read", &[100.0]);
        let verdict = of(Target::Rate(Rival::Qsd, 0.3), &outcome);
        assert_eq!(verdict.wanted, ">= 0.30 x the newest qemu-storage-daemon");
        assert!((verdict.got.unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(verdict.met, Some(true));
        let verdict = of(Target::Rate(Rival::Fio(Engine::Psync), 0.3), &outcome);
        assert_eq!((verdict.got, verdict.met), (Some(0.25), Some(false)));
    }

    #[test]
    fn cpu_time_is_judged_by_that_of_the_fastest_rival() {
        let verdict = of(Target::Cpu(Rival::Qsd, 0.7), &outcome("cached-write", &[100.0]));
        assert!((verdict.got.unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(verdict.met, Some(true));
    }

    #[test]
    fn memory_is_judged_by_the_most_of_all_runs() {
        let mut outcome = outcome("memory", &[100.0, 200.0]);
        outcome.measured[0].runs[1].memory = Some(17.0);
        assert_eq!(of(Target::Memory(16.0), &outcome).met, Some(false));
    }

    #[test]
    fn target_without_a_run_is_neither_met_nor_missed() {
        let mut outcome = outcome("cached-read", &[100.0]);
        outcome.measured[0].runs.clear();
        let verdict = of(Target::Rate(Rival::Qsd, 2.0), &outcome);
        assert_eq!((verdict.got, verdict.met), (None, None));
    }
}
