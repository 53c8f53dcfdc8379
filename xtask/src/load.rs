//! `cargo xtask bulk`, `overload` and `audit-growth`: those of `transfer-load`, on release builds.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// What the check is told: `--help` lists it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds both, and runs the check.
///
/// # Errors
/// When it cannot be run, or has found something.
pub(crate) fn run(workspace: &Workspace, check: &str, options: &Options) -> Result<()> {
    let build = "build --release -p volume-transfer -p transfer-load";
    process::run(&mut workspace.cargo(build.split(' ')))?;
    let built = workspace.target.join("release");
    process::run(Command::new(built.join("transfer-load")).arg(check).args(&options.arguments))
}
