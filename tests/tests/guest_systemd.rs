// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The units, in a guest of QEMU whose first program is systemd: the machine's own, with its own
//! programs around it, and a stock kernel.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vhost_user_tests::daemon::binary;
use vhost_user_tests::guest::{Found, Guest, Qemu, SystemdRoot, required};
use vhost_user_tests::requires;

/// How long a guest may live.
const LIFETIME: Duration = Duration::from_secs(240);

/// How often a daemon is killed below a front end that it serves.
const KILLS: usize = 5;

/// How often one is killed as soon as it is there: more than the five times in ten seconds that
/// systemd takes by itself.
const KILLS_AT_ONCE: usize = 12;

/// What the guest has as disks beside the one of the example, by the names of the instances.
const DISKS: [(&str, &str); 5] = [
    ("data", "BLK_FILE=/dev/loop0\n"),
    ("vm2", "BLK_FILE=/srv/vm2.img\n"),
    ("namespace", "BLK_FILE=/srv/other.img\nOPTIONS=--sandbox namespace --serial \"two words\"\n"),
    ("alice", "BLK_FILE=/root/alice/disk.img\n"),
    ("pictures", "BLK_FILE=/data/pictures/disk.img\n"),
];

/// The image of the example.
const IMAGE: &str = "/var/lib/libvirt/images/vm1.img";

#[test]
fn disk_under_the_units_is_served_by_a_daemon_with_no_more_than_it_needs() {
    if let Some((_root, mut guest)) = booted() {
        served_on_connection(&mut guest).unwrap();
        locked_up(&mut guest, "vm1").unwrap();
        resized_by_reload(&mut guest).unwrap();
        block_device(&mut guest).unwrap();
        namespaces_insisted_on(&mut guest).unwrap();
    }
}

#[test]
fn disk_with_a_drop_in_of_the_page_is_served_too() {
    if let Some((_root, mut guest)) = booted() {
        home(&mut guest).unwrap();
        other_folder(&mut guest).unwrap();
        files_alone(&mut guest).unwrap();
    }
}

#[test]
fn disk_under_the_units_outlives_daemons_that_are_killed_and_stopped() {
    if let Some((_root, mut guest)) = booted() {
        println!("FIGURE: {}", killed_again_and_again(&mut guest).unwrap());
        never_given_up(&mut guest).unwrap();
        stopped(&mut guest).unwrap();
    }
}

/// A guest with the units and a daemon, and an empty image.
fn booted() -> Option<(SystemdRoot, Guest)> {
    let qemu = required("QEMU", Qemu::installed().map(Found::Here))?;
    for program in ["/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-udevd"] {
        if !requires::program(program) {
            return None;
        }
    }
    let root = root().expect("make the guest's files");
    let mut guest = root.boot(&qemu, LIFETIME).expect("start a guest");
    guest.wait_for_shell().expect("a shell in the guest");
    let failed = guest.shell("systemctl --failed --no-legend").expect("ask for failed units");
    assert_eq!(failed, "");
    Some((root, guest))
}

fn root() -> Result<SystemdRoot> {
    let root = SystemdRoot::new()?;
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    for unit in ["vhost-user-blk@.service", "vhost-user-blk@.socket"] {
        root.copy(&format!("etc/systemd/system/{unit}"), &ours.join(unit))?;
    }
    let user = "sysusers.d/vhost-user-blk.conf";
    root.copy(&format!("usr/lib/{user}"), &ours.join(user))?;
    let example = "blk-vm1.conf";
    root.copy(&format!("etc/vhost-user/{example}"), &ours.join("examples").join(example))?;
    root.file("usr/lib/sysusers.d/people.conf", b"u alice 1000\n")?;
    root.copy("usr/bin/vhost-user-blk", &binary("vhost-user-blk"))?;
    root.copy("usr/bin/front-end", Path::new(env!("CARGO_BIN_EXE_front-end")))?;
    for (name, text) in DISKS {
        root.file(&format!("etc/vhost-user/blk-{name}.conf"), text.as_bytes())?;
    }
    for (path, text) in drop_ins()? {
        root.file(&path, text.as_bytes())?;
    }
    Ok(root)
}

/// The drop-ins on the page about systemd, each with its path, which its first line says.
fn drop_ins() -> Result<Vec<(String, String)>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/systemd.md");
    let page = fs::read_to_string(&page).with_context(|| format!("read {}", page.display()))?;
    let blocks = page.split("```ini\n# /").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
    let found: Vec<_> = blocks.filter_map(|block| block.split_once('\n')).collect();
    ensure!(found.len() == 4, "{} drop-ins on the page", found.len());
    Ok(found.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
}

