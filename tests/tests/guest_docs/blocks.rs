// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Blocks of commands in a document.

use std::fmt;

/// Languages of blocks in which there is nothing to be run.
const WITHOUT_COMMANDS: [&str; 5] = ["text", "ini", "json", "rust", "xml"];

/// A block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// `README.md:20`, where it begins.
    place: String,
    pub(super) commands: String,
    pub(super) fate: Fate,
}

/// What becomes of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is run to its end; something else may have to be run before.
    Ends { after: Option<String> },
    /// It is run, and a guest comes up.
    Boots,
    /// It is run on a machine of its own, with systemd; something else may have to be run before.
    OnAMachine { after: Option<String> },
    /// It is not run, and says why.
    NotRun,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n{}", self.place, self.commands)
    }
}

/// The blocks of a document that have commands in them, or what is wrong with them.
pub(super) fn of(document: &str, text: &str) -> Vec<Result<Block, String>> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(text.lines());
    let (mut after_empty, mut in_list) = (true, false);
    while let Some((at, line)) = lines.next() {
        let place = format!("{document}:{at}");
        // Inline code may begin a line, too.
        let info = line.trim_start().strip_prefix("```").filter(|info| !info.contains('`'));
        if let Some(info) = info {
            let within = lines.by_ref().map(|(_, line)| line);
            let commands = within.take_while(|line| line.trim_start() != "```");
            let commands: String = commands.map(|line| line.to_owned() + "\n").collect();
            if !WITHOUT_COMMANDS.contains(&info) {
                let block = fate(info).map(|fate| Block { place: place.clone(), commands, fate });
                blocks.push(block.map_err(|fault| format!("{place}: {fault}")));
            }
        } else if line.starts_with("    ") && after_empty && !in_list {
            blocks.push(Err(format!("{place}: an indented block says not what becomes of it")));
        }
        if !line.is_empty() && !line.starts_with(' ') {
            in_list = is_item(line);
        }
        after_empty = line.is_empty();
    }
    blocks
}

fn is_item(line: &str) -> bool {
    let number = line.trim_start_matches(|char: char| char.is_ascii_digit());
    line.starts_with("- ") || (number.len() < line.len() && number.starts_with(". "))
}

/// What the words behind the beginning of a block say.
fn fate(info: &str) -> Result<Fate, String> {
    let unknown =
        || format!("`{info}` does not say what becomes of the block: see CONTRIBUTING.md");
    let words = info.strip_prefix("sh ").ok_or_else(unknown)?;
    let quoted = |name: &str| words.strip_prefix(name)?.strip_suffix('"').map(str::to_owned);
    match words {
        "run" => return Ok(Fate::Ends { after: None }),
        "run boots" => return Ok(Fate::Boots),
        "run systemd" => return Ok(Fate::OnAMachine { after: None }),
        _ => {}
    }
    if let Some(after) = quoted("run after=\"") {
        return Ok(Fate::Ends { after: Some(after) });
    }
    if let Some(after) = quoted("run systemd after=\"") {
        return Ok(Fate::OnAMachine { after: Some(after) });
    }
    let reason = quoted("not-run=\"").filter(|reason| !reason.is_empty());
    reason.map(|_| Fate::NotRun).ok_or_else(unknown)
}

#[test]
fn block_says_what_becomes_of_it() {
    let text = "a\n\n```sh run\nx\ny\n```\n```sh run boots\nz\n```\n\
        ```sh run after=\"b c\"\n```\n```sh run systemd\nd\n```\n\
        ```sh run systemd after=\"e\"\n```\n```sh not-run=\"takes long\"\n```\n```text\n```\n";
    let blocks: Vec<_> = of("d", text).into_iter().map(Result::unwrap).collect();
    let place = |at: usize| format!("d:{at}");
    let ends = |after: Option<&str>| Fate::Ends { after: after.map(str::to_owned) };
    let machine = |after: Option<&str>| Fate::OnAMachine { after: after.map(str::to_owned) };
    let commands = |text: &str| text.to_owned();
    assert_eq!(
        blocks,
        [
            Block { place: place(3), commands: commands("x\ny\n"), fate: ends(None) },
            Block { place: place(7), commands: commands("z\n"), fate: Fate::Boots },
            Block { place: place(10), commands: commands(""), fate: ends(Some("b c")) },
            Block { place: place(12), commands: commands("d\n"), fate: machine(None) },
            Block { place: place(15), commands: commands(""), fate: machine(Some("e")) },
            Block { place: place(17), commands: commands(""), fate: Fate::NotRun },
        ]
    );
}

#[test]
fn block_that_does_not_say_it_is_refused() {
    for info in ["", "sh", "bash run", "sh not-run", "sh not-run=\"\"", "console", "sh runs"] {
        let faults = of("d", &format!("\n```{info}\nx\n```\n"));
        let fault =
            format!("d:2: `{info}` does not say what becomes of the block: see CONTRIBUTING.md");
        assert_eq!(faults, [Err(fault)]);
    }
}

#[test]
fn indented_block_is_refused_unless_it_belongs_to_a_list() {
    let faults = of("d", "a\n\n    cargo build\n    cargo run\n");
    let fault = "d:3: an indented block says not what becomes of it";
    assert_eq!(faults, [Err(fault.to_owned())]);
    assert!(of("d", "- a\n\n    more\n").is_empty());
    assert!(of("d", "12. a\n\n    more\n").is_empty());
    assert!(of("d", "a\n    b\n").is_empty(), "a paragraph goes on");
    assert!(of("d", "```` ```sh ```` is inline code\n").is_empty());
}
