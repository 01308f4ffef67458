// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The documents whose commands are looked at.

use std::fs;
use std::path::{Path, PathBuf};

use super::blocks::{self, Block};

/// Those beside the pages in `docs/`.
const BESIDE: [&str; 3] = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];

/// The blocks of commands of all documents that say what becomes of them.
pub(super) fn blocks() -> Vec<Block> {
    let blocks = documents().into_iter().flat_map(|(name, text)| blocks::of(&name, &text));
    blocks.filter_map(Result::ok).collect()
}

/// What is wrong with the blocks of all documents.
pub(super) fn faults() -> Vec<String> {
    let blocks = documents().into_iter().flat_map(|(name, text)| blocks::of(&name, &text));
    blocks.filter_map(Result::err).collect()
}

/// The documents' names and texts.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).expect("list the documents");
    let pages = docs.map(|entry| entry.expect("an entry of docs/").path());
    let mut paths: Vec<PathBuf> =
        pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    paths.sort();
    paths.splice(0..0, BESIDE.map(|name| root.join(name)));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("a path in the repository");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {name:?}: {e}"));
        (name.display().to_string(), text)
    };
    paths.into_iter().map(read).collect()
}
