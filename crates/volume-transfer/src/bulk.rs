//! `bulk`: many volumes from one cloud of `clouds.yaml` to another, with progress and a report.
//!
//! What is done and how it goes on after an interruption is `bulk-transfer`'s; this is its face.

mod ahead;
mod notices;
mod report;
mod signals;

use anyhow::{Context as _, ensure};
use bulk_transfer::{
    BlockStorage, Clouds, Journal, Place, Run, SETTLING, Selection, Stopped, Volume, foresee,
};
use clap::Args;
use notices::{Bar, Notices};
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
    #[arg(long)]
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
        let ahead = unless_stopped(stop, ahead::look(options, &donor, &recipient)).await?;
        let foresight = async { Ok(foresee(&donor, &recipient, &ahead.volumes).await?) };
        let foresight = unless_stopped(stop, foresight).await?;
        ahead.print(options, &foresight)?;
        return Ok(Ended::of(ahead.is_clear(&foresight), None));
    }
    let journal = Journal::open(&options.journal, donor.party(), recipient.party())?;
    if !options.take_back {
        plan(options, &donor, &journal, stop, notices).await?;
    }
    let run = Run {
        donor: &donor,
        recipient: &recipient,
        journal: &journal,
        jobs: options.jobs,
        settling: SETTLING,
        // A run that stops itself is no signal.
        stop: stop.child_token(),
    };
    if options.take_back {
        let taken = run.take_back().await?;
        told(report::taken_back(options, &journal, &taken), options, notices);
        return Ok(Ended::of(taken.is_complete(), taken.stopped.as_ref()));
    }
    run.forgive().await?;
    let bar = Bar::new(&journal, notices);
    let summary = run.go(&|event| bar.show(event)).await;
    bar.clear();
    told(report::summary(options, &journal, &summary), options, notices);
    Ok(Ended::of(summary.is_complete(), summary.stopped.as_ref()))
}

/// What has been moved has been moved, whether or not its report is read.
fn told(report: anyhow::Result<()>, options: &BulkOptions, notices: &Notices) {
    if let Err(error) = report {
        let journal = options.journal.display();
        notices.say(&format!("error: {error:#}; the journal {journal} says how far the run is"));
    }
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

#[cfg(test)]
mod tests {
    use super::pair;

    #[test]
    fn a_property_has_a_key_and_a_value() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
    }
}
