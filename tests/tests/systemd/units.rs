// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What systemd-analyze says about the units, and what the daemon says about their options.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use vhost_user_tests::daemon::{Daemon, Exit};
use vhost_user_tests::requires;

const ANALYZE: &str = "systemd-analyze";
const SERVICE: &str = "vhost-user-blk@.service";
const SOCKET: &str = "vhost-user-blk@.socket";

/// How much the service may be exposed, as `systemd-analyze security` counts it.
const EXPOSURE: f64 = 2.0;

/// The folder of the units and all that goes with them.
fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

fn text(file: &str) -> String {
    fs::read_to_string(ours().join(file)).unwrap_or_else(|e| panic!("read {file}: {e}"))
}

/// A root with the machine's own units and ours, and with the programs that ours start. `change` is
/// made to our service.
fn root(change: impl Fn(String) -> String) -> TempDir {
    let root = TempDir::with_prefix("root-").expect("make a folder for units");
    let place = |path: &str| root.path().join(path.trim_start_matches('/'));
    for folder in ["etc/systemd/system", "usr/bin", "usr/lib/systemd/system", "bin"] {
        fs::create_dir_all(place(folder)).expect("make a folder for units");
    }
    for entry in fs::read_dir("/usr/lib/systemd/system").expect("list the machine's units") {
        let entry = entry.expect("list the machine's units");
        // A link may lead to anything; what is meant is what the folder has.
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let copy = place("usr/lib/systemd/system").join(entry.file_name());
            fs::copy(entry.path(), copy).expect("copy a unit");
        }
    }
    for (unit, text) in [(SERVICE, change(text(SERVICE))), (SOCKET, text(SOCKET))] {
        fs::write(place("etc/systemd/system").join(unit), text).expect("write a unit");
    }
    for program in ["usr/bin/vhost-user-blk", "bin/kill"] {
        fs::write(place(program), "").expect("write a program");
        let anybody = Permissions::from_mode(0o755);
        fs::set_permissions(place(program), anybody).expect("let a program be run");
    }
    root
}

fn analyze(root: &TempDir, arguments: &[&str]) -> Output {
    let mut analyze = Command::new(ANALYZE);
    analyze.args(["--no-pager", "--man=no", "--root"]).arg(root.path()).args(arguments);
    analyze.output().expect("run systemd-analyze")
}

/// Whether systemd-analyze has nothing to say about an instance of the units, and what it says.
fn verified(change: impl Fn(String) -> String) -> (bool, String) {
    let units = ["verify", "vhost-user-blk@vm1.service", "vhost-user-blk@vm1.socket"];
    let output = analyze(&root(change), &units);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success() && said.is_empty(), said)
}

/// What systemd-analyze thinks of what the service is exposed to.
fn security(change: impl Fn(String) -> String) -> String {
    let security = ["security", "--offline=yes", "vhost-user-blk@vm1.service"];
    let said = analyze(&root(change), &security);
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// The figure behind `Overall exposure level for`.
fn exposure(change: impl Fn(String) -> String) -> f64 {
    let said = security(change);
    let figure = said.rsplit_once("Overall exposure level for vhost-user-blk@vm1.service: ");
    let figure = figure.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    figure.unwrap_or_else(|| panic!("find a figure in {said}"))
}

#[test]
fn units_are_sound_to_systemd() {
    if requires::program(ANALYZE) {
        assert_eq!(verified(|service| service), (true, String::new()));
    }
}

#[test]
fn unit_with_a_setting_that_there_is_not_is_not_sound() {
    if !requires::program(ANALYZE) {
        return;
    }
    let (sound, said) = verified(|service| service.replace("ProtectClock=", "ProtectClocks="));
    assert!(!sound && said.contains("ProtectClocks"), "{said}");
}

#[test]
fn service_is_exposed_less_than_two_in_ten() {
    if !requires::program(ANALYZE) {
        return;
    }
    let figure = exposure(|service| service);
    println!("FIGURE: exposure {figure} of 10");
    assert!(figure < EXPOSURE, "{figure}");
}

#[test]
fn service_without_its_system_call_filter_is_exposed_more() {
    if requires::program(ANALYZE) {
        let open = |service: String| service.replace("SystemCallFilter=", "#");
        assert!(exposure(open) > exposure(|service| service));
    }
}

#[test]
fn page_has_a_reason_for_whatever_the_service_leaves_open() {
    if !requires::program(ANALYZE) {
        return;
    }
    let page = text("../docs/systemd.md");
    let said = security(|service| service);
    let open = said.lines().filter_map(|line| line.strip_prefix("✗ ")?.split("  ").next());
    let open: Vec<&str> = open.collect();
    assert!(open.contains(&"RestrictNamespaces=~user"), "{said}");
    for item in open {
        assert!(page.contains(&format!("`{item}`")), "no reason for {item}");
    }
}

#[test]
fn options_that_the_units_name_are_options_of_the_daemon() {
    let help = Daemon::blk().no_socket().arg("--help").run();
    assert_eq!(help.exit, Exit::Clean);
    let known: Vec<&str> = options(&help.stdout).collect();
    let units = [text(SERVICE), text(SOCKET), text("examples/blk-vm1.conf")].concat();
    let named: Vec<&str> = options(&units).collect();
    assert!(named.contains(&"--blk-file") && named.contains(&"--cache"), "{named:?}");
    for option in named {
        assert!(known.contains(&option), "there is no option {option}");
    }
}

/// The long options in a text.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '-'));
    words.filter(|word| word.len() > 2 && word.starts_with("--"))
}

#[test]
fn example_of_a_disk_sets_what_the_service_reads() {
    let example = text("examples/blk-vm1.conf");
    let set = |name: &str| {
        let mut lines = example.lines().map(|line| line.trim_start_matches('#'));
        lines.any(|line| line.starts_with(&format!("{name}=")))
    };
    let service = text(SERVICE);
    let start = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let names = start.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
    let names =
        names.map(|rest| rest.split(|char: char| !char.is_ascii_uppercase() && char != '_'));
    let names: Vec<&str> = names.filter_map(|mut parts| parts.next()).collect();
    assert_eq!(names, ["BLK_FILE", "OPTIONS"]);
    for name in names {
        assert!(set(name), "the example does not say {name}=");
    }
}
