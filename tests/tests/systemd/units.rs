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

/// The units of a daemon.
struct Units {
    /// The daemon, and what is in front of the `@` of its units.
    program: &'static str,
    /// An example of what an instance is told.
    example: &'static str,
    /// What the example sets, and the service reads.
    sets: [&'static str; 2],
    /// Options that are among those that are named.
    names: [&'static str; 2],
    /// How much the service may be exposed, as `systemd-analyze security` counts it.
    exposure: f64,
}

const DISK: Units = Units {
    program: "vhost-user-blk",
    example: "examples/blk-vm1.conf",
    sets: ["BLK_FILE", "OPTIONS"],
    names: ["--blk-file", "--cache"],
    exposure: 2.0,
};

const DIRECTORY: Units = Units {
    program: "virtiofsd",
    example: "examples/fs-vm1.conf",
    sets: ["SHARED_DIR", "OPTIONS"],
    names: ["--shared-dir", "--cache"],
    exposure: 3.5,
};

const ALL: [&Units; 2] = [&DISK, &DIRECTORY];

impl Units {
    fn service(&self) -> String {
        format!("{}@.service", self.program)
    }

    fn socket(&self) -> String {
        format!("{}@.socket", self.program)
    }

    fn instance(&self, kind: &str) -> String {
        format!("{}@vm1.{kind}", self.program)
    }

    fn service_text(&self) -> String {
        text(&self.service())
    }
}

/// The folder of the units and all that goes with them.
fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

fn text(file: &str) -> String {
    fs::read_to_string(ours().join(file)).unwrap_or_else(|e| panic!("read {file}: {e}"))
}

/// A root with the machine's own units and `ours`, and with the programs that ours start. `change` is
/// made to our service.
fn root(units: &Units, change: impl Fn(String) -> String) -> TempDir {
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
    let (service, socket) = (units.service(), units.socket());
    for (unit, text) in [(&service, change(units.service_text())), (&socket, text(&socket))] {
        fs::write(place("etc/systemd/system").join(unit), text).expect("write a unit");
    }
    for program in [&format!("usr/bin/{}", units.program), "bin/kill"] {
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
fn verified(units: &Units, change: impl Fn(String) -> String) -> (bool, String) {
    let both = ["service", "socket"].map(|kind| units.instance(kind));
    let output = analyze(&root(units, change), &["verify", &both[0], &both[1]]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success() && said.is_empty(), said)
}

/// What systemd-analyze thinks of what the service is exposed to.
fn security(units: &Units, change: impl Fn(String) -> String) -> String {
    let security = ["security", "--offline=yes", &units.instance("service")];
    let said = analyze(&root(units, change), &security);
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// The figure behind `Overall exposure level for`.
fn exposure(units: &Units, change: impl Fn(String) -> String) -> f64 {
    let said = security(units, change);
    let figure =
        said.rsplit_once(&format!("Overall exposure level for {}: ", units.instance("service")));
    let figure = figure.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    figure.unwrap_or_else(|| panic!("find a figure in {said}"))
}

#[test]
fn units_are_sound_to_systemd() {
    if requires::program(ANALYZE) {
        for units in ALL {
            assert_eq!(verified(units, |service| service), (true, String::new()));
        }
    }
}

#[test]
fn unit_with_a_setting_that_there_is_not_is_not_sound() {
    if !requires::program(ANALYZE) {
        return;
    }
    for units in ALL {
        let misspell = |service: String| service.replace("ProtectClock=", "ProtectClocks=");
        let (sound, said) = verified(units, misspell);
        assert!(!sound && said.contains("ProtectClocks"), "{said}");
    }
}

#[test]
fn services_are_exposed_no_more_than_they_must() {
    if !requires::program(ANALYZE) {
        return;
    }
    for units in ALL {
        let figure = exposure(units, |service| service);
        println!("FIGURE: {}: exposure {figure} of 10", units.program);
        assert!(figure < units.exposure, "{figure}");
    }
}

#[test]
fn service_without_its_system_call_filter_is_exposed_more() {
    if requires::program(ANALYZE) {
        for units in ALL {
            let open = |service: String| service.replace("SystemCallFilter=", "#");
            assert!(exposure(units, open) > exposure(units, |service| service));
        }
    }
}

#[test]
fn page_has_a_reason_for_whatever_the_services_leave_open() {
    if !requires::program(ANALYZE) {
        return;
    }
    // A bar in a table has a backslash in front of it.
    let page = text("../docs/systemd.md").replace("\\|", "|");
    for units in ALL {
        let said = security(units, |service| service);
        let open = said.lines().filter_map(|line| line.strip_prefix("✗ ")?.split("  ").next());
        let open: Vec<&str> = open.collect();
        assert!(open.contains(&"RestrictNamespaces=~mnt"), "{said}");
        for item in open {
            assert!(page.contains(&format!("`{item}`")), "no reason for {item}");
        }
    }
}

#[test]
fn options_that_the_units_name_are_options_of_the_daemon() {
    for units in ALL {
        let launch = if units.program == DISK.program { Daemon::blk() } else { Daemon::fs() };
        let help = launch.no_socket().arg("--help").run();
        assert_eq!(help.exit, Exit::Clean);
        let known: Vec<&str> = options(&help.stdout).collect();
        let texts = [units.service_text(), text(&units.socket()), text(units.example)].concat();
        let named: Vec<&str> = options(&texts).collect();
        assert!(units.names.iter().all(|name| named.contains(name)), "{named:?}");
        for option in named {
            assert!(known.contains(&option), "there is no option {option}");
        }
    }
}

/// The long options in a text.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '-'));
    words.filter(|word| word.len() > 2 && word.starts_with("--"))
}

#[test]
fn examples_set_what_the_services_read() {
    for units in ALL {
        let example = text(units.example);
        let set = |name: &str| {
            let mut lines = example.lines().map(|line| line.trim_start_matches('#'));
            lines.any(|line| line.starts_with(&format!("{name}=")))
        };
        let service = units.service_text();
        let start = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let names = start.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
        let names =
            names.map(|rest| rest.split(|char: char| !char.is_ascii_uppercase() && char != '_'));
        let names: Vec<&str> = names.filter_map(|mut parts| parts.next()).collect();
        assert_eq!(names, units.sets);
        for name in names {
            assert!(set(name), "the example does not say {name}=");
        }
    }
}
