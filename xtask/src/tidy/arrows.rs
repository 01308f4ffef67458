// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Arrows between crates only point down, and some crates of others have one door only.

use super::Finding;
use crate::cargo::{Package, Workspace};

/// Which packages of ours a package of ours may name. A new arrow is a decision, and a line in
/// ARCHITECTURE.md.
const DOWN: [(&str, &[&str]); 11] = [
    ("vhost-user-device", &[]),
    ("vhost-user-daemon", &["vhost-user-device"]),
    ("vhost-user-blk", &["vhost-user-daemon", "vhost-user-device"]),
    // It can be embedded, so no process's life is known to it.
    ("vhost-user-fs-lib", &["vhost-user-device"]),
    ("virtiofsd", &["vhost-user-daemon", "vhost-user-device", "vhost-user-fs-lib"]),
    // It sees the daemons from outside: their sockets, their output, their exit codes.
    ("vhost-user-tests", &[]),
    // A daemon for those tests.
    ("vhost-user-stub", &["vhost-user-daemon", "vhost-user-device"]),
    ("xtask", &[]),
    // It reads the parsers of all daemons, for xtask, which is built without them.
    ("vhost-user-pages", &["vhost-user-blk", "vhost-user-daemon", "virtiofsd"]),
    // Apart: they see the device's library from inside.
    ("vhost-user-fuzz", &["vhost-user-device", "vhost-user-fs-lib"]),
    ("vhost-user-oracle", &["vhost-user-device"]),
];

/// The packages of ours that may name a package of others; what is not here may be named by all.
/// Tests within a package may name what they like.
const DOORS: [(&str, &[&str]); 15] = [
    ("vhost", &["vhost-user-device", "vhost-user-tests", "vhost-user-oracle"]),
    ("vm-memory", &["vhost-user-device", "vhost-user-oracle"]),
    ("virtio-queue", &["vhost-user-oracle"]),
    ("vhost-user-backend", &["vhost-user-oracle"]),
    (
        "anyhow",
        &[
            "vhost-user-blk",
            "virtiofsd",
            "vhost-user-tests",
            "vhost-user-oracle",
            "vhost-user-pages",
            "xtask",
        ],
    ),
    (
        "clap",
        &[
            "vhost-user-daemon",
            "vhost-user-blk",
            "virtiofsd",
            "vhost-user-tests",
            "vhost-user-stub",
            "vhost-user-pages",
            "xtask",
        ],
    ),
    ("clap_complete", &["vhost-user-pages"]),
    ("clap_mangen", &["vhost-user-pages"]),
    ("pulldown-cmark", &["vhost-user-pages"]),
    ("daemonize", &["vhost-user-daemon"]),
    ("epoll", &["vhost-user-daemon"]),
    ("sd-notify", &["vhost-user-daemon"]),
    ("syslog", &["vhost-user-daemon"]),
    ("serde_json", &["xtask"]),
    ("llvm_profparser", &["xtask"]),
];

pub(super) fn check(workspace: &Workspace, apart: &[Workspace]) -> Vec<Finding> {
    let all = std::iter::once(workspace).chain(apart);
    let members: Vec<_> = all.flat_map(Workspace::members).cloned().collect();
    let findings = members.iter().flat_map(|package| {
        let folder = package.folder.strip_prefix(&workspace.root).unwrap_or(&package.folder);
        let manifest = format!("{}/Cargo.toml", folder.display());
        let refusals = of_package(package, &members).into_iter();
        refusals.map(move |text| Finding::new(&manifest, 1, text))
    });
    findings.collect()
}

fn of_package(package: &Package, members: &[Package]) -> Vec<String> {
    let name = package.name.as_str();
    let Some((_, down)) = DOWN.iter().find(|(from, _)| *from == name) else {
        return vec![format!("arrows.rs does not say which packages {name} may name")];
    };
    let ours = |other: &str| members.iter().any(|member| member.name == other);
    let refusal = |dependency: &crate::cargo::Dependency| {
        let other = dependency.name.as_str();
        if ours(other) {
            return (!down.contains(&other))
                .then(|| format!("no arrow goes from {name} to {other}"));
        }
        let (_, doors) = DOORS.iter().find(|(outside, _)| *outside == other)?;
        (!dependency.dev && !doors.contains(&name))
            .then(|| format!("{name} may not name {other}; {} may", list(doors)))
    };
    package.dependencies.iter().filter_map(refusal).collect()
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "only tests".to_owned() } else { names.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::Dependency;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependency =
            |(name, dev): &(&str, bool)| Dependency { name: (*name).into(), dev: *dev };
        let dependencies = dependencies.iter().map(dependency).collect();
        Package { name: name.to_owned(), dependencies, ..Package::default() }
    }

    fn of(name: &str, dependency: &str, dev: bool) -> Vec<String> {
        let members = DOWN.map(|(name, _)| package(name, &[]));
        of_package(&package(name, &[(dependency, dev)]), &members)
    }

    #[test]
    fn arrow_that_points_down_is_let_pass() {
        assert!(of("vhost-user-blk", "vhost-user-device", false).is_empty());
    }

    #[test]
    fn arrow_that_points_up_is_refused() {
        let refusal = "no arrow goes from vhost-user-device to vhost-user-daemon";
        assert_eq!(of("vhost-user-device", "vhost-user-daemon", false), [refusal]);
    }

    #[test]
    fn arrow_of_tests_that_points_up_is_refused_too() {
        let refusal = "no arrow goes from vhost-user-tests to vhost-user-blk";
        assert_eq!(of("vhost-user-tests", "vhost-user-blk", true), [refusal]);
    }

    #[test]
    fn package_of_others_is_named_by_its_door_alone() {
        assert!(of("vhost-user-device", "vm-memory", false).is_empty());
        let refusal =
            "vhost-user-blk may not name vm-memory; vhost-user-device and vhost-user-oracle may";
        assert_eq!(of("vhost-user-blk", "vm-memory", false), [refusal]);
    }

    #[test]
    fn package_for_tests_alone_is_named_by_tests_alone() {
        assert!(of("vhost-user-device", "virtio-queue", true).is_empty());
        let refusal = "vhost-user-device may not name virtio-queue; vhost-user-oracle may";
        assert_eq!(of("vhost-user-device", "virtio-queue", false), [refusal]);
    }

    #[test]
    fn package_that_is_not_in_the_table_is_refused() {
        let refusal = "arrows.rs does not say which packages vhost-user-new may name";
        assert_eq!(of_package(&package("vhost-user-new", &[]), &[]), [refusal]);
    }
}
