// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Reads what instrumented binaries counted, and what of the sources these counts are about
//! (LLVM's "code coverage mapping format").

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use llvm_profparser::coverage_mapping::{SectionReadError, read_object_file};
use llvm_profparser::instrumentation_profile::types::InstrumentationProfile;
use llvm_profparser::{
    Counter, CounterType, CoverageMappingInfo, ExprKind, FunctionRecordV3, RegionKind,
};

use super::lines::{Place, Regions};
use crate::cargo::PRODUCT;

/// The regions of the product's files; paths from the root of the workspace.
pub(super) type Files = BTreeMap<PathBuf, Regions>;

/// How often a chain of counter expressions may go on; the compiler makes some dozens.
const DEPTH: usize = 4096;

/// How often each region of the product was executed, by the profiles in a folder, of these
/// binaries.
///
/// # Errors
/// There are no profiles, or the format is one that we can't read.
pub(super) fn executed(profiles: &Path, objects: &[PathBuf], root: &Path) -> Result<Files> {
    let profile = merged(profiles)?;
    let version = profile.version().context("the profiles say no version")?;
    let mut files = Files::new();
    for object in objects {
        let Some(mapping) = mapping(object, version)? else {
            continue;
        };
        let mut paths = BTreeMap::new();
        for function in &mapping.cov_fun {
            let id = function.header.filenames_ref;
            let paths = paths.entry(id).or_insert_with(|| {
                let paths = mapping.get_files_from_id(id);
                paths.iter().map(|path| product_path(path, root)).collect::<Vec<_>>()
            });
            if paths.iter().any(Option::is_some) {
                let counts = counts(&profile, function);
                add(&mut files, function, paths, counts);
            }
        }
    }
    ensure!(!files.is_empty(), "no binary says anything about the sources of the product");
    Ok(files)
}

/// What a binary says about the sources; `None` if nothing in it was made to count.
fn mapping(object: &Path, version: u64) -> Result<Option<CoverageMappingInfo>> {
    let mapping = read_object_file(object, version);
    let missing = mapping.as_ref().err().and_then(|error| error.downcast_ref());
    if let Some(SectionReadError::MissingSection(_)) = missing {
        return Ok(None);
    }
    mapping.map(Some).with_context(|| format!("read the coverage mapping of {}", object.display()))
}

fn merged(folder: &Path) -> Result<InstrumentationProfile> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.context("read the folder of the profiles")?.path();
        if path.extension() == Some(OsStr::new("profraw")) {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "no profile was written to {}", folder.display());
    llvm_profparser::merge_profiles(&files).context("read the profiles")
}

/// The path of one of the product's files from the root of the workspace. Tests are none, nor are
/// the programs for them, which are beside a library in `src/bin`.
fn product_path(path: &Path, root: &Path) -> Option<PathBuf> {
    let path = path.strip_prefix(root).ok()?;
    let is_source = PRODUCT.iter().any(|package| path.starts_with(Path::new(package).join("src")));
    let mut parts = path.components().map(Component::as_os_str);
    let is_test =
        parts.any(|part| ["tests", "tests.rs", "test.rs", "bin"].iter().any(|name| part == *name));
    (is_source && !is_test).then(|| path.to_owned())
}

/// The counters of a function; none if it was never called, or not even compiled.
fn counts<'a>(profile: &'a InstrumentationProfile, function: &FunctionRecordV3) -> &'a [u64] {
    let record = profile.find_record_by_hash(function.header.name_hash);
    record.map_or(&[], |record| record.record.counts.as_slice())
}

fn add(files: &mut Files, function: &FunctionRecordV3, paths: &[Option<PathBuf>], counts: &[u64]) {
    for region in function.regions.iter().filter(|region| region.kind == RegionKind::Code) {
        let Some(Some(path)) = paths.get(region.file_id) else {
            continue;
        };
        let count = count(region.count, function, counts, DEPTH);
        let start = Place { line: region.loc.line_start, column: region.loc.column_start };
        let end = Place { line: region.loc.line_end, column: region.loc.column_end };
        let before = files.entry(path.clone()).or_default().entry((start, end)).or_default();
        // A generic function has a record for each of its types, and a library for each binary.
        *before = (*before).max(count);
    }
}

/// The value of a counter: one of `counts`, or a sum or difference of others.
fn count(counter: Counter, function: &FunctionRecordV3, counts: &[u64], depth: usize) -> u64 {
    let at = |id: u64| usize::try_from(id).unwrap_or(usize::MAX);
    match counter.kind {
        CounterType::Zero => 0,
        CounterType::ProfileInstrumentation => counts.get(at(counter.id)).copied().unwrap_or(0),
        CounterType::Expression(_) => {
            let Some(expression) = function.expressions.get(at(counter.id)) else {
                return 0;
            };
            if depth == 0 {
                return 0;
            }
            let left = count(expression.lhs, function, counts, depth - 1);
            let right = count(expression.rhs, function, counts, depth - 1);
            match expression.kind {
                ExprKind::Add => left.saturating_add(right),
                // Threads that count at the same time lose counts now and then.
                ExprKind::Subtract => left.saturating_sub(right),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use llvm_profparser::{Expression, FunctionRecordHeader};

    use super::*;

    const ROOT: &str = "/w";

    fn product(path: &str) -> bool {
        product_path(Path::new(path), Path::new(ROOT)).is_some()
    }

    #[test]
    fn product_is_its_sources_without_their_tests() {
        assert!(product("/w/vhost-user-blk/src/disk/open.rs"));
        assert!(!product("/w/vhost-user-device/src/memory/tests.rs"));
        assert!(!product("/w/vhost-user-device/src/ring/tests/chains.rs"));
        assert!(!product("/w/vhost-user-daemon/src/sys/test.rs"));
        assert!(!product("/w/vhost-user-daemon/src/bin/null-daemon.rs"));
        assert!(!product("/w/tests/src/blk.rs"));
        assert!(!product("/rustc/vhost-user-blk/src/main.rs"));
    }

    #[test]
    fn count_of_an_expression_is_worked_out() {
        let counter = |kind, id| Counter { kind, id };
        let one = counter(CounterType::ProfileInstrumentation, 0);
        let other = counter(CounterType::ProfileInstrumentation, 1);
        let sum = counter(CounterType::Expression(ExprKind::Add), 0);
        let function = FunctionRecordV3 {
            header: FunctionRecordHeader {
                name_hash: 0,
                data_len: 0,
                fn_hash: 0,
                filenames_ref: 0,
            },
            regions: Vec::new(),
            expressions: vec![
                Expression { kind: ExprKind::Add, lhs: one, rhs: other },
                Expression { kind: ExprKind::Subtract, lhs: sum, rhs: one },
            ],
        };
        let difference = counter(CounterType::Expression(ExprKind::Subtract), 1);
        assert_eq!(count(sum, &function, &[3, 4], DEPTH), 7);
        assert_eq!(count(difference, &function, &[3, 4], DEPTH), 4);
        assert_eq!(count(other, &function, &[3], DEPTH), 0);
    }
}
