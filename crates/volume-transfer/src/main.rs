//! The command line: what each command is called, and what its exit code means.
//!
//! Exit codes: 0 success, 1 the command found or met something wrong, 2 wrong usage or settings.

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use volume_transfer::check::{self, CheckOptions};
use volume_transfer::demo::{self, Show};
use volume_transfer::dev_stack::{self, StackOptions};
use volume_transfer::listening::stop_on_signals;
use volume_transfer::ready::Ready;
use volume_transfer::settings::Settings;
use volume_transfer::{recover, service};

/// Hands encrypted OpenStack volumes from one project to another, with their key.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    /// How logs are written to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  volume-transfer demo                     watch encrypted volumes change hands
  volume-transfer check                    prove that no interleaving harms them
  volume-transfer serve --dev --clouds clouds.yaml
                                           a stack for the OpenStack clients
  volume-transfer serve --help             the service beside a real Keystone and Barbican

RUST_LOG=debug shows more, RUST_LOG=warn less.";

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Play through offers, accepts, cancels and a crash, and check who owns each key
    #[command(after_help = "Examples:
  volume-transfer demo
  volume-transfer demo --json | jq .consistent

Exits with 0 only if every invariant held after every scene.")]
    Demo {
        /// One JSON document instead of tables
        #[arg(long)]
        json: bool,
        /// What ids and keys follow from
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
    },
    /// Check the protocol in every interleaving, or see how a known-bad one fails
    #[command(after_help = "Examples:
  volume-transfer check           every interleaving with two faults and two crashes
  volume-transfer check --protocol upstream --report report.html
  volume-transfer check --json | jq .verdict
  volume-transfer check --replay model/upstream-failed-delete/0.0.0.0.1.0

Exits with 0 only if every invariant holds, everything that must come about did, and every
known-bad protocol was rejected; with 1 otherwise.")]
    Check(CheckOptions),
    /// Run the transfer service, or with --dev a whole stack around it
    #[command(after_help = "Examples:
  volume-transfer serve --dev --clouds clouds.yaml
      then: openstack --os-cloud donor --os-volume-api-version 3.70 volume list
  volume-transfer serve --dev --ephemeral --ready-file ready.json --state-dir state
  VOLUME_TRANSFER_PASSWORD=… volume-transfer serve --database postgresql://cinder@db/cinder \\
      --auth-url http://127.0.0.1:5000/v3 --username cinder --project-name service

The settings can also stand in a file, with underscores: auth_url = \"…\" (--config serve.toml).
VOLUME_TRANSFER_PASSWORD or OS_APPLICATION_CREDENTIAL_SECRET holds the secret, unless a file does.
--state-dir, --clouds, --port-base, --ephemeral, --password, --seed and --barbican-policy are for
--dev.")]
    Serve {
        /// Run Keystone, Barbican and a small block storage, too, for development
        #[arg(long)]
        dev: bool,
        /// Settings, as TOML; flags and the environment go before it
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        settings: Box<Settings>,
        #[command(flatten)]
        stack: StackOptions,
    },
    /// Run the simulated Keystone and Barbican alone
    #[command(after_help = "Examples:
  volume-transfer simulate --clouds clouds.yaml
      then: openstack --os-cloud donor secret store --payload hello
  volume-transfer simulate --ephemeral --ready-file ready.json
  volume-transfer simulate --barbican-policy legacy")]
    Simulate {
        #[command(flatten)]
        stack: StackOptions,
    },
    /// One pass of recovery: end what crashed drivers left, pay the service's debts, report
    #[command(after_help = "Examples:
  volume-transfer recover --config serve.toml
  volume-transfer recover --config serve.toml --json | jq .owed

Exits with 1 while something stays to be done, for instance a debt that only its project can pay.")]
    Recover {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
        /// Settings, as TOML; flags and the environment go before it
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logs(cli.log_format, default_level(&cli.command));
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(run(cli.command)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo { json, seed } => {
            let binary = std::env::current_exe().context("where is this program?")?;
            let show = if json { Show::Json } else { Show::Tables };
            Ok(exit(demo::run(binary, show, seed).await?))
        }
        Command::Check(options) => {
            let checked = tokio::task::spawn_blocking(move || check::run(&options));
            Ok(exit(checked.await.context("the check has panicked")??))
        }
        Command::Serve { dev, config, settings, stack } => {
            let settings = merged(*settings, config)?;
            let stop = stop_on_signals()?;
            if dev {
                dev_stack::run(&stack, settings, stop, announce).await?;
            } else {
                service::run(&settings, stack.ready_file.as_deref(), stop).await?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Simulate { stack } => {
            dev_stack::run_simulator(&stack, stop_on_signals()?, announce).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Recover { json, config, settings } => {
            let report = recover::run(&merged(*settings, config)?).await?;
            print_report(&report, json)?;
            Ok(exit(report.is_clean()))
        }
    }
}

fn merged(flags: Settings, file: Option<PathBuf>) -> anyhow::Result<Settings> {
    match file {
        Some(path) => Ok(flags.over(Settings::from_file(&path)?)),
        None => Ok(flags),
    }
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn announce(urls: &Ready) {
    tracing::info!(
        identity = urls.identity,
        key_manager = urls.key_manager,
        block_storage = urls.block_storage,
        "ready"
    );
}

fn print_report(report: &recover::Report, json: bool) -> anyhow::Result<()> {
    use anstream::println;
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    let payments = report.recovered.payments;
    println!("taken over and aborted: {}", report.recovered.taken_over);
    println!(
        "debts of the service:   {} paid, {} refused, {} unknown",
        payments.paid, payments.refused, payments.unknown
    );
    println!("still under way:        {}", report.under_way);
    for (authority, count) in &report.owed {
        println!("owed by {authority}: {count} (paid at its next request)");
    }
    Ok(())
}

/// What is logged unless RUST_LOG says otherwise: the demo tells its story itself, and a check lets
/// things go wrong all the time.
fn default_level(command: &Command) -> &'static str {
    match command {
        Command::Check(_) => "off",
        Command::Demo { .. } => "error",
        Command::Serve { .. } | Command::Simulate { .. } | Command::Recover { .. } => "info",
    }
}

fn init_logs(format: LogFormat, default: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            use std::io::IsTerminal as _;
            logs.with_ansi(std::io::stderr().is_terminal()).init();
        }
        LogFormat::Json => logs.json().init(),
    }
}
