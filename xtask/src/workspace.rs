//! The workspace as cargo describes it: where it stands, where it builds to, its packages.
//!
//! Read from `cargo metadata --no-deps`, which needs no network. Only what the tasks ask for is
//! kept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// `cargo metadata`, cut down.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo builds to.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    /// The workspace's own packages.
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

/// One line of a manifest's dependency tables.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// Something that a package builds.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

impl Workspace {
    /// The workspace that cargo runs this program for.
    ///
    /// Asked at run time: a build directory may be a copy of another checkout's.
    ///
    /// # Errors
    /// When cargo does not run it, or cannot describe the workspace.
    pub(crate) fn locate() -> Result<Self> {
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as cargo xtask")?;
        Self::describe(&Path::new(&xtask).with_file_name("Cargo.toml"))
    }

    /// The workspace of a manifest.
    ///
    /// # Errors
    /// When cargo cannot describe it.
    pub(crate) fn describe(manifest: &Path) -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(manifest)
            .stderr(Stdio::inherit())
            .output()
            .context("cargo does not start")?;
        ensure!(output.status.success(), "cargo metadata of {}", manifest.display());
        serde_json::from_slice(&output.stdout).context("cargo metadata has another shape")
    }

    /// A command that runs in the workspace's root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// `cargo`, in the workspace's root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// Text of a file, by its path from the root.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("{path}: not read"))
    }
}

/// The triple of this machine, as rustc names it.
///
/// # Errors
/// When rustc does not say.
pub(crate) fn host_triple() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc does not start")?;
    let text = String::from_utf8(output.stdout)?;
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(triple) => Ok(triple.to_owned()),
        None => bail!("rustc -vV names no host"),
    }
}

/// The cargo that runs this program, else the one on the path.
/// Cargo without what the cargo that runs this program says of it: a build script that watches
/// such a variable would otherwise run again, and all that depends on it be compiled again, in
/// turns with a cargo that is called by hand.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _value) in std::env::vars_os() {
        let of_this = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if of_this {
            command.env_remove(name);
        }
    }
    command
}
