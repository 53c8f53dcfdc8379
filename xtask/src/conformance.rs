//! `cargo xtask conformance`: the real clients, and real services, against the real binary.
//!
//! The checks are scripts in `conformance/`, because the clients are Python's; they start and stop
//! what they need themselves. This module makes their environments, builds the binary and runs the
//! script. `peers` and `cinder`, which ask real services and ours the same questions, are Rust.

mod environment;
mod peers;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;
use crate::services::{self, Lent};
use crate::workspace::Workspace;
pub(crate) use environment::{empty, environment, scripts};

/// Which checks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Suite {
    /// openstack, cinder, openstacksdk, barbicanclient and castellan against `serve --dev`
    Clients,
    /// The same against `serve` with a real Keystone and a real Barbican
    Real,
    /// The same with real cinder-api answering everything else, behind HAProxy, on MariaDB and
    /// PostgreSQL
    Beside,
    /// HAProxy and nginx, as packaging/ has them, in front of the service
    Proxies,
    /// The simulated Keystone and Barbican against the real ones, request by request
    Peers(peers::Options),
    /// The service against upstream's cinder-api, request by request and row by row
    Cinder(peers::Wanted),
    /// `audit` and `repair` on a database in which upstream's transfers went wrong in every way
    Audit {
        /// Write down how each case has ended, instead of comparing it with what is on record
        #[arg(long)]
        record: bool,
    },
    /// tempest's identity and volume API tests and Barbican's tempest plugin against the simulator
    Tempest {
        /// Against the real Keystone and Barbican instead: what do they pass?
        #[arg(long)]
        real: bool,
    },
}

impl Suite {
    /// `peers` as it runs without options.
    pub(crate) fn peers() -> Self {
        Self::Peers(peers::Options::default())
    }

    /// `cinder` as it runs without options.
    pub(crate) fn cinder() -> Self {
        Self::Cinder(peers::Wanted::default())
    }
}

/// Runs a suite.
///
/// # Errors
/// When an environment cannot be made, the binary does not build, or a check fails.
pub(crate) fn run(workspace: &Workspace, suite: &Suite) -> Result<()> {
    match suite {
        Suite::Clients => drive(workspace, "developer_stack.py", "developer", None),
        Suite::Real => drive(workspace, "real_services.py", "real", Some("services")),
        Suite::Beside => beside(workspace),
        Suite::Proxies => proxies(workspace),
        Suite::Peers(options) => peers::run(workspace, options),
        Suite::Cinder(wanted) => peers::run_cinder(workspace, wanted),
        Suite::Audit { record } => audit(workspace, *record),
        Suite::Tempest { real } => tempest(workspace, *real),
    }
}

/// Runs the clients against a whole Cinder with the service beside it, on each database server.
fn beside(workspace: &Workspace) -> Result<()> {
    let python = environment(workspace, "clients")?.join("bin").join("python");
    let real = environment(workspace, "services")?;
    let cinder = environment(workspace, "cinder")?;
    let binary = binary(workspace)?;
    let servers: [fn(&Workspace) -> Result<Lent>; 2] = [services::mariadb, services::postgresql];
    for lend in servers {
        let server = lend(workspace)?;
        let database = server.fresh_database()?;
        let own = workspace.target.join("conformance").join("beside").join(server.name());
        let mut checks = python_script(workspace, &python, "beside_cinder.py");
        checks.arg("--binary").arg(&binary).arg("--directory").arg(empty(&own)?);
        checks.arg("--services").arg(&real).arg("--cinder").arg(&cinder);
        checks.arg("--database").arg(database);
        checks.arg("--packaging").arg(workspace.root.join("packaging"));
        process::run(&mut checks).with_context(|| format!("on {}", server.name()))?;
    }
    Ok(())
}

