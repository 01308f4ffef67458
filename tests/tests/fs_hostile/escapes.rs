// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Links in the share that lead out of it: whoever asks for what is behind them is refused, also in
//! the moment in which a folder becomes such a link.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vhost_user_tests::fs::client::{Change, New};
use vhost_user_tests::fs::share::exchange;
use vhost_user_tests::fs::wire::ROOT;

use crate::scene::Scene;

/// Walks through the folder that is swapped.
const WALKS: usize = 3000;

#[test]
fn link_that_leads_out_is_never_followed() {
    let mut scene = Scene::new();
    for name in ["link", "up", "top"] {
        let fs = &mut scene.it.fs;
        let link = fs.lookup(ROOT, name).unwrap();
        assert_eq!(link.attr.mode & libc::S_IFMT, libc::S_IFLNK, "{name}");
        let link = link.node;
        for inner in ["secret", "victim", "etc", "share", ".."] {
            assert!(fs.lookup(link, inner).is_err(), "{name}/{inner}");
        }
        for flags in [libc::O_RDONLY, libc::O_RDWR, libc::O_TRUNC | libc::O_WRONLY] {
            assert!(fs.open(link, flags).is_err(), "{name} opened with {flags:#o}");
        }
        assert!(fs.opendir(link).is_err(), "{name} opened as a folder");
        assert!(fs.create(link, "new", New::default()).is_err(), "a file made in {name}");
        assert!(fs.mkdir(link, "new", 0o755).is_err(), "a folder made in {name}");
        assert!(fs.unlink(link, "secret").is_err(), "a file removed from {name}");
        assert!(fs.rmdir(link, "victim").is_err(), "a folder removed from {name}");
        assert!(fs.rename((link, "secret"), (ROOT, "taken")).is_err(), "taken from {name}");
        assert!(fs.rename((ROOT, "file"), (link, "given")).is_err(), "given to {name}");
        let shorter = Change { size: Some(0), ..Change::default() };
        assert!(fs.setattr(link, shorter).is_err(), "{name} made shorter");
        let truncate = New { flags: libc::O_RDWR | libc::O_TRUNC, ..New::default() };
        assert!(fs.create(ROOT, name, truncate).is_err(), "{name} made once more");
        scene.expect_unharmed(name);
    }
}

#[test]
fn link_itself_has_the_owner_and_the_times_that_are_set() {
    let mut scene = Scene::new();
    let link = scene.it.fs.lookup(ROOT, "link").unwrap().node;
    let change = Change { uid: Some(77), gid: Some(88), ..Change::default() };
    let attr = scene.it.fs.setattr(link, change).unwrap();
    assert_eq!((attr.uid, attr.gid), (77, 88));
    // The mode of a link cannot be changed, and that of what it leads to must not be.
    let mode = Change { mode: Some(0o777), ..Change::default() };
    let _ = scene.it.fs.setattr(link, mode);
    scene.expect_unharmed("changing a link");
}

#[test]
fn folder_that_becomes_a_link_while_it_is_walked_leads_nowhere_else() {
    let mut scene = Scene::new();
    let share = scene.it.path("share");
    let (folder, link) = (share.join("swapped"), share.join("other"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("secret"), "ours").unwrap();
    symlink(scene.it.folder.path(), &link).unwrap();
    let secret = scene.outer_ino("secret");
    let (stop, mut inside, mut refused) = (AtomicBool::new(false), 0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange(&folder, &link);
            }
        });
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for turn in 0..WALKS {
                let fs = &mut scene.it.fs;
                let Ok(place) = fs.lookup(ROOT, "swapped") else { continue };
                match fs.lookup(place.node, "secret") {
                    Ok(found) => {
                        assert_ne!(found.attr.ino, secret, "the file outside was found");
                        inside += 1;
                    }
                    Err(_) => refused += 1,
                }
                let name = format!("new {turn}");
                let _ = fs.mkdir(place.node, &name, 0o755);
                let _ = fs.create(place.node, "made", New::default()).map(|(_, opened)| {
                    let _ = fs.release(place.node, opened.fh);
                });
                let _ = fs.rename((place.node, &name), (place.node, "victim"));
                let _ = fs.unlink(place.node, "made");
                let _ = fs.rmdir(place.node, "victim");
                let _ = fs.rmdir(place.node, name);
                let _ = fs.opendir(place.node).map(|opened| {
                    let names = fs.readdirplus(place.node, opened.fh, 0, 4096).unwrap_or_default();
                    let entries = names.iter().filter_map(|name| name.entry);
                    assert!(entries.into_iter().all(|e| e.attr.ino != secret), "it was listed");
                    let _ = fs.releasedir(place.node, opened.fh);
                });
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = walked {
            std::panic::resume_unwind(panic);
        }
    });
    scene.expect_unharmed("walking through a folder that was swapped");
    assert!(inside > 0 && refused > 0, "found {inside} times, refused {refused} times");
}
