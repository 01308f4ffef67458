// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Completions, asked of the shells that they are for.

use std::process::Command;

use vhost_user_tests::requires;

use super::{DAEMONS, Share, output};

/// What bash offers for the last of `words`.
fn bash_offers(words: &[&str]) -> Vec<String> {
    let share = Share::written(&[]);
    let file = share.join("bash-completion/completions").join(words[0]);
    // As readline does it: with the function that the file has registered for the command.
    let script = r#"
        source "$1"; shift
        registered=($(complete -p "$1"))
        for ((at = 0; at < ${#registered[@]}; at++)); do
            [ "${registered[at]}" = -F ] && function=${registered[at + 1]}
        done
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "$function" "$1" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).arg(file).args(words);
    output(&mut bash).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_every_daemons_options() {
    for daemon in DAEMONS {
        assert_eq!(bash_offers(&[daemon, "--socket-p"]), ["--socket-path"]);
    }
}

#[test]
fn bash_completes_the_values_of_an_option() {
    let offers = bash_offers(&["vhost-user-blk", "--cache", "wri"]);
    assert_eq!(offers, ["writeback", "writethrough"]);
}

#[test]
fn bash_completes_paths_where_an_option_wants_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk.img");
    std::fs::write(&disk, "").unwrap();
    let begun = dir.path().join("di");
    let offers = bash_offers(&["vhost-user-blk", "--blk-file", begun.to_str().unwrap()]);
    assert_eq!(offers, [disk.to_str().unwrap()]);
}

#[test]
fn fish_completes_the_values_of_an_option_and_explains_them() {
    if !requires::program("fish") {
        return;
    }
    let share = Share::written(&[]);
    let file = share.join("fish/vendor_completions.d/vhost-user-blk.fish");
    let mut fish = Command::new("fish");
    let script = "source $argv[1]; complete --do-complete 'vhost-user-blk --image-lock '";
    // It keeps files of its own at home.
    fish.env("HOME", share.join("")).args(["--no-config", "-c", script]).arg(file);
    let offers = output(&mut fish);
    let names: Vec<_> = offers.lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(names.contains(&("off", "They are not")), "{offers}");
}

#[test]
fn zsh_finds_every_daemons_completion_and_can_load_it() {
    if !requires::program("zsh") {
        return;
    }
    let share = Share::written(&[]);
    for daemon in DAEMONS {
        let script = "fpath=($1 $fpath); autoload -U compinit; compinit -u -D; \
            autoload +X $_comps[$2] && print $_comps[$2]";
        let mut zsh = Command::new("zsh");
        zsh.args(["-f", "-c", script, "zsh"]).arg(share.join("zsh/site-functions")).arg(daemon);
        assert_eq!(output(&mut zsh), format!("_{daemon}\n"));
    }
}
