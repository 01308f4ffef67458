// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Extended attributes.

use super::*;

#[test]
fn setxattr_has_flags_of_its_own_if_that_was_agreed() {
    let value = |said: Raw| said.text("user.a").raw(b"value");
    let bench = Bench::new();
    let said = value(Raw::new().u32(5).u32(1).u32(1).u32(0));
    bench.check(21, said, r#"set_xattr abc "user.a" value 1 true"#, Raw::new());
    let bench = Bench::with(InitFlags::NONE);
    let said = value(Raw::new().u32(5).u32(2));
    bench.check(21, said, r#"set_xattr abc "user.a" value 2 false"#, Raw::new());
}

#[test]
fn setxattr_has_at_most_64_kib() {
    let bench = Bench::with(InitFlags::NONE);
    let said = |size: u32, there| Raw::new().u32(size).u32(0).text("user.a").zeroes(there);
    let call = r#"set_xattr abc "user.a" of 65536 bytes 0 false"#;
    bench.check(21, said(65536, 65536), call, Raw::new());
    bench.check_refused(21, said(65537, 65537), libc::E2BIG);
    bench.check_refused(21, said(u32::MAX, 5), libc::E2BIG);
    bench.check_refused(21, said(6, 5), libc::EINVAL);
}

#[test]
fn getxattr_is_answered_with_the_value_or_its_size() {
    let bench = Bench::new();
    let said = |size| Raw::new().u32(size).u32(0).text("user.a");
    bench.check(22, said(0), r#"get_xattr abc "user.a" 0"#, Raw::new().u32(5).u32(0));
    bench.check(22, said(5), r#"get_xattr abc "user.a" 5"#, Raw::new().raw(b"value"));
    let call = r#"get_xattr abc "user.a" 65536"#;
    bench.check(22, said(u32::MAX), call, Raw::new().raw(b"value"));
    assert_eq!(bench.serve(&request(22, said(4))), Answer::Error(libc::ERANGE));
}

#[test]
fn size_is_never_taken_for_a_value() {
    let bench = Bench::new();
    let said = Raw::new().u32(100).u32(0).text("user.ignores");
    assert_eq!(bench.serve(&request(22, said)), Answer::Error(libc::EIO));
}

#[test]
fn listxattr_is_answered_with_the_names_or_their_size() {
    let bench = Bench::new();
    let said = |size| Raw::new().u32(size).u32(0);
    bench.check(23, said(0), "list_xattrs abc 0", Raw::new().u32(7).u32(0));
    bench.check(23, said(64), "list_xattrs abc 64", Raw::new().raw(b"user.a\0"));
}

#[test]
fn names_of_attributes_have_1_to_255_bytes() {
    let bench = Bench::new();
    let longest = "a".repeat(255);
    let call = format!("remove_xattr abc {longest:?}");
    bench.check(24, Raw::new().text(&longest), &call, Raw::new());
    for name in [String::new(), "a".repeat(256)] {
        bench.check_refused(24, Raw::new().text(&name), libc::ERANGE);
        bench.check_refused(22, Raw::new().u64(9).text(&name), libc::ERANGE);
    }
}
