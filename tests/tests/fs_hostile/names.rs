// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Names that are more than a name: none leads out of the folder that it is said to be in.

use vhost_user_tests::fs::wire::{Body, ROOT, opcode};

use crate::scene::{NAMED, Scene, named};

/// Names that no kernel sends, the outer folder's path among them.
fn bad(outer: &str) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "../secret",
        "../victim",
        "../victim/file",
        "../new",
        "folder/file",
        "folder/../../secret",
        "./file",
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "//",
        "file/",
        "/new",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(format!("{outer}/secret").into_bytes());
    names.push(format!("{outer}/victim/new").into_bytes());
    names.push(vec![b'n'; 256]);
    names.push(vec![b'n'; 4000]);
    names.push(vec![b'n'; 5000]);
    names
}

#[test]
fn names_that_are_paths_are_refused_by_every_request() {
    let mut scene = Scene::new();
    let outer = scene.it.folder.path().display().to_string();
    let secrets = ["secret", "victim", "victim/file"].map(|name| scene.outer_ino(name));
    let things = scene.things();
    let with_names = NAMED.iter().filter(|opcode| !(21..=24).contains(*opcode));
    for opcode in with_names {
        for name in bad(&outer) {
            let (node, body) = named(*opcode, &things, &name);
            let what = format!("opcode {opcode}, {:?}", String::from_utf8_lossy(&name));
            let reply = scene.it.fs.request(*opcode, node, &body, 4096);
            let dots = name == b"." || name == b"..";
            match reply {
                // What a name leads to that a server of NFS asks for: the root has no parent.
                Ok(entry) if *opcode == opcode::LOOKUP && dots => {
                    assert_eq!(entry[..8], ROOT.to_le_bytes(), "{what}");
                    let ino = u64::from_le_bytes(entry[40..48].try_into().expect("a number"));
                    assert!(!secrets.contains(&ino), "{what}");
                }
                Ok(_) => panic!("{what}: it was done"),
                // The longest that a kernel sends.
                Err(errno) if (256..4096).contains(&name.len()) => {
                    assert_eq!(errno, libc::ENAMETOOLONG, "{what}")
                }
                Err(_) => (),
            }
            scene.expect_unharmed(&what);
        }
    }
}

#[test]
fn names_that_are_paths_are_refused_where_they_come_first() {
    let mut scene = Scene::new();
    let outer = scene.it.folder.path().display().to_string();
    for name in bad(&outer) {
        let what = format!("{:?} renamed", String::from_utf8_lossy(&name));
        let body = Body::new().u64s(&[ROOT]).name(&name).name("taken");
        let reply = scene.it.fs.request(opcode::RENAME, ROOT, &body.finish(), 0);
        assert!(reply.is_err(), "{what}");
        let body = Body::new().u64s(&[ROOT]).u32s(&[2, 0]).name(&name).name("file");
        let reply = scene.it.fs.request(opcode::RENAME2, ROOT, &body.finish(), 0);
        assert!(reply.is_err(), "{what}");
        scene.expect_unharmed(&what);
    }
}

#[test]
fn name_without_its_end_is_refused_and_the_next_request_answered() {
    let mut scene = Scene::new();
    for name in ["file", "../secret", "f"] {
        for opcode in [opcode::LOOKUP, opcode::UNLINK, opcode::RMDIR] {
            let reply = scene.it.fs.request(opcode, ROOT, name.as_bytes(), 4096);
            assert!(reply.is_err(), "opcode {opcode}: {name} without NUL");
            scene.expect_unharmed(name);
        }
    }
    assert!(scene.it.fs.lookup(ROOT, "file").is_ok(), "the file is still there");
}

#[test]
fn link_is_made_to_anywhere_and_followed_by_nobody() {
    let mut scene = Scene::new();
    let targets = ["/etc/passwd", "../secret", "..", &"x/".repeat(2000)];
    for (number, target) in targets.into_iter().enumerate() {
        let name = format!("link {number}");
        let link = scene.it.fs.symlink(ROOT, &name, target).unwrap().node;
        assert_eq!(scene.it.fs.readlink(link), Ok(target.as_bytes().to_vec()));
        assert!(scene.it.fs.lookup(link, "secret").is_err(), "{target}: a name behind it");
        assert!(scene.it.fs.open(link, libc::O_RDWR).is_err(), "{target}: opened");
        assert!(scene.it.fs.opendir(link).is_err(), "{target}: opened as a folder");
        scene.expect_unharmed(target);
    }
}
