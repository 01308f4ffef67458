// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use clap::Parser;
use vhost_user_daemon::Capability;

use super::*;

fn judged(args: &[&str]) -> Result<(Policy, Share, Config), ConfigError> {
    let args = [&["virtiofsd", "--fd=3", "--shared-dir=/d"], args].concat();
    judge(Args::try_parse_from(args).unwrap())
}

fn config(args: &[&str]) -> Config {
    judged(args).unwrap().2
}

fn share(args: &[&str]) -> Share {
    judged(args).unwrap().1
}

fn refusal(option: &str) -> String {
    judged(&[option]).unwrap_err().to_string()
}

#[test]
fn share_by_default_is_served_by_two_queues_with_handles() {
    let share = share(&[]);
    assert_eq!(share.path, PathBuf::from("/d"));
    assert_eq!((share.queues, share.landlock), (2, false));
    assert!(share.capabilities.contains(&Capability::CAP_DAC_READ_SEARCH));
    assert!(share.users.is_empty() && share.groups.is_empty());
}

#[test]
fn share_without_handles_can_have_landlock_and_lacks_their_capability() {
    let share = share(&["--inode-file-handles=never"]);
    assert!(share.landlock);
    assert!(!share.capabilities.contains(&Capability::CAP_DAC_READ_SEARCH));
}

#[test]
fn capabilities_are_changed_as_typed() {
    let share = share(&["--modcaps=+sys_admin:-mknod"]);
    assert!(share.capabilities.contains(&Capability::CAP_SYS_ADMIN));
    assert!(!share.capabilities.contains(&Capability::CAP_MKNOD));
    let message = "--modcaps \"sys_admin\": neither + nor - in front of it";
    assert_eq!(refusal("--modcaps=sys_admin"), message);
}

#[test]
fn life_is_led_as_other_virtiofsds_do() {
    let (policy, ..) = judged(&[]).unwrap();
    assert!(!policy.keep_listening && policy.pid_beside_socket && policy.syslog_may_lack);
    assert_eq!(policy.open_files, OpenFiles::UpTo(1_000_000));
    assert_eq!(policy.greeting, "Client connected, servicing requests");
}

#[test]
fn limit_on_descriptors_is_what_was_typed_or_stays() {
    let open_files = |option| judged(&[option]).unwrap().0.open_files;
    assert_eq!(open_files("--rlimit-nofile=0"), OpenFiles::Unchanged);
    assert_eq!(open_files("--rlimit-nofile=1048576"), OpenFiles::Exactly(1_048_576));
}

#[test]
fn extended_attributes_come_with_what_takes_them() {
    assert!(!config(&[]).options.xattr);
    for option in ["--xattr", "--posix-acl", "--security-label=auto", "--xattrmap=:map::user.x.:"] {
        assert!(config(&[option]).options.xattr, "{option}");
    }
}

#[test]
fn options_of_the_file_system_are_those_that_were_typed() {
    let options = config(&[
        "--readonly",
        "--cache=metadata",
        "--writeback",
        "--allow-mmap",
        "--allow-direct-io",
        "--killpriv-v2",
        "--preserve-noatime",
        "--posix-lock",
        "--flock",
        "--export",
        "--no-announce-submounts",
        "--inode-file-handles=mandatory",
        "--inode-fd-cache=7",
        "--posix-acl=auto",
        "--security-label=always",
    ])
    .options;
    assert_eq!(options.cache, Cache::Metadata);
    assert!(options.read_only && options.writeback && options.allow_mmap);
    assert!(options.allow_direct_io && options.killpriv_v2 && options.preserve_noatime);
    assert!(options.posix_lock && options.flock && options.export);
    assert!(!options.announce_submounts && options.readdirplus);
    assert_eq!(options.file_handles, FileHandles::Mandatory);
    assert_eq!(options.inode_fd_cache, 7);
    assert_eq!((options.posix_acl, options.security_label), (Wanted::Auto, Wanted::Always));
}

#[test]
fn attributes_with_names_are_left_out_with_cache_never() {
    assert!(config(&[]).options.readdirplus);
    assert!(!config(&["--cache=never"]).options.readdirplus);
    assert!(!config(&["--no-readdirplus"]).options.readdirplus);
}

#[test]
fn times_are_seconds_with_fractions() {
    let options =
        config(&["--entry-timeout=0.5", "--attr-timeout=60", "--negative-timeout=2"]).options;
    assert_eq!(options.entry_timeout, Some(Duration::from_millis(500)));
    assert_eq!(options.attr_timeout, Some(Duration::from_secs(60)));
    assert_eq!(options.negative_timeout, Duration::from_secs(2));
    assert_eq!(config(&[]).options.entry_timeout, None);
}

