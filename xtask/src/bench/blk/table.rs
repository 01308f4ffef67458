// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What came out, to be read.

use super::outcome::{Measured, Outcome};
use super::statistics::{Spread, rate};
use super::verdict::Verdict;

/// A scenario with all its contestants and targets.
pub(super) fn of_scenario(outcome: &Outcome) -> String {
    let rows = outcome.measured.iter().map(|measured| row(measured, outcome).join(" | "));
    let head =
        "| who | requests/s, median | least .. most | of ours | CPU s per million | compared |";
    let rule = "|---|---:|---:|---:|---:|---:|";
    let mut lines = vec![head.to_owned(), rule.to_owned()];
    lines.extend(rows.map(|row| format!("| {row} |")));
    if let Some(ceiling) = outcome.ceiling {
        lines.push(format!(
            "| the driver's own ceiling | {} | {} | | | |",
            rate(ceiling.median),
            range(ceiling)
        ));
    }
    lines.push(String::new());
    lines.extend(outcome.verdicts().iter().map(|verdict| format!("- {}", sentence(verdict))));
    lines.extend(notes(outcome).map(|note| format!("- {note}")));
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// The targets of all scenarios.
pub(super) fn summary(outcomes: &[Outcome]) -> String {
    let mut lines =
        vec!["| scenario | target | got | |".to_owned(), "|---|---|---:|---|".to_owned()];
    for outcome in outcomes {
        for verdict in outcome.verdicts() {
            let Verdict { wanted, .. } = &verdict;
            let (got, word) = (got(&verdict), word(verdict.met));
            lines.push(format!("| {} | {wanted} | {got} | {word} |", outcome.scenario.name));
        }
    }
    lines.join("\n") + "\n"
}

/// All of it, as a part of a page that has the plot at `plot`.
pub(super) fn page(machine: &str, outcomes: &[Outcome], plot: &str) -> String {
    let picture = format!("![Requests per second of all scenarios]({plot})");
    let mut page = format!("```text\n{machine}\n```\n\n{}\n{picture}\n", summary(outcomes));
    for outcome in outcomes {
        page.push_str(&format!("\n### {}\n\n{}", outcome.scenario.title, of_scenario(outcome)));
        page.push_str("\n```text\n");
        for measured in &outcome.measured {
            page.push_str(&format!("{}\n", measured.command));
        }
        page.push_str("```\n");
    }
    page
}

fn row(measured: &Measured, outcome: &Outcome) -> [String; 6] {
    let Some(spread) = measured.rate() else {
        return [&measured.name, "not measured", "", "", "", ""].map(str::to_owned);
    };
    let ours = outcome.ours().and_then(Measured::rate);
    let of_ours = ours.map(|ours| format!("{:.2}", spread.median / ours.median));
    let cpu = measured.cpu().map(|cpu| format!("{:.2}", cpu.median));
    let compared: u64 = measured.runs.iter().map(|run| run.checked).sum();
    [
        measured.name.clone(),
        rate(spread.median),
        range(spread),
        of_ours.unwrap_or_default(),
        cpu.unwrap_or_default(),
        if compared > 0 { compared.to_string() } else { String::new() },
    ]
}

fn range(spread: Spread) -> String {
    format!("{} .. {}", rate(spread.least), rate(spread.most))
}

fn sentence(verdict: &Verdict) -> String {
    format!("{}: {}, {}", verdict.wanted, got(verdict), word(verdict.met))
}

fn got(verdict: &Verdict) -> String {
    verdict.got.map_or_else(|| "?".to_owned(), |got| format!("{got:.2}"))
}

fn word(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not known",
    }
}

/// What else is to be said about the runs.
fn notes(outcome: &Outcome) -> impl Iterator<Item = String> {
    outcome.measured.iter().flat_map(|measured| {
        let name = &measured.name;
        let discarded = (measured.discarded > 0).then(|| {
            format!("{name}: {} runs touched the disk and were discarded", measured.discarded)
        });
        let failure = measured.failure.as_ref().map(|why| format!("{name} failed: {why}"));
        [discarded, failure].into_iter().flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::outcome;
    use super::*;

    #[test]
    fn table_has_a_row_for_each_and_says_what_was_met() {
        let text = of_scenario(&outcome("cached-read", &[1e5, 3e5, 2e5]));
        let row = "| qemu-storage-daemon  io_uring | 400 k | 200 k .. 600 k | 2.00 | 2.00 | 21 |\n";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("- >= 2.00 x the newest qemu-storage-daemon: 0.33, MISSED\n"),
            "{text}"
        );
        assert!(text.contains("- < 1.00 x the driver's own ceiling: 0.02, met\n"), "{text}");
    }

    #[test]
    fn table_says_who_was_not_measured_and_why() {
        let mut outcome = outcome("null", &[1e6]);
        outcome.measured[0].runs.clear();
        outcome.measured[0].failure = Some("no such option".to_owned());
        let text = of_scenario(&outcome);
        assert!(text.contains("| ours | not measured |"), "{text}");
        assert!(text.contains("- ours failed: no such option\n"), "{text}");
        assert!(
            summary(&[outcome])
                .contains("| null | >= 1.20 x the newest qemu-storage-daemon | ? | not known |")
        );
    }

    #[test]
    fn page_has_machine_summary_and_command_lines() {
        let text = page("2 CPUs", &[outcome("null", &[1e6])], "a.svg");
        assert!(text.starts_with("```text\n2 CPUs\n```\n\n| scenario |"), "{text}");
        assert!(text.contains("\n![Requests per second of all scenarios](a.svg)\n"), "{text}");
        assert!(text.ends_with("\n```text\nrun 1\nrun 2\n```\n"), "{text}");
    }
}
