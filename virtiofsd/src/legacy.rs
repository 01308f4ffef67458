// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `-o`: the options of the first virtiofsd, which came with QEMU, as libvirt and others still say them.

use vhost_user_daemon::LogLevel;

use crate::args::{Args, CacheMode, NegotiationMode, SandboxMode};

/// An option behind `-o` makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LegacyError {
    #[error("-o {0}: there is no such option")]
    Unknown(String),

    #[error("-o {option}={value}: not one of {possible}")]
    Value { option: &'static str, value: String, possible: &'static str },

    #[error("-o {old}: the host's locks are asked for with {new}")]
    Lock { old: &'static str, new: &'static str },

    #[error("neither --shared-dir nor -o source= says what is to be shared")]
    NoSource,
}

/// Puts what `-o` says in place of what the other options say.
pub(crate) fn apply(args: &mut Args) -> Result<(), LegacyError> {
    let lists = args.old.options.clone();
    for option in lists.iter().flat_map(|list| list.split(',')) {
        match option.split_once('=') {
            Some((name, value)) => apply_value(args, name, value)?,
            None => apply_flag(args, option)?,
        }
    }
    match args.directory.shared_dir {
        Some(_) => Ok(()),
        None => Err(LegacyError::NoSource),
    }
}

fn apply_value(args: &mut Args, name: &str, value: &str) -> Result<(), LegacyError> {
    let other = |option, possible| LegacyError::Value { option, value: value.to_owned(), possible };
    match name {
        "source" => args.directory.shared_dir = Some(value.into()),
        "xattrmap" => args.directory.xattrmap = Some(value.to_owned()),
        "modcaps" => args.process.modcaps = Some(value.to_owned()),
        "cache" => {
            args.cache.cache = match value {
                "auto" => CacheMode::Auto,
                "always" => CacheMode::Always,
                "none" => CacheMode::Never,
                "metadata" => CacheMode::Metadata,
                _ => return Err(other("cache", "auto, always, none, metadata")),
            }
        }
        "loglevel" => {
            args.process.log_level = match value {
                "debug" => LogLevel::Debug,
                "info" => LogLevel::Info,
                "warn" => LogLevel::Warn,
                "err" => LogLevel::Error,
                _ => return Err(other("loglevel", "debug, info, warn, err")),
            }
        }
        "sandbox" => {
            args.process.sandbox = match value {
                "namespace" => SandboxMode::Namespace,
                "chroot" => SandboxMode::Chroot,
                _ => return Err(other("sandbox", "namespace, chroot")),
            }
        }
        _ => return Err(LegacyError::Unknown(format!("{name}={value}"))),
    }
    Ok(())
}

