// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask test`: everything. It goes on after a failure, so that one run tells all.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::cargo::{APART, PRODUCT, TARGET, Workspace};
use crate::fuzz::{self, Fuzz};
use crate::suite::{self, Environment, Outcome, Summary};
use crate::{bench, command, coverage, install, oracle, tidy};

/// How long a step may take, building included; a test has its own limit.
const LIMIT: Duration = Duration::from_secs(900);

/// Check and test everything, as the continuous integration does.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Take only these steps.
    #[arg(value_enum)]
    steps: Vec<Step>,
    /// Write what ran to the list of expected tests, and the coverage to its file.
    #[arg(long)]
    bless: bool,
}

/// What can be asked for by name, in the order in which it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// The sources are formatted.
    Format,
    /// The compiler and clippy have nothing to say.
    Clippy,
    /// The documentation builds, and its links lead somewhere.
    Docs,
    /// The house rules.
    Tidy,
    /// What a package of the daemons has in it, and that it fits together.
    Install,
    /// The dependencies' licences, sources and advisories, if cargo-deny is installed.
    Deny,
    /// All tests.
    Tests,
    /// The examples in the documentation.
    Examples,
    /// The model of the ring's notifications: every interleaving.
    Loom,
    /// The ring's tests under AddressSanitizer.
    Asan,
    /// The session beside another implementation's.
    Oracle,
    /// The fuzz targets: their corpus, and some seconds of looking for more.
    Fuzz,
    /// The instructions that a request takes in the ring, if valgrind is installed.
    Instructions,
    /// The line coverage.
    Coverage,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let daemons = workspace.target.join("xtask/bin");
    let daemons_with_hooks = workspace.target.join("xtask/bin-with-hooks");
    let run = Run { workspace, daemons, daemons_with_hooks };
    let mut summary = Summary::default();
    let wanted = |step| args.steps.is_empty() || args.steps.contains(&step);

    run.checks(&mut summary, wanted);
    let mut labels = Vec::new();
    for (step, name, label, suite) in SUITES {
        if wanted(step) && summary.tests(name, || suite(&run)) {
            labels.push(label);
        }
    }
    if wanted(Step::Fuzz) {
        let fuzz = Fuzz::new(&run.workspace)?;
        let daemon = fuzz::Daemon::new(&run.workspace);
        for (name, check) in fuzz::checks(&fuzz, &daemon) {
            summary.check(name, check);
        }
    }
    if wanted(Step::Instructions) {
        summary.check("instructions", || bench::report(&run.workspace));
    }
    if wanted(Step::Coverage) {
        summary.check("coverage", || coverage::measure(&run.workspace, args.bless));
    }
    if !labels.is_empty() {
        let (root, ran) = (&run.workspace.root, summary.names());
        summary.check("list of tests", || suite::compare(root, &ran, &labels, args.bless));
    }
    let (text, fine) = summary.text();
    println!("{text}");
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds tests and runs them.
type Suite = fn(&Run) -> Result<Vec<Outcome>>;

/// The tests of the different kinds, and what their names begin with.
const SUITES: [(Step, &str, &str, Suite); 5] = [
    (Step::Tests, "tests", "", Run::tests),
    (Step::Examples, "examples", "doc:", Run::examples),
    (Step::Loom, "loom", "loom:", Run::loom),
    (Step::Asan, "asan", "asan:", Run::asan),
    (Step::Oracle, "oracle", "oracle:", Run::oracle),
];

struct Run {
    workspace: Workspace,
    /// Where the built daemons are copied to.
    daemons: PathBuf,
    /// Where they are once more, with the hooks that only tests want.
    daemons_with_hooks: PathBuf,
}

impl Run {
    /// What is looked at rather than run, and the daemons, which the tests want too.
    fn checks(&self, summary: &mut Summary, wanted: impl Fn(Step) -> bool) {
        if wanted(Step::Format) {
            summary.check("format", || self.format());
        }
        if wanted(Step::Clippy) {
            let args = ["--workspace", "--all-targets", "--", "-D", "warnings"];
            summary.check("clippy", || self.cargo("clippy", &args));
            summary.check("clippy, oracle", || oracle::clippy(&self.workspace));
            let fuzz = || Fuzz::new(&self.workspace)?.clippy(&self.workspace);
            summary.check("clippy, fuzz targets", fuzz);
        }
        if wanted(Step::Docs) {
            summary.check("docs", || self.docs());
        }
        if wanted(Step::Tidy) || wanted(Step::Install) || wanted(Step::Tests) {
            summary.check("build of the daemons", || self.build_daemons());
        }
        if wanted(Step::Tests) {
            summary.check("build of the daemons with hooks", || self.build_with_hooks());
            let build = || oracle::build_reference(&self.workspace);
            summary.check("build of the reference back end", build);
        }
        if wanted(Step::Tidy) {
            summary.check("tidy", || tidy::check(&self.workspace, &self.daemons));
        }
        if wanted(Step::Install) {
            summary.check("install", || install::check(&self.workspace, &self.daemons));
        }
        if wanted(Step::Deny) {
            for (name, args) in self.deny() {
                summary.check(name, || self.cargo("deny", args));
            }
        }
    }

