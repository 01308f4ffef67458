// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! stress-ng: what it has for file systems, each for a second, some at the same time.

use vhost_user_tests::fs::Mounted;
use vhost_user_tests::requires;

use super::{run, said, times, word};

/// Those of the class of file systems that work on files of a folder that they are given.
const STRESSORS: [&str; 40] = [
    "access",
    "chdir",
    "chmod",
    "chown",
    "copy-file",
    "dentry",
    "dir",
    "dirdeep",
    "dirmany",
    "fallocate",
    "fcntl",
    "fiemap",
    "filename",
    "flock",
    "fpunch",
    "fstat",
    "getdent",
    "hdd",
    "io",
    "iomix",
    "lease",
    "link",
    "locka",
    "lockf",
    "lockofd",
    "metamix",
    "mknod",
    "open",
    "readahead",
    "rename",
    "revio",
    "seek",
    "sendfile",
    "symlink",
    "sync-file",
    "touch",
    "unlink",
    "utime",
    "xattr",
    "file-ioctl",
];

/// stress-ng ends so when it cannot do what it was told here.
const NOT_IMPLEMENTED: i32 = 4;

#[test]
fn stressors_of_file_systems_find_no_fault() {
    if !requires::program("stress-ng") {
        return;
    }
    let Some(mounted) = Mounted::with(&["--xattr"]) else { return };
    // Each release has some that the one before had not.
    let class = |class| said(&run(20, "stress-ng", &["--class", class]));
    let known = class("filesystem?") + &class("io?") + &class("os?");
    let known: Vec<&str> = known.split_whitespace().collect();
    let stressors: Vec<&str> = STRESSORS.into_iter().filter(|name| known.contains(name)).collect();
    assert!(stressors.len() > 30, "too few of them are known: {stressors:?}");
    for some in stressors.chunks(4) {
        let seconds = (2 * times()).to_string();
        let mut words =
            vec!["--timeout", &seconds, "--verify", "--temp-path", word(mounted.path())];
        let options: Vec<String> = some.iter().map(|name| format!("--{name}")).collect();
        words.extend(options.iter().flat_map(|option| [option.as_str(), "1"]));
        // Those of them that would fill a disk.
        words.extend(["--hdd-bytes", "16m", "--iomix-bytes", "16m", "--seek-size", "16m"]);
        words.extend(["--fallocate-bytes", "16m", "--readahead-bytes", "16m"]);
        words.extend(["--copy-file-bytes", "128m", "--sync-file-bytes", "16m"]);
        words.extend(["--revio-bytes", "16m"]);
        let output = run(60 * times(), "stress-ng", &words);
        let code = output.status.code();
        let fine = output.status.success() || code == Some(NOT_IMPLEMENTED);
        let text = said(&output);
        assert!(fine && !text.contains("fail:"), "{some:?}: {}: {text}", output.status);
    }
    assert!(mounted.path().read_dir().is_ok(), "list the folder after all that");
}
