//! `cargo xtask bench-simulator`: how soon `simulate` answers, how much it is asked in a second
//! beside a real Barbican, and what it holds in memory after how many requests.
//!
//! The release binary runs as a process of its own and is asked over sockets. The real Barbican
//! stands on MariaDB, in two processes, and has a real Keystone; both are asked in turns, by the
//! same client over as many connections. What was promised and does not hold fails the command.

mod figures;
mod lane;
mod simulate;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::bench_peers::{Up, script};
use crate::conformance::{binary, empty, environment};
use crate::services;
use crate::workspace::Workspace;
use figures::{Figures, Held, Rate, median};
use lane::Lane;
use simulate::Simulate;

/// Connections that ask at the same time.
const LANES: usize = 4;
/// At which parts of all requests the memory is looked at, in percent.
const MARKS: [usize; 6] = [1, 10, 50, 65, 80, 100];
/// Requests of a round of what fills the memory: log in, store, read, delete.
const ROUND: usize = 4;

/// How much to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often to start it
    #[arg(long, value_name = "N", default_value_t = 30)]
    starts: usize,
    /// How often each side is asked for each kind of request
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// How long, each time
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    seconds: f64,
    /// After how many requests the memory is looked at last
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    requests: usize,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures, and prints what was found and what of it does not hold.
///
/// # Errors
/// When a service does not start or answers wrongly, or the simulator does not keep a promise.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let binary = binary(workspace)?;
    let directory = empty(&workspace.target.join("bench-simulator"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let starts_ms = runtime.block_on(starts(&binary, &directory, options.starts.max(1)))?;
    let mut figures = Figures { starts_ms, ..Figures::default() };
    println!("{}", figures.told_starts());
    let real = Real::start(workspace, &directory)?;
    figures.rates = runtime.block_on(async {
        let simulate = Simulate::start(&binary, &directory).await?;
        rates(&Side::from(&simulate), &real.side, options).await
    })?;
    drop(real);
    for rate in &figures.rates {
        println!("{rate}");
    }
    figures.memory = runtime.block_on(async {
        memory(&Simulate::start(&binary, &directory).await?, options.requests).await
    })?;
    if let Some(path) = &options.json {
        figures.write(path)?;
    }
    let problems = figures.problems();
    for problem in &problems {
        println!("does not hold: {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        count => bail!("{count} promises of the simulator do not hold"),
    }
}

/// From the start of the process to the first reply, in milliseconds.
async fn starts(binary: &Path, directory: &Path, count: usize) -> Result<Vec<f64>> {
    let mut spans = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let simulate = Simulate::start(binary, directory).await?;
        Lane::open(&simulate.identity).await?.versions().await?;
        spans.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(spans)
}

/// A Keystone and a Barbican, without versions.
struct Side {
    identity: String,
    key_manager: String,
}

impl From<&Simulate> for Side {
    fn from(simulate: &Simulate) -> Self {
        Self { identity: simulate.identity.clone(), key_manager: simulate.key_manager.clone() }
    }
}

/// The real ones, for as long as this lives.
struct Real {
    side: Side,
    _up: Up,
    _mariadb: services::Lent,
}

impl Real {
    fn start(workspace: &Workspace, directory: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Ready {
            keystone: String,
            barbican: String,
        }

        let mariadb = services::mariadb(workspace)?;
        let mut script = script(workspace)?;
        script.arg("--services").arg(environment(workspace, "services")?);
        script.arg("--server").arg(mariadb.server());
        let up = Up::start(script, &directory.join("real"))?;
        let ready: Ready = serde_json::from_slice(&std::fs::read(&up.ready)?)?;
        let identity = ready.keystone.trim_end_matches("/v3").to_owned();
        let side = Side { identity, key_manager: ready.barbican };
        Ok(Self { side, _up: up, _mariadb: mariadb })
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Kind {
    Payload,
    Store,
}

/// Requests in a second of both sides, in turns: the median of the rounds.
async fn rates(simulated: &Side, real: &Side, options: &Options) -> Result<Vec<Rate>> {
    let span = Duration::from_secs_f64(options.seconds);
    let mut rates = Vec::new();
    for (what, kind) in [("GET payload", Kind::Payload), ("POST secret", Kind::Store)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds.max(1) {
            theirs.push(rate(real, kind, span).await.context("the real Barbican")?);
            ours.push(rate(simulated, kind, span).await?);
        }
        rates.push(Rate { what, simulated: median(&ours), real: median(&theirs) });
    }
    Ok(rates)
}

/// Requests in a second, over so many connections, each waiting for its reply.
async fn rate(side: &Side, kind: Kind, span: Duration) -> Result<f64> {
    let token = Lane::open(&side.identity).await?.log_in().await?;
    let mut lanes = Vec::new();
    for _ in 0..LANES {
        lanes.push(Lane::open(&side.key_manager).await?);
    }
    let secret = lanes[0].store(&token).await?;
    // whatever a process does once, such as to look at a token, it has done
    for lane in &mut lanes {
        lane.payload(&token, &secret).await?;
    }
    let begun = Instant::now();
    let tasks = lanes.into_iter().map(|mut lane| {
        let (token, secret) = (token.clone(), secret.clone());
        tokio::spawn(async move {
            let mut count = 0_u32;
            while begun.elapsed() < span {
                match kind {
                    Kind::Payload => lane.payload(&token, &secret).await?,
                    Kind::Store => drop(lane.store(&token).await?),
                }
                count += 1;
            }
            anyhow::Ok(count)
        })
    });
    let mut count = 0;
    for task in tasks.collect::<Vec<_>>() {
        count += task.await??;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// Log in, store, read, delete: the memory after so many requests.
async fn memory(simulate: &Simulate, requests: usize) -> Result<Vec<Held>> {
    let mut found = Vec::new();
    let mut sent = 0;
    for mark in MARKS {
        let rounds = (requests * mark / 100 - sent) / (ROUND * LANES);
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let mut identity = Lane::open(&simulate.identity).await?;
            let mut key_manager = Lane::open(&simulate.key_manager).await?;
            lanes.push(tokio::spawn(async move {
                for _ in 0..rounds {
                    let token = identity.log_in().await?;
                    let secret = key_manager.store(&token).await?;
                    key_manager.payload(&token, &secret).await?;
                    key_manager.delete(&token, &secret).await?;
                }
                anyhow::Ok(())
            }));
        }
        for lane in lanes {
            lane.await??;
        }
        sent += rounds * ROUND * LANES;
        let held = Held { requests: sent, mib: simulate.resident_mib()? };
        println!("{held}");
        found.push(held);
    }
    Ok(found)
}