    fn cargo(&self, subcommand: &str, args: &[&str]) -> Result<()> {
        command::run(self.workspace.cargo(subcommand).args(args), LIMIT)
    }

    fn format(&self) -> Result<()> {
        self.cargo("fmt", &["--all", "--check"])?;
        for folder in APART {
            let mut cargo = self.workspace.apart(folder)?.cargo("fmt");
            command::run(cargo.args(["--all", "--check"]), LIMIT)?;
        }
        Ok(())
    }

    fn docs(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo("doc");
        cargo.args(["--quiet", "--workspace", "--lib", "--no-deps", "--document-private-items"]);
        command::run(cargo.env("RUSTDOCFLAGS", "-D warnings"), LIMIT)
    }

    fn build_daemons(&self) -> Result<()> {
        let mut build = self.workspace.cargo("build");
        self.workspace.build_daemons(build.arg("--workspace"), &self.daemons, LIMIT)
    }

    fn build_with_hooks(&self) -> Result<()> {
        let mut build = self.workspace.cargo("build");
        build.arg("--workspace");
        self.workspace.build_daemons_with_hooks(&mut build, &self.daemons_with_hooks, LIMIT)
    }

    /// The checks of cargo-deny that this machine can do; says so if it can't do them all.
    fn deny(&self) -> Vec<(&'static str, &'static [&'static str])> {
        let succeeds = |args: &[&str]| {
            let mut deny = self.workspace.cargo("deny");
            deny.args(args).stdout(Stdio::null()).stderr(Stdio::null());
            command::run(&mut deny, LIMIT).is_ok()
        };
        if !succeeds(&["--version"]) {
            println!("\n=== deny\nNOT RUN: cargo-deny is not installed; tidy checks the licences");
            return Vec::new();
        }
        let mut checks: Vec<(_, &[_])> = vec![("deny", &["check", "licenses", "bans", "sources"])];
        if succeeds(&["fetch", "db"]) {
            checks.push(("advisories", &["check", "advisories"]));
        } else {
            println!("\n=== advisories\nNOT RUN: their database is out of reach");
        }
        checks
    }

    fn tests(&self) -> Result<Vec<Outcome>> {
        let mut cargo = self.workspace.cargo("test");
        self.run_suite(cargo.arg("--workspace"), "", |_| true)
    }

    fn examples(&self) -> Result<Vec<Outcome>> {
        suite::run_examples(&self.workspace)
    }

    fn loom(&self) -> Result<Vec<Outcome>> {
        let mut cargo = self.of_the_ring("loom");
        cargo.arg("--release").env("RUSTFLAGS", "--cfg loom");
        // The model wants a quick program, but not so quick that linking it takes a minute.
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
        self.run_suite(&mut cargo, "loom:", |path| path.contains("loom"))
    }

    fn asan(&self) -> Result<Vec<Outcome>> {
        let mut cargo = self.of_the_ring("asan");
        // What else has `unsafe` of a kind that the sanitizer sees.
        cargo.args(["-p", PRODUCT[3], "--target", TARGET]);
        cargo.env("RUSTFLAGS", "-Zsanitizer=address");
        // The stable compiler has the sanitizer and its run-time library, but hides the option.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        self.run_suite(&mut cargo, "asan:", |path| {
            path.contains("ring") || path.contains("passthrough")
        })
    }

    fn oracle(&self) -> Result<Vec<Outcome>> {
        oracle::run_tests(&self.workspace)
    }

    /// A `cargo test` of the ring's package, built apart from all else.
    fn of_the_ring(&self, folder: &str) -> Command {
        let mut cargo = self.workspace.cargo("test");
        cargo.args(["--lib", "-p", PRODUCT[0], "--target-dir"]);
        cargo.arg(self.workspace.target.join("xtask").join(folder));
        cargo
    }

    /// Builds with `cargo` and runs the tests whose path is `wanted`.
    fn run_suite(
        &self,
        cargo: &mut Command,
        label: &str,
        wanted: fn(&str) -> bool,
    ) -> Result<Vec<Outcome>> {
        let mut tests = Vec::new();
        for binary in suite::build(&self.workspace, cargo, label, LIMIT)?.tests {
            tests.extend(suite::list(&binary)?);
        }
        tests.retain(|test| wanted(&test.path));
        let environment: Environment = vec![
            ("VHOST_USER_BIN_DIR", self.daemons.clone().into()),
            ("VHOST_USER_HOOKS_BIN_DIR", self.daemons_with_hooks.clone().into()),
            (oracle::REFERENCE, oracle::reference(&self.workspace).into()),
        ];
        suite::run(tests, &environment)
    }
}
