//! The checks as commands; `cargo xtask bulk`, `overload` and `audit-growth` run this.
#![expect(clippy::print_stdout, reason = "these commands speak to a terminal")]

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use transfer_load::{Report, audit, bulk, overload};

/// The service and `bulk` under load.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    check: Check,
}

#[derive(Debug, Subcommand)]
enum Check {
    /// A bulk of encrypted volumes that is killed at random: does each arrive once, and does the
    /// service's memory stay small?
    #[command(after_help = "Examples:
  cargo xtask bulk
  cargo xtask bulk --volumes 10000 --kills 0 --json bulk.json
      what the service holds after each tenth is in service_mib

Exits with 0 only if nothing was found.")]
    Bulk {
        #[command(flatten)]
        plan: bulk::Plan,
        #[command(flatten)]
        how: How,
    },
    /// More clients than a slow Barbican can serve: is each told so, and served afterwards?
    #[command(after_help = "Examples:
  cargo xtask overload
  cargo xtask overload --clients 1500 --delay-ms 4000 --json overload.json

Exits with 0 only if nothing was found.")]
    Overload {
        #[command(flatten)]
        plan: overload::Plan,
        #[command(flatten)]
        how: How,
    },
    /// An audit of very many volumes: does it find what is planted and nothing else, and does its
    /// memory stay small?
    #[command(after_help = "Examples:
  cargo xtask audit-growth
  cargo xtask audit-growth --volumes 10000 --json audit.json
  VOLUME_TRANSFER_TEST_DATABASE=$(cat target/services/mariadb/url) cargo xtask audit-growth
      on a server that `cargo xtask services up` has started

Exits with 0 only if nothing was found.")]
    AuditGrowth {
        #[command(flatten)]
        plan: audit::Plan,
        #[command(flatten)]
        how: How,
    },
}

/// What is run, and where it is told.
#[derive(Args, Debug)]
struct How {
    /// The program whose `serve` and `bulk` are run [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Write the figures here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().check {
        Check::Bulk { plan, how } => how.tell(&bulk::run(&plan, &how.binary()?).await?),
        Check::AuditGrowth { plan, how } => how.tell(&audit::run(&plan, &how.binary()?).await?),
        Check::Overload { plan, how } => how.tell(&overload::run(&plan, &how.binary()?).await?),
    }
}

impl How {
    fn binary(&self) -> anyhow::Result<PathBuf> {
        let beside = || std::env::current_exe().context("where is this program?");
        self.binary.clone().map_or_else(|| Ok(beside()?.with_file_name("volume-transfer")), Ok)
    }

    fn tell(&self, report: &impl Report) -> anyhow::Result<ExitCode> {
        // By way of a value, so that figures are told as short as they are.
        let figures: Value = serde_json::to_value(report)?;
        let text = serde_json::to_string_pretty(&figures)?;
        println!("{text}");
        if let Some(path) = &self.json {
            std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
        }
        let clean = report.findings().is_empty();
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
