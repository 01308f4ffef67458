// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What `docs/front-ends.md` says of front ends is what there are orders of.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use vhost_user_tests::orders::{Side, Step};

use super::fixtures::NAMES;
use super::{folder, order};

/// The orders that there are files of.
fn files() -> BTreeSet<String> {
    let entries = fs::read_dir(folder()).expect("list the orders");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn order_without_a_test_there_is_none() {
    let tested: BTreeSet<String> = NAMES.iter().map(|name| format!("{name}.order")).collect();
    assert_eq!(files(), tested);
}

#[test]
fn order_says_what_it_is_of_and_how_it_came_about() {
    for name in NAMES {
        let order = order(name);
        for word in ["front-end", "device", "command"] {
            assert_ne!(order.about(word), "", "{name} does not say its {word}");
        }
        let [recorded, source] = ["recorded", "source"].map(|word| !order.about(word).is_empty());
        assert!(recorded != source, "{name} was either recorded or read");
    }
}

#[test]
fn order_read_from_a_source_says_which_commit_and_which_lines() {
    let lines = |text: &str| {
        text.split_once(".rs:")
            .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    for name in NAMES {
        let order = order(name);
        let source = order.about("source");
        if source.is_empty() {
            continue;
        }
        let is_commit =
            |word: &str| word.len() == 40 && word.chars().all(|c| c.is_ascii_hexdigit());
        assert!(source.split([' ', ',']).any(is_commit), "{name}: {source}");
        let notes = order.steps.iter().filter(|step| matches!(step, Step::Note(_)));
        let cited = notes.filter(|note| lines(&note.to_string())).count();
        assert!(cited >= 3, "{name} cites {cited} places");
    }
}

#[test]
fn order_is_written_as_it_is_read() {
    for name in NAMES {
        let order = order(name);
        assert_eq!(order.to_string().parse::<vhost_user_tests::orders::Order>().unwrap(), order);
    }
}

#[test]
fn order_begins_with_a_connection_and_has_each_one_end() {
    for name in NAMES {
        let mut connected = false;
        for (at, step) in order(name).steps.iter().enumerate() {
            match step {
                Step::Connected => assert!(!std::mem::replace(&mut connected, true), "{name} {at}"),
                Step::Closed(_) => assert!(std::mem::take(&mut connected), "{name} {at}"),
                Step::Message(Side::FrontEnd, it) => {
                    assert!(connected, "{name} {at}");
                    assert_eq!(it.flags & 3, 1, "{name} {at}: the version of the protocol");
                }
                Step::Message(Side::BackEnd, _) | Step::Channel(..) => assert!(connected, "{name}"),
                Step::Note(_) => (),
            }
        }
        assert!(!connected, "{name} does not end");
    }
}

/// The rows of the table in the documentation: front end and device, as the orders say them, and
/// the names of the orders.
fn claims() -> Vec<(String, String, Vec<String>)> {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/front-ends.md");
    let page = fs::read_to_string(page).expect("read docs/front-ends.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    let named = cells.filter_map(|cells| {
        let [front_end, device, orders, ..] = cells.as_slice() else { return None };
        let orders = orders.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        (!orders.is_empty()).then(|| (front_end.clone(), device.clone(), orders))
    });
    named.collect()
}

#[test]
fn front_end_that_the_documentation_claims_has_orders_and_each_order_is_claimed() {
    let mut claimed = BTreeSet::new();
    for (front_end, device, orders) in claims() {
        for name in orders {
            let order = order(&name);
            assert_eq!(order.about("device"), device, "{name}");
            let said = order.about("front-end");
            assert!(said.starts_with(&front_end), "{name} is of {said}, not of {front_end}");
            assert!(claimed.insert(format!("{name}.order")), "{name} is claimed twice");
        }
    }
    assert_eq!(claimed, files());
}
