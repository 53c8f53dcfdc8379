//! `cargo xtask conformance`: the real clients, and real services, against the real binary.
//!
//! The checks are scripts in `conformance/`, because the clients are Python's; they start and stop
//! what they need themselves. This module makes their environments under the build directory, once
//! per list of requirements, builds the binary and runs the script.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Which checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Suite {
    /// openstack, cinder, openstacksdk, barbicanclient and castellan against `serve --dev`
    Clients,
    /// The same against `serve` with a real Keystone and a real Barbican
    Real,
}

/// Runs a suite.
///
/// # Errors
/// When an environment cannot be made, the binary does not build, or a check fails.
pub(crate) fn run(workspace: &Workspace, suite: Suite) -> Result<()> {
    let clients = environment(workspace, "clients")?;
    process::run(&mut workspace.cargo(["build", "--release", "-p", "volume-transfer"]))?;
    let binary = workspace.target.join("release").join("volume-transfer");
    let (script, directory) = match suite {
        Suite::Clients => ("developer_stack.py", "developer"),
        Suite::Real => ("real_services.py", "real"),
    };
    let directory = empty(&workspace.target.join("conformance").join(directory))?;
    let mut checks = workspace.command(clients.join("bin").join("python"));
    checks
        .arg(scripts(workspace).join(script))
        .arg("--binary")
        .arg(binary)
        .arg("--directory")
        .arg(directory)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if suite == Suite::Real {
        checks.arg("--services").arg(environment(workspace, "services")?);
    }
    process::run(&mut checks)
}

/// A virtual environment with `conformance/requirements-NAME.txt`; made when it is not there, or
/// was made from another list.
fn environment(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let requirements = scripts(workspace).join(format!("requirements-{name}.txt"));
    let wanted = std::fs::read_to_string(&requirements)
        .with_context(|| requirements.display().to_string())?;
    let directory = workspace.target.join("conformance").join(name);
    let stamp = directory.join("made-from.txt");
    if is_made_from(&stamp, &wanted) {
        return Ok(directory);
    }
    empty(&directory)?;
    process::run(workspace.command("python3").args(["-m", "venv"]).arg(&directory))
        .context("needs Python 3.11 or later with venv: apt-get install python3-venv")?;
    let pip = directory.join("bin").join("pip");
    process::run(
        workspace.command(pip).args(["install", "--quiet", "--requirement"]).arg(requirements),
    )?;
    std::fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())?;
    Ok(directory)
}

/// Whether an environment is complete and has this list; the stamp is written last.
fn is_made_from(stamp: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(stamp).is_ok_and(|made_from| made_from == wanted)
}

/// An empty directory in the place of whatever was there.
fn empty(directory: &Path) -> Result<PathBuf> {
    if directory.exists() {
        std::fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    Ok(directory.to_owned())
}

fn scripts(workspace: &Workspace) -> PathBuf {
    workspace.root.join("conformance")
}