/// Makes an image of 1 MiB, which is this user's.
fn image(guest: &mut Guest, path: &str, user: &str) -> Result<()> {
    guest.shell(&format!("mkdir -p $(dirname {path})"))?;
    guest.shell(&format!("truncate -s 1M {path} && chown {user}: {path}")).map(drop)
}

/// What the unit has as its `property`.
fn shown(guest: &mut Guest, unit: &str, property: &str) -> Result<String> {
    guest.shell(&format!("systemctl show -P {property} vhost-user-blk@{unit}"))
}

#[track_caller]
fn expect_used(guest: &mut Guest, disk: &str, said: &str) -> Result<()> {
    let used = guest.shell(&format!("front-end /run/vhost-user/blk-{disk}.sock use"))?;
    ensure!(used == said, "the front end says {used:?}, not {said:?}");
    Ok(())
}

/// The socket is there before the daemon is, and of the right group; who connects has it started.
fn served_on_connection(guest: &mut Guest) -> Result<()> {
    image(guest, IMAGE, "vhost-user-blk")?;
    guest.shell("systemctl start vhost-user-blk@vm1.socket")?;
    let socket = guest.shell("stat -c '%a %U %G' /run/vhost-user/blk-vm1.sock")?;
    assert_eq!(socket, "660 root kvm");
    assert_eq!(shown(guest, "vm1.service", "ActiveState")?, "inactive");
    expect_used(guest, "vm1", "2048 sectors")?;
    assert_eq!(shown(guest, "vm1.service", "ActiveState")?, "active");
    Ok(())
}

/// The daemon of this disk has no right, no file and no namespace that the guest's others have.
fn locked_up(guest: &mut Guest, disk: &str) -> Result<()> {
    let pid = shown(guest, &format!("{disk}.service"), "MainPID")?;
    let status = guest.shell(&format!("cat /proc/{pid}/status"))?;
    let field = |name: &str| {
        let mut lines = status.lines().filter_map(|line| line.split_once(":\t"));
        lines.find(|(field, _)| *field == name).map(|(_, value)| value).unwrap_or_default()
    };
    let none = "0000000000000000";
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), none, "{set}");
    }
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1", "2"));
    assert_ne!(field("Uid").split('\t').next(), Some("0"));
    for space in ["mnt", "net", "ipc", "user", "uts"] {
        let read = format!("readlink /proc/1/ns/{space} /proc/{pid}/ns/{space}");
        let both = guest.shell(&read)?;
        let (first, own) = both.split_once('\n').with_context(|| format!("read {both:?}"))?;
        assert_ne!(first, own);
    }
    // Its own sandbox: there is nothing in its root, and the log would have what is missing.
    assert_eq!(guest.shell(&format!("ls -A /proc/{pid}/root/"))?, "");
    let log = guest.shell(&format!("journalctl -o cat -u vhost-user-blk@{disk}.service"))?;
    assert!(!log.contains("the sandbox is without"), "{log}");
    Ok(())
}

/// `systemctl reload` has it read the size of a file again, and a front end learns of it.
fn resized_by_reload(guest: &mut Guest) -> Result<()> {
    let act = format!("truncate -s 2M {IMAGE}; systemctl reload vhost-user-blk@vm1");
    watched(guest, "vm1", &act)
}

/// A block device is served to the user by way of the group `disk`, and the kernel's word about its
/// size gets through.
fn block_device(guest: &mut Guest) -> Result<()> {
    guest
        .shell("truncate -s 1M /tmp/loop.img; losetup /dev/loop0 /tmp/loop.img; udevadm settle")?;
    guest.shell("systemctl start vhost-user-blk@data.socket")?;
    expect_used(guest, "data", "2048 sectors")?;
    watched(guest, "data", "truncate -s 2M /tmp/loop.img; losetup -c /dev/loop0")?;
    locked_up(guest, "data")
}

/// A front end is connected while `act` makes the disk grow to 2 MiB, and sees it.
fn watched(guest: &mut Guest, disk: &str, act: &str) -> Result<()> {
    let socket = format!("/run/vhost-user/blk-{disk}.sock");
    guest.shell(&format!("front-end {socket} watch >/run/seen 2>&1 & watcher=$!"))?;
    guest.shell("until grep -q sectors /run/seen; do :; done")?;
    guest.shell(act)?;
    guest.shell("wait $watcher")?;
    assert_eq!(guest.shell("cat /run/seen")?, "2048 sectors\n4096 sectors");
    Ok(())
}

/// Nothing in the unit keeps the daemon from making its namespaces.
fn namespaces_insisted_on(guest: &mut Guest) -> Result<()> {
    image(guest, "/srv/other.img", "vhost-user-blk")?;
    guest.shell("systemctl start vhost-user-blk@namespace.service")?;
    expect_used(guest, "namespace", "2048 sectors")?;
    locked_up(guest, "namespace")
}

