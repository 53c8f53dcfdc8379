//! `check`: every interleaving of the hand-over, and the protocols that it has to reject.
//!
//! The model is explored to closure (`transfer-model`), the real stack runs every schedule of every
//! pair and triple of operations (`transfer-schedules`), and every known-bad protocol has to be
//! rejected by the invariant that it is known to break: a check that cannot fail proves nothing.
//! Does not judge anything itself.

mod findings;
mod progress;

pub use findings::{Findings, Rejected, Schedules, Verdict, World};

use anyhow::Context as _;
use progress::Bar;
use std::fs::File;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use transfer_model::{Protocol, Setting, Trace, scenarios};
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
    #[arg(long, value_name = "NAME", conflicts_with = "replay", value_parser = known_protocol)]
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
    #[arg(long, value_name = "N", default_value_t = threads())]
    pub threads: NonZeroUsize,
}

fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn known_protocol(name: &str) -> Result<Protocol, String> {
    Protocol::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or_else(|| {
        let names: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.name()).collect();
        format!("say one of: {}", names.join(", "))
    })
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
        Findings::of_bad_protocol(protocol, counterexamples(protocol))
    } else {
        hand_over(options)?
    };
    findings.print(options.json)?;
    if let (Some(mut file), Some(path)) = (report, &options.report) {
        file.write_all(findings.page().html().as_bytes()).with_context(|| unwritten(path))?;
        if !options.json {
            anstream::println!("\nThe report is in {}.", path.display());
        }
    }
    Ok(findings.verdict() == Verdict::Holds)
}

fn replay(text: &str) -> anyhow::Result<Trace> {
    if text.starts_with("model/") {
        Ok(transfer_model::replay(text)?)
    } else {
        Ok(transfer_schedules::replay(text)?)
    }
}

/// Where the known-bad protocol fails, scenario by scenario.
fn counterexamples(protocol: Protocol) -> Vec<(&'static str, Option<Trace>)> {
    scenarios()
        .into_iter()
        .filter(|scenario| scenario.setting.protocol == protocol)
        .map(|scenario| (scenario.about, scenario.counterexample()))
        .collect()
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

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| unwritten(path))
}

fn unwritten(path: &Path) -> String {
    format!("the report cannot be written to {}", path.display())
}
