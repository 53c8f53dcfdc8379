//! `bulk`: many volumes from one cloud of `clouds.yaml` to another, with progress and a report.
//!
//! What is done and how it goes on after an interruption is `bulk-transfer`'s; this is its face.

mod notices;
mod signals;

use anyhow::{Context as _, ensure};
use bulk_transfer::{
    BlockStorage, Clouds, Failed, Foresight, Journal, Place, Run, Selection, Standing, Stopped,
    Summary, TakenBack, Volume, foresee,
};
use clap::Args;
use notices::{Bar, Notices};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;
use transfer_core::VolumeId;

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
    /// Volumes of a list of ids or names: CSV or JSON, as `openstack volume list -f csv` writes it,
    /// with a column `id` or `name`; or one a line
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

impl BulkOptions {
    /// What is said where the program ends in the middle of a run.
    fn last_words(&self) -> impl Fn() -> String + Send + use<> {
        let (journal, moves) = (self.journal.clone(), !self.dry_run);
        move || match moves && journal.exists() {
            true => format!(
                "stopped at once; the journal {} says how far the run is: say the same again to go \
                 on",
                journal.display()
            ),
            false => "stopped at once".to_owned(),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("say KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// How a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything has arrived, or will.
    Complete,
    /// Something has not, or will not.
    Incomplete,
    /// A service did not answer for too long.
    OutOfReach,
}

impl Ended {
    fn of(is_complete: bool, stopped: Option<&Stopped>) -> Self {
        match stopped {
            Some(Stopped::Outage(_)) => Self::OutOfReach,
            Some(Stopped::Asked | Stopped::Systemic(_)) | None if is_complete => Self::Complete,
            Some(Stopped::Asked | Stopped::Systemic(_)) | None => Self::Incomplete,
        }
    }
}

/// Moves, or looks ahead, until it is done or a signal stops it.
///
/// # Errors
/// When clouds, selection or journal are of no use.
pub async fn run(options: &BulkOptions) -> anyhow::Result<Ended> {
    let notices = Notices::new();
    let stop = signals::stop_on_signals(notices.clone(), options.last_words())?;
    match until_stopped(options, &stop, &notices).await {
        Err(error) if error.is::<Interrupted>() => {
            notices.say(&error.to_string());
            Ok(Ended::Incomplete)
        }
        ended => ended,
    }
}

/// A signal came while nothing was under way.
#[derive(Debug, thiserror::Error)]
#[error("nothing was under way")]
struct Interrupted;

async fn until_stopped(
    options: &BulkOptions,
    stop: &CancellationToken,
    notices: &Notices,
) -> anyhow::Result<Ended> {
    let clouds = Clouds::read(options.clouds.as_deref())?;
    let connect = |name: &str| -> anyhow::Result<_> {
        let (settings, notices) = (clouds.cloud(name)?, notices.clone());
        let of = format!("cloud {name:?}");
        Ok(async {
            let cloud = BlockStorage::connect(settings).await.context(of)?;
            anyhow::Ok(cloud.telling(move |outage| notices.tell(outage)))
        })
    };
    let connected = futures::future::try_join(connect(&options.from)?, connect(&options.to)?);
    let (donor, recipient) = unless_stopped(stop, connected).await?;
    ensure!(
        donor.project() != recipient.project(),
        "{:?} and {:?} are the same project: nothing to move",
        options.from,
        options.to
    );
    let path = options.journal.display();
    ensure!(!options.take_back || options.journal.exists(), "there is no journal {path}");
    if options.dry_run {
        let ahead = unless_stopped(stop, look_ahead(options, &donor, &recipient)).await?;
        let foresight = async { Ok(foresee(&donor, &recipient, &ahead.volumes).await?) };
        let foresight = unless_stopped(stop, foresight).await?;
        print_foresight(options, &ahead, &foresight)?;
        return Ok(Ended::of(foresight.is_clear(), None));
    }
    let journal = Journal::open(&options.journal, donor.name(), recipient.name())?;
    if !options.take_back {
        plan(options, &donor, &journal, stop, notices).await?;
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
        print_taken_back(options, &journal, &taken)?;
        return Ok(Ended::of(taken.is_complete(), taken.stopped.as_ref()));
    }
    run.forgive().await?;
    let bar = Bar::new(&journal, notices);
    let summary = run.go(&|event| bar.show(event)).await;
    bar.clear();
    print_summary(options, &journal, &summary)?;
    Ok(Ended::of(summary.is_complete(), summary.stopped.as_ref()))
}

/// What is looked at before anything moves; a signal ends it at once.
async fn unless_stopped<T>(
    stop: &CancellationToken,
    looking: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    stop.run_until_cancelled(looking).await.ok_or(Interrupted)?
}

/// Writes down which volumes are meant: those of an earlier run as they are, and what has come to
/// fit since, unless it was a list. Another selection is another run.
async fn plan(
    options: &BulkOptions,
    donor: &BlockStorage,
    journal: &Journal,
    stop: &CancellationToken,
    notices: &Notices,
) -> anyhow::Result<()> {
    let places = journal.places();
    let selection = selection(options)?;
    if !places.is_empty() {
        check_selection(options, selection.as_ref(), journal)?;
        for (volume, place) in places {
            if options.retry_failed && matches!(place, Place::Failed { .. }) {
                journal.record(&volume, Place::Planned)?;
            }
        }
        notices.say(&format!("going on with the run in {}", options.journal.display()));
        let Some(selection) = selection.filter(|selection| selection.listed.is_none()) else {
            // As at the end: what could not be written then is not begun with.
            return Ok(journal.tidy()?);
        };
        let volumes = selection.of(&unless_stopped(stop, all_of(donor)).await?)?;
        return Ok(journal.plan(&selection.to_string(), volumes.into_iter().map(named))?);
    }
    let discard = |error: anyhow::Error| {
        // A journal without a volume would only be in the way.
        let _ = std::fs::remove_file(&options.journal);
        error
    };
    let meant = async {
        let selection = selection.with_context(|| WHICH)?;
        let volumes = unless_stopped(stop, selected(options, &selection, donor)).await?;
        anyhow::Ok((selection, volumes))
    };
    let (selection, volumes) = meant.await.map_err(discard)?;
    Ok(journal.plan(&selection.to_string(), volumes.into_iter().map(named))?)
}

fn named(volume: Volume) -> (VolumeId, Option<String>) {
    (volume.id, volume.name.filter(|name| !name.is_empty()))
}

/// A journal goes on with what it was begun with.
fn check_selection(
    options: &BulkOptions,
    selection: Option<&Selection>,
    journal: &Journal,
) -> anyhow::Result<()> {
    if let (Some(now), Some(before)) = (selection, journal.selection()) {
        ensure!(
            now.to_string() == before,
            "the journal {} is of a run of {before}, not of {now}: name another with --journal, or \
             remove it",
            options.journal.display()
        );
    }
    Ok(())
}

/// What a dry run looks at, and what of it is over.
struct Ahead {
    volumes: Vec<Volume>,
    /// Of the run that the journal is of, if it is there.
    arrived: usize,
    offered: usize,
}

/// The volumes that a run would move: of those in the journal the ones that are left.
async fn look_ahead(
    options: &BulkOptions,
    donor: &BlockStorage,
    recipient: &BlockStorage,
) -> anyhow::Result<Ahead> {
    let selection = selection(options)?;
    let open = || Journal::open(&options.journal, donor.name(), recipient.name());
    let journal = options.journal.exists().then(open);
    let journal = journal.transpose()?.filter(|journal| !journal.places().is_empty());
    let Some(journal) = journal else {
        let selection = selection.with_context(|| WHICH)?;
        let volumes = selected(options, &selection, donor).await?;
        return Ok(Ahead { volumes, arrived: 0, offered: 0 });
    };
    check_selection(options, selection.as_ref(), &journal)?;
    let all = all_of(donor).await?;
    let open = donor.offered_as(&journal.offer_name()).await?;
    let places: BTreeMap<VolumeId, Place> = journal.places().into_iter().collect();
    let fits: BTreeSet<VolumeId> = match selection.filter(|one| one.listed.is_none()) {
        Some(selection) => selection.of(&all)?.into_iter().map(|volume| volume.id).collect(),
        None => BTreeSet::new(),
    };
    let is_left = |volume: &Volume| match places.get(&volume.id) {
        Some(Place::Planned | Place::Refused) => !open.contains(&volume.id),
        Some(Place::Failed { .. }) => options.retry_failed,
        Some(Place::Offered { .. } | Place::Arrived) => false,
        None => fits.contains(&volume.id),
    };
    let arrived = places.values().filter(|place| matches!(place, Place::Arrived)).count();
    let volumes = all.into_iter().filter(is_left).collect();
    Ok(Ahead { volumes, arrived, offered: open.len() })
}

const WHICH: &str = "which volumes? say --all, --name, --type, --property or --list";

/// What the options say; nothing where they do not say which volumes.
fn selection(options: &BulkOptions) -> anyhow::Result<Option<Selection>> {
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
    Ok(says_what.then_some(selection))
}

async fn all_of(donor: &BlockStorage) -> anyhow::Result<Vec<Volume>> {
    donor.volumes().await.context("the donor's volumes cannot be listed")
}

async fn selected(
    options: &BulkOptions,
    selection: &Selection,
    donor: &BlockStorage,
) -> anyhow::Result<Vec<Volume>> {
    let volumes = selection.of(&all_of(donor).await?)?;
    ensure!(!volumes.is_empty(), "no volume of {:?} is meant by {selection}", options.from);
    Ok(volumes)
}

/// Writes the whole of a report to the standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut output = anstream::stdout();
    output.write_all(text.as_bytes()).context("the report cannot be written")?;
    output.flush().context("the report cannot be written")
}

fn print_json(document: &Value) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(document)? + "\n"))
}

