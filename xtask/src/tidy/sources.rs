// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The files of the repository: those that git knows or would take.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;

/// A file of text; its path from the root.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// Where the inputs of the fuzz targets are: bytes that a program found, which may be text by chance.
const CORPUS: &str = "fuzz/corpus/";

/// Reads all files that are text.
///
/// # Errors
/// git can't be run, or a file not be read.
pub(super) fn read(root: &Path) -> Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let list = command::output(&mut git, Duration::from_secs(60))?;
    let mut sources = Vec::new();
    let paths = list.split('\0').filter(|path| !path.is_empty() && !path.starts_with(CORPUS));
    for path in paths {
        match fs::read(root.join(path)) {
            // Removed, but git has not been told.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            bytes => {
                let bytes = bytes.with_context(|| format!("read {path}"))?;
                let text = String::from_utf8(bytes);
                sources.extend(text.map(|text| Source { path: path.to_owned(), text }));
            }
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_file_is_among_the_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let sources = read(root).unwrap();
        let this = sources.iter().find(|source| source.path == "xtask/src/tidy/sources.rs");
        assert!(this.unwrap().text.contains("this_very_file_is_among_the_sources"));
        assert!(!sources.iter().any(|source| source.path.starts_with("target/")));
    }
}
