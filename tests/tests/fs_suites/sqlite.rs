// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A database on a shared folder, whose client is killed in the middle of a transaction: on the host it
//! is whole then, and has every transaction that was told to be done.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use vhost_user_tests::fs::Bridge;
use vhost_user_tests::fs::share::new_folder;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use super::{succeed, word};

/// Transactions before the client is killed.
const BEFORE: u64 = 25;

/// Transactions without an end, each of which says its number when it is done.
fn script(mode: &str) -> String {
    let mut text = format!(
        "PRAGMA journal_mode={mode};\nPRAGMA synchronous=FULL;\nPRAGMA cache_size=4;\n\
         CREATE TABLE t(n INTEGER PRIMARY KEY, turn INTEGER, x BLOB);\n"
    );
    for turn in 1..5000 {
        let insert = "INSERT INTO t(turn, x) SELECT";
        let rows = "FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4)";
        writeln!(text, "BEGIN;\n{insert} {turn}, randomblob(3000) {rows};").expect("a string");
        writeln!(text, "UPDATE t SET x = randomblob(2000) WHERE turn = {turn} / 2;")
            .expect("a string");
        writeln!(text, "COMMIT;\nSELECT 'done {turn}';").expect("a string");
    }
    text
}

fn kill_client_of(mode: &str) {
    if !requires::program("sqlite3") || !Bridge::can_be() {
        return;
    }
    let (folder, place) = (new_folder(), TempDir::new().expect("make a mount point"));
    let daemon = Daemon::fs().share(folder.path()).start();
    let input = place.path().with_extension("sql");
    fs::write(&input, script(mode)).expect("write what is to be done");
    let mut client = Command::new(env!("CARGO_BIN_EXE_fs-bridge"));
    client.args([word(daemon.socket()), word(place.path()), "--", "sqlite3", "-batch", "-bail"]);
    client.arg(place.path().join("db")).stdin(fs::File::open(&input).expect("open it"));
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("run it");
    let said = BufReader::new(client.stdout.take().expect("what it says"));
    let mut last = 0;
    for line in said.lines() {
        let line = line.expect("a line of the client");
        if let Some(turn) = line.strip_prefix("done ") {
            last = turn.parse().expect("the number of a transaction");
        }
        if last == BEFORE {
            // It goes with all that it has in its memory, as a guest does that loses its power.
            client.kill().expect("kill the client");
        }
    }
    client.wait().expect("wait for the client");
    fs::remove_file(&input).expect("remove what is done");
    assert!(last >= BEFORE, "the client ended after {last} transactions");
    daemon.wait();
    let database = folder.path().join("db");
    let said = succeed(60, "sqlite3", &[word(&database), "PRAGMA integrity_check;"]);
    assert_eq!(said.trim(), "ok", "the database with the journal mode {mode}");
    let query = "SELECT max(turn), count(*) = 4 * max(turn) FROM t;";
    let said = succeed(60, "sqlite3", &[word(&database), query]);
    let (turn, whole) = said.trim().split_once('|').expect("two numbers");
    let turn: u64 = turn.parse().expect("the number of a transaction");
    assert_eq!(whole, "1", "whole transactions only with the journal mode {mode}");
    assert!(turn >= last, "{turn} transactions are there of {last} that were done");
}

#[test]
fn database_that_deletes_its_journal_survives_its_client() {
    kill_client_of("delete");
}

#[test]
fn database_that_truncates_its_journal_survives_its_client() {
    kill_client_of("truncate");
}

#[test]
fn database_that_keeps_its_journal_survives_its_client() {
    kill_client_of("persist");
}

#[test]
fn database_with_a_log_of_writes_survives_its_client() {
    kill_client_of("wal");
}