/// A volume as people know it.
fn called(volume: &VolumeId, name: Option<&str>) -> String {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("{volume} ({name})"),
        None => volume.to_string(),
    }
}

fn print_foresight(
    options: &BulkOptions,
    ahead: &Ahead,
    foresight: &Foresight,
) -> anyhow::Result<()> {
    let Foresight { volumes, snapshots, gigabytes, obstacles, failures } = foresight;
    let name = |id: &VolumeId| {
        let volume = ahead.volumes.iter().find(|volume| volume.id == *id);
        volume.and_then(|volume| volume.name.clone())
    };
    if options.json {
        let moving = ahead.volumes.iter().map(|volume| {
            json!({"volume": volume.id.as_str(), "name": volume.name, "gigabytes": volume.size})
        });
        return print_json(&json!({
            "from": options.from, "to": options.to, "clear": foresight.is_clear(),
            "arrived_before": ahead.arrived, "on_offer": ahead.offered,
            "volumes": volumes, "snapshots": snapshots, "gigabytes": gigabytes,
            "moving": moving.collect::<Vec<_>>(),
            "obstacles": obstacles, "failures": listed(failures, name),
        }));
    }
    let mut text = String::new();
    for volume in &ahead.volumes {
        let _ = writeln!(text, "{}", called(&volume.id, volume.name.as_deref()));
    }
    let _ = writeln!(text, "{volumes} volumes and {snapshots} snapshots, {gigabytes} GiB");
    if ahead.arrived + ahead.offered > 0 {
        let Ahead { arrived, offered, .. } = ahead;
        let _ = writeln!(text, "{arrived} others have arrived, {offered} are on offer by this run");
    }
    for obstacle in obstacles {
        let _ = writeln!(text, "in the way: {obstacle}");
    }
    for Failed { volume, reason } in failures {
        let volume = called(volume, name(volume).as_deref());
        let _ = writeln!(text, "will fail: {volume}: {reason}");
    }
    if foresight.is_clear() {
        text.push_str("nothing stands in the way\n");
    }
    print(&text)
}

