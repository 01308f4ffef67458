// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The example, mounted and read by this machine's kernel.

#[expect(dead_code, reason = "its main function is for who runs it alone")]
#[path = "../examples/hello.rs"]
mod hello;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// What is done with it, in a mount namespace of its own: so it is unmounted when this ends.
const SCRIPT: &str = r#"
    mount -i -t fuse -o fd=0,rootmode=40000,user_id=0,group_id=0,default_permissions hello "$1" || exit 9
    exec < /dev/null
    echo mounted
    cd "$1" && ls -a && cat hello && stat -c '%s %A' hello && test ! -e other
    cat hello/x 2>&1; (echo > hello) 2>&1; mkdir new 2>&1
    cd / && umount "$1"
"#;

#[test]
fn hello_is_mounted_and_read() {
    let device = match File::options().read(true).write(true).open("/dev/fuse") {
        Ok(device) => device,
        Err(error) => return skip(&format!("open /dev/fuse: {error}")),
    };
    let probe = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return skip("unshare -m, which wants root");
    }
    let directory = tempfile::tempdir().unwrap();
    let mut client = Command::new("unshare");
    client.args(["-m", "sh", "-c", SCRIPT, "sh"]).arg(directory.path());
    client.env("LC_ALL", "C").stdin(device.try_clone().unwrap()).stdout(Stdio::piped());
    let mut client = client.spawn().unwrap();
    let mut output = BufReader::new(client.stdout.take().unwrap());
    let mut said = String::new();
    output.read_line(&mut said).unwrap();
    assert_eq!(said, "mounted\n");
    let served = std::thread::spawn(|| hello::serve(device));
    said.clear();
    output.read_to_string(&mut said).unwrap();
    served.join().unwrap().unwrap();
    let status = client.wait().unwrap();

    let text = String::from_utf8(hello::TEXT.to_vec()).unwrap();
    let expected = format!(".\n..\nhello\n{text}{} -r--r--r--\n", text.len());
    let rest = said.strip_prefix(&expected).unwrap_or_else(|| panic!("{said}"));
    let errors: Vec<_> = rest.lines().map(|line| line.rsplit(": ").next().unwrap()).collect();
    assert_eq!(errors, ["Not a directory", "Read-only file system", "Function not implemented"]);
    assert!(status.success(), "{status:?}");
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests is to know")]
fn skip(want: &str) {
    eprintln!("SKIPPED: hello_is_mounted_and_read: {want}");
    assert!(std::env::var_os("CI").is_none(), "a test is skipped: {want}");
}
