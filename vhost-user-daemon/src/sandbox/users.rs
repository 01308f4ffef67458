// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A user namespace with more than one user: who may be in it is for `newuidmap` and `newgidmap` to say,
//! which have that right, and read from /etc/subuid and /etc/subgid to whom it is given.

use std::fs;
use std::io;
use std::process::Command;

use super::Lack;
use crate::id_range::IdRange;
use crate::sys;
use crate::sys::namespace::Namespace;
use crate::sys::probe::Copy;

/// Enters a user namespace in which there are these users and groups; of none, that of the process. If it
/// is none of them, but root is one, it becomes root. To be called before there are threads, and before
/// what is executed gains no privileges.
pub(super) fn enter(users: &[IdRange], groups: &[IdRange]) -> Result<(), Lack> {
    let (user, group) = sys::namespace::effective_ids();
    let lack = |source| Lack { what: "user namespace", source };
    let (users, groups) = (Map::of(users, user), Map::of(groups, group));
    // Who is in the namespace already has no right to have it filled, so somebody else must wait outside.
    let pid = std::process::id();
    let mut outside = None;
    if !(users.is_own && groups.is_own) {
        let work = || users.written_by("newuidmap", pid) + &groups.written_by("newgidmap", pid);
        outside = Some(Copy::waiting(work).map_err(lack)?);
    }
    sys::namespace::unshare(Namespace::User).map_err(lack)?;
    if let Some(outside) = outside {
        let said = outside.go().map_err(lack)?;
        if !said.is_empty() {
            return Err(lack(io::Error::other(said.trim_end().to_owned())));
        }
    }
    if groups.is_own {
        // Who has no rights outside has to give up changing groups before it may map one.
        fs::write("/proc/self/setgroups", "deny").map_err(lack)?;
        fs::write("/proc/self/gid_map", groups.lines()).map_err(lack)?;
    }
    if users.is_own {
        fs::write("/proc/self/uid_map", users.lines()).map_err(lack)?;
    }
    if !users.has(user) && users.has_root() && groups.has_root() {
        sys::process::become_root().map_err(lack)?;
    }
    Ok(())
}

/// Whether this process is in a user namespace that has not got all users.
pub(super) fn are_some() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else {
        return false;
    };
    !map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Users, or groups.
struct Map {
    ranges: Vec<IdRange>,
    /// There is one, the process's own: that takes no rights.
    is_own: bool,
}

impl Map {
    fn of(ranges: &[IdRange], own: u32) -> Self {
        let ranges = match ranges {
            [] => vec![IdRange { inside: own, outside: own, count: 1 }],
            some => some.to_vec(),
        };
        let is_own = matches!(ranges[..], [IdRange { outside, count: 1, .. }] if outside == own);
        Self { ranges, is_own }
    }

    fn has(&self, outside: u32) -> bool {
        self.ranges.iter().any(|range| range.has(outside))
    }

    fn has_root(&self) -> bool {
        self.ranges.iter().any(|range| range.inside == 0)
    }

    fn lines(&self) -> String {
        self.ranges.iter().map(IdRange::line).collect::<Vec<_>>().join("\n")
    }

    /// Has `program` write it for the process `pid`, unless that can do it by itself. Returns what is to be
    /// complained about.
    fn written_by(&self, program: &str, pid: u32) -> String {
        if self.is_own {
            return String::new();
        }
        let numbers =
            self.ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
        let numbers = numbers.map(|number| number.to_string());
        match Command::new(program).arg(pid.to_string()).args(numbers).output() {
            Ok(output) if output.status.success() => String::new(),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                format!("{program} ended with {}: {}\n", output.status, said.trim())
            }
            Err(error) => format!("start {program}: {error}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_of_nothing_is_the_own_number() {
        let map = Map::of(&[], 1000);
        assert_eq!((map.lines().as_str(), map.is_own), ("1000 1000 1", true));
    }

    #[test]
    fn map_that_takes_rights_is_told_from_one_that_does_not() {
        let range = |inside, outside, count| IdRange { inside, outside, count };
        assert!(Map::of(&[range(0, 1000, 1)], 1000).is_own);
        assert!(!Map::of(&[range(0, 1000, 2)], 1000).is_own);
        assert!(!Map::of(&[range(0, 1001, 1)], 1000).is_own);
        let map = Map::of(&[range(0, 1000, 1), range(1, 100_000, 65_536)], 1000);
        assert_eq!((map.lines().as_str(), map.is_own), ("0 1000 1\n1 100000 65536", false));
    }

    #[test]
    fn program_that_is_not_there_is_named() {
        let map = Map::of(&[IdRange { inside: 0, outside: 5, count: 2 }], 1000);
        let said = map.written_by("no-such-program", 1);
        assert_eq!(said, "start no-such-program: No such file or directory (os error 2)\n");
    }
}
