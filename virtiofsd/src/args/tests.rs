// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use vhost_user_daemon::{LogLevel, SeccompMode};

use super::*;

fn parse(args: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from([&["virtiofsd"], args].concat())
}

/// With what every command line has.
fn parse_with(args: &[&str]) -> Args {
    parse(&[&["--shared-dir=/d", "--fd=3"], args].concat()).unwrap()
}

#[test]
fn definition_checked_by_clap_holds() {
    Args::command().debug_assert();
}

#[test]
fn defaults_are_the_documented_ones() {
    let Args { directory, cache, ids, queues, process, migration, .. } = parse_with(&[]);
    assert_eq!((directory.tag, directory.xattrmap), (None, None));
    let flags = [directory.readonly, directory.xattr, directory.allow_direct_io];
    assert_eq!(flags, [false; 3]);
    assert_eq!(directory.posix_acl, NegotiationMode::Never);
    assert_eq!(directory.security_label, NegotiationMode::Never);
    assert_eq!(directory.inode_file_handles, FileHandlesMode::Prefer);
    assert_eq!(directory.inode_fd_cache, 4096);
    assert_eq!(cache.cache, CacheMode::Auto);
    assert_eq!((queues.num_request_queues, queues.queue_size), (1, 1024));
    assert_eq!((queues.thread_pool_size, queues.poll_us), (0, 32));
    assert_eq!(process.sandbox, SandboxMode::Namespace);
    assert_eq!(process.seccomp, SeccompMode::Kill);
    assert_eq!((process.rlimit_nofile, process.modcaps), (None, None));
    assert_eq!(process.log_level, LogLevel::Info);
    assert!(ids.uid_map.is_empty() && ids.translate_gid.is_empty());
    assert_eq!((migration.migration_mode, migration.migration_on_error), (None, None));
}

#[test]
fn modes_are_called_what_the_documentation_calls_them() {
    for (option, names) in [
        ("cache", &["auto", "always", "metadata", "never"][..]),
        ("sandbox", &["namespace", "chroot", "none"]),
        ("seccomp", &["none", "kill", "log", "trap"]),
        ("inode-file-handles", &["never", "prefer", "mandatory", "fallback"]),
        ("posix-acl", &["never", "auto", "always"]),
        ("security-label", &["never", "auto", "always"]),
        ("migration-mode", &["find-paths", "file-handles"]),
        ("migration-on-error", &["abort", "guest-error"]),
        ("log-level", &["error", "warn", "info", "debug", "trace", "off"]),
    ] {
        for name in names {
            parse_with(&[&format!("--{option}={name}")]);
        }
    }
}

#[test]
fn modes_that_can_be_in_capitals_are_taken_so() {
    let args = parse_with(&["--cache=Never", "--sandbox=NONE", "--log-level=DEBUG"]);
    assert_eq!(args.cache.cache, CacheMode::Never);
    assert_eq!(args.process.sandbox, SandboxMode::None);
    assert_eq!(args.process.log_level, LogLevel::Debug);
}

#[test]
fn negotiation_without_a_mode_is_always() {
    let args = parse_with(&["--posix-acl", "--security-label"]);
    assert_eq!(args.directory.posix_acl, NegotiationMode::Always);
    assert_eq!(args.directory.security_label, NegotiationMode::Always);
}

#[test]
fn mode_of_file_handles_needs_its_equals_sign() {
    let error = parse(&["--shared-dir=/d", "--fd=3", "--inode-file-handles", "never"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoEquals);
}

#[test]
fn option_given_twice_has_its_last_value() {
    let args = parse_with(&["--cache=never", "--xattr", "--cache", "always", "--xattr"]);
    assert_eq!(args.cache.cache, CacheMode::Always);
    assert!(args.directory.xattr);
}

#[test]
fn option_that_can_be_repeated_has_all_its_values() {
    let args =
        parse_with(&["--uid-map=:0:1:1:", "--uid-map", ":1:5:9:", "--translate-uid=map:0:1:1"]);
    assert_eq!(args.ids.uid_map, [":0:1:1:", ":1:5:9:"]);
    assert_eq!(args.ids.translate_uid, ["map:0:1:1"]);
}

#[test]
fn share_left_out_is_asked_for() {
    let error = parse(&["--fd=3"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    assert!(error.to_string().contains("--shared-dir <PATH>"), "{error}");
}

#[test]
fn nothing_typed_is_answered_with_help() {
    let error = parse(&[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
}

#[test]
fn socket_options_given_in_pairs_exclude_each_other() {
    for pair in [
        ["--socket-path=a", "--fd=3"],
        ["--socket=a", "--fd=3"],
        ["--socket-path=a", "--connect=b"],
        ["--fd=3", "--connect=b"],
        ["--fd=3", "--socket-group=kvm"],
    ] {
        let error = parse(&[&["--shared-dir=/d"], &pair[..]].concat()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{pair:?}");
    }
}

#[test]
fn older_word_for_the_socket_gives_way_to_the_newer_one() {
    let args = parse(&["--shared-dir=/d", "--socket=a", "--socket-path=b"]).unwrap();
    let common: &CommonArgs = args.as_ref();
    assert_eq!(common.socket_path, Some("b".into()));
}

#[test]
fn options_of_the_process_are_told_in_every_daemons_words() {
    let args = parse(&[
        "--shared-dir=/d",
        "--socket=/s",
        "--socket-group=kvm",
        "-d",
        "-f",
        "--syslog",
        "--sandbox=chroot",
        "--poll-us=5",
    ]);
    let args = args.unwrap();
    let common: &CommonArgs = args.as_ref();
    assert_eq!(common.socket_path.as_deref(), Some(Path::new("/s")));
    assert_eq!(common.socket_group.as_deref(), Some("kvm"));
    assert_eq!((common.log_level, common.syslog), (LogLevel::Debug, true));
    assert_eq!(common.sandbox, vhost_user_daemon::SandboxMode::Chroot);
    assert_eq!(common.poll_us, 5);
    assert!(!common.daemonize);
}

#[test]
fn changes_of_capabilities_may_begin_with_a_hyphen() {
    let args = parse_with(&["--modcaps", "-mknod:+sys_admin"]);
    assert_eq!(args.process.modcaps.as_deref(), Some("-mknod:+sys_admin"));
}

#[test]
fn help_has_its_headings() {
    let help = Args::command().render_long_help().to_string();
    for heading in [
        "Directory:",
        "Cache:",
        "Users and groups:",
        "Queues:",
        "Socket:",
        "Sandbox:",
        "Process:",
        "Older spellings:",
    ] {
        assert!(help.lines().any(|line| line == heading), "{heading}");
    }
}