fn print_taken_back(
    options: &BulkOptions,
    journal: &Journal,
    taken: &TakenBack,
) -> anyhow::Result<()> {
    let TakenBack { taken_back, arrived, failed, stopped } = taken;
    let stopped = stopped.as_ref().map(why);
    let standing = Standing::of(journal);
    if options.json {
        return print_json(&json!({
            "from": options.from, "to": options.to, "complete": taken.is_complete(),
            "taken_back": taken_back, "arrived": arrived,
            "arrived_before": standing.arrived.saturating_sub(*arrived),
            "failed": listed(failed, |id| journal.name(id)),
            "failed_before": listed(&standing.failed, |id| journal.name(id)),
            "left": standing.left, "stopped": stopped,
        }));
    }
    let mut text = format!("{taken_back} offers are taken back, {arrived} had been accepted\n");
    let (all_arrived, all_failed, left) = (standing.arrived, standing.failed.len(), standing.left);
    let _ = writeln!(text, "{all_arrived} have arrived, {all_failed} failed, {left} are left");
    for Failed { volume, reason } in failed {
        let volume = called(volume, journal.name(volume).as_deref());
        let _ = writeln!(text, "still open: {volume}: {reason}");
    }
    if let Some(why) = stopped {
        let _ = writeln!(text, "stopped: {why}");
    }
    print(&text)
}

