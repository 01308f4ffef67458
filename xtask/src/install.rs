// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask install`: what a package of the daemons has in it, built and put in its places.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo::Workspace;
use crate::{command, man};

/// How long a build of the daemons as a release may take.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Documents that belong to a package.
const DOCUMENTS: [&str; 5] =
    ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-BSD-3-Clause"];

/// Build the daemons as a release and install them, with man pages, completions, discovery files,
/// units and documents.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Put everything below DIR instead of the root: for packages.
    #[arg(long, value_name = "DIR", default_value = "/")]
    destdir: PathBuf,
    /// Where it will be on the machine that it is for.
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Where the programs will be [default: bin in the prefix].
    #[arg(long, value_name = "DIR")]
    bindir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let mut build = workspace.cargo("build");
    build.args(["--release", "--locked"]);
    for daemon in workspace.daemons() {
        build.args(["--package", &daemon.name, "--bin", &daemon.name]);
    }
    command::run(&mut build, LIMIT)?;
    let bindir = args.bindir.clone().unwrap_or_else(|| args.prefix.join("bin"));
    let places = Places::new(&args.destdir, &args.prefix, &bindir)?;
    for place in install(&workspace, &workspace.target.join("release"), &places)? {
        println!("{}", place.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Where things go; all but the first are absolute paths on the machine that they are for.
#[derive(Debug)]
struct Places {
    destdir: PathBuf,
    bindir: String,
    prefix: PathBuf,
}

impl Places {
    fn new(destdir: &Path, prefix: &Path, bindir: &Path) -> Result<Self> {
        ensure!(prefix.is_absolute(), "the prefix {} is no absolute path", prefix.display());
        ensure!(bindir.is_absolute(), "the directory {} is no absolute path", bindir.display());
        let bindir = bindir.to_str().context("read the directory of programs as text")?;
        let (destdir, prefix) = (destdir.to_owned(), prefix.to_owned());
        Ok(Self { destdir, bindir: bindir.to_owned(), prefix })
    }

    /// Where `path`, absolute on the machine that it is for, is now.
    fn staged(&self, path: &Path) -> PathBuf {
        self.destdir.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Puts the daemons that are in `binaries`, and all that goes with them, in their places, and says
/// which these are.
///
/// # Errors
/// Something can't be read, made or written.
fn install(workspace: &Workspace, binaries: &Path, places: &Places) -> Result<Vec<PathBuf>> {
    let mut installed = Vec::new();
    let mut put = |content: &[u8], path: &Path, mode| {
        let place = places.staged(path);
        put(content, &place, mode)?;
        installed.push(place);
        anyhow::Ok(())
    };
    for daemon in workspace.daemons() {
        let program = read(&binaries.join(&daemon.name))?;
        put(&program, &Path::new(&places.bindir).join(&daemon.name), 0o755)?;
    }
    let (shares, share) = (workspace.target.join("xtask/install"), places.prefix.join("share"));
    clear(&shares)?;
    man::write(workspace, &shares, &places.bindir)?;
    for file in files(&shares)? {
        put(&read(&file)?, &share.join(file.strip_prefix(&shares)?), 0o644)?;
    }
    for file in files(&workspace.root.join("systemd"))? {
        let name = file.file_name().context("a file has a name")?;
        let text = String::from_utf8(read(&file)?).context("read a unit as text")?;
        let text = text.replace(&format!("={}/", man::BINDIR), &format!("={}/", places.bindir));
        put(text.as_bytes(), &places.prefix.join(folder_of_unit(&file)).join(name), 0o644)?;
    }
    let root = &workspace.root;
    let documents = DOCUMENTS.iter().map(|name| root.join(name));
    for document in documents.chain(files(&root.join("docs"))?) {
        let place = share.join("doc/vhost-user-daemons").join(document.strip_prefix(root)?);
        put(&read(&document)?, &place, 0o644)?;
    }
    Ok(installed)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// Removes what an earlier run has left there.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    Ok(())
}

/// Where a file of systemd/ is looked for below the prefix; what is for people is a document.
fn folder_of_unit(file: &Path) -> &'static str {
    let folder = file.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    match (folder, file.extension().and_then(OsStr::to_str)) {
        (_, Some("service" | "socket" | "slice")) => "lib/systemd/system",
        (Some("sysusers.d"), _) => "lib/sysusers.d",
        (Some("tmpfiles.d"), _) => "lib/tmpfiles.d",
        _ => "share/doc/vhost-user-daemons/examples",
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn put(content: &[u8], place: &Path, mode: u32) -> Result<()> {
    let act = || format!("install {}", place.display());
    let folder = place.parent().unwrap_or(place);
    fs::create_dir_all(folder).with_context(act)?;
    // Beside it first: a daemon that runs keeps the file that it was started from.
    let new = folder.join(format!(".{}.new", place.file_name().unwrap_or_default().display()));
    fs::write(&new, content).with_context(act)?;
    fs::set_permissions(&new, Permissions::from_mode(mode)).with_context(act)?;
    fs::rename(&new, place).with_context(act)?;
    Ok(())
}

/// Installs what is in `binaries` for a prefix of its own, and looks whether all of it is there and
/// fits together.
///
/// # Errors
/// It does not.
pub(crate) fn check(workspace: &Workspace, binaries: &Path) -> Result<()> {
    let destdir = workspace.target.join("xtask/installed");
    clear(&destdir)?;
    let places = Places::new(&destdir, Path::new("/opt/vmm"), Path::new("/opt/vmm/libexec"))?;
    install(workspace, binaries, &places)?;
    for daemon in workspace.daemons() {
        check_daemon(&daemon.name, &places)?;
    }
    let all = files(&destdir)?;
    let program = |path: &Path| path.starts_with(places.staged(Path::new(&places.bindir)));
    for file in &all {
        let mode = fs::metadata(file)?.permissions().mode() & 0o7777;
        let wanted = if program(file) { 0o755 } else { 0o644 };
        ensure!(mode == wanted, "{} has the mode {mode:o}", file.display());
    }
    Ok(())
}

fn check_daemon(name: &str, places: &Places) -> Result<()> {
    let program = places.staged(&Path::new(&places.bindir).join(name));
    let mut daemon = Command::new(&program);
    let asked = command::output(daemon.arg("--print-capabilities"), Duration::from_secs(20))?;
    let asked: Value = serde_json::from_str(&asked).context("parse the capabilities")?;

    let share = places.staged(&places.prefix.join("share"));
    let discovery = fs::read_to_string(share.join(format!("qemu/vhost-user/50-{name}.json")))?;
    let discovery: Value = serde_json::from_str(&discovery).context("parse the discovery file")?;
    ensure!(discovery["type"] == asked["type"], "{name} is found as another type than it says");
    let found = discovery["binary"].as_str().context("find the program's path")?;
    ensure!(places.staged(Path::new(found)) == program, "{name} is said to be {found}");

    let unit = format!("lib/systemd/system/{name}@.service");
    let unit = fs::read_to_string(places.staged(&places.prefix.join(unit)))?;
    let starts = format!("ExecStart={}/{name} ", places.bindir);
    ensure!(unit.lines().any(|line| line.starts_with(&starts)), "no unit has a line {starts}");

    for path in [
        format!("man/man1/{name}.1"),
        format!("bash-completion/completions/{name}"),
        format!("zsh/site-functions/_{name}"),
        format!("fish/vendor_completions.d/{name}.fish"),
        format!("doc/vhost-user-daemons/docs/{name}.md"),
    ] {
        ensure!(share.join(&path).is_file(), "{path} is not installed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_on_another_machine_are_below_the_folder_of_the_package() {
        let usr = Path::new("/usr");
        let places = Places::new(Path::new("d"), usr, Path::new("/usr/libexec")).unwrap();
        assert_eq!(places.staged(Path::new("/usr/libexec/x")), Path::new("d/usr/libexec/x"));
    }

    #[test]
    fn files_of_units_go_where_they_are_looked_for() {
        let of = |path: &str| folder_of_unit(Path::new(path));
        assert_eq!(of("systemd/x@.service"), "lib/systemd/system");
        assert_eq!(of("systemd/x@.socket"), "lib/systemd/system");
        assert_eq!(of("systemd/sysusers.d/x.conf"), "lib/sysusers.d");
        assert_eq!(of("systemd/examples/x.conf"), "share/doc/vhost-user-daemons/examples");
    }

    #[test]
    fn prefix_that_is_no_absolute_path_is_refused() {
        let error = Places::new(Path::new("/"), Path::new("usr"), Path::new("/usr/bin"));
        assert_eq!(error.unwrap_err().to_string(), "the prefix usr is no absolute path");
        let error = Places::new(Path::new("/"), Path::new("/usr"), Path::new("bin"));
        assert_eq!(error.unwrap_err().to_string(), "the directory bin is no absolute path");
    }
}
