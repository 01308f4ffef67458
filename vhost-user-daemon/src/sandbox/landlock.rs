// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What this process may still do with files that it has not opened yet: remove its own at the end.
//! Descriptors that are open already keep their meaning.

use std::fs::File;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// Forbids the calling thread, and those that it starts, every access to files and every TCP
/// connection; but for removing files from `directories`, and for what is `served`, in which all can be
/// done. What the kernel does not know of this is
/// left out; false says that it knows nothing at all.
///
/// # Errors
/// The kernel knows it and refuses.
pub(super) fn restrict<'a>(
    directories: impl Iterator<Item = &'a File>,
    served: Option<&File>,
) -> Result<bool, RulesetError> {
    // What later kernels could forbid beyond that is out of reach by the empty root.
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?;
    for directory in directories {
        rules = rules.add_rule(PathBeneath::new(directory, AccessFs::RemoveFile))?;
    }
    if let Some(served) = served {
        // A file takes no rules about directories.
        let is_directory = served.metadata().is_ok_and(|metadata| metadata.is_dir());
        let all =
            if is_directory { AccessFs::from_all(ABI::V5) } else { AccessFs::from_file(ABI::V5) };
        rules = rules.add_rule(PathBeneath::new(served, all))?;
    }
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}
