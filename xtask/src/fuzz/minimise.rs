// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Makes a corpus of all that was found: few inputs, which reach most of what all of them do.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::build::Programs;
use super::{Fuzz, remove};
use crate::command;

/// How long it may take to play all inputs.
const LIMIT: Duration = Duration::from_secs(900);

/// How many inputs a corpus has at most: as many as a person still looks over.
const MOST: usize = 60;

/// An input, and all that it reaches, by libFuzzer's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reach {
    input: PathBuf,
    features: BTreeSet<u32>,
}

impl Fuzz {
    /// Makes the corpus of a target anew, of what it has and what was found since.
    pub(super) fn minimise(&self, programs: &Programs, target: &str) -> Result<()> {
        let (corpus, found) = (self.corpus(target), self.folder(&format!("found-{target}"), true)?);
        let merged = self.folder(&format!("merged-{target}"), false)?;
        let control = merged.join("control");
        let mut program = self.program(programs, target, "broke")?;
        program.arg("-set_cover_merge=1");
        program.arg(format!("-merge_control_file={}", control.display()));
        program.arg(self.folder(&format!("fewest-{target}"), false)?).args([&corpus, &found]);
        let watched = command::watch(program, LIMIT)?;
        let text = fs::read_to_string(&control);
        let text = text.with_context(|| format!("it wrote no list: {}", watched.output))?;
        let all = parse(&text).context("it wrote a list of another form")?;
        let (all_reach, few) = (reached(&all), fewest(all));
        ensure!(!few.is_empty(), "there is no input");

        // What is copied may be in the folder that goes.
        let contents = few.iter().map(|one| fs::read(&one.input).context("read an input"));
        let contents = contents.collect::<Result<Vec<_>>>()?;
        remove(&corpus)?;
        fs::create_dir_all(&corpus).with_context(|| format!("make {}", corpus.display()))?;
        for (reach, content) in few.iter().zip(contents) {
            let name = reach.input.file_name().context("an input has a name")?;
            fs::write(corpus.join(name), content).context("write an input")?;
        }
        let percent = 100 * reached(&few) / all_reach.max(1);
        println!("{target}: {} inputs reach {percent} percent of what all do", few.len());
        Ok(())
    }
}

/// Reads libFuzzer's list: how many inputs, how many of them are new, their names, then of each by
/// its number `FT` and what it reaches.
fn parse(text: &str) -> Option<Vec<Reach>> {
    let mut lines = text.lines();
    let count: usize = lines.next()?.parse().ok()?;
    lines.next()?;
    let named = |line: &str| Reach { input: line.into(), features: BTreeSet::new() };
    let mut all: Vec<_> = lines.by_ref().take(count).map(named).collect();
    for line in lines {
        let Some(numbers) = line.strip_prefix("FT ") else { continue };
        let mut numbers = numbers.split(' ').filter(|number| !number.is_empty());
        let index: usize = numbers.next()?.parse().ok()?;
        let features: Option<_> = numbers.map(|number| number.parse().ok()).collect();
        all.get_mut(index)?.features = features?;
    }
    Some(all)
}

/// The inputs that reach most, each the one that adds most to those before.
fn fewest(mut all: Vec<Reach>) -> Vec<Reach> {
    let (mut few, mut seen) = (Vec::new(), BTreeSet::new());
    while few.len() < MOST {
        let adds = |reach: &Reach| reach.features.difference(&seen).count();
        let best = (0..all.len()).max_by_key(|at| adds(&all[*at])).filter(|at| adds(&all[*at]) > 0);
        let Some(best) = best else { break };
        let best = all.swap_remove(best);
        seen.extend(&best.features);
        few.push(best);
    }
    few
}

fn reached(all: &[Reach]) -> usize {
    all.iter().flat_map(|reach| &reach.features).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "3\n0\na\nb\nc\nSTARTED 0 1\nFT 0 1 2 3\nCOV 0 1\nSTARTED 1 9\nFT 1 3\n\
                        STARTED 2 9\nFT 2 3 4\n";

    fn reach(input: &str, features: &[u32]) -> Reach {
        Reach { input: input.into(), features: features.iter().copied().collect() }
    }

    #[test]
    fn list_says_what_each_input_reaches() {
        let all = [reach("a", &[1, 2, 3]), reach("b", &[3]), reach("c", &[3, 4])];
        assert_eq!(parse(LIST).unwrap(), all);
        assert!(parse("3\n0\na\nb\nc\nFT 7 1\n").is_none());
    }

    #[test]
    fn inputs_that_add_nothing_are_left_out() {
        let few = fewest(parse(LIST).unwrap());
        assert_eq!(few, [reach("a", &[1, 2, 3]), reach("c", &[3, 4])]);
        assert_eq!(reached(&few), 4);
    }

    #[test]
    fn inputs_are_no_more_than_the_most() {
        let all = (0..100).map(|number| reach(&number.to_string(), &[number])).collect();
        assert_eq!(fewest(all).len(), MOST);
    }
}
