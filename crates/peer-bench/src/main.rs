//! The command line of `cargo xtask bench-peers`: measures on a ground that is up, and reports.
#![expect(clippy::print_stdout, reason = "this program speaks to a terminal")]

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

use peer_bench::{Bound, GROUNDS, Plan, Ready, complete};

/// Measures block storages side by side.
#[derive(Debug, Parser)]
#[command(name = "peer-bench")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure on a ground that is up
    Measure {
        /// What the script has written once all was up
        #[arg(long, value_name = "FILE")]
        ground: PathBuf,
        /// Rounds at each concurrency
        #[arg(long, value_name = "N")]
        rounds: usize,
        /// About how long a batch takes
        #[arg(long, value_name = "S")]
        seconds: f64,
        /// How many operations a batch has, in the place of a time
        #[arg(long, value_name = "N")]
        operations: Option<usize>,
        /// Requests at once, one after the other
        #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1, 8, 32])]
        concurrency: Vec<usize>,
        /// Keys of the floor; without it only the growth of what is there is measured
        #[arg(long, value_name = "N")]
        keys: Option<usize>,
        /// Leave upstream, which takes the most time, out
        #[arg(long)]
        without_upstream: bool,
        /// Where the figures go
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Show figures of growth
    Growth {
        /// The database's name, and the figures
        #[arg(long, value_names = ["NAME", "FILE"], num_args = 2)]
        of: Vec<String>,
        /// Where all figures go
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Join figures; show them
    Report {
        /// Figures of a real Keystone and Barbican
        #[arg(long, value_name = "FILE")]
        real: Option<PathBuf>,
        /// Figures of the simulator
        #[arg(long, value_name = "FILE")]
        simulated: Option<PathBuf>,
        /// Where all figures go
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Where the plot goes
        #[arg(long, value_name = "FILE")]
        plot: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Measure {
            ground,
            rounds,
            seconds,
            operations,
            concurrency,
            keys,
            without_upstream,
            to,
        } => {
            let bound = operations.map_or(Bound::Seconds(seconds), Bound::Operations);
            let ready = Ready::read(&ground)?;
            let keys_of_floor = keys.unwrap_or_default();
            let plan = Plan {
                concurrencies: concurrency,
                bound,
                rounds,
                keys: keys_of_floor,
                without_upstream,
            };
            let tell = |figures: &Value| write(&to, &pretty(figures)?);
            match keys {
                Some(_) => peer_bench::measure(&ready, plan, tell).await,
                None => peer_bench::grow(&ready, plan, tell).await,
            }
        }
        Task::Growth { of, json } => {
            let mut document = Map::new();
            for pair in of.chunks_exact(2) {
                document.insert(pair[0].clone(), read(Path::new(&pair[1]))?);
            }
            print!("{}", peer_bench::growth_table(&document));
            keep(json.as_deref(), document)
        }
        Task::Report { real, simulated, json, plot } => {
            let mut document = Map::new();
            for (name, file) in GROUNDS.into_iter().zip([real, simulated]) {
                if let Some(file) = file {
                    document.insert(name.to_owned(), read(&file)?);
                }
            }
            complete(&mut document);
            print!("{}", peer_bench::table(&document));
            write(&plot, &peer_bench::plot(&document))?;
            println!("plot: {}", plot.display());
            keep(json.as_deref(), document)
        }
    }
}

fn keep(json: Option<&Path>, document: Map<String, Value>) -> Result<()> {
    match json {
        Some(json) => write(json, &pretty(&Value::Object(document))?),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
