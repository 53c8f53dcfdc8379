//! `cargo xtask fuzz`: builds the targets of `fuzz/` and runs them.
//!
//! `fuzz/` is laid out as cargo-fuzz wants it, and cargo-fuzz may be used there. This task needs
//! neither it nor a nightly compiler: coverage instrumentation is a stable option of rustc, and
//! address sanitizer, which is not, has little to find in code that forbids `unsafe`.
//!
//! New inputs go to the build directory; the committed corpus is read only. What a target does with
//! an input stands in `crates/transfer-fuzz`, whose tests replay the corpus without any of this.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::workspace::{Workspace, host_triple};

/// Instruments every crate for libFuzzer; integers and assertions are checked as in a debug build.
const RUSTFLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Coverflow-checks \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// How long a target runs where it is one check among others.
const SHORT_SECONDS: u32 = 5;
/// Longest time that one input may take.
const INPUT_SECONDS: u32 = 10;

/// What to fuzz.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A target of fuzz/Cargo.toml; without it each of them in turn
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes for a while.
///
/// # Errors
/// When there is no such target, or an input makes one fail.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let known = targets(workspace)?;
    let chosen = match &options.target {
        Some(target) => {
            ensure!(known.contains(target), "no fuzz target {target}; there are {known:?}");
            std::slice::from_ref(target)
        }
        None => &known,
    };
    run_each(workspace, chosen, options.seconds)
}

/// Runs every target over its committed corpus, and from there for a short time.
///
/// # Errors
/// When a target has no corpus, or an input makes one fail.
pub(crate) fn run_corpora(workspace: &Workspace) -> Result<()> {
    run_each(workspace, &targets(workspace)?, SHORT_SECONDS)
}

fn run_each(workspace: &Workspace, targets: &[String], seconds: u32) -> Result<()> {
    let programs = build(workspace, targets)?;
    targets.iter().try_for_each(|target| fuzz(workspace, &programs, target, seconds))
}

/// Runs a target: first over its corpus and what was found before, then over new inputs.
fn fuzz(workspace: &Workspace, programs: &Path, target: &str, seconds: u32) -> Result<()> {
    let found = workspace.target.join("fuzz").join("corpus").join(target);
    let artifacts = workspace.root.join("fuzz").join("artifacts").join(target);
    for directory in [&found, &artifacts] {
        std::fs::create_dir_all(directory).context(directory.display().to_string())?;
    }
    let mut fuzzer = workspace.command(programs.join(target));
    fuzzer
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    let words = workspace.root.join("fuzz").join("dictionaries").join(format!("{target}.dict"));
    if words.exists() {
        fuzzer.arg(format!("-dict={}", words.display()));
    }
    process::run(fuzzer.arg(found).arg(corpus(workspace, target)?))
}

/// The names of the fuzz targets, from `fuzz/Cargo.toml`.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let fuzz = Workspace::describe(&manifest(workspace))?;
    let bins = fuzz.packages.into_iter().flat_map(|package| package.targets);
    let names: Vec<_> = bins
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
        .map(|target| target.name)
        .collect();
    ensure!(!names.is_empty(), "fuzz/Cargo.toml names no target");
    Ok(names)
}

/// Builds targets, all at once, and returns the directory of the programs.
fn build(workspace: &Workspace, targets: &[String]) -> Result<PathBuf> {
    let host = host_triple()?;
    let to = workspace.target.join("fuzz");
    // --target keeps the instrumentation out of build scripts and macros
    let mut build = workspace.cargo(["build", "--release", "--target", &host]);
    build
        .args(targets.iter().flat_map(|target| ["--bin", target]))
        .arg("--manifest-path")
        .arg(manifest(workspace))
        .arg("--target-dir")
        .arg(&to)
        .env("RUSTFLAGS", RUSTFLAGS);
    process::run(&mut build)?;
    Ok(to.join(host).join("release"))
}

/// The committed inputs of a target.
fn corpus(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    let directory = workspace.root.join("fuzz").join("corpus").join(target);
    ensure!(holds_a_file(&directory), "no inputs in {}", directory.display());
    Ok(directory)
}

fn holds_a_file(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

fn manifest(workspace: &Workspace) -> PathBuf {
    workspace.root.join("fuzz").join("Cargo.toml")
}
