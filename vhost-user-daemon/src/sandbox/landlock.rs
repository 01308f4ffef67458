// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What this process may still do with files that it has not opened yet: remove its own at the end.
//! Descriptors that are open already keep their meaning.

use std::fs::File;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// Forbids the calling thread, and those that it starts, every access to files and every TCP
/// connection; but for removing files from `directories`. What the kernel does not know of this is
/// left out; false says that it knows nothing at all.
///
/// # Errors
/// The kernel knows it and refuses.
pub(super) fn restrict<'a>(
    directories: impl Iterator<Item = &'a File>,
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
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}
