//! The command line: what each command is called, and what its exit code means.
//!
//! Exit codes: 0 success, 1 the command found or met something wrong, 2 wrong usage or settings, 75
//! something was out of reach that may be back later.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;
use transfer_engine::Payments;
use volume_transfer::audit::{self, CloudOptions, LookOptions};
use volume_transfer::bulk::{self, BulkOptions, Ended};
use volume_transfer::check::{self, CheckOptions};
use volume_transfer::demo::{self, Show};
use volume_transfer::dev_stack::{self, StackOptions};
use volume_transfer::listening::stop_on_signals;
use volume_transfer::logs::LogFormat;
use volume_transfer::ready::{Ready, SimulatorReady};
use volume_transfer::repair::{self, RepairOptions};
use volume_transfer::settings::SettingsArgs;
use volume_transfer::{config, recover, service};

/// Schedules and requests make many small allocations that live briefly: a good part of their time
/// with the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `serve` has not begun because of something that may pass: a database, a Keystone or a port that
/// is not to be had now; or an outage has ended a `bulk` (EX_TEMPFAIL of sysexits.h).
const OUT_OF_REACH: u8 = 75;

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
  volume-transfer serve --help             the service beside a real Cinder
  volume-transfer config                   what counts of its cinder.conf, and why

RUST_LOG=debug shows more, RUST_LOG=warn less.";

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
  volume-transfer check           every interleaving with two faults and two crashes: minutes
  volume-transfer check --protocol upstream --report report.html
  volume-transfer check --json | jq .verdict
  volume-transfer check --replay model/upstream-failed-delete/0.0.0.0.1.0

Exits with 0 only if every invariant holds, everything that must come about did, and every
known-bad protocol was rejected; with 1 if not; with 2 if it could not be done. docs/check.md says
what is covered, and what is not.")]
    Check(CheckOptions),
    /// Run the transfer service, or with --dev a whole stack around it
    #[command(after_help = "Examples:
  volume-transfer serve --dev --clouds clouds.yaml
      then: openstack --os-cloud donor --os-volume-api-version 3.70 volume list
  volume-transfer serve --dev --ephemeral --ready-file ready.json --state-dir state
  volume-transfer serve --config-file /etc/cinder/cinder.conf --listen 127.0.0.1:8778
  VOLUME_TRANSFER_PASSWORD=… volume-transfer serve --database postgresql://cinder@db/cinder \\
      --auth-url http://127.0.0.1:5000/v3 --username cinder --project-name service

Flags go before the environment, and the environment before cinder.conf; `volume-transfer config`
shows every option and what counts. Options that Cinder does not have stand in [volume_transfer].
VOLUME_TRANSFER_PASSWORD or OS_APPLICATION_CREDENTIAL_SECRET holds the secret, unless a file does.
With --dev, cinder.conf is read only where it is named.
Exits with 2 if a setting is wrong, with 75 if the database, Keystone or the port is not to be had.
--state-dir, --clouds, --port-base, --ephemeral, --password, --seed, --host, --control, --fault,
--scenario and --barbican-policy are for --dev.")]
    Serve {
        /// Run Keystone, Barbican and a small block storage, too, for development
        #[arg(long)]
        dev: bool,
        #[command(flatten)]
        settings: SettingsArgs,
        #[command(flatten)]
        stack: StackOptions,
    },
    /// Run the simulated Keystone and Barbican alone
    #[command(after_help = "Examples:
  volume-transfer simulate --clouds clouds.yaml
      then: openstack --os-cloud donor secret store --payload hello
  volume-transfer simulate --ephemeral --ready-file ready.json
  volume-transfer simulate --barbican-policy legacy
  volume-transfer simulate --control
      then: open http://127.0.0.1:5000/ in a browser
  volume-transfer simulate --fault 'barbican POST /v1/secrets nth=3 status=503'
  volume-transfer simulate --seed 7 --fault 'barbican standing probability=0.05 drop_after'
  volume-transfer simulate --scenario expiring.toml