/// Lets upstream's transfers go wrong on a MariaDB, and judges `audit` and `repair` by the ends.
fn audit(workspace: &Workspace, record: bool) -> Result<()> {
    let python = environment(workspace, "clients")?.join("bin").join("python");
    let server = services::mariadb(workspace)?;
    let mut checks = python_script(workspace, &python, "audit_upstream.py");
    checks.arg("--binary").arg(checked_binary(workspace)?);
    checks.arg("--services").arg(environment(workspace, "services")?);
    checks.arg("--cinder").arg(environment(workspace, "cinder")?);
    checks.arg("--database").arg(server.fresh_database()?);
    let own = workspace.target.join("conformance").join("audit");
    checks.arg("--directory").arg(empty(&own)?);
    checks.arg("--recording").arg(scripts(workspace).join("audit").join("ends.json"));
    if record {
        checks.arg("--record");
    }
    process::run(&mut checks)
}

/// Runs the proxies; the script needs no Python but the system's.
fn proxies(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(["build", "--release", "-p", "volume-transfer"]))?;
    let directory = empty(&workspace.target.join("conformance").join("proxies"))?;
    let mut checks = workspace.command("python3");
    checks
        .arg(scripts(workspace).join("proxies.py"))
        .arg("--binary")
        .arg(workspace.target.join("release").join("volume-transfer"))
        .arg("--directory")
        .arg(directory)
        .arg("--packaging")
        .arg(workspace.root.join("packaging"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(&mut checks)
}

/// Runs the script with tempest's Python, once for each of Barbican's policies and once for
/// volumes, and the example for Python's tests.
fn tempest(workspace: &Workspace, real: bool) -> Result<()> {
    let python = environment(workspace, "tempest")?.join("bin").join("python");
    let (option, side) = if real {
        ("--services", environment(workspace, "services")?)
    } else {
        ("--binary", checked_binary(workspace)?)
    };
    // the real catalogue names one Barbican, and that has the new policy
    let suites: &[&str] = if real { &["new"] } else { &["new", "legacy", "volumes"] };
    for suite in suites {
        let own = empty(&workspace.target.join("conformance").join("tempest-runs").join(suite))?;
        let mut tests = python_script(workspace, &python, "tempest_suite.py");
        tests.args(["--suite", suite, "--directory"]).arg(own).arg(option).arg(&side);
        process::run(&mut tests)?;
    }
    if real {
        return Ok(());
    }
    let mut example = workspace.command(&python);
    example
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(workspace.root.join("simulator").join("pytest"))
        .env("VOLUME_TRANSFER", side)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(&mut example)
}

/// Runs a script with the clients' Python, a directory of its own and, if it wants them, the real
/// services.
fn drive(workspace: &Workspace, script: &str, own: &str, services: Option<&str>) -> Result<()> {
    let python = environment(workspace, "clients")?.join("bin").join("python");
    let binary = binary(workspace)?;
    let directory = empty(&workspace.target.join("conformance").join(own))?;
    let mut checks = python_script(workspace, &python, script);
    checks.arg("--binary").arg(binary).arg("--directory").arg(directory);
    if let Some(services) = services {
        checks.arg("--services").arg(environment(workspace, services)?);
    }
    process::run(&mut checks)
}

/// A script of `conformance/`, which leaves nothing beside itself.
fn python_script(workspace: &Workspace, python: &Path, script: &str) -> Command {
    let mut command = workspace.command(python);
    command.arg(scripts(workspace).join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The program as tests have it, which checks its arithmetic.
pub(crate) fn checked_binary(workspace: &Workspace) -> Result<PathBuf> {
    process::run(&mut workspace.cargo(["build", "-p", "volume-transfer"]))?;
    Ok(workspace.target.join("debug").join("volume-transfer"))
}

/// The program as it is released.
pub(crate) fn binary(workspace: &Workspace) -> Result<PathBuf> {
    process::run(&mut workspace.cargo(["build", "--release", "-p", "volume-transfer"]))?;
    Ok(workspace.target.join("release").join("volume-transfer"))
}
