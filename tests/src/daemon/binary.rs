// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where the daemons are, built from the sources as they are now.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// What this process has built.
static BUILT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The path of the daemon `name`.
///
/// With VHOST_USER_BIN_DIR in the environment it is there, and nothing is built. Otherwise the
/// package of that name is built, like this test was and into the same target directory: once for
/// a process, and once for a whole run of nextest, which has a process for each test.
pub fn binary(name: &str) -> PathBuf {
    built("VHOST_USER_BIN_DIR", name, None)
}

/// The path of the daemon `name` that can be told to fail at a point and to serve out of order: its
/// feature `test-hooks`, with which no daemon leaves this house.
///
/// With VHOST_USER_HOOKS_BIN_DIR in the environment it is there; otherwise it is built as
/// [`binary`] says, into a folder beside the other one.
pub fn binary_with_hooks(name: &str) -> PathBuf {
    built("VHOST_USER_HOOKS_BIN_DIR", name, Some("test-hooks"))
}

fn built(variable: &str, name: &str, feature: Option<&str>) -> PathBuf {
    if let Some(folder) = env::var_os(variable) {
        return Path::new(&folder).join(name);
    }
    let mut place = Place::of_this_test();
    if let Some(feature) = feature {
        place = place.beside(feature);
    }
    let path = place.folder.join(name);
    let mut built = BUILT.lock().expect("the list of what is built");
    if !built.contains(&path) {
        place.build_once(name, feature);
        built.push(path.clone());
    }
    path
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
        let apart = folder.ends_with("deps") || folder.ends_with("examples");
        let folder = if apart { folder.parent() } else { Some(folder) };
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

    /// The same place in a target directory within this one, so that neither build replaces what
    /// the other made.
    fn beside(self, folder: &str) -> Self {
        let inside =
            self.folder.strip_prefix(&self.target).expect("a folder in the target directory");
        let target = self.target.join(folder);
        Self { folder: target.join(inside), target, ..self }
    }

    /// Builds the package, unless another process of the same run has.
    fn build_once(&self, package: &str, feature: Option<&str>) {
        let Ok(run) = env::var("NEXTEST_RUN_ID") else {
            return self.build(package, feature);
        };
        fs::create_dir_all(&self.folder).expect("make the folder of the profile");
        let stamp = self.folder.join(format!(".{package}-built-for-run"));
        let mut options = File::options();
        let stamp = options.read(true).write(true).create(true).truncate(false).open(&stamp);
        let mut stamp = stamp.expect("open the stamp of the last build");
        stamp.lock().expect("lock the stamp of the last build");
        let mut last = String::new();
        stamp.read_to_string(&mut last).expect("read the stamp of the last build");
        if last != run {
            self.build(package, feature);
            stamp.set_len(0).expect("clear the stamp of the last build");
            stamp.rewind().expect("rewind the stamp of the last build");
            stamp.write_all(run.as_bytes()).expect("write the stamp of the last build");
        }
    }

    fn build(&self, package: &str, feature: Option<&str>) {
        let profile = match self.folder.file_name().and_then(|name| name.to_str()) {
            None | Some("debug") => "dev",
            Some(profile) => profile,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(workspace()).args(["build", "--quiet", "--package", package]);
        command.args(["--profile", profile]).arg("--target-dir").arg(&self.target);
        if let Some(feature) = feature {
            command.args(["--features", &format!("{package}/{feature}")]);
        }
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