/// A disk in a home, of a user whose home is nobody else's. It is in root's, which is as hidden.
fn home(guest: &mut Guest) -> Result<()> {
    image(guest, "/root/alice/disk.img", "alice")?;
    guest.shell("chmod 755 /root; chmod 700 /root/alice; chown alice: /root/alice")?;
    guest.shell("systemctl start vhost-user-blk@alice.socket")?;
    expect_used(guest, "alice", "2048 sectors")?;
    locked_up(guest, "alice")
}

/// A disk in a folder in which nobody expects one.
fn other_folder(guest: &mut Guest) -> Result<()> {
    image(guest, "/data/pictures/disk.img", "vhost-user-blk")?;
    guest.shell("systemctl start vhost-user-blk@pictures.socket")?;
    expect_used(guest, "pictures", "2048 sectors")
}

/// A daemon that has no block device.
fn files_alone(guest: &mut Guest) -> Result<()> {
    image(guest, "/srv/vm2.img", "vhost-user-blk")?;
    guest.shell("systemctl start vhost-user-blk@vm2.socket")?;
    expect_used(guest, "vm2", "2048 sectors")?;
    locked_up(guest, "vm2")
}

/// Each time it is killed under load another daemon goes on. Returns how long that took.
fn killed_again_and_again(guest: &mut Guest) -> Result<String> {
    image(guest, IMAGE, "vhost-user-blk")?;
    guest.shell("systemctl start vhost-user-blk@vm1.socket")?;
    let survive = format!("front-end /run/vhost-user/blk-vm1.sock survive {KILLS}");
    guest.shell(&format!("{survive} >/run/said 2>&1 & survivor=$!"))?;
    let mut pauses = Vec::new();
    for kill in 0..KILLS {
        guest.shell(&format!("until grep -q 'serving {kill}$' /run/said; do :; done"))?;
        let pid = shown(guest, "vm1.service", "MainPID")?;
        let killed = guest.shell(&format!("cut -d' ' -f1 /proc/uptime; kill -9 {pid}"))?;
        let changed = format!("[ $(systemctl show -P MainPID vhost-user-blk@vm1) -gt {pid} ]");
        guest.shell(&format!("until {changed}; do :; done"))?;
        let started = shown(guest, "vm1.service", "ExecMainStartTimestampMonotonic")?;
        let killed: f64 = killed.parse().with_context(|| format!("the uptime {killed:?}"))?;
        let started: f64 = started.parse().with_context(|| format!("the start {started:?}"))?;
        pauses.push(started / 1e6 - killed);
    }
    let end = guest.shell("wait $survivor; status=$?; tail -n 1 /run/said; (exit $status)")?;
    assert_eq!(shown(guest, "vm1.service", "NRestarts")?, KILLS.to_string());
    pauses.sort_by(f64::total_cmp);
    let (median, longest) = (pauses[KILLS / 2], pauses[KILLS - 1]);
    ensure!(longest < 10.0, "{longest} s from a kill to the next start");
    Ok(format!(
        "{KILLS} kills, {end}; from a kill to the next start {median:.2} s, at most {longest:.2} s"
    ))
}

/// It is started again however fast it ends.
fn never_given_up(guest: &mut Guest) -> Result<()> {
    let group = shown(guest, "vm1.service", "ControlGroup")?;
    guest.shell(&format!("processes='/sys/fs/cgroup{group}/cgroup.procs'; last="))?;
    guest.shell("there() { read -r pid <$processes && [ \"$pid\" != \"$last\" ]; }")?;
    guest.shell("next() { until there 2>/dev/null; do :; done; kill -9 $pid; last=$pid; }")?;
    guest.shell(&format!("for kill in $(seq {KILLS_AT_ONCE}); do next; done"))?;
    expect_used(guest, "vm1", "2048 sectors")?;
    let restarts = shown(guest, "vm1.service", "NRestarts")?;
    assert_eq!(restarts, (KILLS + KILLS_AT_ONCE).to_string());
    Ok(())
}

/// `systemctl stop` ends the daemon in order; its socket stays, and has it started again.
fn stopped(guest: &mut Guest) -> Result<()> {
    guest.shell("systemctl stop vhost-user-blk@vm1.service")?;
    assert_eq!(shown(guest, "vm1.service", "ActiveState")?, "inactive");
    assert_eq!(shown(guest, "vm1.service", "Result")?, "success");
    assert_eq!(shown(guest, "vm1.socket", "SubState")?, "listening");
    expect_used(guest, "vm1", "2048 sectors")?;
    assert_eq!(shown(guest, "vm1.service", "ActiveState")?, "active");
    guest.shell("systemctl stop vhost-user-blk@vm1.socket")?;
    assert_eq!(shown(guest, "vm1.service", "ActiveState")?, "inactive");
    assert_eq!(guest.shell("ls /run/vhost-user")?, "");
    Ok(())
}
