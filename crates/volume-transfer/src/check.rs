//! `check`: every interleaving of the hand-over, and the protocols that it has to reject.
//!
//! The model is explored to closure (`transfer-model`), the real stack runs every schedule of every
//! pair and triple of operations (`transfer-schedules`), and every known-bad protocol has to be
//! rejected by the invariant that it is known to break: a check that cannot fail proves nothing.
//! Does not judge anything itself.

mod findings;
mod progress;
mod text;

pub use findings::{Findings, Rejected, Schedules, Verdict, World};

use anyhow::Context as _;
use progress::Bar;
use std::fs::File;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use transfer_model::{Protocol, Scenario, Setting, Trace, scenarios};
use transfer_schedules::Depth;

/// What is to be checked.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckOptions {
    /// Three faults and three crashes in the model, pairs and triples of operations on two keys on
    /// the real stack, however long it takes
    #[arg(long, conflicts_with_all = ["protocol", "replay", "quick"])]
    pub deep: bool,
    /// The model alone, with one fault or one crash: seconds
    #[arg(long, conflicts_with_all = ["protocol", "replay"])]
    pub quick: bool,
    /// Check this protocol instead: a known-bad one shows how it fails
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "replay",
        value_parser = known_protocol,
        long_help = protocols(),
    )]
    pub protocol: Option<Protocol>,
    /// Run one run again, from the text that a check printed of it
    #[arg(long, value_name = "STRING")]
    pub replay: Option<String>,
    /// One JSON document instead of text
    #[arg(long)]
    pub json: bool,
    /// Write a page that any browser opens, with diagrams and coverage
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Threads of the exploration
    #[arg(long, value_name = "N", default_value_t = threads(), value_parser = so_many_threads)]
    pub threads: NonZeroUsize,
}

/// More of them than that are a mistake.
const MOST_THREADS: usize = 1024;

fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn so_many_threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = text.parse().ok().and_then(NonZeroUsize::new);
    let threads = threads.filter(|threads| threads.get() <= MOST_THREADS);
    threads.ok_or_else(|| format!("write a number from 1 to {MOST_THREADS}"))
}

fn known_protocol(name: &str) -> Result<Protocol, String> {
    let known = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
    known.ok_or_else(|| format!("say one of: {}", names_of(&Protocol::ALL)))
}

fn protocols() -> String {
    let bad: Vec<_> =
        Protocol::ALL.into_iter().filter(|known| *known != Protocol::HandOver).collect();
    format!("Check this protocol instead: a known-bad one shows how it fails ({})", names_of(&bad))
}

fn names_of(protocols: &[Protocol]) -> String {
    let names: Vec<_> = protocols.iter().map(|protocol| protocol.name()).collect();
    names.join(", ")
}

/// Checks, reports, and says whether nothing is broken.
///
/// # Errors
/// When a text to replay is none, or the report cannot be written. That its file cannot be made is
/// said before the work begins.
pub fn run(options: &CheckOptions) -> anyhow::Result<bool> {
    let report = options.report.as_deref().map(create).transpose()?;
    let findings = if let Some(text) = &options.replay {
        Findings::of_run(replay(text)?)
    } else if let Some(protocol) = options.protocol.filter(|one| *one != Protocol::HandOver) {
        Findings::of_bad_protocol(protocol, tried(protocol))
    } else {
        hand_over(options)?
    };
    findings.print(options.json)?;
    if let (Some(mut file), Some(path)) = (report, &options.report) {
        replace(&mut file, &findings.page().html()).with_context(|| unwritten(path))?;
        if !options.json {
            anstream::println!("\nThe report is in {}.", path.display());
        }
    }
    Ok(findings.verdict() == Verdict::Holds)
}

/// A run of the real stack tells its scenario, and behind a `:` what is chosen in it.
fn replay(text: &str) -> anyhow::Result<Trace> {
    if text.contains(':') {
        Ok(transfer_schedules::replay(text)?)
    } else {
        Ok(transfer_model::replay(text)?)
    }
}

/// The scenarios of a known-bad protocol, and where it fails in each.
fn tried(protocol: Protocol) -> impl Iterator<Item = (Scenario, Option<Trace>)> {
    let of_it = move |scenario: &Scenario| scenario.setting.protocol == protocol;
    scenarios().into_iter().filter(of_it).map(|scenario| {
        let counterexample = scenario.counterexample();
        (scenario, counterexample)
    })
}

fn hand_over(options: &CheckOptions) -> anyhow::Result<Findings> {
    let mut settings =
        vec![Setting::everything(1, 0).unreduced(), Setting::everything(0, 1).unreduced()];
    let depth = match (options.deep, options.quick) {
        (true, _) => {
            settings.push(Setting::everything(1, 1).unreduced());
            settings.push(Setting::everything(3, 3));
            Some(Depth::Deep)
        }
        (false, true) => None,
        (false, false) => {
            settings.push(Setting::everything(2, 2));
            Some(Depth::Standard)
        }
    };
    let bar = Bar::new();
    let mut findings = Findings::of_hand_over(options.threads.get());
    for setting in settings {
        let progress = |progress| bar.show(&setting, progress);
        let explored = setting.explore(options.threads.get(), &progress);
        bar.explored(&setting, &explored);
        findings.explored(&setting, explored);
    }
    let bar = bar.restarted();
    if let Some(depth) = depth {
        let run = transfer_schedules::Options { threads: options.threads, depth, planted: None };
        findings.ran(transfer_schedules::run(run, &|progress| bar.show_schedules(&progress))?);
    }
    for scenario in scenarios() {
        bar.over(&format!("rejecting {}", scenario.name));
        findings.rejected(Rejected::new(&scenario, scenario.counterexample().as_ref()));
    }
    bar.clear();
    Ok(findings)
}

/// Opens the file of a report. What it holds stays until there is something to replace it with.
fn create(path: &Path) -> anyhow::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path);
    file.with_context(|| unwritten(path))
}

fn replace(file: &mut File, text: &str) -> std::io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(text.as_bytes())
}

fn unwritten(path: &Path) -> String {
    format!("the report cannot be written to {}", path.display())
}
