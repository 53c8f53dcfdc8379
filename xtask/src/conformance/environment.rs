//! What the suites stand on: virtual environments under the build directory, made once per list of
//! requirements.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// A virtual environment with `conformance/requirements-NAME.txt`; made when it is not there, or
/// was made from another list.
pub(crate) fn environment(workspace: &Workspace, name: &str) -> Result<PathBuf> {
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
pub(crate) fn empty(directory: &Path) -> Result<PathBuf> {
    if directory.exists() {
        std::fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    Ok(directory.to_owned())
}

/// Where the suites' scripts stand.
pub(crate) fn scripts(workspace: &Workspace) -> PathBuf {
    workspace.root.join("conformance")
}
