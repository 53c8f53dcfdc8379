//! `cargo xtask bench-peers`: upstream's cinder-api and this service, measured side by side.
//!
//! `conformance/bench_services.py` starts both before one Keystone and Barbican, `peer-bench`
//! measures. All keep their rows in the MariaDB of `cargo xtask services` (upstream does not stand
//! many clients on SQLite). The figures of both grounds end in one table, plot and document.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use peer_bench::GROUNDS;
use serde_json::{Map, Value};

use crate::conformance::{empty, environment, scripts};
use crate::workspace::Workspace;
use crate::{process, services};

/// How long all services of a ground may take to start.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often to look whether they have.
const PAUSE: Duration = Duration::from_millis(100);

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Before a real Keystone and Barbican alone
    #[arg(long, conflicts_with = "simulated")]
    real: bool,
    /// Before the simulator alone
    #[arg(long)]
    simulated: bool,
    /// About how long a batch of operations takes [default: 4]
    #[arg(long, value_name = "S", conflicts_with = "operations")]
    seconds: Option<f64>,
    /// How many operations a batch has, if more than run at once
    #[arg(long, value_name = "N")]
    operations: Option<usize>,
    /// Requests at once, one after the other
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1, 8, 32])]
    concurrency: Vec<usize>,
    /// Leave upstream, which takes the most time, out
    #[arg(long)]
    without_upstream: bool,
    /// As few operations as tell anything
    #[arg(long, conflicts_with_all = ["seconds", "operations"])]
    quick: bool,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One Keystone and Barbican, and what stands before them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    Real,
    Simulated,
}

impl Ground {
    fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Simulated => "simulated",
        }
    }

    /// Volumes of upstream's and of ours, which bound a batch. The keys of the floor are as many
    /// as our volumes.
    fn volumes(self) -> [usize; 2] {
        match self {
            Self::Real => [64, 128],
            Self::Simulated => [128, 2048],
        }
    }
}

/// Starts, measures, stops and reports.
///
/// # Errors
/// When a ground does not come up, or a contender does not do its work.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    build(workspace)?;
    let directory = directory(workspace);
    std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let mut report = workspace.command(program(workspace, "peer-bench"));
    report.arg("report").arg("--plot").arg(directory.join("peers.svg"));
    for ground in [Ground::Real, Ground::Simulated] {
        let skipped = if ground == Ground::Real { options.simulated } else { options.real };
        if !skipped {
            let figures = measure(workspace, ground, options, &directory)?;
            report.arg(format!("--{}", ground.name())).arg(figures);
        }
    }
    if let Some(json) = &options.json {
        report.arg("--json").arg(std::path::absolute(json)?);
    }
    process::run(&mut report)
}

/// Where each ground has a directory, and its figures.
fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("conformance").join("bench-peers")
}

/// What has been found, on whichever ground.
///
/// # Errors
/// When a file of figures cannot be read.
pub(crate) fn figures(workspace: &Workspace) -> Result<Map<String, Value>> {
    let mut figures = found_in(&directory(workspace), &GROUNDS)?;
    peer_bench::complete(&mut figures);
    Ok(figures)
}

/// The figures in a directory by the names of their files, as far as they are there.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn found_in(directory: &Path, names: &[&str]) -> Result<Map<String, Value>> {
    let mut found = Map::new();
    for name in names {
        let file = directory.join(name).with_extension("json");
        if file.exists() {
            let text =
                std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let figures =
                serde_json::from_str(&text).with_context(|| file.display().to_string())?;
            found.insert((*name).to_owned(), figures);
        }
    }
    Ok(found)
}

/// The figures of one ground.
fn measure(
    workspace: &Workspace,
    ground: Ground,
    options: &Options,
    directory: &Path,
) -> Result<PathBuf> {
    let mariadb = services::mariadb(workspace)?;
    let directory = directory.join(ground.name());
    let mut script = script(workspace)?;
    script.arg("--cinder").arg(environment(workspace, "cinder")?);
    script.arg("--volumes").args(ground.volumes().map(|count| count.to_string()));
    script.arg("--server").arg(mariadb.server());
    if ground == Ground::Real {
        script.arg("--services").arg(environment(workspace, "services")?);
    }
    let up = Up::start(script, &directory)?;
    let to = directory.with_extension("json");
    let (rounds, seconds) = if options.quick { (2, 0.5) } else { (3, 4.0) };
    let mut bench = workspace.command(program(workspace, "peer-bench"));
    bench.arg("measure").arg("--ground").arg(&up.ready).arg("--to").arg(&to);
    bench.arg("--rounds").arg(rounds.to_string());
    bench.arg("--seconds").arg(options.seconds.unwrap_or(seconds).to_string());
    bench.arg("--keys").arg(ground.volumes()[1].to_string());
    bench.arg("--concurrency").args(options.concurrency.iter().map(usize::to_string));
    if options.without_upstream {
        bench.arg("--without-upstream");
    }
    if let Some(operations) = options.operations {
        bench.arg("--operations").arg(operations.to_string());
    }
    process::run(&mut bench)?;
    drop(up);
    Ok(to)
}

/// What starts the services of a ground, but for which, and where.
///
/// # Errors
/// When the environment of the clients cannot be made.
pub(crate) fn script(workspace: &Workspace) -> Result<Command> {
    let clients = environment(workspace, "clients")?;
    let mut script = workspace.command(clients.join("bin").join("python"));
    script.arg(scripts(workspace).join("bench_services.py"));
    script.env("PYTHONDONTWRITEBYTECODE", "1");
    script.arg("--binary").arg(program(workspace, "volume-transfer"));
    Ok(script)
}

/// The services of a ground, for as long as this lives.
pub(crate) struct Up {
    script: Child,
    /// Their addresses.
    pub(crate) ready: PathBuf,
}

impl Up {
    /// Runs `script` until all it starts is up, with an empty directory for it.
    ///
    /// # Errors
    /// When it is not up in time.
    pub(crate) fn start(mut script: Command, directory: &Path) -> Result<Self> {
        let directory = empty(directory)?;
        script.arg("--directory").arg(&directory);
        println!("$ {}", process::shown(&script));
        let script = script.stdin(Stdio::piped()).spawn().context("python does not start")?;
        let mut up = Self { script, ready: directory.join("ready.json") };
        up.wait()?;
        Ok(up)
    }

    /// Waits for the file, and no longer than the script lives.
    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while !self.ready.exists() {
            if let Some(status) = self.script.try_wait()? {
                anyhow::bail!("bench_services.py: {status}");
            }
            ensure!(begun.elapsed() < PATIENCE, "not ready after {} s", PATIENCE.as_secs());
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // it says itself what went wrong
        drop(self.script.wait());
    }
}

/// Builds what is measured, as it is installed.
///
/// # Errors
/// When it does not build.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let build = "build --profile dist -p volume-transfer -p peer-bench";
    process::run(&mut workspace.cargo(build.split(' ')))
}

/// Where that is.
pub(crate) fn program(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target.join("dist").join(name)
}
