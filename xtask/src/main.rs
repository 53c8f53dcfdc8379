//! `cargo xtask`: the project's habits as commands.
//!
//! `ci` runs all of them; each can be run alone. A tool that is missing is named, with the way to
//! get it. Nothing here is needed for `cargo test --workspace` or the demo.
#![expect(clippy::print_stdout, reason = "these commands speak to a terminal")]

mod bench;
mod bench_growth;
mod bench_peers;
mod bench_simulator;
mod chaos;
mod ci;
mod conformance;
mod fuzz;
mod load;
mod mutants;
mod page;
mod process;
mod readme;
mod services;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's habits.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything that must hold before a change is merged
    Ci(ci::Options),
    /// The house rules: shape of files, arrows between crates, pages that keep up with the code
    Tidy,
    /// Fuzzes a target, or every target in turn
    Fuzz(fuzz::Options),
    /// Small changes to the heart of the protocol, each of which must make a test fail
    Mutants(mutants::Options),
    /// The real clients, and real Keystone and Barbican
    Conformance {
        #[command(subcommand)]
        suite: conformance::Suite,
    },
    /// The benchmarks, and docs/benchmarks.md of what they found
    Bench(bench::Options),
    /// Upstream's cinder-api and this service side by side, and the least that Barbican asks for
    BenchPeers(bench_peers::Options),
    /// The service beside ever more rows, in more replicas, for more clients
    BenchGrowth(bench_growth::Options),
    /// How soon `simulate` answers, how much a second, and that its memory does not grow
    BenchSimulator(bench_simulator::Options),
    /// A MariaDB and a PostgreSQL for the tests
    Services {
        #[command(subcommand)]
        action: services::Action,
    },
    /// Replicas killed and paused, Barbican failing, the database restarted: is every answer true?
    Chaos(chaos::Options),
    /// A bulk of encrypted volumes, killed at random: does each arrive once, in little memory?
    #[command(disable_help_flag = true)]
    Bulk(load::Options),
    /// More clients than a slow Barbican can serve: is each told so, and served afterwards?
    #[command(disable_help_flag = true)]
    Overload(load::Options),
    /// An audit of a million volumes: does it find all that is planted, in little memory?
    #[command(disable_help_flag = true)]
    AuditGrowth(load::Options),
    /// The page of check --report in a browser
    Page,
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let done = Workspace::locate().and_then(|workspace| match task {
        Task::Ci(options) => ci::run(&workspace, &options),
        Task::Tidy => tidy::run(&workspace),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::Mutants(options) => mutants::run(&workspace, &options),
        Task::Conformance { suite } => conformance::run(&workspace, &suite),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::BenchPeers(options) => bench_peers::run(&workspace, &options),
        Task::BenchGrowth(options) => bench_growth::run(&workspace, &options),
        Task::BenchSimulator(options) => bench_simulator::run(&workspace, &options),
        Task::Services { action } => services::run(&workspace, &action),
        Task::Chaos(options) => chaos::run(&workspace, &options),
        Task::Bulk(options) => load::run(&workspace, "bulk", &options),
        Task::Overload(options) => load::run(&workspace, "overload", &options),
        Task::AuditGrowth(options) => load::run(&workspace, "audit-growth", &options),
        Task::Page => page::run(&workspace),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