A rule is a service (keystone, barbican, block_storage), then in any order
  a method, a path such as /v1/secrets/{id}/payload, project=NAME, user=NAME
      which requests it fits: all, if nothing is said
  nth=N, standing, probability=P
      when it strikes: once, at the first; or the n-th; or again and again from there; or so often
  status=N with retry_after=S, delay_ms=N or N..M, hold_before, hold_after, drop_before, drop_after,
  garbage, cut, late=unavailable, late=drop, expire_token
      what happens; a held request goes on when --control or a scenario lets it

A scenario in TOML has `seed`, `time`, and `[[steps]]` with `when` (a request, said as above),
`clear_faults`, `advance_seconds` and `faults` (rules).")]
    Simulate {
        #[command(flatten)]
        stack: StackOptions,
    },
    /// Move many volumes from one project to another
    #[command(after_help = "Examples:
  volume-transfer bulk --from donor --to recipient --all --dry-run
  volume-transfer bulk --from donor --to recipient --name 'import-*' --jobs 16
  volume-transfer bulk --from donor --to recipient --list volumes.csv --journal monday.journal
      interrupted or killed: say the same again, and it goes on where it was
  volume-transfer bulk --from donor --to recipient --journal monday.journal --take-back
      or leave it: what is still on offer is the donor's again

Speaks the public API of microversion 3.70 alone. The journal holds auth keys of open offers, with
mode 0600, and no longer once they have ended.

Ctrl-C, SIGTERM and SIGHUP let volumes under way finish; a Ctrl-C after that stops at once.

Exits with 0 only if all volumes have arrived (with --dry-run: if nothing stands in the way; with
--take-back: if no offer of the run is left), with 1 if not, with 2 if nothing was begun with, with
75 if a service did not answer for too long: say the same again later. A second Ctrl-C: 130.")]
    Bulk(BulkOptions),
    /// One pass of recovery: end what crashed drivers left, pay the service's debts, report
    #[command(after_help = "Examples:
  volume-transfer recover --config-file /etc/cinder/cinder.conf
  volume-transfer recover --json | jq .owed
  volume-transfer recover --cloud donor
      pays what the project of this cloud owes, too, and takes its expired offers back

