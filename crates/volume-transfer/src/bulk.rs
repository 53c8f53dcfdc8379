//! `bulk`: many volumes from one cloud of `clouds.yaml` to another, with progress and a report.
//!
//! What is done and how it goes on after an interruption is `bulk-transfer`'s; this is its face.

use anyhow::{Context as _, bail, ensure};
use bulk_transfer::{
    BlockStorage, Clouds, Event, Failed, Foresight, Journal, Place, Run, Selection, Stopped,
    Summary, TakenBack, foresee,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;

/// Off a terminal, so many lines tell how far a run is.
const PARTS: usize = 10;

/// What is to be moved, and how.
#[derive(Args, Clone, Debug)]
pub struct BulkOptions {
    /// The donor: a cloud of clouds.yaml
    #[arg(long, value_name = "CLOUD")]
    from: String,
    /// The recipient: a cloud of clouds.yaml
    #[arg(long, value_name = "CLOUD")]
    to: String,
    /// The file of the clouds [default: as openstacksdk looks for it]
    #[arg(long, value_name = "FILE")]
    clouds: Option<PathBuf>,
    /// Every volume of the donor's project
    #[arg(long, conflicts_with_all = ["name", "type_name", "property", "list"])]
    all: bool,
    /// Volumes whose name fits a pattern of * and ?
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Volumes of this type
    #[arg(long = "type", value_name = "NAME")]
    type_name: Option<String>,
    /// Volumes with this in their metadata; may be said again
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    property: Vec<(String, String)>,
    /// Volumes of a CSV or JSON list of ids or names
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// How many volumes at a time
    #[arg(long, value_name = "N", default_value = "8")]
    jobs: NonZeroUsize,
    /// Where the run writes down how far it is: say the same again to go on with it
    #[arg(long, value_name = "FILE", default_value = "volume-transfer-bulk.journal")]
    journal: PathBuf,
    /// Say what would be moved and what would fail, and move nothing
    #[arg(long)]
    dry_run: bool,
    /// Try volumes again that an earlier run of this journal has given up
    #[arg(long, conflicts_with = "dry_run")]
    retry_failed: bool,
    /// Take back what the run of this journal has offered and nobody has accepted; move nothing
    #[arg(long, conflicts_with_all = ["dry_run", "retry_failed"])]
    take_back: bool,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("say KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Moves, or looks ahead; says whether everything has arrived, or will.
///
/// # Errors
/// When clouds, selection or journal are of no use.
pub async fn run(options: &BulkOptions, stop: CancellationToken) -> anyhow::Result<bool> {
    let clouds = Clouds::read(options.clouds.as_deref())?;
    let connect = |name: &str| -> anyhow::Result<_> {
        let settings = clouds.cloud(name)?;
        Ok(async { BlockStorage::connect(settings).await.map_err(anyhow::Error::msg) })
    };
    let (donor, recipient) =
        futures::future::try_join(connect(&options.from)?, connect(&options.to)?).await?;
    ensure!(
        donor.project() != recipient.project(),
        "{:?} and {:?} are the same project: nothing to move",
        options.from,
        options.to
    );
    if options.dry_run {
        let volumes = selected(options, &donor).await?;
        let foresight = foresee(&donor, &recipient, &volumes).await?;
        print_foresight(options, &foresight)?;
        return Ok(foresight.is_clear());
    }
    let path = options.journal.display();
    ensure!(!options.take_back || options.journal.exists(), "there is no journal {path}");
    let journal = Journal::open(&options.journal, donor.name(), recipient.name())?;
    if !options.take_back {
        plan(options, &donor, &journal).await?;
    }
    let run = Run {
        donor: &donor,
        recipient: &recipient,
        journal: &journal,
        jobs: options.jobs,
        // A run that stops itself is no signal.
        stop: stop.child_token(),
    };
    if options.take_back {
        let taken = run.take_back().await?;
        print_taken_back(options, &taken)?;
        return Ok(taken.is_complete());
    }
    let bar = Bar::new(&journal);
    let summary = run.go(&|event| bar.show(event)).await?;
    bar.clear();
    print_summary(options, &summary)?;
    Ok(summary.is_complete())
}

/// Writes the volumes into a new journal; an earlier run's stays as it is.
async fn plan(
    options: &BulkOptions,
    donor: &BlockStorage,
    journal: &Journal,
) -> anyhow::Result<()> {
    if !journal.places().is_empty() {
        for (volume, place) in journal.places() {
            if options.retry_failed && matches!(place, Place::Failed { .. }) {
                journal.record(&volume, Place::Planned)?;
            }
        }
        say(&format!("going on with the run in {}", options.journal.display()));
        return Ok(());
    }
    let discard = |error: anyhow::Error| {
        // A journal without a volume would only be in the way.
        let _ = std::fs::remove_file(&options.journal);
        error
    };
    let volumes = selected(options, donor).await.map_err(discard)?;
    Ok(journal.plan(volumes.into_iter().map(|volume| volume.id))?)
}

async fn selected(
    options: &BulkOptions,
    donor: &BlockStorage,
) -> anyhow::Result<Vec<bulk_transfer::Volume>> {
    let selection = Selection {
        name: options.name.clone(),
        type_name: options.type_name.clone(),
        properties: options.property.clone(),
        listed: options.list.as_deref().map(Selection::read_list).transpose()?,
    };
    let says_what = options.all
        || selection.name.is_some()
        || selection.type_name.is_some()
        || selection.listed.is_some()
        || !selection.properties.is_empty();
    if !says_what {
        bail!("which volumes? say --all, --name, --type, --property or --list");
    }
    let all = donor.volumes().await.context("the donor's volumes cannot be listed")?;
    let volumes = selection.of(&all)?;
    ensure!(!volumes.is_empty(), "no volume of {:?} is meant by that", options.from);
    Ok(volumes)
}

fn print_foresight(options: &BulkOptions, foresight: &Foresight) -> anyhow::Result<()> {
    use anstream::println;
    let Foresight { volumes, snapshots, gigabytes, obstacles, failures } = foresight;
    if options.json {
        let document = json!({
            "from": options.from, "to": options.to, "clear": foresight.is_clear(),
            "volumes": volumes, "snapshots": snapshots, "gigabytes": gigabytes,
            "obstacles": obstacles, "failures": listed(failures),
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    println!("{volumes} volumes and {snapshots} snapshots, {gigabytes} GiB");
    for obstacle in obstacles {
        println!("in the way: {obstacle}");
    }
    for failed in failures {
        println!("will fail:  {}: {}", failed.volume, failed.reason);
    }
    if foresight.is_clear() {
        println!("nothing stands in the way");
    }
    Ok(())
}

fn print_taken_back(options: &BulkOptions, taken: &TakenBack) -> anyhow::Result<()> {
    use anstream::println;
    let TakenBack { taken_back, arrived, failed, stopped } = taken;
    let stopped = stopped.as_ref().map(why);
    if options.json {
        let document = json!({
            "from": options.from, "to": options.to, "complete": taken.is_complete(),
            "taken_back": taken_back, "arrived": arrived, "failed": listed(failed),
            "stopped": stopped,
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    println!("{taken_back} offers are taken back, {arrived} had been accepted");
    for failed in failed {
        println!("still open: {}: {}", failed.volume, failed.reason);
    }
    if let Some(why) = stopped {
        println!("stopped: {why}");
    }
    Ok(())
}

fn listed(failed: &[Failed]) -> Vec<Value> {
    let one = |failed: &Failed| json!({"volume": failed.volume.as_str(), "reason": failed.reason});
    failed.iter().map(one).collect()
}

fn why(stopped: &Stopped) -> String {
    match stopped {
        Stopped::Asked => "interrupted".to_owned(),
        Stopped::Systemic(reason) => reason.clone(),
    }
}

fn print_summary(options: &BulkOptions, summary: &Summary) -> anyhow::Result<()> {
    use anstream::println;
    let seconds = summary.elapsed.as_secs_f64();
    let stopped = summary.stopped.as_ref().map(why);
    if options.json {
        let document = json!({
            "from": options.from, "to": options.to, "complete": summary.is_complete(),
            "arrived": summary.arrived, "arrived_before": summary.arrived_before,
            "failed": listed(&summary.failed), "left": summary.left,
            "stopped": stopped, "seconds": seconds,
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    let all = summary.arrived + summary.arrived_before + summary.failed.len() + summary.left;
    let rate = summary.arrived as f64 / seconds.max(0.001);
    println!(
        "{} of {all} volumes have arrived, {} of them now: {seconds:.1} s, {rate:.1} a second",
        summary.arrived + summary.arrived_before,
        summary.arrived
    );
    for failed in &summary.failed {
        println!("failed: {}: {}", failed.volume, failed.reason);
    }
    if let Some(why) = stopped {
        println!("stopped: {why}");
    }
    if summary.left > 0 {
        println!("{} are left: say the same again to go on", summary.left);
    } else if !summary.failed.is_empty() {
        println!("to try them again: the same with --retry-failed");
    }
    Ok(())
}

/// How far a run is: a bar on a terminal, else a line for every tenth.
struct Bar {
    bar: ProgressBar,
    all: usize,
    done: AtomicUsize,
}

impl Bar {
    fn new(journal: &Journal) -> Self {
        let places = journal.places();
        let done = |place: &Place| matches!(place, Place::Arrived | Place::Failed { .. });
        let done = places.iter().filter(|(_, place)| done(place)).count();
        let bar = ProgressBar::new(places.len() as u64).with_position(done as u64);
        let template = "{wide_bar} {pos}/{len} volumes, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.reset_eta();
        Self { bar, all: places.len(), done: AtomicUsize::new(done) }
    }

    fn show(&self, event: &Event) {
        let before = self.done.fetch_add(1, Ordering::Relaxed);
        self.bar.inc(1);
        if let Event::Failed(failed) = event {
            self.say(&format!("failed: {}: {}", failed.volume, failed.reason));
        }
        let part = |done: usize| done * PARTS / self.all.max(1);
        if self.bar.is_hidden() && part(before) < part(before + 1) {
            self.say(&format!("{} of {} volumes", before + 1, self.all));
        }
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn say(text: &str) {
    anstream::eprintln!("{text}");
}

/// Ends the program at the second signal; the first one lets volumes under way finish.
pub fn end_at_second_signal(stop: CancellationToken) {
    tokio::spawn(async move {
        stop.cancelled().await;
        say("finishing what is under way; once more to leave at once");
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::pair;

    #[test]
    fn a_property_has_a_key_and_a_value() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
    }
}
