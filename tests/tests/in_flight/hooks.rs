// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The hooks by which a test has the daemon abort, or try what it may not, are not in the daemon that people run.

use std::fs;
use std::path::Path;

use vhost_user_tests::daemon::{binary, binary_with_hooks};

const VARIABLES: [&str; 3] =
    ["VHOST_USER_TEST_ABORT", "VHOST_USER_TEST_SHUFFLE", "VHOST_USER_ATTEMPT"];

fn mentions(program: &Path, text: &str) -> bool {
    let bytes = fs::read(program).expect("read the daemon");
    bytes.windows(text.len()).any(|piece| piece == text.as_bytes())
}

#[test]
fn daemon_without_the_feature_knows_none_of_its_variables() {
    let program = binary("vhost-user-blk");
    for name in VARIABLES {
        assert!(!mentions(&program, name), "{name} in {}", program.display());
    }
}

#[test]
fn daemon_with_the_feature_knows_its_variables() {
    let program = binary_with_hooks("vhost-user-blk");
    for name in VARIABLES {
        assert!(mentions(&program, name), "{name} is not in {}", program.display());
    }
}
