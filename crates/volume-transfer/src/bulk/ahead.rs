//! What a dry run looks at: the volumes that the run would move, and what it has done already.

use super::report::{called, listed, print, print_json};
use super::{BulkOptions, WHICH, all_of, check_selection, selected, selection};
use anyhow::Context as _;
use bulk_transfer::{BlockStorage, Failed, Foresight, Journal, Place, Volume};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use transfer_core::VolumeId;

/// The words for a volume that both sides know nothing of.
const NOBODYS: &str = "is neither the donor's nor the recipient's";

/// What of a selection is to be moved, and what of a run is over.
#[derive(Default)]
pub(super) struct Ahead {
    /// Those on offer by the run have the status that they had before.
    pub(super) volumes: Vec<Volume>,
    /// The run that is gone on with, if it is there.
    journal: Option<Journal>,
    /// Volumes of that run that have arrived.
    arrived: usize,
    /// How many of the volumes it has on offer.
    offered: usize,
    /// Volumes that it has given up, or that nobody has any more.
    failed: Vec<Failed>,
}

/// Looks at what a run would move: of the volumes in its journal, if there is one, those that are
/// left, and what has come to fit since.
///
/// # Errors
/// When nothing is selected, the journal is another run's, or a cloud does not tell.
pub(super) async fn look(
    options: &BulkOptions,
    donor: &BlockStorage,
    recipient: &BlockStorage,
) -> anyhow::Result<Ahead> {
    let selection = selection(options)?;
    let open = || Journal::open(&options.journal, donor.party(), recipient.party());
    let journal = options.journal.exists().then(open);
    let journal = journal.transpose()?.filter(|journal| !journal.places().is_empty());
    let Some(journal) = journal else {
        let selection = selection.with_context(|| WHICH)?;
        let volumes = selected(options, &selection, donor).await?;
        return Ok(Ahead { volumes, ..Ahead::default() });
    };
    check_selection(options, selection.as_ref(), &journal)?;
    let mut at_donor = all_of(donor).await?;
    let offers = donor.offers().await?;
    let at_recipient = recipient.volumes().await.context("the recipient's volumes")?;
    let at_recipient: BTreeSet<_> = at_recipient.into_iter().map(|volume| volume.id).collect();
    let own = Some(journal.offer_name());
    let mut ahead = Ahead::default();
    let mut meant: BTreeSet<VolumeId> = BTreeSet::new();
    let fits = match selection.filter(|one| one.listed.is_none()) {
        Some(selection) => selection.of(&at_donor)?,
        None => Vec::new(),
    };
    let donors: BTreeSet<_> = at_donor.iter().map(|volume| volume.id.clone()).collect();
    let mut known = BTreeSet::new();
    for (volume, place) in journal.places() {
        known.insert(volume.clone());
        let has_arrived = matches!(place, Place::Arrived) || at_recipient.contains(&volume);
        let reason = match place {
            _ if has_arrived => {
                ahead.arrived += 1;
                continue;
            }
            Place::Failed { reason } if !options.retry_failed => reason,
            _ if donors.contains(&volume) => {
                meant.insert(volume);
                continue;
            }
            Place::Planned
            | Place::Refused
            | Place::Offered { .. }
            | Place::Arrived
            | Place::Failed { .. } => NOBODYS.to_owned(),
        };
        ahead.failed.push(Failed { volume, reason });
    }
    meant.extend(fits.into_iter().map(|volume| volume.id).filter(|id| !known.contains(id)));
    at_donor.retain(|volume| meant.contains(&volume.id));
    for volume in &mut at_donor {
        let offer = offers.get(&volume.id);
        ahead.offered += usize::from(offer == Some(&own));
        // One that is on offer, and there is no offer of it: an offer that the run has asked for is
        // being made, or its claim ends soon. The run waits for either.
        let is_the_runs = offer.is_none_or(|offer| *offer == own) && known.contains(&volume.id);
        if volume.status == "awaiting-transfer" && is_the_runs {
            "available".clone_into(&mut volume.status);
        }
    }
    Ok(Ahead { volumes: at_donor, journal: Some(journal), ..ahead })
}

impl Ahead {
    /// Whether everything would arrive.
    pub(super) fn is_clear(&self, foresight: &Foresight) -> bool {
        self.failed.is_empty() && foresight.is_clear()
    }

    fn name(&self, id: &VolumeId) -> Option<String> {
        let volume = self.volumes.iter().find(|volume| volume.id == *id);
        let known = || self.journal.as_ref().and_then(|journal| journal.name(id));
        volume.and_then(|volume| volume.name.clone()).or_else(known)
    }

    /// # Errors
    /// When the report cannot be written.
    pub(super) fn print(&self, options: &BulkOptions, foresight: &Foresight) -> anyhow::Result<()> {
        let Foresight { volumes, snapshots, gigabytes, obstacles, failures } = foresight;
        let Self { arrived, offered, failed, .. } = self;
        let name = |id: &VolumeId| self.name(id);
        if options.json {
            let moving = self.volumes.iter().map(|volume| {
                json!({"volume": volume.id.as_str(), "name": volume.name, "gigabytes": volume.size})
            });
            return print_json(&json!({
                "from": options.from, "to": options.to, "clear": self.is_clear(foresight),
                "arrived_before": arrived, "on_offer": offered,
                "failed_before": listed(failed, name),
                "volumes": volumes, "snapshots": snapshots, "gigabytes": gigabytes,
                "moving": moving.collect::<Vec<_>>(),
                "obstacles": obstacles, "failures": listed(failures, name),
            }));
        }
        let mut text = String::new();
        for volume in &self.volumes {
            let _ = writeln!(text, "{}", called(&volume.id, volume.name.as_deref()));
        }
        let _ = writeln!(text, "{volumes} volumes and {snapshots} snapshots, {gigabytes} GiB");
        if *offered > 0 {
            let _ = writeln!(text, "{offered} of them are on offer by this run");
        }
        if *arrived > 0 {
            let _ = writeln!(text, "{arrived} others have arrived");
        }
        for obstacle in obstacles {
            let _ = writeln!(text, "in the way: {obstacle}");
        }
        for (words, failed) in [("failed before", failed), ("will fail", failures)] {
            for Failed { volume, reason } in failed {
                let volume = called(volume, self.name(volume).as_deref());
                let _ = writeln!(text, "{words}: {volume}: {reason}");
            }
        }
        if self.is_clear(foresight) {
            text.push_str("nothing stands in the way\n");
        }
        if !failed.is_empty() && !options.retry_failed {
            text.push_str("to try what failed again: the same with --retry-failed\n");
        }
        print(&text)
    }
}
