// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What cannot work because the process may not do it: said at the start, not when a guest runs into it.

use vhost_user_daemon::Capability;
use vhost_user_fs_lib::passthrough::FileHandles;

/// Says what the guest will not be able to do without the capabilities that are `lacking`, and, in a user
/// namespace, with the users that are in it alone.
pub(crate) fn say(lacking: &[Capability], some_users: bool, handles: FileHandles) {
    for line in lines(lacking, some_users, handles) {
        log::warn!("{line}");
    }
}

fn lines(lacking: &[Capability], some_users: bool, handles: FileHandles) -> Vec<&'static str> {
    let lacks = |capability| lacking.contains(&capability);
    let mut lines = Vec::new();
    let mut add = |lacks: bool, line| {
        if lacks {
            lines.push(line);
        }
    };
    add(
        lacks(Capability::CAP_SETUID) || lacks(Capability::CAP_SETGID),
        "without CAP_SETUID and CAP_SETGID, what the guest makes belongs to the user that this \
         process runs as, whoever makes it in the guest",
    );
    add(
        lacks(Capability::CAP_CHOWN),
        "without CAP_CHOWN, the guest cannot give files to other users",
    );
    add(
        lacks(Capability::CAP_DAC_OVERRIDE) || lacks(Capability::CAP_FOWNER),
        "without CAP_DAC_OVERRIDE and CAP_FOWNER, the guest can do no more with files of others than \
         the user that this process runs as",
    );
    add(
        lacks(Capability::CAP_FSETID),
        "without CAP_FSETID, files lose their set-user-id bits when the guest's root changes them",
    );
    add(
        lacks(Capability::CAP_MKNOD),
        "without CAP_MKNOD, the guest cannot make device nodes; an overlay over this directory \
         cannot hide files",
    );
    add(
        lacks(Capability::CAP_SETFCAP),
        "without CAP_SETFCAP, the guest cannot give files capabilities",
    );
    let no_handles = lacks(Capability::CAP_DAC_READ_SEARCH) || some_users;
    add(
        no_handles && handles != FileHandles::Never,
        "files cannot be opened by handle here: each one that the guest knows takes an open \
         descriptor",
    );
    add(
        some_users,
        "in a user namespace, files of users and groups that are not in it belong to nobody for the \
         guest, and it cannot give files to them; --uid-map and --gid-map say who is in it",
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_where_nothing_lacks() {
        assert!(lines(&[], false, FileHandles::Prefer).is_empty());
    }

    #[test]
    fn handles_that_nobody_wants_are_not_missed() {
        let lacking = [Capability::CAP_DAC_READ_SEARCH];
        assert!(lines(&lacking, false, FileHandles::Never).is_empty());
        let said = lines(&lacking, false, FileHandles::Prefer);
        assert!(said[0].starts_with("files cannot be opened by handle here"), "{said:?}");
    }

    #[test]
    fn two_capabilities_for_one_thing_make_one_line() {
        let lacking = [Capability::CAP_SETUID, Capability::CAP_SETGID, Capability::CAP_CHOWN];
        assert_eq!(lines(&lacking, false, FileHandles::Never).len(), 2);
    }

    #[test]
    fn users_that_are_left_out_are_told() {
        let said = lines(&[], true, FileHandles::Never);
        assert!(said[0].contains("--uid-map and --gid-map say who is in it"), "{said:?}");
    }
}
