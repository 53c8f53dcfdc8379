//! What is wrong with one volume: a pure function of its rows and of what was seen of its secrets.

use crate::{Finding, Kind};
use cinder_db::{AuditedRow, AuditedVolume};
use std::collections::{BTreeMap, BTreeSet};
use transfer_core::invariants::RowId;
use transfer_core::{Authority, ProjectId, SecretId};

const AWAITING_TRANSFER: &str = "awaiting-transfer";

/// What could be seen of a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sight {
    /// There is no such secret.
    Gone,
    /// There is one.
    There {
        /// Whether it has a payload, if anybody may know.
        filled: Option<bool>,
        /// Whose it is, if it is that of somebody who looked.
        owner: Option<ProjectId>,
        /// Those who looked, and whose it is not.
        not_of: BTreeSet<ProjectId>,
    },
    /// Barbican did not answer.
    Unanswered(String),
}

/// What a look at one volume came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) findings: Vec<Finding>,
    /// Secrets of which nobody who looked can tell whose they are.
    pub(crate) not_visible: u64,
    /// Secrets about which Barbican did not answer.
    pub(crate) unanswered: u64,
    /// Rows that name the fixed key of the deployment, which is not in Barbican.
    pub(crate) fixed_keys: u64,
}

/// What is wrong with a volume. `sights` has every secret that its rows name.
pub fn judge(
    volume: &AuditedVolume,
    sights: &BTreeMap<SecretId, Sight>,
    service: &ProjectId,
) -> Vec<Finding> {
    judgement(volume, sights, service).findings
}

pub(crate) fn judgement(
    volume: &AuditedVolume,
    sights: &BTreeMap<SecretId, Sight>,
    service: &ProjectId,
) -> Judgement {
    let mut judged = Judgement::default();
    for key in volume.keys() {
        if key.is_fixed_key() {
            judged.fixed_keys += 1;
        } else {
            custody(volume, key, sights.get(key), service, &mut judged);
        }
    }
    let (rows, offers) = (agreement(volume), offers(volume));
    judged.findings.extend(rows.into_iter().chain(offers).map(|(kind, key, what)| {
        let found = Finding::new(kind, what).at(&volume.id, volume.project());
        key.map_or(found.clone(), |key| found.with_secret(&key))
    }));
    judged
}

/// Whether a key is there, and where it belongs.
fn custody(
    volume: &AuditedVolume,
    key: &SecretId,
    sight: Option<&Sight>,
    service: &ProjectId,
    judged: &mut Judgement,
) {
    let who = rows_naming(volume, key);
    let mut found = |kind, what| {
        let found = Finding::new(kind, what).at(&volume.id, volume.project()).with_secret(key);
        judged.findings.push(found);
    };
    match sight {
        Some(Sight::Gone) => found(Kind::KeyGone, format!("{who} names a secret that is gone")),
        Some(Sight::There { filled: Some(false), .. }) => {
            found(Kind::KeyEmpty, format!("{who} names a secret without a payload"));
        }
        Some(Sight::There { owner, not_of, .. }) => {
            let custodian = match volume.custodian() {
                Authority::Service => service.clone(),
                Authority::Project(project) => project,
            };
            let is_elsewhere = match owner {
                Some(owner) => *owner != custodian,
                None => not_of.contains(&custodian),
            };
            if is_elsewhere {
                let (kind, what) = displaced(volume, &who, owner.as_ref(), service);
                found(kind, what);
            } else if owner.is_none() {
                judged.not_visible += 1;
            }
        }
        Some(Sight::Unanswered(_)) | None => judged.unanswered += 1,
    }
}

fn displaced(
    volume: &AuditedVolume,
    who: &str,
    owner: Option<&ProjectId>,
    service: &ProjectId,
) -> (Kind, String) {
    let whose = owner.map_or("a project that is not known".to_owned(), |owner| {
        if owner == service { "the service".to_owned() } else { format!("project {owner}") }
    });
    if volume.custodian() == Authority::Service {
        let what = format!("the volume is on offer, and the key of {who} is with {whose}");
        (Kind::KeyNotWithService, what)
    } else if owner == Some(service) {
        let what = format!("the volume is not on offer, and the key of {who} is with {whose}");
        (Kind::KeyWithService, what)
    } else {
        let project = volume.project();
        (Kind::KeyWithStranger, format!("the key of {who} is with {whose}, not with {project}"))
    }
}

type Wrong = (Kind, Option<SecretId>, String);

/// Whether the snapshots go with their volume. Cinder gives a snapshot the key of its volume, and
/// changes neither while there are snapshots but by a transfer, which changes both.
fn agreement(volume: &AuditedVolume) -> Vec<Wrong> {
    let mut found: Vec<Wrong> = Vec::new();
    let Some((own, snapshots)) = volume.rows.split_first() else { return found };
    let encrypted = own.key.is_some() || snapshots.iter().any(|row| row.key.is_some());
    for row in snapshots.iter().filter(|_row| encrypted) {
        let name = name(row);
        if row.project != own.project {
            let what = format!("{name} is in project {}, its volume is not", row.project);
            found.push((Kind::SnapshotProjectDiffers, None, what));
        }
        match (&own.key, &row.key) {
            (Some(one), Some(other)) if one != other => {
                let seen = (Kind::SnapshotKeyDiffers, Some(other.clone()));
                if !found.iter().any(|(kind, key, _)| (*kind, key.clone()) == seen) {
                    let who = rows_naming(volume, other);
                    let what = format!("{who} names another secret than its volume: {one}");
                    found.push((seen.0, seen.1, what));
                }
            }
            (Some(_), Some(_)) | (None, None) => {}
            (Some(_), None) => {
                let what = format!("{name} names no key, and its volume does");
                found.push((Kind::SnapshotKeyMissing, None, what));
            }
            (None, Some(key)) => {
                let what = format!("{name} names a key, and its volume does not");
                found.push((Kind::SnapshotKeyMissing, Some(key.clone()), what));
            }
        }
    }
    found
}

/// Whether status and offers fit together.
fn offers(volume: &AuditedVolume) -> Vec<Wrong> {
    let awaits = volume.status == AWAITING_TRANSFER;
    let mut found = Vec::new();
    if volume.offers.len() > 1 {
        let what = format!("the volume has {} open offers", volume.offers.len());
        found.push((Kind::SeveralOffers, None, what));
    }
    match volume.offers.first() {
        Some(offer) if !awaits => {
            let what = format!("offer {offer} is open, and the volume is {}", volume.status);
            found.push((Kind::OfferWithoutAwaiting, None, what));
        }
        None if awaits && volume.claim.is_none() => {
            let what = "the volume awaits a transfer, and there is no offer".to_owned();
            found.push((Kind::AwaitingWithoutOffer, None, what));
        }
        Some(_) | None => {}
    }
    found
}

fn rows_naming(volume: &AuditedVolume, key: &SecretId) -> String {
    let names = volume.rows.iter().filter(|row| row.key.as_ref() == Some(key)).map(name);
    names.collect::<Vec<_>>().join(", ")
}

fn name(row: &AuditedRow) -> String {
    match &row.id {
        RowId::Volume(_) => "the volume".to_owned(),
        RowId::Snapshot(id) => format!("snapshot {id}"),
    }
}
