//! What becomes of volumes and snapshots by themselves, as the block storage would answer.

use super::quota::count;
use super::{Custodian, Reference, Refused, Snapshot, Volume};
use crate::operation::{Kind, Life, Person, Status};
use std::collections::BTreeMap;

impl Reference {
    pub(super) fn live(&mut self, life: Life) -> Result<(), Refused> {
        match life {
            Life::MakeVolume { by, kind, size_gb, encrypted } => {
                return self.make_volume(by, kind, size_gb, encrypted);
            }
            Life::MakeSnapshot { volume, .. } => return self.make_snapshot(volume),
            Life::DeleteVolume { volume } => {
                let volume = self.find(volume)?;
                if !volume.snapshots.is_empty() || volume.status == Status::AwaitingTransfer {
                    return Err(400);
                }
                volume.live = false;
            }
            Life::DeleteSnapshot { volume } => {
                self.first_snapshot(volume)?;
                self.find(volume)?.snapshots.remove(0);
            }
            Life::ResetVolume { volume, status } => self.find(volume)?.status = status,
            Life::ResetSnapshot { volume, status } => self.first_snapshot(volume)?.status = status,
            Life::SetQuota { of, resource, limit } => {
                self.limits.insert((of, resource), limit);
            }
            Life::Pass { minutes } => self.minute += minutes,
            Life::Restart | Life::Recover | Life::Sabotage(_) => {}
        }
        Ok(())
    }

    fn make_volume(
        &mut self,
        by: Person,
        kind: Kind,
        size_gb: i64,
        encrypted: bool,
    ) -> Result<(), Refused> {
        if kind == Kind::Private && (by == Person::Z || by == Person::Admin) {
            return Err(404);
        }
        let mut gains = BTreeMap::new();
        count(&mut gains, kind, &[("volumes", 1), ("gigabytes", size_gb)]);
        if self.exceeds(by, "per_volume_gigabytes", size_gb) || self.is_over(by, &gains) {
            return Err(413);
        }
        self.volumes.push(Volume {
            owner: by,
            kind,
            size_gb,
            status: Status::Available,
            live: true,
            custodian: encrypted.then_some(Custodian::Project(by)),
            snapshots: Vec::new(),
        });
        Ok(())
    }

    fn make_snapshot(&mut self, volume: usize) -> Result<(), Refused> {
        let (owner, kind, size_gb, status) = {
            let volume = self.find(volume)?;
            (volume.owner, volume.kind, volume.size_gb, volume.status)
        };
        if status != Status::Available {
            return Err(400);
        }
        let mut gains = BTreeMap::new();
        count(&mut gains, kind, &[("snapshots", 1), ("gigabytes", size_gb)]);
        if self.is_over(owner, &gains) {
            return Err(413);
        }
        let number = self.snapshots_made;
        self.snapshots_made += 1;
        let snapshots = &mut self.find(volume)?.snapshots;
        snapshots.push(Snapshot { number, owner, status: Status::Available });
        Ok(())
    }

    fn find(&mut self, volume: usize) -> Result<&mut Volume, Refused> {
        self.volumes.get_mut(volume).filter(|volume| volume.live).ok_or(404)
    }

    fn first_snapshot(&mut self, volume: usize) -> Result<&mut Snapshot, Refused> {
        self.find(volume)?.snapshots.first_mut().ok_or(404)
    }
}
