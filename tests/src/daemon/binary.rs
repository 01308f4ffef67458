// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where the daemons are, built from the sources as they are now.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The packages that this process has built.
static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The path of the daemon `name`.
///
/// With VHOST_USER_BIN_DIR in the environment it is there, and nothing is built. Otherwise the
/// package of that name is built, like this test was and into the same target directory: once for
/// a process, and once for a whole run of nextest, which has a process for each test.
pub fn binary(name: &str) -> PathBuf {
    if let Some(folder) = env::var_os("VHOST_USER_BIN_DIR") {
        return Path::new(&folder).join(name);
    }
    let place = Place::of_this_test();
    let mut built = BUILT.lock().expect("the list of what is built");
    if !built.iter().any(|package| package == name) {
        place.build_once(name);
        built.push(name.to_owned());
    }
    place.folder.join(name)
}

/// Where cargo put this test, which says where and how it builds.
struct Place {
    /// The target directory.
    target: PathBuf,
    /// The target triple, if cargo was given one.
    triple: Option<String>,
    /// Where the binaries are; its last part names the profile.
    folder: PathBuf,
}

impl Place {
    /// From the path of the test: TARGET/[TRIPLE/]PROFILE/deps/TEST, or TARGET/.../PROFILE/TEST.
    fn of_this_test() -> Self {
        let test = env::current_exe().expect("the path of this test");
        let folder = test.parent().expect("the folder of this test");
        let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
        let folder = folder.expect("the folder of the profile").to_owned();
        let above = folder.parent().expect("the target directory");
        // Cargo marks the target directory with a tag; a folder for a triple has none.
        let triple = !above.join("CACHEDIR.TAG").exists()
            && above.parent().is_some_and(|target| target.join("CACHEDIR.TAG").exists());
        if triple {
            let name = above.file_name().map(|name| name.to_string_lossy().into_owned());
            let target = above.parent().unwrap_or(above).to_owned();
            return Self { target, triple: name, folder };
        }
        Self { target: above.to_owned(), triple: None, folder }
    }

    /// Builds the package, unless another process of the same run has.
    fn build_once(&self, package: &str) {
        let Ok(run) = env::var("NEXTEST_RUN_ID") else {
            return self.build(package);
        };
        let stamp = self.folder.join(format!(".{package}-built-for-run"));
        let mut options = File::options();
        let stamp = options.read(true).write(true).create(true).truncate(false).open(&stamp);
        let mut stamp = stamp.expect("open the stamp of the last build");
        stamp.lock().expect("lock the stamp of the last build");
        let mut last = String::new();
        stamp.read_to_string(&mut last).expect("read the stamp of the last build");
        if last != run {
            self.build(package);
            stamp.set_len(0).expect("clear the stamp of the last build");
            stamp.rewind().expect("rewind the stamp of the last build");
            stamp.write_all(run.as_bytes()).expect("write the stamp of the last build");
        }
    }

    fn build(&self, package: &str) {
        let profile = match self.folder.file_name().and_then(|name| name.to_str()) {
            None | Some("debug") => "dev",
            Some(profile) => profile,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(workspace()).args(["build", "--quiet", "--package", package]);
        command.args(["--profile", profile]).arg("--target-dir").arg(&self.target);
        if let Some(triple) = &self.triple {
            command.args(["--target", triple]);
        }
        let status = command.status().expect("run cargo build");
        assert!(status.success(), "cargo build of {package}: {status}");
    }
}

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tests.parent().expect("the folder above that of the tests");
    fs::canonicalize(folder).expect("the path of the workspace")
}
