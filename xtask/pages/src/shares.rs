// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The files that a package has below /usr/share.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap_complete::Shell;

use crate::daemons::Daemon;
use crate::man;

/// Where a shell looks for completions, and what begins and ends the name of a file there.
const COMPLETIONS: [(Shell, &str, &str, &str); 3] = [
    (Shell::Bash, "bash-completion/completions", "", ""),
    (Shell::Zsh, "zsh/site-functions", "_", ""),
    (Shell::Fish, "fish/vendor_completions.d", "", ".fish"),
];

/// Writes the man page, the completions and the discovery file of a daemon below `out`; its page is
/// among `docs`, its program in `bindir`.
///
/// # Errors
/// The page can't be read, a file not be written, or `bindir` is no absolute path.
pub(crate) fn write(daemon: &Daemon, docs: &Path, out: &Path, bindir: &str) -> Result<()> {
    ensure!(bindir.starts_with('/'), "the directory of programs {bindir} is no absolute path");
    let name = daemon.name();
    let page = man::page(daemon, &daemon.page_text(docs)?)?;
    save(&out.join(format!("man/man{0}/{name}.{0}", man::SECTION)), page.as_bytes())?;
    for (shell, folder, before, after) in COMPLETIONS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut daemon.parser(), &name, &mut text);
        save(&out.join(folder).join(format!("{before}{name}{after}")), &text)?;
    }
    let (description, binary) = (daemon.description(), format!("{bindir}/{name}"));
    let discovery = daemon.capabilities.discovery(&description, &binary);
    let path = format!("qemu/vhost-user/50-{name}.json");
    save(&out.join(path), format!("{discovery}\n").as_bytes())
}

fn save(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemons;

    #[test]
    fn directory_of_programs_that_is_no_absolute_path_is_refused() {
        let nowhere = Path::new("/nowhere");
        let error = write(&daemons::ALL[0], nowhere, nowhere, "libexec").unwrap_err();
        assert_eq!(error.to_string(), "the directory of programs libexec is no absolute path");
    }
}
