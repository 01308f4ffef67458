// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guests that mount directories in every cache mode, with attributes, lists of access rights, mounts below,
//! and overlays above; and that mount them again, and are reset without an end.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use vhost_user_tests::daemon::{Daemon, Exit};
use vhost_user_tests::guest::{
    Accel, Boot, Found, Guest, Kernel, Qemu, ROOT_TAG, Share, Shared, Uml, required,
};
use vhost_user_tests::private_mounts::PrivateMount;
use vhost_user_tests::requires;

const MODES: [&str; 4] = ["never", "auto", "metadata", "always"];

/// Programs that the guest's busybox has not got.
const PROGRAMS: [&str; 4] = ["getfattr", "setfattr", "getfacl", "setfacl"];

/// How long a guest may live: it has much to do.
const LIFETIME: Duration = Duration::from_secs(150);

#[test]
fn guest_of_the_installed_qemu_mounts_every_cache_mode() {
    let Some(qemu) = required("QEMU", Qemu::installed().map(Found::Here)) else { return };
    let kernel = Kernel::of_this_machine().expect("find a kernel");
    mount_every_mode(&Machine::Qemu(&qemu), kernel, 1).unwrap();
}

#[test]
fn guest_of_a_newer_qemu_and_a_newer_kernel_mounts_every_cache_mode() {
    let Some(qemu) = required("the QEMU of the backports", Qemu::from_backports()) else { return };
    let Some(kernel) = required("a newer kernel", Kernel::with_many_queues()) else { return };
    mount_every_mode(&Machine::Qemu(&qemu), kernel, 2).unwrap();
}

#[test]
fn guest_of_user_mode_linux_mounts_every_cache_mode() {
    let Some(uml) = required("User-Mode Linux", Uml::installed()) else { return };
    mount_every_mode(&Machine::Uml(&uml), uml.kernel().clone(), 1).unwrap();
}

/// What a guest runs in.
enum Machine<'m> {
    Qemu(&'m Qemu),
    Uml(&'m Uml),
}

impl Machine<'_> {
    fn start(&self, boot: &Boot, shares: &[Shared], dir: &Path) -> Result<Guest> {
        match self {
            Self::Qemu(qemu) => {
                let accel = Accel::of_this_machine(qemu, boot)?;
                qemu.start_resettable(boot, accel, shares, LIFETIME)
            }
            Self::Uml(uml) => uml.start_with_shares(boot, shares, dir, LIFETIME),
        }
    }
}

/// A directory that is to be shared in one mode.
struct Mode {
    name: &'static str,
    folder: TempDir,
}

impl Mode {
    fn new(name: &'static str) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a directory to be shared")?;
        Ok(Self { name, folder })
    }

