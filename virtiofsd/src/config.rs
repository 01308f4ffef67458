// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is true once the options have been judged: always valid, and still without I/O.

use std::path::PathBuf;
use std::time::Duration;

use vhost_user_daemon::{IdRange, NoIdRange, OpenFiles, Policy, Share};
use vhost_user_fs_lib::passthrough::ids::{IdMap, IdMapError, Translation};
use vhost_user_fs_lib::passthrough::xattr_map::{XattrMap, XattrMapError};
use vhost_user_fs_lib::passthrough::{Cache, FileHandles, Options, Wanted};
use vhost_user_fs_lib::virtio::{FsConfig, Tag, TagError};

use crate::args::{
    Args, CacheArgs, CacheMode, DirectoryArgs, FileHandlesMode, IdArgs, MigrationArgs,
    MigrationMode, NegotiationMode, OldArgs, ProcessArgs, QueueArgs,
};
use crate::rights::{self, RightsError};

/// How many virtqueues of requests there can be: with the one of high priority as many as there are bits in
/// the masks of other back ends.
const MOST_REQUEST_QUEUES: u16 = 63;

/// How many threads there are for what takes its time, if nothing is said about it.
const USUAL_THREADS: usize = 4;

/// How many there are at most, whatever is said.
const MOST_THREADS: usize = 512;

/// The limit on open descriptors if nothing is said about it.
const USUAL_OPEN_FILES: u64 = 1_000_000;

/// What the device is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the directory is shared. How many descriptors there may be for it is known only later.
    pub options: Options,
    /// What the device is like.
    pub device: FsConfig,
    /// What the operator shall know about what was typed, as soon as there is a log.
    pub notices: Vec<&'static str>,
}

/// An option's value, or a combination of options, makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not the path of anything.
    #[error("--shared-dir {0:?}: not a path")]
    SharedDir(PathBuf),
    /// Not a tag.
    #[error("--tag {tag:?}: {fault}")]
    Tag {
        /// What was typed.
        tag: String,
        /// What is wrong with it.
        fault: TagError,
    },
    /// Not rules for names of extended attributes.
    #[error("--xattrmap {rules:?}: {fault}")]
    XattrMap {
        /// What was typed.
        rules: String,
        /// What is wrong with it.
        fault: XattrMapError,
    },
    /// Not a range of users or groups.
    #[error("{option} {fault}")]
    IdRange {
        /// `--uid-map` or `--gid-map`.
        option: &'static str,
        /// What is wrong with it.
        fault: NoIdRange,
    },
    /// Not a rule about users or groups.
    #[error("{option} {fault}")]
    Translation {
        /// `--translate-uid` or `--translate-gid`.
        option: &'static str,
        /// What is wrong with it.
        fault: IdMapError,
    },
    /// Not a time that something can be kept for.
    #[error("{option} {value:?}: not a number of seconds such as 0, 0.5 or 60")]
    Seconds {
        /// Which one.
        option: &'static str,
        /// What was typed.
        value: String,
    },
    /// Not a change of the capabilities.
    #[error("--modcaps {0}")]
    Rights(RightsError),
    /// Not a number of queues that can be served.
    #[error("--num-request-queues {0}: not a number from 1 to {MOST_REQUEST_QUEUES}")]
    NumQueues(u16),
    /// Not a length that a virtqueue can have.
    #[error("--queue-size {0}: not a power of two from 4 to 32768")]
    QueueSize(u16),
    /// Handles say by themselves which files they mean.
    #[error("{0} is for --migration-mode find-paths alone")]
    OfPaths(&'static str),
}

/// Judges what was typed: how the process lives, what it shares, and what the device is made of.
///
/// # Errors
/// A value or a combination of options makes no sense.
pub fn judge(args: Args) -> Result<(Policy, Share, Config), ConfigError> {
    let notices = notices(&args);
    let policy = policy(&args.process);
    let Args { directory, cache, ids, queues, process, migration, .. } = args;
    judge_migration(&migration)?;
    judge_queues(&queues)?;
    let file_handles = handles(directory.inode_file_handles);
    let share = Share {
        path: path(&directory)?,
        queues: queues.num_request_queues.saturating_add(1),
        capabilities: rights::kept(file_handles != FileHandles::Never, process.modcaps.as_deref())
            .map_err(ConfigError::Rights)?,
        users: ranges("--uid-map", &ids.uid_map)?,
        groups: ranges("--gid-map", &ids.gid_map)?,
        landlock: file_handles == FileHandles::Never,
    };
    let device = FsConfig {
        tag: tag(directory.tag.clone())?,
        request_queues: queues.num_request_queues,
        queue_size: queues.queue_size,
        threads: match queues.thread_pool_size {
            0 => USUAL_THREADS,
            number => number.min(MOST_THREADS),
        },
    };
    Ok((policy, share, Config { options: options(directory, &cache, &ids)?, device, notices }))
}

fn tag(typed: Option<String>) -> Result<Option<Tag>, ConfigError> {
    let Some(tag) = typed else {
        return Ok(None);
    };
    Tag::try_from(tag.clone()).map(Some).map_err(|fault| ConfigError::Tag { tag, fault })
}

fn policy(process: &ProcessArgs) -> Policy {
    Policy {
        keep_listening: process.keep_listening,
        pid_beside_socket: true,
        open_files: match process.rlimit_nofile {
            None => OpenFiles::UpTo(USUAL_OPEN_FILES),
            Some(0) => OpenFiles::Unchanged,
            Some(number) => OpenFiles::Exactly(number),
        },
        syslog_may_lack: true,
        greeting: "Client connected, servicing requests",
    }
}

