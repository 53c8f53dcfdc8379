//! What will fail, before anything is done.
//!
//! Sees what the public API shows to both sides, and whether Barbican lets them in at all. What it
//! cannot see, the fixed key for instance or an access list of a secret, is found out on the way.

use crate::block_storage::{BlockStorage, Quota, Snapshot, Volume, is_new_enough};
use crate::moving::Failed;
use openstack_http::{Failure, Password};
use std::collections::{BTreeMap, BTreeSet};
use transfer_core::{TransferId, VolumeId};

/// What can be said beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foresight {
    /// How many volumes are meant.
    pub volumes: usize,
    /// How many snapshots go with them.
    pub snapshots: usize,
    /// GiB of both.
    pub gigabytes: u64,
    /// What stands in the way of all: a quota, a role, an old service.
    pub obstacles: Vec<String>,
    /// Volumes that will be refused.
    pub failures: Vec<Failed>,
}

impl Foresight {
    /// Whether nothing is expected to fail.
    pub fn is_clear(&self) -> bool {
        self.obstacles.is_empty() && self.failures.is_empty()
    }
}

/// What both sides tell.
struct Sight {
    snapshots: BTreeMap<VolumeId, Vec<Snapshot>>,
    types: BTreeSet<String>,
    quotas: BTreeMap<String, Quota>,
    newest: Option<(u32, u32)>,
    roles: Vec<String>,
    /// Who gets nowhere with Barbican, of donor and recipient, and why.
    no_keys: Vec<(&'static str, Failure)>,
    /// The words with which the recipient is refused any accept.
    no_accepts: Option<String>,
}

/// Looks ahead.
///
/// # Errors
/// [`Failure`] when one of the sides does not tell.
pub async fn foresee(
    donor: &BlockStorage,
    recipient: &BlockStorage,
    volumes: &[Volume],
) -> Result<Foresight, Failure> {
    let mut snapshots: BTreeMap<VolumeId, Vec<Snapshot>> = BTreeMap::new();
    for snapshot in donor.snapshots().await? {
        snapshots.entry(snapshot.volume_id.clone()).or_default().push(snapshot);
    }
    let mut no_keys = Vec::new();
    for (side, whose) in [(donor, "donor"), (recipient, "recipient")] {
        no_keys.extend(side.look_at_keys().await.err().map(|failure| (whose, failure)));
    }
    let mut foresight = judge(
        volumes,
        &Sight {
            snapshots,
            types: recipient.type_names().await?,
            quotas: recipient.quotas().await?,
            newest: donor.newest().await?,
            roles: recipient.roles().to_vec(),
            no_keys,
            no_accepts: refused_accepts(recipient).await?,
        },
    );
    if donor.project() == recipient.project() {
        foresight.obstacles.push("donor and recipient are the same project".to_owned());
    }
    Ok(foresight)
}

/// The words with which the recipient is refused any accept at all. Asks to accept an offer that is
/// nowhere: whether the user may is looked at first (cinder: `transfer/api.py` accept).
async fn refused_accepts(recipient: &BlockStorage) -> Result<Option<String>, Failure> {
    let nowhere = TransferId::new(uuid::Uuid::new_v4().to_string());
    match recipient.accept(&nowhere, &Password::new("none")).await {
        Err(Failure::Refused(refusal)) if refusal.status == 403 => Ok(Some(refusal.message)),
        Ok(()) | Err(Failure::Refused(_)) => Ok(None),
        Err(unknown) => Err(unknown),
    }
}

fn judge(volumes: &[Volume], sight: &Sight) -> Foresight {
    let mut foresight = Foresight { volumes: volumes.len(), ..Foresight::default() };
    let mut needs: BTreeMap<String, u64> = BTreeMap::new();
    for volume in volumes {
        let snapshots = sight.snapshots.get(&volume.id).map(Vec::as_slice).unwrap_or_default();
        let gigabytes = volume.size + snapshots.iter().map(|snapshot| snapshot.size).sum::<u64>();
        foresight.snapshots += snapshots.len();
        foresight.gigabytes += gigabytes;
        if let Some(reason) = refusal(volume, snapshots, sight) {
            foresight.failures.push(Failed { volume: volume.id.clone(), reason });
            continue;
        }
        for (resource, amount) in
            [("volumes", 1), ("snapshots", snapshots.len() as u64), ("gigabytes", gigabytes)]
        {
            *needs.entry(resource.to_owned()).or_default() += amount;
            if let Some(of_type) = &volume.volume_type {
                *needs.entry(format!("{resource}_{of_type}")).or_default() += amount;
            }
        }
    }
    let short = needs.iter().filter_map(|(resource, needed)| {
        let Quota { limit, in_use, reserved } = *sight.quotas.get(resource)?;
        let free = u64::try_from(limit - in_use - reserved).unwrap_or(0);
        (limit >= 0 && free < *needed).then(|| {
            format!("the recipient's quota of {resource} has room for {free}, {needed} are needed")
        })
    });
    foresight.obstacles.extend(short);
    if let Some(words) = &sight.no_accepts {
        foresight.obstacles.push(format!("the recipient may not accept transfers: {words}"));
    }
    if volumes.iter().any(|volume| volume.encrypted) {
        if let Some((major, minor)) = sight.newest.filter(|newest| !is_new_enough(*newest)) {
            foresight.obstacles.push(format!(
                "encrypted volumes need microversion 3.70; the service ends at {major}.{minor}"
            ));
        }
        for (whose, failure) in &sight.no_keys {
            foresight.obstacles.push(if failure.is_refusal(403) {
                format!(
                    "Barbican does not let the {whose} at keys: it takes the role member, or \
                     creator under its legacy policy"
                )
            } else {
                format!("whether Barbican lets the {whose} at keys cannot be told: {failure}")
            });
        }
        if !sight.roles.iter().any(|role| ["creator", "member", "admin"].contains(&role.as_str())) {
            foresight.obstacles.push(format!(
                "the recipient's roles ({}) let nobody store a key: it takes member, or creator \
                 under Barbican's legacy policy",
                sight.roles.join(", ")
            ));
        }
    }
    foresight
}

/// Why a volume will be refused, in the order in which Cinder looks.
fn refusal(volume: &Volume, snapshots: &[Snapshot], sight: &Sight) -> Option<String> {
    if volume.status != "available" {
        return Some(format!("its status is {}, not available", volume.status));
    }
    if volume.consistencygroup_id.is_some() {
        return Some("it is in a consistency group".to_owned());
    }
    if let Some(snapshot) = snapshots.iter().find(|snapshot| snapshot.status != "available") {
        let Snapshot { id, status, .. } = snapshot;
        return Some(format!("the status of its snapshot {id} is {status}, not available"));
    }
    let hidden = volume.volume_type.as_ref().filter(|name| !sight.types.contains(*name));
    if let Some(name) = hidden {
        return Some(format!("the recipient has no access to its type {name}"));
    }
    let largest = sight.quotas.get("per_volume_gigabytes").map_or(-1, |quota| quota.limit);
    let too_large = u64::try_from(largest).is_ok_and(|largest| volume.size > largest);
    too_large
        .then(|| format!("it has {} GiB, a volume of the recipient {largest} at most", volume.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(id: &str) -> Volume {
        Volume {
            id: id.into(),
            name: None,
            status: "available".to_owned(),
            size: 10,
            encrypted: true,
            volume_type: Some("luks".to_owned()),
            metadata: BTreeMap::new(),
            consistencygroup_id: None,
            project: None,
        }
    }

    fn sight() -> Sight {
        let unlimited = Quota { limit: -1, in_use: 0, reserved: 0 };
        let resources = ["volumes", "snapshots", "gigabytes", "volumes_luks"];
        Sight {
            snapshots: BTreeMap::new(),
            types: BTreeSet::from(["luks".to_owned()]),
            quotas: resources.into_iter().map(|name| (name.to_owned(), unlimited)).collect(),
            newest: Some((3, 71)),
            roles: vec!["member".to_owned()],
            no_keys: Vec::new(),
            no_accepts: None,
        }
    }

    fn refused(status: u16) -> Failure {
        openstack_http::Refusal { status, message: "no".to_owned() }.into()
    }

    fn snapshot(status: &str) -> Snapshot {
        Snapshot { id: "s".to_owned(), volume_id: "a".into(), status: status.to_owned(), size: 10 }
    }

    #[test]
    fn what_both_sides_allow_is_clear() {
        let mut sight = sight();
        sight.snapshots.insert("a".into(), vec![snapshot("available")]);
        let foresight = judge(&[volume("a"), volume("b")], &sight);
        assert!(foresight.is_clear(), "{foresight:?}");
        assert_eq!((foresight.volumes, foresight.snapshots, foresight.gigabytes), (2, 1, 30));
    }

    #[test]
    fn what_will_fail_is_foreseen() {
        type Turn = fn(&mut Volume, &mut Sight);
        let of_volume: &[(Turn, &str)] = &[
            (|v, _| v.status = "in-use".to_owned(), "its status is in-use"),
            (|v, _| v.consistencygroup_id = Some("g".to_owned()), "consistency group"),
            (
                |_, s| drop(s.snapshots.insert("a".into(), vec![snapshot("error")])),
                "snapshot s is error",
            ),
            (|_, s| s.types.clear(), "no access to its type luks"),
            (
                |_, s| {
                    let quota = Quota { limit: 5, in_use: 0, reserved: 0 };
                    s.quotas.insert("per_volume_gigabytes".to_owned(), quota);
                },
                "it has 10 GiB",
            ),
        ];
        for (turn, words) in of_volume {
            let (mut volume, mut sight) = (volume("a"), sight());
            turn(&mut volume, &mut sight);
            let foresight = judge(&[volume], &sight);
            assert!(foresight.failures[0].reason.contains(words), "{foresight:?}");
            assert_eq!(foresight.obstacles, Vec::<String>::new());
        }
        let of_all: &[(Turn, &str)] = &[
            (
                |_, s| {
                    let quota = Quota { limit: 10, in_use: 9, reserved: 1 };
                    s.quotas.insert("volumes_luks".to_owned(), quota);
                },
                "quota of volumes_luks has room for 0, 1 are needed",
            ),
            (|_, s| s.newest = Some((3, 69)), "the service ends at 3.69"),
            (|_, s| s.roles = vec!["reader".to_owned()], "roles (reader)"),
            (|_, s| s.no_keys = vec![("recipient", refused(403))], "not let the recipient at keys"),
            (
                |_, s| s.no_keys = vec![("donor", Failure::unreadable("a list"))],
                "whether Barbican lets the donor at keys cannot be told",
            ),
            (|_, s| s.no_accepts = Some("no".to_owned()), "may not accept transfers: no"),
        ];
        for (turn, words) in of_all {
            let (mut volume, mut sight) = (volume("a"), sight());
            turn(&mut volume, &mut sight);
            let foresight = judge(&[volume], &sight);
            assert!(foresight.obstacles[0].contains(words), "{foresight:?}");
            assert_eq!(foresight.failures, []);
        }
    }
}