#[test]
fn times_that_are_none_are_refused() {
    for value in ["", "-1", "1s", "inf", "nan", "1e3", "99999999999999999999999"] {
        let message =
            format!("--attr-timeout {value:?}: not a number of seconds such as 0, 0.5 or 60");
        assert_eq!(refusal(&format!("--attr-timeout={value}")), message);
    }
}

#[test]
fn users_and_groups_are_read() {
    let share = share(&["--uid-map=:0:1000:1:", "--uid-map=:1:100000:65536:", "--gid-map=:0:5:1:"]);
    let expected = IdRange { inside: 1, outside: 100_000, count: 65_536 };
    assert_eq!((share.users.len(), share.users[1], share.groups.len()), (2, expected, 1));
    let message = "--gid-map \"0:1:2\": not :INSIDE:OUTSIDE:COUNT: with numbers from 0 to 4294967295 \
        that fit";
    assert_eq!(refusal("--gid-map=0:1:2"), message);
}

#[test]
fn translation_is_read_and_refused_with_its_option() {
    let options = config(&["--translate-uid=map:0:1000:1"]).options;
    assert_eq!(options.ids.uid.to_host(0), Ok(1000));
    assert!(options.ids.gid.is_identity());
    let message = refusal("--translate-gid=map:0");
    assert!(message.starts_with("--translate-gid \"map:0\": "), "{message}");
}

#[test]
fn rules_for_extended_attributes_that_are_none_are_refused_with_the_reason() {
    let message = refusal("--xattrmap=nonsense");
    assert!(message.starts_with("--xattrmap \"nonsense\": rule 1: "), "{message}");
}

#[test]
fn numbers_of_queues_out_of_range_are_refused() {
    assert_eq!(share(&["--num-request-queues=63"]).queues, 64);
    for number in [0, 64, 65535] {
        let message = format!("--num-request-queues {number}: not a number from 1 to 63");
        assert_eq!(refusal(&format!("--num-request-queues={number}")), message);
    }
}

#[test]
fn queue_size_that_is_no_power_of_two_or_too_small_is_refused() {
    for size in [0, 1, 2, 1000, 65535] {
        let message = format!("--queue-size {size}: not a power of two from 4 to 32768");
        assert_eq!(refusal(&format!("--queue-size={size}")), message);
    }
}

#[test]
fn threads_of_the_pool_are_a_few_by_default() {
    assert_eq!(config(&[]).device.threads, 4);
    assert_eq!(config(&["--thread-pool-size=0"]).device.threads, 4);
    assert_eq!(config(&["--thread-pool-size=8"]).device.threads, 8);
    assert_eq!(config(&["--thread-pool-size=100000"]).device.threads, 512);
}

#[test]
fn device_is_what_was_typed() {
    let device = config(&["--num-request-queues=7", "--queue-size=256", "--tag=myfs"]).device;
    assert_eq!((device.request_queues, device.queue_size), (7, 256));
    assert_eq!(device.tag, Some(Tag::try_from("myfs".to_owned()).unwrap()));
    assert_eq!(config(&[]).device.tag, None);
}

#[test]
fn tag_that_is_none_is_refused() {
    assert_eq!(refusal("--tag="), "--tag \"\": a tag has 1 to 36 bytes, and no NUL");
    let long = "t".repeat(37);
    let message = format!("--tag {long:?}: a tag has 1 to 36 bytes, and no NUL");
    assert_eq!(refusal(&format!("--tag={long}")), message);
}

#[test]
fn options_without_effect_are_told_only_if_they_were_typed() {
    assert!(config(&[]).notices.is_empty());
    let notices = config(&["--migration-on-error=guest-error", "--migration-mode=find-paths"]);
    assert_eq!(
        notices.notices,
        ["options about migration have no effect: the file system cannot be migrated yet"]
    );
    assert_eq!(config(&["-f", "-d", "-oxattr", "--inode-file-handles=fallback"]).notices.len(), 4);
}

#[test]
fn migration_by_handles_does_not_go_with_looking_at_paths() {
    for option in ["--migration-confirm-paths", "--migration-verify-handles"] {
        let error = judged(&["--migration-mode=file-handles", option]).unwrap_err();
        assert_eq!(error.to_string(), format!("{option} is for --migration-mode find-paths alone"));
    }
}

#[test]
fn empty_path_is_refused() {
    let args = Args::try_parse_from(["virtiofsd", "--fd=3", "-o", "source="]).unwrap();
    assert_eq!(judge(args).unwrap_err().to_string(), "--shared-dir \"\": not a path");
}
