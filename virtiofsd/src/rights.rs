// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which capabilities the process keeps, so that a guest's root is root among the guest's files.

use vhost_user_daemon::Capability;

/// What each share takes (capabilities(7)).
const ALWAYS: [Capability; 8] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_MKNOD,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
];

/// A change of the capabilities makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RightsError {
    /// Neither added nor taken away.
    #[error("{0:?}: neither + nor - in front of it")]
    NoSign(String),
    /// The kernel has none of this name.
    #[error("{0:?}: there is no such capability")]
    Unknown(String),
}

/// The capabilities that are kept: those that sharing takes, with `handles` the one for opening files by
/// handle, and then the `changes`, such as `+sys_admin:-chown`.
///
/// # Errors
/// A change makes no sense.
pub(crate) fn kept(handles: bool, changes: Option<&str>) -> Result<Vec<Capability>, RightsError> {
    let mut kept = ALWAYS.to_vec();
    if handles {
        kept.push(Capability::CAP_DAC_READ_SEARCH);
    }
    for change in changes.iter().flat_map(|changes| changes.split(':')) {
        let capability = |name: &str| {
            let name = name.to_ascii_uppercase();
            let name = name.strip_prefix("CAP_").unwrap_or(&name);
            format!("CAP_{name}").parse().map_err(|_| RightsError::Unknown(change.to_owned()))
        };
        if let Some(name) = change.strip_prefix('+') {
            let added = capability(name)?;
            if !kept.contains(&added) {
                kept.push(added);
            }
        } else if let Some(name) = change.strip_prefix('-') {
            let removed = capability(name)?;
            kept.retain(|capability| *capability != removed);
        } else {
            return Err(RightsError::NoSign(change.to_owned()));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_kept_have_the_one_for_handles_only_with_them() {
        assert_eq!(kept(false, None).unwrap(), ALWAYS);
        let with_handles = kept(true, None).unwrap();
        assert_eq!(with_handles[..8], ALWAYS);
        assert_eq!(with_handles[8..], [Capability::CAP_DAC_READ_SEARCH]);
    }

    #[test]
    fn changes_are_made_in_their_order() {
        let kept = |changes| kept(false, Some(changes)).unwrap();
        assert!(kept("+sys_admin").contains(&Capability::CAP_SYS_ADMIN));
        assert!(!kept("-MKNOD:+sys_admin").contains(&Capability::CAP_MKNOD));
        assert!(kept("-chown:+cap_chown").contains(&Capability::CAP_CHOWN));
        assert_eq!(kept("+chown"), ALWAYS);
    }

    #[test]
    fn changes_that_make_no_sense_are_refused() {
        let refusal = |changes| kept(true, Some(changes)).unwrap_err().to_string();
        assert_eq!(refusal("chown"), "\"chown\": neither + nor - in front of it");
        assert_eq!(refusal("+chown:"), "\"\": neither + nor - in front of it");
        assert_eq!(refusal("+nothing"), "\"+nothing\": there is no such capability");
        assert_eq!(refusal("-"), "\"-\": there is no such capability");
    }
}
