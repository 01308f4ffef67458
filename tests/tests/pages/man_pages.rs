// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Man pages, as their readers' programs read them.

use std::path::PathBuf;
use std::process::Command;

use vhost_user_tests::requires;

use super::{DAEMONS, Share, output};

fn pages(share: &Share) -> [PathBuf; DAEMONS.len()] {
    DAEMONS.map(|daemon| share.join(format!("man/man1/{daemon}.1")))
}

#[test]
fn groff_formats_every_page_without_a_warning() {
    if !requires::program("groff") {
        return;
    }
    let share = Share::written(&[]);
    for page in pages(&share) {
        let said = output(Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(page));
        assert_eq!(said, "");
    }
}

#[test]
fn mandoc_finds_nothing_wrong_with_any_page() {
    if !requires::program("mandoc") {
        return;
    }
    let share = Share::written(&[]);
    for page in pages(&share) {
        let mut lint = Command::new("mandoc");
        let output = lint.args(["-T", "lint", "-W", "warning"]).arg(page).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        // Without a date the same sources make the same page.
        let faults = said.lines().filter(|line| !line.contains("WARNING: missing date"));
        assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
    }
}

#[test]
fn page_as_it_is_read_names_its_daemon_its_options_and_its_signals() {
    if !requires::program("groff") {
        return;
    }
    let share = Share::written(&[]);
    for page in pages(&share) {
        // Without fonts, and so wide that no line is broken.
        let mut groff = Command::new("groff");
        let text = output(groff.args(["-man", "-Tascii", "-P-cbou", "-rLL=500n"]).arg(&page));
        let name = page.file_stem().unwrap().to_string_lossy();
        assert!(text.contains(&format!("\nNAME\n       {name} - Serve ")), "{text}");
        for line in ["\n       -s, --socket-path <PATH>\n", "\n       SIGTERM, SIGINT\n"] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