fn listed(failed: &[Failed], name: impl Fn(&VolumeId) -> Option<String>) -> Vec<Value> {
    let one = |Failed { volume, reason }: &Failed| {
        let name = name(volume);
        json!({"volume": volume.as_str(), "name": name, "reason": reason})
    };
    failed.iter().map(one).collect()
}

fn why(stopped: &Stopped) -> String {
    match stopped {
        Stopped::Asked => "interrupted".to_owned(),
        Stopped::Systemic(reason) | Stopped::Outage(reason) => reason.clone(),
    }
}

fn print_summary(
    options: &BulkOptions,
    journal: &Journal,
    summary: &Summary,
) -> anyhow::Result<()> {
    let seconds = summary.elapsed.as_secs_f64();
    let stopped = summary.stopped.as_ref().map(why);
    if options.json {
        return print_json(&json!({
            "from": options.from, "to": options.to, "complete": summary.is_complete(),
            "arrived": summary.arrived, "arrived_before": summary.arrived_before,
            "failed": listed(&summary.failed, |id| journal.name(id)), "left": summary.left,
            "stopped": stopped, "unwritten": summary.unwritten, "seconds": seconds,
        }));
    }
    let all = summary.arrived + summary.arrived_before + summary.failed.len() + summary.left;
    let rate = summary.arrived as f64 / seconds.max(0.001);
    let mut text = format!(
        "{} of {all} volumes have arrived, {} of them now: {seconds:.1} s, {rate:.1} a second\n",
        summary.arrived + summary.arrived_before,
        summary.arrived
    );
    for Failed { volume, reason } in &summary.failed {
        let volume = called(volume, journal.name(volume).as_deref());
        let _ = writeln!(text, "failed: {volume}: {reason}");
    }
    if let Some(why) = stopped {
        let _ = writeln!(text, "stopped: {why}");
    }
    if let Some(why) = &summary.unwritten {
        let _ = writeln!(text, "{why}; it may hold auth keys of offers that have ended");
    }
    if summary.left > 0 {
        let _ = writeln!(text, "{} are left: say the same again to go on", summary.left);
    }
    if !summary.failed.is_empty() {
        text.push_str("to try what failed again: the same with --retry-failed\n");
    }
    print(&text)
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
