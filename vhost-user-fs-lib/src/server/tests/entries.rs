// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Names, new and old.

use super::*;

fn name(text: &str) -> Raw {
    Raw::new().text(text)
}

/// A label, as an extension of 40 bytes.
fn label() -> Raw {
    Raw::new().u32(40).u32(1).u32(4).u32(0).text("security.selinux").raw(b"a:b\0").zeroes(3)
}

#[test]
fn lookup_is_answered_with_128_bytes() {
    let bench = Bench::new();
    assert_eq!(entry().0.len(), 128);
    bench.check(1, name("file"), r#"1000:1001:77 lookup abc Entry("file")"#, entry());
}

#[test]
fn lookup_of_what_is_not_there_is_an_entry_without_an_inode_for_a_while() {
    let bench = Bench::new();
    let none = Raw::new().zeroes(16).u64(2).u64(0).u32(500_000_000).zeroes(92);
    bench.check(1, name("absent"), r#"1000:1001:77 lookup abc Entry("absent")"#, none);
    assert_eq!(bench.serve(&request(1, name("gone"))), Answer::Error(libc::ENOENT));
}

#[test]
fn lookup_of_the_directory_itself_is_for_clients_that_export_it() {
    let bench = Bench::new();
    bench.check(1, name("."), "1000:1001:77 lookup abc Current", entry());
    bench.check(1, name(".."), "1000:1001:77 lookup abc Parent", entry());
    let bench = Bench::with(InitFlags::NONE);
    bench.check_refused(1, name("."), libc::EINVAL);
    bench.check_refused(1, name(".."), libc::EINVAL);
}

#[test]
fn names_that_lead_elsewhere_reach_no_file_system() {
    let bench = Bench::new();
    let before: [(u32, usize); 9] =
        [(1, 0), (6, 0), (8, 16), (9, 8), (10, 0), (11, 0), (12, 8), (13, 8), (35, 16)];
    for bad in ["", "/", "/etc", "a/b", "../x", "x/"] {
        for (opcode, zeroes) in before {
            let said = Raw::new().zeroes(zeroes).text(bad).text("fine");
            bench.check_refused(opcode, said, libc::EINVAL);
        }
        for (opcode, zeroes) in [(12, 8), (45, 16)] {
            let said = Raw::new().zeroes(zeroes).text("fine").text(bad);
            bench.check_refused(opcode, said, libc::EINVAL);
        }
    }
    for (opcode, zeroes) in &before[1..] {
        let said = Raw::new().zeroes(*zeroes).text("..").text("fine");
        bench.check_refused(*opcode, said, libc::EINVAL);
    }
}

#[test]
fn name_that_is_too_long_is_enametoolong() {
    let bench = Bench::new();
    for len in [256, 1024, 4095] {
        bench.check_refused(1, name(&"n".repeat(len)), libc::ENAMETOOLONG);
        bench.check_refused(9, Raw::new().zeroes(8).text(&"n".repeat(len)), libc::ENAMETOOLONG);
    }
    bench.check_refused(1, name(&"n".repeat(4096)), libc::E2BIG);
    let longest = "n".repeat(255);
    bench.check(10, name(&longest), &format!("unlink abc {longest:?}"), Raw::new());
}

#[test]
fn forget_is_not_answered() {
    let bench = Bench::new();
    assert_eq!(bench.serve(&request(2, Raw::new().u64(3))), Answer::Nothing);
    assert_eq!(bench.calls(), ["forget abc 3"]);
}

#[test]
fn batch_forget_forgets_each_and_is_not_answered() {
    let bench = Bench::new();
    let said = Raw::new().u32(2).u32(0).u64(5).u64(6).u64(7).u64(8);
    assert_eq!(bench.serve(&request(42, said)), Answer::Nothing);
    assert_eq!(bench.calls(), ["forget 5 6", "forget 7 8"]);
}

#[test]
fn batch_forget_of_more_than_there_are_forgets_none() {
    let bench = Bench::new();
    for count in [3, u32::MAX] {
        let said = Raw::new().u32(count).u32(0).zeroes(32);
        assert_eq!(bench.serve(&request(42, said)), Answer::Nothing);
        assert_eq!(bench.calls(), [""; 0]);
    }
}

#[test]
fn batch_forget_of_very_many_forgets_none() {
    let bench = Bench::new();
    let count = (1 << 16) + 1;
    let said = Raw::new().u32(count).u32(0).zeroes(16 * count as usize);
    assert_eq!(bench.serve(&request(42, said)), Answer::Nothing);
    assert_eq!(bench.calls(), [""; 0]);
}

#[test]
fn readlink_is_answered_with_the_target() {
    let bench = Bench::new();
    bench.check(5, Raw::new(), "read_link abc", Raw::new().raw(b"where/to"));
}

#[test]
fn symlink_has_a_name_and_a_target() {
    let bench = Bench::new();
    let call = r#"symlink abc "l" "/any/../where" 0 umask 0 group - label -"#;
    bench.check(6, name("l").text("/any/../where"), call, entry());
    bench.check_refused(6, name("l").text(""), libc::ENOENT);
    bench.check_refused(6, name("l").text(&"t".repeat(4096)), libc::ENAMETOOLONG);
    let longest = "t".repeat(4095);
    let call = format!("symlink abc \"l\" {longest:?} 0 umask 0 group - label -");
    bench.check(6, name("l").text(&longest), &call, entry());
}

#[test]
fn mknod_and_mkdir_have_a_mode_and_a_umask() {
    let bench = Bench::new();
    let said = Raw::new().u32(0o020_666).u32(0x103).u32(0o22).u32(0).text("null");
    bench.check(8, said, r#"node abc "null" 103 20666 umask 22 group - label -"#, entry());
    let said = Raw::new().u32(0o777).u32(0o77).text("d");
    bench.check(9, said, r#"directory abc "d" 777 umask 77 group - label -"#, entry());
}

#[test]
fn extensions_are_a_group_and_a_label() {
    let bench = Bench::new();
    let group = Raw::new().u32(16).u32(32).u32(1).u32(88);
    assert_eq!(label().0.len(), 40);
    let said = Raw::new().u32(0o777).u32(0).text("d").raw(&group.0).raw(&label().0);
    assert!(matches!(bench.serve(&request_with(9, said, 7)), Answer::Fine(_)));
    let made = r#"777 umask 0 group 88 label ("security.selinux", "a:b\\x00")"#;
    assert_eq!(bench.calls(), [format!("directory abc \"d\" {made}")]);
}

#[test]
fn extensions_that_are_longer_than_the_request_are_refused() {
    let bench = Bench::new();
    let said = Raw::new().u32(0o777).u32(0).text("d");
    for extensions in [1, u16::MAX] {
        let request = request_with(9, said.clone(), extensions);
        assert_eq!(bench.serve(&request), Answer::Error(libc::EINVAL));
    }
    assert_eq!(bench.calls(), [""; 0]);
}

#[test]
fn label_of_an_old_client_is_right_behind_the_name() {
    let bench = Bench::before_init();
    assert!(matches!(bench.serve(&init(37, InitFlags(u64::MAX))), Answer::Fine(_)));
    bench.calls();
    let said = Raw::new().u32(0o777).u32(0).text("d").raw(&label().0);
    let made = r#"777 umask 0 group - label ("security.selinux", "a:b\\x00")"#;
    bench.check(9, said.clone(), &format!("directory abc \"d\" {made}"), entry());
    // If it has a length after all, that counts.
    assert!(matches!(
        bench.serve(&request_with(9, said.zeroes(3), 5)),
        Answer::Error(libc::EINVAL)
    ));
    let said = Raw::new().u32(0o777).u32(0).text("d").zeroes(3).raw(&label().0);
    assert!(matches!(bench.serve(&request_with(9, said, 5)), Answer::Fine(_)));
    assert_eq!(bench.calls(), [format!("directory abc \"d\" {made}")]);
}

#[test]
fn bytes_behind_the_name_are_no_label_where_the_header_says_its_length() {
    let bench = Bench::before_init();
    assert!(matches!(bench.serve(&init(38, InitFlags(u64::MAX))), Answer::Fine(_)));
    bench.calls();
    let said = Raw::new().u32(0o777).u32(0).text("d").raw(&label().0);
    bench.check(9, said, r#"directory abc "d" 777 umask 0 group - label -"#, entry());
}

#[test]
fn unlink_rmdir_and_link_have_a_name() {
    let bench = Bench::new();
    bench.check(10, name("f"), r#"unlink abc "f""#, Raw::new());
    bench.check(11, name("d"), r#"remove_directory abc "d""#, Raw::new());
    bench.check(13, Raw::new().u64(0x99).text("l"), r#"link 99 abc "l""#, entry());
}

#[test]
fn rename_has_two_names_and_maybe_flags() {
    let bench = Bench::new();
    let names = |said: Raw| said.text("a").text("b");
    bench.check(12, names(Raw::new().u64(0xdef)), r#"rename abc "a" def "b" 0"#, Raw::new());
    let said = names(Raw::new().u64(0xdef).u32(2).u32(0));
    bench.check(45, said, r#"rename abc "a" def "b" 2"#, Raw::new());
}

fn create_out() -> Raw {
    entry().u64(0xfeed).u32(2).u32(0)
}

#[test]
fn create_and_tmpfile_are_answered_with_144_bytes() {
    let bench = Bench::new();
    assert_eq!(create_out().0.len(), 144);
    let said = Raw::new().u32(0o102).u32(0o100_600).u32(0o7).u32(1);
    let made = "42 true 100600 umask 7 group - label -";
    bench.check(35, said.clone().text("f"), &format!("create abc \"f\" {made}"), create_out());
    // Linux names what has no name so.
    bench.check(51, said.text("/"), &format!("unnamed abc {made}"), create_out());
}
