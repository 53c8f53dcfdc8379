//! Replicas of the service that are killed and paused, a Barbican that fails, a database that is
//! restarted, and clients who check that nothing of it matters. `cargo xtask chaos` runs this.
//!
//! The database is a fresh one on the server that `VOLUME_TRANSFER_TEST_DATABASE` names, else
//! SQLite. Whoever runs this restarts that server: a line `restart` on standard output asks for it,
//! and the next line on standard input says that it is up again.
#![expect(clippy::print_stdout, reason = "standard output asks for restarts")]

mod client;
mod fleet;
mod judge;
mod record;
mod report;
mod run;
mod verdict;

use anyhow::{Context as _, ensure};
use clap::Parser;
use std::path::PathBuf;

/// One run.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program whose `serve` is run
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// How many replicas of it
    #[arg(long, default_value_t = 3, value_name = "N")]
    replicas: usize,
    /// How many clients
    #[arg(long, default_value_t = 8, value_name = "N")]
    clients: u64,
    /// How many offers, accepts and cancels
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    operations: u64,
    /// What choices and faults follow from
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// How often the database is restarted
    #[arg(long, default_value_t = 0, value_name = "N")]
    restarts: u64,
    /// Where the figures are written, as JSON
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
}

/// Asks whoever started this program.
struct Parent;

impl run::Restart for Parent {
    async fn restart(&mut self) -> anyhow::Result<()> {
        println!("restart");
        let read = || std::io::stdin().read_line(&mut String::new());
        let length = tokio::task::spawn_blocking(read).await??;
        ensure!(length > 0, "there is nobody who would restart it");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { binary, replicas, clients, operations, seed, restarts, report } =
        Arguments::parse();
    let plan = run::Plan { binary, replicas, clients, operations, seed, restarts };
    let figures = run::run(plan, &mut Parent).await?;
    let text = serde_json::to_string_pretty(&figures)?;
    std::fs::write(&report, text + "\n").with_context(|| report.display().to_string())
}
