// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The filter for system calls, which all threads of the process get at the same time.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::profile::{Condition, SystemCall};
use crate::args::SeccompMode;
use crate::sys;

/// System calls cannot be filtered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeccompError {
    #[error("filter system calls; --seccomp none does without")]
    Unavailable(#[source] io::Error),

    #[error("make the filter for system calls")]
    Compile(#[from] BackendError),

    #[error("filter the system calls of all threads")]
    Apply(#[from] seccompiler::Error),

    #[error("say which system call is not allowed")]
    Trap(#[source] io::Error),
}

/// Whether a filter can be had.
///
/// # Errors
/// This kernel has none, or is told not to give it to us.
pub(super) fn check(mode: SeccompMode) -> Result<(), SeccompError> {
    match mode {
        SeccompMode::None => Ok(()),
        _ => sys::seccomp::check().map_err(SeccompError::Unavailable),
    }
}

/// From now on no thread of this process makes a system call that none of the `allowed` is, or what
/// `mode` says happens; those that are `refused` fail. The program is called `name`.
///
/// # Errors
/// The kernel refuses.
pub(super) fn apply<'a>(
    name: &str,
    mode: SeccompMode,
    allowed: impl Iterator<Item = &'a SystemCall>,
    refused: &'a [SystemCall],
) -> Result<(), SeccompError> {
    let otherwise = match mode {
        SeccompMode::None => return Ok(()),
        SeccompMode::Kill => SeccompAction::KillProcess,
        SeccompMode::Log => SeccompAction::Log,
        SeccompMode::Trap => {
            sys::seccomp::say_on_sigsys(name).map_err(SeccompError::Trap)?;
            SeccompAction::Trap
        }
    };
    // Of two filters, the one that lets less through decides. This one must come first, because the
    // other one lets no further filter come.
    if mode != SeccompMode::Log {
        let fail = SeccompAction::Errno(libc::EACCES.unsigned_abs());
        install(&compile(refused.iter(), fail, SeccompAction::Allow)?)?;
    }
    let allowed = allowed.chain(if mode == SeccompMode::Log { &[] } else { refused });
    install(&compile(allowed, SeccompAction::Allow, otherwise)?)
}

fn install(program: &BpfProgram) -> Result<(), SeccompError> {
    Ok(seccompiler::apply_filter_all_threads(program)?)
}

/// The filter that does `then` about these system calls, and `otherwise` about all others.
fn compile<'a>(
    calls: impl Iterator<Item = &'a SystemCall>,
    then: SeccompAction,
    otherwise: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let mut rules = BTreeMap::<i64, Option<Vec<SeccompRule>>>::new();
    for SystemCall { number, conditions, why } in calls {
        log::trace!("system call {number}, {conditions:?}: {then:?}, {why}");
        let conditions = conditions.iter().flatten().map(compare).collect::<Result<Vec<_>, _>>()?;
        match rules.entry(*number).or_insert_with(|| Some(Vec::new())) {
            // Without a condition, no other one matters.
            entry if conditions.is_empty() => *entry = None,
            Some(of_this_call) => of_this_call.push(SeccompRule::new(conditions)?),
            None => {}
        }
    }
    let rules = rules.into_iter().map(|(number, rules)| (number, rules.unwrap_or_default()));
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules.collect(), otherwise, then, arch)?.try_into()
}

fn compare(condition: &Condition) -> Result<SeccompCondition, BackendError> {
    let Condition { argument, mask, value } = *condition;
    let masked = SeccompCmpOp::MaskedEq(mask.into());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, masked, value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_that_is_allowed_twice_is_allowed_by_either() {
        let once = SystemCall::new(libc::SYS_mmap, "test").where_is(0, 1);
        let len = |calls: &[SystemCall]| {
            compile(calls.iter(), SeccompAction::Allow, SeccompAction::KillProcess).unwrap().len()
        };
        let other = SystemCall::new(libc::SYS_mmap, "test").where_lacks(1, 4);
        let always = SystemCall::new(libc::SYS_mmap, "test");
        assert!(len(&[once, other]) > len(&[once]));
        assert_eq!(len(&[once, always, other]), len(&[always]));
    }
}
