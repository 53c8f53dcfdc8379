//! `cargo xtask chaos`: replicas killed and paused, Barbican failing, the database restarted, and
//! clients who check every answer.
//!
//! `transfer-chaos` is what plays and judges; this builds it, gives it servers of its own, restarts
//! them when it asks, and adds up its figures. docs/chaos.md tells what is done and how to read it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::process;
use crate::services::Server;
use crate::workspace::Workspace;

/// The figures that are summed over the runs, and those of them that must be 0.
const SUMMED: [&str; 6] =
    ["operations", "kills", "pauses", "inconsistent", "untrue_answers", "left_over"];
const WRONG: [&str; 3] = ["inconsistent", "untrue_answers", "left_over"];

/// How it is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// On this database alone [default: one run on mariadb, one on postgresql]
    #[arg(long, value_enum)]
    database: Option<Database>,
    /// How many replicas of the service
    #[arg(long, default_value_t = 3, value_name = "N")]
    replicas: u32,
    /// How many clients
    #[arg(long, default_value_t = 8, value_name = "N")]
    clients: u32,
    /// How many offers, accepts and cancels in each run
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    operations: u32,
    /// What choices and faults follow from
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Write the figures here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// 300 operations, and one restart of the database
    #[arg(long, conflicts_with = "operations")]
    quick: bool,
}

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Database {
    Mariadb,
    Postgresql,
    Sqlite,
}

impl Options {
    /// As the ci step runs it.
    pub(crate) fn quick() -> Self {
        Self {
            database: None,
            replicas: 3,
            clients: 8,
            operations: 10_000,
            seed: 0,
            json: None,
            quick: true,
        }
    }

    fn length(&self) -> (u32, u32) {
        if self.quick { (300, 1) } else { (self.operations, 2) }
    }
}

/// Runs it.
///
/// # Errors
/// When it cannot be run, or something was wrong.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let build = "build --release -p volume-transfer -p transfer-chaos";
    process::run(&mut workspace.cargo(build.split(' ')))?;
    let databases = match options.database {
        Some(database) => vec![database],
        None => vec![Database::Mariadb, Database::Postgresql],
    };
    let mut runs = Vec::new();
    for database in databases {
        runs.push(play(workspace, options, database)?);
    }
    let figures = sum(runs);
    let text = serde_json::to_string_pretty(&figures)?;
    println!("{text}");
    if let Some(path) = &options.json {
        fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    let wrong = WRONG.into_iter().filter(|name| figures[*name] != json!(0));
    let wrong: Vec<_> = wrong.collect();
    ensure!(wrong.is_empty(), "chaos has found something: {}", wrong.join(", "));
    Ok(())
}

/// One run, on a server that is made for it.
fn play(workspace: &Workspace, options: &Options, database: Database) -> Result<Value> {
    let directory = workspace.target.join("chaos");
    let server = match database {
        Database::Mariadb => Some(Server::mariadb(&directory)),
        Database::Postgresql => Some(Server::postgresql(&directory)),
        Database::Sqlite => None,
    };
    fs::create_dir_all(&directory)?;
    let Some(server) = server else {
        return play_on(workspace, options, &directory, None).map(|run| named(run, "sqlite"));
    };
    server.up()?;
    let played = play_on(workspace, options, &directory, Some(&server));
    let ended = server.down().and_then(|()| server.wipe());
    let run = played?;
    ended.map(|()| named(run, server.name()))
}

fn play_on(
    workspace: &Workspace,
    options: &Options,
    directory: &Path,
    server: Option<&Server>,
) -> Result<Value> {
    let built = workspace.target.join("release");
    let report = directory.join(format!("{}.json", server.map_or("sqlite", Server::name)));
    let (operations, restarts) = options.length();
    let restarts = if server.is_some() { restarts } else { 0 };
    let url = server.map(Server::url).transpose()?.flatten().unwrap_or_default();
    let mut command = workspace.command(built.join("transfer-chaos"));
    command.arg("--binary").arg(built.join("volume-transfer")).arg("--report").arg(&report);
    for (name, value) in [
        ("--replicas", u64::from(options.replicas)),
        ("--clients", u64::from(options.clients)),
        ("--operations", u64::from(operations)),
        ("--seed", options.seed),
        ("--restarts", u64::from(restarts)),
    ] {
        command.args([name, &value.to_string()]);
    }
    command.env("VOLUME_TRANSFER_TEST_DATABASE", url);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let shown = process::shown(&command);
    println!("$ {shown}");
    let mut child = command.spawn().with_context(|| shown.clone())?;
    let (Some(mut told), Some(asked)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("{shown}: no pipes");
    };
    for line in BufReader::new(asked).lines() {
        let (line, Some(server)) = (line?, server) else { continue };
        ensure!(line == "restart", "{shown} says {line}");
        eprintln!("{} is restarted", server.name());
        server.down()?;
        server.up()?;
        writeln!(told, "restarted")?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{shown}: {status}");
    let text = fs::read_to_string(&report)?;
    Ok(serde_json::from_str(&text)?)
}

fn named(mut run: Value, database: &str) -> Value {
    run["database"] = json!(database);
    run
}

/// The figures of all runs, and the runs.
fn sum(runs: Vec<Value>) -> Value {
    let mut figures = Map::new();
    for name in SUMMED {
        let total: u64 = runs.iter().filter_map(|run| run[name].as_u64()).sum();
        figures.insert(name.to_owned(), json!(total));
    }
    figures.insert("runs".to_owned(), Value::Array(runs));
    Value::Object(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_and_runs_are_kept() {
        let run = |database: &str, untrue| {
            let mut run = json!({"seed": 1});
            for (index, name) in SUMMED.into_iter().enumerate() {
                run[name] = json!(index);
            }
            run["untrue_answers"] = json!(untrue);
            named(run, database)
        };
        let figures = sum(vec![run("mariadb", 0), run("postgresql", 1)]);
        assert_eq!(figures["kills"], json!(2));
        assert_eq!(figures["untrue_answers"], json!(1));
        assert_eq!(figures["runs"][1]["database"], json!("postgresql"));
    }
}
