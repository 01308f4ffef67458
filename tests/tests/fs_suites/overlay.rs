// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A shared folder below an overlay, as an image of a container is.

use std::fs;
use std::os::unix::fs::MetadataExt;

use vhost_user_tests::private_mounts::PrivateMount;

use super::{mounted, succeed, word};

#[test]
fn overlay_over_a_shared_folder_shows_it_and_leaves_it_as_it_is() {
    let Some(mounted) = mounted() else { return };
    let share = mounted.folder.path();
    fs::create_dir(share.join("folder")).expect("make a folder");
    for name in ["read", "written", "removed", "folder/inside"] {
        fs::write(share.join(name), name).expect("write a file");
    }
    let Some(memory) = PrivateMount::tmpfs(64 << 20) else { return };
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| memory.path().join(name));
    for place in [&upper, &work, &merged] {
        fs::create_dir(place).expect("make a folder");
    }
    let (lower, upper, work) = (word(mounted.path()), word(&upper), word(&work));
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    succeed(20, "mount", &["-t", "overlay", "overlay", "-o", &options, word(&merged)]);
    let read = |name: &str| fs::read_to_string(merged.join(name)).expect("read a file");
    assert_eq!(read("read"), "read");
    assert_eq!(read("folder/inside"), "folder/inside");
    fs::write(merged.join("written"), "anew").expect("write a file");
    fs::remove_file(merged.join("removed")).expect("remove a file");
    fs::write(merged.join("folder/new"), "new").expect("write a file");
    fs::rename(merged.join("folder/inside"), merged.join("outside")).expect("rename a file");
    let mut names: Vec<_> = fs::read_dir(&merged).expect("list the overlay").collect();
    names.sort_by_key(|name| name.as_ref().map(fs::DirEntry::file_name).ok());
    let names = names.into_iter().map(|name| name.expect("a name").file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
    assert_eq!(names, ["folder", "outside", "read", "written"]);
    assert_eq!((read("written"), read("outside")), ("anew".into(), "folder/inside".into()));
    // A file keeps its number when it is copied up.
    let number = fs::metadata(merged.join("read")).expect("look at a file").ino();
    fs::File::options().append(true).open(merged.join("read")).expect("copy a file up");
    assert_eq!(fs::metadata(merged.join("read")).expect("look at a file").ino(), number);
    for name in ["read", "written", "removed", "folder/inside"] {
        assert_eq!(fs::read_to_string(share.join(name)).expect("read a file"), name);
    }
    succeed(20, "umount", &[word(&merged)]);
}