Exits with 1 while something stays to be done, for instance a debt that only its project can pay.")]
    Recover {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        clouds: CloudOptions,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Find what is wrong with keys, offers and records; change nothing
    #[command(after_help = "Examples:
  volume-transfer audit --config-file /etc/cinder/cinder.conf
  volume-transfer audit --cloud donor --cloud recipient
      with what only these projects can tell
  volume-transfer audit --json | jq -r '.findings[] | [.kind, .volume, .secret] | @tsv'

Takes the flags and variables of serve. docs/audit.md says what each finding means. Whose a key is
only its project can tell; what nobody who looked could see is counted as not visible.

Exits with 0 if nothing wrong was seen, with 1 if something was or was not answered.")]
    Audit {
        #[command(flatten)]
        look: LookOptions,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Say what can be done about what audit finds, and with --apply do it
    #[command(after_help = "Examples:
  volume-transfer repair --cloud donor --cloud recipient
      says what it would do
  volume-transfer repair --cloud donor --cloud recipient --apply
  volume-transfer repair --cloud donor --item 2f5c9a0e-5f0b-4f3e-8a44-6f3f5d0e9b22 --apply

Takes the flags and variables of serve. A key goes to a project with the credentials of that
project, so its cloud has to be named. A volume is restored by a hand-over: whenever it is
interrupted, recovery ends it. A key that is gone everywhere is reported as lost and left.

Exits with 0 if nothing is left, with 1 if something is, or would be mended; with 2 if nothing is
found about an --item.")]
    Repair {
        #[command(flatten)]
        repair: RepairOptions,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Show every option with its value and where that comes from; secrets are masked
    #[command(after_help = "Examples:
  volume-transfer config
  volume-transfer config --config-file cinder.conf --config-dir cinder.conf.d
  volume-transfer config --json | jq '.[] | select(.origin != \"default\")'

Takes the flags and variables of serve. Exits with 2 if serve would not take the settings.")]
    Config {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(run(cli.command, cli.log_format)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

/// Says on the standard error what went wrong, if anybody can hear it.
fn complain(error: &anyhow::Error) {
    let _ = writeln!(anstream::stderr(), "error: {error:#}");
}

async fn run(command: Command, logs: LogFormat) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo { json, seed } => {
            // the demo tells its story itself
            logs.begin("error");
            let binary = std::env::current_exe().context("where is this program?")?;
            let show = if json { Show::Json } else { Show::Tables };
            Ok(exit(demo::run(binary, show, seed).await?))
        }
        Command::Check(options) => {
            // a check lets things go wrong all the time
            logs.begin("off");
            let checked = tokio::task::spawn_blocking(move || check::run(&options));
            Ok(exit(checked.await.context("the check has panicked")??))
        }
        Command::Serve { dev, settings, stack } => {
            let settings = if dev { settings.settings_alone()? } else { settings.settings()? };
            let traces = logs.begin_as(&settings)?;
            let stop = stop_on_signals()?;
            let served = if dev {
                dev_stack::run(&stack, settings, stop, announce).await
            } else {
                service::run(&settings, stack.ready_file.as_deref(), stop).await
            };
            traces.end().await;
            or_out_of_reach(served.map(|()| ExitCode::SUCCESS))
        }
        Command::Simulate { stack } => {
            logs.begin("info");
            dev_stack::run_simulator(&stack, stop_on_signals()?, announce_simulator).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Bulk(options) => {
            logs.begin("error");
            or_out_of_reach(bulk::run(&options).await.map(|ended| match ended {
                Ended::Complete => exit(true),
                Ended::Incomplete => exit(false),
                Ended::OutOfReach => ExitCode::from(OUT_OF_REACH),
            }))
        }
        Command::Recover { json, clouds, settings } => {
            let settings = settings.settings()?;
            let traces = logs.begin_as(&settings)?;
            let report = recover::run(&settings, &clouds).await;
            traces.end().await;
            let report = report?;
            print_report(&report, json)?;
            Ok(exit(report.is_clean()))
        }
        Command::Audit { look, settings } => {
            logs.begin("error");
            Ok(exit(audit::run(&settings.settings()?, &look).await?))
        }
        Command::Repair { repair, settings } => {
            logs.begin("error");
            Ok(exit(repair::run(&settings.settings()?, &repair).await?))
        }
        Command::Config { json, settings } => {
            logs.begin("off");
            let settings = settings.settings()?;
            config::print(&settings, json)?;
            service::check_settings(&settings)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Nothing has begun because of what may pass: told, and told apart by the exit code.
fn or_out_of_reach(outcome: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    match outcome {
        Err(error) if service::is_out_of_reach(&error) => {
            complain(&error);
            Ok(ExitCode::from(OUT_OF_REACH))
        }
        outcome => outcome,
    }
}

fn announce(urls: &Ready) {
    tracing::info!(
        identity = urls.identity,
        key_manager = urls.key_manager,
        block_storage = urls.block_storage,
        "ready"
    );
}

fn announce_simulator(SimulatorReady { identity, key_manager }: &SimulatorReady) {
    tracing::info!(identity, key_manager, "ready");
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
    for (who, Payments { paid, refused, unknown }) in &report.paid_by {
        println!("debts by {who}: {paid} paid, {refused} refused, {unknown} unknown");
    }
    println!("still under way:        {}", report.under_way);
    println!("expired offers:         {}", report.expired_offers);
    for (authority, count) in &report.owed {
        println!("owed by {authority}: {count} (paid at its next request)");
    }
    Ok(())
}