fn apply_flag(args: &mut Args, flag: &str) -> Result<(), LegacyError> {
    // Options that can be on or off say so by their name.
    let (name, on) = match flag.strip_prefix("no_") {
        Some(name) => (name, false),
        None => (flag, true),
    };
    let mode = if on { NegotiationMode::Always } else { NegotiationMode::Never };
    let (directory, cache) = (&mut args.directory, &mut args.cache);
    match name {
        "xattr" => directory.xattr = on,
        "readdirplus" => cache.no_readdirplus = !on,
        "writeback" => cache.writeback = on,
        "allow_direct_io" => directory.allow_direct_io = on,
        "announce_submounts" if on => directory.announce_submounts = true,
        "killpriv_v2" => directory.killpriv_v2 = on,
        "posix_acl" => directory.posix_acl = mode,
        "security_label" => directory.security_label = mode,
        "posix_lock" if on => {
            return Err(LegacyError::Lock { old: "posix_lock", new: "--posix-lock" });
        }
        "flock" if on => return Err(LegacyError::Lock { old: "flock", new: "--flock" }),
        "posix_lock" | "flock" => {}
        _ => return Err(LegacyError::Unknown(flag.to_owned())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["virtiofsd", "--fd=3"], args].concat())
    }

    fn refusal(options: &str) -> String {
        parse(&["--shared-dir=/d", "-o", options]).unwrap_err().to_string()
    }

    #[test]
    fn options_with_values_are_those_of_the_long_names() {
        let args = parse(&[
            "-o",
            "source=/srv,cache=none,loglevel=err,sandbox=chroot",
            "-o",
            "modcaps=+sys_admin,xattrmap=:map::user.virtiofs.:",
        ])
        .unwrap();
        assert_eq!(args.directory.shared_dir.as_deref(), Some(Path::new("/srv")));
        assert_eq!(args.cache.cache, CacheMode::Never);
        assert_eq!(args.process.log_level, LogLevel::Error);
        assert_eq!(args.process.sandbox, SandboxMode::Chroot);
        assert_eq!(args.process.modcaps.as_deref(), Some("+sys_admin"));
        assert_eq!(args.directory.xattrmap.as_deref(), Some(":map::user.virtiofs.:"));
    }

    #[test]
    fn flags_turn_things_on_and_off() {
        let all = "xattr,no_readdirplus,writeback,allow_direct_io,announce_submounts,killpriv_v2,\
            posix_acl,security_label,no_posix_lock,no_flock";
        let args = parse(&["--shared-dir=/d", "-o", all]).unwrap();
        assert!(args.directory.xattr && args.directory.allow_direct_io);
        assert!(args.directory.killpriv_v2 && args.cache.writeback && args.cache.no_readdirplus);
        assert_eq!(args.directory.posix_acl, NegotiationMode::Always);
        assert_eq!(args.directory.security_label, NegotiationMode::Always);
        let none = "no_xattr,readdirplus,no_writeback,no_allow_direct_io,no_killpriv_v2,\
            no_posix_acl,no_security_label";
        let args = parse(&["--shared-dir=/d", "-o", all, "-o", none]).unwrap();
        assert!(!args.directory.xattr && !args.directory.allow_direct_io);
        assert!(!args.directory.killpriv_v2 && !args.cache.writeback && !args.cache.no_readdirplus);
        assert_eq!(args.directory.posix_acl, NegotiationMode::Never);
        assert_eq!(args.directory.security_label, NegotiationMode::Never);
    }

    #[test]
    fn options_win_over_the_long_ones() {
        let args = parse(&["-o", "source=/a,cache=always", "--shared-dir=/b", "--cache=never"]);
        let args = args.unwrap();
        assert_eq!(args.directory.shared_dir.as_deref(), Some(Path::new("/a")));
        assert_eq!(args.cache.cache, CacheMode::Always);
    }

    #[test]
    fn locks_are_refused_with_the_options_that_have_them() {
        assert!(
            refusal("posix_lock")
                .contains("-o posix_lock: the host's locks are asked for with --posix-lock")
        );
        assert!(refusal("flock").contains("-o flock: the host's locks are asked for with --flock"));
    }

    #[test]
    fn options_that_are_unknown_are_refused() {
        for option in ["dax", "no_announce_submounts", "timeout=1", ""] {
            let message = format!("-o {option}: there is no such option");
            assert!(refusal(option).contains(&message), "{option}");
        }
    }

    #[test]
    fn values_that_are_unknown_are_refused_with_the_possible_ones() {
        let message = "-o cache=never: not one of auto, always, none, metadata";
        assert!(refusal("cache=never").contains(message));
        assert!(refusal("loglevel=error").contains("-o loglevel=error: not one of debug, info"));
        assert!(refusal("sandbox=none").contains("-o sandbox=none: not one of namespace, chroot"));
    }

    #[test]
    fn share_that_nothing_says_is_asked_for() {
        let error = parse(&["-o", "cache=auto"]).unwrap_err().to_string();
        assert!(error.contains("neither --shared-dir nor -o source= says"), "{error}");
    }
}
