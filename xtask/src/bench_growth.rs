//! `cargo xtask bench-growth`: does more in the database, or more clients, make a hand-over slower?
//!
//! On each of the three databases the service stands beside ever more volumes and ended transfers,
//! and in more replicas beside the fewest (SQLite has one: its file is on one host). All take turns
//! in one run before the simulator, with up to 256 clients.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::bench_peers::{Up, build, found_in, program, script};
use crate::workspace::Workspace;
use crate::{process, services};

/// Volumes that are handed over, in each database.
const VOLUMES: usize = 1024;
const REPLICAS: [&str; 2] = ["2", "4"];
const DATABASES: [&str; 3] = ["sqlite", "postgresql", "mariadb"];

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// sqlite, postgresql or mariadb; without it each of them in turn
    database: Option<String>,
    /// How many other volumes there are, and ten times as many ended transfers
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1_000, 100_000, 1_000_000])]
    volumes: Vec<u64>,
    /// About how long a batch of operations takes
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Clients at once, one number after the other
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1, 8, 64, 256])]
    clients: Vec<usize>,
    /// Rounds at each number of clients
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Where each database has a directory, and its figures.
fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("conformance").join("bench-growth")
}

/// What has been found, on whichever database.
///
/// # Errors
/// When a file of figures cannot be read.
pub(crate) fn figures(workspace: &Workspace) -> Result<Map<String, Value>> {
    found_in(&directory(workspace), &DATABASES)
}

/// Starts, fills, measures, stops and reports.
///
/// # Errors
/// When there is no such database, or a service does not do its work.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let wanted = |name: &&str| options.database.as_ref().is_none_or(|wanted| wanted == name);
    let databases: Vec<_> = DATABASES.into_iter().filter(wanted).collect();
    anyhow::ensure!(!databases.is_empty(), "no such database; there are {DATABASES:?}");
    build(workspace)?;
    let directory = directory(workspace);
    std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let mut report = workspace.command(program(workspace, "peer-bench"));
    report.arg("growth");
    for name in databases {
        let lent = match name {
            "postgresql" => Some(services::postgresql(workspace)?),
            "mariadb" => Some(services::mariadb(workspace)?),
            _ => None,
        };
        let mut script = script(workspace)?;
        script.arg("--others").args(options.volumes.iter().map(u64::to_string));
        script.arg("--volumes").arg(VOLUMES.to_string());
        if let Some(lent) = &lent {
            script.arg("--server").arg(lent.server()).arg("--replicas").args(REPLICAS);
        }
        let up = Up::start(script, &directory.join(name))?;
        let to = directory.join(name).with_extension("json");
        let mut bench = workspace.command(program(workspace, "peer-bench"));
        bench.arg("measure").arg("--ground").arg(&up.ready).arg("--to").arg(&to);
        bench.args(["--rounds", &options.rounds.to_string()]);
        bench.args(["--seconds", &options.seconds.to_string()]);
        bench.arg("--concurrency").args(options.clients.iter().map(usize::to_string));
        process::run(&mut bench)?;
        report.arg("--of").arg(name).arg(to);
    }
    if let Some(json) = &options.json {
        report.arg("--json").arg(std::path::absolute(json)?);
    }
    process::run(&mut report)
}
