// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is written about the daemons by their own parsers, so that it cannot be wrong: man pages,
//! completions for shells, the files by which QEMU's management layers find them, and the tables of
//! options in `docs/`.
//!
//! A daemon is a line in [`daemons::ALL`]. A man page is the daemon's page in `docs/`, with the
//! options that its parser has in the place of the table; `roff.rs` translates the one, `clap_mangen`
//! writes the other, `man.rs` joins them.

mod args;
mod daemons;
mod man;
mod roff;
mod shares;
mod table;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    for daemon in &daemons::ALL {
        if args.tables {
            table::write(daemon, &args.docs)?;
        }
        if let Some(out) = &args.out {
            shares::write(daemon, &args.docs, out, &args.bindir)?;
        }
    }
    Ok(())
}
