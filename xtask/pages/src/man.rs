// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon's man page: its page in `docs/`, with the options as its parser has them.

use anyhow::{Context, Result, ensure};
use clap_mangen::Man;

use crate::daemons::Daemon;
use crate::{roff, table};

/// Programs that whoever may open the disk can start; none of them is for administrators alone.
pub(crate) const SECTION: &str = "1";

/// What the whole of the pages is called, in their heads.
const MANUAL: &str = "vhost-user daemons";

const SEE_ALSO: &str = ".SH \"SEE ALSO\"\n\
    .BR qemu\\-system\\-x86_64 (1),\n.BR systemd.socket (5),\n.BR systemd.exec (5)\n";

/// The man page of a daemon, whose page in `docs/` says `text`.
///
/// # Errors
/// The page lacks its synopsis or the marks of its options.
pub(crate) fn page(daemon: &Daemon, text: &str) -> Result<String> {
    let name = daemon.name();
    let (before, _, after) = table::split(text).context("find the marks of the options")?;
    let mut before = sections(before).into_iter();
    let (_, description) = before.next().context("find what the page begins with")?;
    let (title, synopsis) = before.next().context("find the synopsis")?;
    ensure!(title == "Synopsis", "the page of {name} does not begin with its synopsis");

    let mut page = head(daemon);
    page += &section(title, synopsis);
    // Without the name of the page, which is that of the daemon.
    let description = description.split_once("\n# ").map_or("", |(_, rest)| rest);
    let description = description.split_once('\n').map_or("", |(_, rest)| rest);
    page += &section("Description", description);
    let mut before: Vec<_> = before.collect();
    let (title, above) = before.pop().context("find the section with the options")?;
    for (title, body) in before {
        page += &section(title, body);
    }
    page += &section(title, above);
    page += &options(daemon)?;
    for (title, body) in sections(after) {
        // What comes before the first title is about the options.
        page += &match title {
            "" => format!(".PP\n{}", roff::of(body)),
            title => section(title, body),
        };
    }
    page += SEE_ALSO;
    Ok(page)
}

fn section(title: &str, body: &str) -> String {
    format!(".SH \"{}\"\n{}", roff::escaped(&title.to_uppercase()), roff::of(body))
}

/// A page's sections with their titles; the first one has none.
fn sections(text: &str) -> Vec<(&str, &str)> {
    let mut starts: Vec<_> = text.match_indices("\n## ").map(|(at, _)| at + 1).collect();
    starts.push(text.len());
    let mut sections = vec![("", &text[..starts[0]])];
    for pair in starts.windows(2) {
        let section = text[pair[0]..pair[1]].trim_start_matches("## ");
        sections.push(section.split_once('\n').unwrap_or((section, "")));
    }
    sections
}

/// What comes before the synopsis. There is no date in it, since the same sources are to make the
/// same page.
fn head(daemon: &Daemon) -> String {
    let (name, description) = (daemon.name(), daemon.description());
    let version = daemon.parser().get_version().unwrap_or_default().to_owned();
    let (title, escaped) = (roff::escaped(&name.to_uppercase()), roff::escaped(&name));
    let description = roff::escaped(&description);
    format!(
        ".TH {title} {SECTION} \"\" \"{escaped} {version}\" \"{MANUAL}\"\n\
         .SH NAME\n{escaped} \\- {description}\n"
    )
}

/// The options: a subsection for each heading of the help.
fn options(daemon: &Daemon) -> Result<String> {
    let mut text = Vec::new();
    Man::new(daemon.parser()).render_options_section(&mut text)?;
    let text = String::from_utf8(text).context("read what clap_mangen writes")?;
    // It defines this sign at its beginning, which is not ours.
    let text = text.replace("\\*(Aq", "\\(aq");
    // A second line break, and an empty line, are nothing to some readers and faults to others.
    let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.dedup_by(|one, other| one == other && *one == ".br");
    // Where sections begin; the first one is of what has no heading.
    let is_section = |line: &&str| line.starts_with(".SH ");
    let first = lines.iter().position(is_section).context("find the options")?;
    let second = lines.iter().skip(first + 1).position(is_section).map(|at| first + 1 + at);
    let (without, others) = lines.split_at(second.unwrap_or(lines.len()));
    let without = [".SS OTHER"].into_iter().chain(without[first + 1..].iter().copied());
    let all = others.iter().copied().chain(without);
    Ok(all.map(|line| line.replacen(".SH ", ".SS ", 1) + "\n").collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::daemons;

    #[test]
    fn sections_are_told_apart_by_their_titles() {
        let text = "a\n\n## One\n\nb\n### Sub\n\n## Two\nc\n";
        let expected = [("", "a\n\n"), ("One", "\nb\n### Sub\n\n"), ("Two", "c\n")];
        assert_eq!(sections(text), expected);
    }

    #[test]
    fn page_has_the_sections_that_man_pages_have_in_their_order() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for daemon in &daemons::ALL {
            let page = page(daemon, &daemon.page_text(&docs).unwrap()).unwrap();
            let titles: Vec<_> =
                page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
            assert_eq!(titles[..3], ["NAME", "\"SYNOPSIS\"", "\"DESCRIPTION\""]);
            for title in ["OPTIONS", "SIGNALS", "EXIT CODES"] {
                assert!(titles.contains(&format!("\"{title}\"").as_str()), "{title}: {titles:?}");
            }
            assert_eq!(titles.last(), Some(&"\"SEE ALSO\""));
        }
    }

    #[test]
    fn page_has_every_option_of_the_parser() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for daemon in &daemons::ALL {
            let page = page(daemon, &daemon.page_text(&docs).unwrap()).unwrap();
            for argument in daemon.parser().get_arguments() {
                let long = argument.get_long().map(|long| format!("--{long}"));
                let short = || argument.get_short().map(|short| format!("-{short}"));
                let name = long.or_else(short).expect("a name").replace('-', "\\-");
                assert!(page.contains(&format!("\\fB{name}\\fR")), "{name}");
            }
        }
    }
}
