// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file that is open and has no name any more, of which neither side has anything in memory.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use vhost_user_tests::fs::Mounted;

fn use_without_name(arguments: &[&str]) {
    let Some(mounted) = Mounted::with(arguments) else { return };
    let path = mounted.path().join("file");
    let mut options = fs::File::options();
    let file = options.read(true).write(true).create_new(true).open(&path).expect("make a file");
    file.write_all_at(b"0123456789", 0).expect("write to the file");
    file.sync_all().expect("write it out");
    fs::remove_file(&path).expect("remove its name");
    fs::write("/proc/sys/vm/drop_caches", "3").expect("drop the caches of this machine");
    let found = file.metadata().expect("look at the file");
    assert_eq!((found.len(), found.nlink()), (10, 0));
    let mut bytes = [0; 5];
    file.read_exact_at(&mut bytes, 5).expect("read the file");
    assert_eq!(&bytes, b"56789");
    file.set_len(3).expect("make the file shorter");
    file.write_all_at(b"abc", 4).expect("write to the file");
    let mut bytes = [0; 7];
    file.read_exact_at(&mut bytes, 0).expect("read the file");
    assert_eq!(&bytes, b"012\0abc");
    assert_eq!(fs::read_dir(mounted.path()).expect("list the folder").count(), 0);
    drop(file);
}

#[test]
fn file_without_a_name_is_used_after_caches_were_dropped() {
    for arguments in [&[][..], &["--cache", "never"], &["--cache", "always"], &["--writeback"]] {
        use_without_name(arguments);
    }
}