    fn serve(&self) -> Daemon {
        let launch = Daemon::fs().share(self.folder.path()).args(["--cache", self.name]);
        launch.args(["--posix-acl", "--num-request-queues", "2", "--tag", self.name]).start()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn mount_every_mode(machine: &Machine<'_>, kernel: Kernel, queues: u16) -> Result<()> {
    if !PROGRAMS.iter().all(|program| requires::program(program)) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("root");
    fs::create_dir(&root)?;
    let root = Share::create(root)?;
    root.install(&PROGRAMS)?;
    let boot = Boot::to_share(kernel, &["overlay"], dir.path())?;
    let modes = MODES.map(Mode::new).into_iter().collect::<Result<Vec<_>>>()?;
    let [never, auto, ..] = &modes[..] else { unreachable!("there are four") };
    // Before the daemon is started: it sees what this thread sees.
    let Some(below) = PrivateMount::tmpfs_in(auto.folder.path(), 1 << 20) else { return Ok(()) };
    fs::write(below.path().join("deep"), "below")?;

    let mut daemons =
        vec![(ROOT_TAG, 1, Daemon::fs().share(root.path()).args(["--tag", ROOT_TAG]).start())];
    daemons.extend(modes.iter().map(|mode| (mode.name, queues, mode.serve())));
    let shared = |(tag, queues, daemon): &(&str, u16, Daemon)| {
        let (socket, tag) = (daemon.socket().to_owned(), (*tag).to_owned());
        Shared { socket, tag, queues: *queues }
    };
    let shares: Vec<_> = daemons.iter().map(shared).collect();
    let mut guest = machine.start(&boot, &shares, dir.path())?;
    guest.wait_for_shell()?;
    for mode in &modes {
        work(&mut guest, mode)?;
    }
    look_below(&mut guest, below.path())?;
    let said = lay_over(&mut guest, auto)?;
    if let Machine::Qemu(_) = machine {
        // While it is mounted and in use.
        guest.shell(&format!("{} && exec 3</m/never/file", mount(never)))?;
        guest.reset()?;
    }
    guest.shell(&format!("{} && cat /m/never/file && umount /m/never", mount(never)))?;
    guest.power_off()?;
    for (tag, _, daemon) in daemons {
        ensure!(daemon.wait() == Exit::Clean, "{tag}: virtiofsd ends with its front end");
    }
    // A kernel that can make files without a name has an overlay make use of it.
    let unnamed = !said.contains("does not support tmpfile");
    ensure!(unnamed || queues == 1, "{said}");
    Ok(())
}

/// The command that mounts a directory.
fn mount(mode: &Mode) -> String {
    let name = mode.name;
    format!("mkdir -p /m/{name} && mount -t virtiofs {name} /m/{name}")
}

/// Writes, reads, gives attributes and access rights, and finds all of it again after a second mount.
fn work(guest: &mut Guest, mode: &Mode) -> Result<()> {
    let name = mode.name;
    let (at, mount) = (format!("/m/{name}"), mount(mode));
    guest.shell(&format!("{mount} && cd {at}"))?;
    guest.shell("echo first >file && echo more >>file && mkdir -p a/b && ln -s ../file a/link")?;
    guest.shell("dd if=/dev/urandom of=noise bs=128k count=16 2>/dev/null && sync")?;
    guest.shell("setfattr -n user.key -v value file && setfacl -m u:1234:rw file")?;
    guest.shell("setfacl -d -m g:99:rx a && mkdir a/c")?;
    let sum = guest.shell("sha256sum <noise")?;
    guest.shell("echo 3 >/proc/sys/vm/drop_caches")?;
    ensure!(guest.shell("sha256sum <noise")? == sum, "{name}: other bytes after dropping caches");
    guest.shell(&format!("cd / && umount {at} && {mount} && cd {at}"))?;
    ensure!(guest.shell("cat file")? == "first\nmore", "{name}");
    ensure!(guest.shell("sha256sum <noise")? == sum, "{name}: other bytes after a second mount");
    ensure!(guest.shell("getfattr --only-values -n user.key file")?.ends_with("value"), "{name}");
    ensure!(guest.shell("getfacl -cnE file")?.contains("user:1234:rw-"), "{name}");
    ensure!(guest.shell("getfacl -cnE a/c")?.contains("default:group:99:r-x"), "{name}");
    ensure!(guest.shell("cat a/link")? == "first\nmore", "{name}");
    guest.shell(&format!("cd / && umount {at}"))?;
    let there = fs::read(mode.path("noise"))?;
    ensure!(there.len() == 2 << 20, "{name}: {} bytes", there.len());
    Ok(())
}

/// What is mounted on the host below a directory is a mount in the guest.
fn look_below(guest: &mut Guest, below: &Path) -> Result<()> {
    let name = below.file_name().and_then(|name| name.to_str()).context("a name")?;
    guest.shell("mount -t virtiofs auto /m/auto")?;
    ensure!(guest.shell(&format!("cat /m/auto/{name}/deep"))? == "below");
    let mounts = guest.shell("cat /proc/mounts")?;
    ensure!(mounts.contains(&format!(" /m/auto/{name} virtiofs ")), "{mounts}");
    let [above, below] = ["", name].map(|name| guest.shell(&format!("stat -c %d /m/auto/{name}")));
    ensure!(above? != below?, "one device for two file systems");
    guest.shell(&format!("umount /m/auto/{name}; umount /m/auto"))?;
    Ok(())
}

/// An overlay whose upper layer is a shared directory: what it leaves there. Returns what the guest's kernel
/// says of that layer.
fn lay_over(guest: &mut Guest, auto: &Mode) -> Result<String> {
    for folder in ["lower", "lower/dir", "upper", "work"] {
        fs::create_dir(auto.path(folder))?;
    }
    for file in ["gone", "changed", "dir/inside"] {
        fs::write(auto.path("lower").join(file), "as it was")?;
    }
    guest.shell("mount -t virtiofs auto /m/auto && mkdir -p /m/over && cd /m/auto")?;
    let layers = "userxattr,lowerdir=lower,upperdir=upper,workdir=work";
    guest.shell(&format!("mount -t overlay over -o {layers} /m/over && cd /m/over"))?;
    guest.shell(
        "rm gone && echo changed >>changed && rm -r dir && mkdir dir && echo new >dir/new",
    )?;
    let seen = guest.shell("ls -1; cat changed dir/new; ls dir")?;
    ensure!(seen == "changed\ndir\nas it waschanged\nnew\nnew", "{seen:?}");
    guest.shell("cd / && umount /m/over && umount /m/auto")?;
    let said = guest.shell("dmesg | grep overlayfs; true")?;
    let whiteout = fs::symlink_metadata(auto.path("upper/gone"))?;
    ensure!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0, "{whiteout:?}: {said}");
    ensure!(fs::read_to_string(auto.path("upper/changed"))? == "as it waschanged\n", "{said}");
    Ok(said)
}