fn path(directory: &DirectoryArgs) -> Result<PathBuf, ConfigError> {
    let path = directory.shared_dir.clone().unwrap_or_default();
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        Err(ConfigError::SharedDir(path))
    } else {
        Ok(path)
    }
}

fn judge_queues(queues: &QueueArgs) -> Result<(), ConfigError> {
    if !(1..=MOST_REQUEST_QUEUES).contains(&queues.num_request_queues) {
        return Err(ConfigError::NumQueues(queues.num_request_queues));
    }
    if !queues.queue_size.is_power_of_two() || queues.queue_size < 4 {
        return Err(ConfigError::QueueSize(queues.queue_size));
    }
    Ok(())
}

fn judge_migration(migration: &MigrationArgs) -> Result<(), ConfigError> {
    if migration.migration_mode != Some(MigrationMode::FileHandles) {
        return Ok(());
    }
    if migration.migration_confirm_paths {
        return Err(ConfigError::OfPaths("--migration-confirm-paths"));
    }
    if migration.migration_verify_handles {
        return Err(ConfigError::OfPaths("--migration-verify-handles"));
    }
    Ok(())
}

fn ranges(option: &'static str, typed: &[String]) -> Result<Vec<IdRange>, ConfigError> {
    let ranges = typed.iter().map(|range| range.parse());
    ranges.collect::<Result<_, _>>().map_err(|fault| ConfigError::IdRange { option, fault })
}

fn handles(mode: FileHandlesMode) -> FileHandles {
    match mode {
        FileHandlesMode::Never => FileHandles::Never,
        FileHandlesMode::Prefer | FileHandlesMode::Fallback => FileHandles::Prefer,
        FileHandlesMode::Mandatory => FileHandles::Mandatory,
    }
}

fn wanted(mode: NegotiationMode) -> Wanted {
    match mode {
        NegotiationMode::Never => Wanted::Never,
        NegotiationMode::Auto => Wanted::Auto,
        NegotiationMode::Always => Wanted::Always,
    }
}

fn options(
    directory: DirectoryArgs,
    cache: &CacheArgs,
    ids: &IdArgs,
) -> Result<Options, ConfigError> {
    let (posix_acl, security_label) =
        (wanted(directory.posix_acl), wanted(directory.security_label));
    let implied = directory.xattrmap.is_some()
        || posix_acl != Wanted::Never
        || security_label != Wanted::Never;
    let translation = |option, rules: &[String]| {
        IdMap::parse(rules).map_err(|fault| ConfigError::Translation { option, fault })
    };
    Ok(Options {
        cache: match cache.cache {
            CacheMode::Auto => Cache::Auto,
            CacheMode::Always => Cache::Always,
            CacheMode::Metadata => Cache::Metadata,
            CacheMode::Never => Cache::Never,
        },
        entry_timeout: seconds("--entry-timeout", cache.entry_timeout.as_deref())?,
        attr_timeout: seconds("--attr-timeout", cache.attr_timeout.as_deref())?,
        negative_timeout: seconds("--negative-timeout", cache.negative_timeout.as_deref())?
            .unwrap_or_default(),
        xattr: directory.xattr || implied,
        xattr_map: xattr_map(directory.xattrmap)?,
        posix_acl,
        security_label,
        read_only: directory.readonly,
        announce_submounts: !directory.no_announce_submounts,
        file_handles: handles(directory.inode_file_handles),
        inode_fd_cache: directory.inode_fd_cache,
        allow_mmap: cache.allow_mmap,
        readdirplus: !cache.no_readdirplus && cache.cache != CacheMode::Never,
        writeback: cache.writeback,
        allow_direct_io: directory.allow_direct_io,
        killpriv_v2: directory.killpriv_v2,
        preserve_noatime: directory.preserve_noatime,
        ids: Translation {
            uid: translation("--translate-uid", &ids.translate_uid)?,
            gid: translation("--translate-gid", &ids.translate_gid)?,
        },
        posix_lock: directory.posix_lock,
        flock: directory.flock,
        export: directory.export,
        ..Options::default()
    })
}

fn xattr_map(rules: Option<String>) -> Result<XattrMap, ConfigError> {
    match rules {
        None => Ok(XattrMap::default()),
        Some(rules) => rules.parse().map_err(|fault| ConfigError::XattrMap { rules, fault }),
    }
}

fn seconds(option: &'static str, typed: Option<&str>) -> Result<Option<Duration>, ConfigError> {
    let Some(typed) = typed else {
        return Ok(None);
    };
    let plain = typed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = typed.parse().ok().filter(|_| plain);
    let duration = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    match duration {
        Some(duration) => Ok(Some(duration)),
        None => Err(ConfigError::Seconds { option, value: typed.to_owned() }),
    }
}

/// What is no mistake, but not what whoever typed it may think.
fn notices(args: &Args) -> Vec<&'static str> {
    let Args { directory, migration, old, .. } = args;
    let OldArgs { options, socket, debug, foreground } = old;
    let fallback = directory.inode_file_handles == FileHandlesMode::Fallback;
    let migrates = migration.migration_mode.is_some()
        || migration.migration_on_error.is_some()
        || migration.migration_verify_handles
        || migration.migration_confirm_paths;
    [
        (!options.is_empty(), "-o is an older spelling; each of its options has one of its own"),
        (socket.is_some(), "--socket is an older spelling of --socket-path"),
        (*debug, "-d is an older spelling of --log-level debug"),
        (*foreground, "-f has no effect: the process stays in the foreground without --daemonize"),
        (fallback, "--inode-file-handles=fallback is an older spelling of prefer"),
        (
            migrates,
            "options about migration have no effect: the file system cannot be migrated yet",
        ),
    ]
    .into_iter()
    .filter_map(|(typed, notice)| typed.then_some(notice))
    .collect()
}

#[cfg(test)]
mod tests;
