//! The reference: what volumes, offers and quotas are, and what becomes of them, without a service.
//!
//! It follows Cinder 29 (`transfer/api.py`, `quota.py`) and, where this service knowingly differs, this
//! service: only the owner's project can offer or take back an encrypted volume, and rows that are the
//! recipient's already cost nothing.

use crate::operation::{Ask, By, Door, Kind, Life, Operation, Person, Shown, Status, What};
use std::collections::BTreeMap;

/// How long a token lives.
const TOKEN_MINUTES: i64 = 60;

/// What the configuration allows every project.
pub(crate) const VOLUMES: i64 = 4;
pub(crate) const SNAPSHOTS: i64 = 4;
pub(crate) const GIGABYTES: i64 = 8;

/// A rule got wrong on purpose, to see whether anybody notices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mistake {
    AnyAuthKeyOpens,
    EncryptedAtAnyMicroversion,
    SnapshotsCostNothing,
    PrivateTypesAreSeen,
    AnybodyWithdraws,
    SnapshotsStayBehind,
    TokensLiveForever,
    TypesHaveNoQuota,
}

impl Mistake {
    pub(crate) const ALL: [Self; 8] = [
        Self::AnyAuthKeyOpens,
        Self::EncryptedAtAnyMicroversion,
        Self::SnapshotsCostNothing,
        Self::PrivateTypesAreSeen,
        Self::AnybodyWithdraws,
        Self::SnapshotsStayBehind,
        Self::TokensLiveForever,
        Self::TypesHaveNoQuota,
    ];
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Custodian {
    Project(Person),
    Service,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Volume {
    pub(crate) owner: Person,
    pub(crate) kind: Kind,
    pub(crate) size_gb: i64,
    pub(crate) status: Status,
    pub(crate) live: bool,
    /// Who holds its keys, if it is encrypted.
    pub(crate) custodian: Option<Custodian>,
    pub(crate) snapshots: Vec<Snapshot>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Snapshot {
    /// Among all snapshots ever made.
    pub(crate) number: usize,
    pub(crate) owner: Person,
    pub(crate) status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Open,
    Accepted(Person),
    Withdrawn,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    pub(crate) volume: usize,
    pub(crate) fate: Fate,
    pub(crate) no_snapshots: bool,
    pub(crate) named: bool,
    /// The reply with the auth key came back.
    pub(crate) key_known: bool,
}

/// Everything that the service has to know, too.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) volumes: Vec<Volume>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) snapshots_made: usize,
    mistake: Option<Mistake>,
    limits: BTreeMap<(Person, &'static str), i64>,
    minute: i64,
    logged_in: BTreeMap<Person, i64>,
}

/// The status, and nothing has changed.
type Refused = u16;

impl Reference {
    pub(crate) fn with(mistake: Option<Mistake>) -> Self {
        Self { mistake, ..Self::default() }
    }

    /// The status of the answer, and the world afterwards. Statuses of the world's own life are those
    /// that the block storage's API would answer.
    pub(crate) fn after(&self, operation: &Operation) -> (u16, Self) {
        let mut after = self.clone();
        match after.act(operation) {
            Ok(status) => (status, after),
            Err(status) => (status, self.clone()),
        }
    }

    /// Who asks.
    pub(crate) fn asker(&self, ask: &Ask) -> Person {
        let about = match ask.what {
            What::Offer { volume, .. } => Some(volume),
            What::Accept { offer, .. } | What::Withdraw { offer } | What::Show { offer } => {
                self.offer(offer).map(|number| self.offers[number].volume)
            }
            What::List { .. } => None,
        };
        match ask.by {
            By::Person(person) => person,
            By::Owner => {
                about.and_then(|volume| self.volumes.get(volume)).map_or(Person::X, |v| v.owner)
            }
        }
    }

    /// The number of the offer in this place: open ones come first, newer ones before older ones.
    pub(crate) fn offer(&self, place: usize) -> Option<usize> {
        let mut numbers: Vec<usize> = (0..self.offers.len()).rev().collect();
        numbers.sort_by_key(|number| self.offers[*number].fate != Fate::Open);
        numbers.get(place).copied()
    }

    /// Somebody has a fresh token.
    pub(crate) fn log_in(&mut self, person: Person) {
        self.logged_in.insert(person, self.minute);
    }

    /// The numbers of the open offers that a list shows.
    pub(crate) fn listed(&self, by: Person, all_tenants: bool) -> Vec<usize> {
        let seen = |offer: &Offer| {
            let everybodys = by == Person::Admin && all_tenants;
            everybodys || self.volumes[offer.volume].owner == by
        };
        let open = |offer: &Offer| offer.fate == Fate::Open && seen(offer);
        (0..self.offers.len()).filter(|number| open(&self.offers[*number])).collect()
    }

    /// What the rows of a project add up to, by resource.
    pub(crate) fn used(&self, project: Person) -> BTreeMap<String, i64> {
        let mut used = BTreeMap::new();
        for volume in self.volumes.iter().filter(|volume| volume.live) {
            if volume.owner == project {
                count(&mut used, volume.kind, &[("volumes", 1), ("gigabytes", volume.size_gb)]);
            }
            for _own in volume.snapshots.iter().filter(|snapshot| snapshot.owner == project) {
                count(&mut used, volume.kind, &[("snapshots", 1), ("gigabytes", volume.size_gb)]);
            }
        }
        used
    }

    fn wrongly(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn act(&mut self, operation: &Operation) -> Result<u16, Refused> {
        match operation {
            Operation::Ask(ask) => self.ask(ask),
            Operation::Live(life) => self.live(*life).map(|()| 202),
        }
    }

    fn ask(&mut self, ask: &Ask) -> Result<u16, Refused> {
        let by = self.asker(ask);
        let expired = self.logged_in.get(&by).is_none_or(|at| self.minute >= at + TOKEN_MINUTES);
        if expired && !self.wrongly(Mistake::TokensLiveForever) {
            return Err(401);
        }
        match ask.what {
            What::Offer { volume, no_snapshots, named } => {
                self.make_offer(by, volume, no_snapshots, named, ask.door)
            }
            What::Accept { offer, shown } => self.accept(by, offer, shown),
            What::Withdraw { offer } => self.withdraw(by, offer),
            What::Show { offer } => self.visible(by, offer).map(|_offer| 200),
            What::List { .. } => Ok(200),
        }
    }

    fn make_offer(
        &mut self,
        by: Person,
        number: usize,
        no_snapshots: Option<bool>,
        named: bool,
        door: Door,
    ) -> Result<u16, Refused> {
        if no_snapshots.is_some() && (door.legacy || door.minor < 55) {
            return Err(400);
        }
        let no_snapshots = no_snapshots == Some(true);
        let any_door = self.wrongly(Mistake::EncryptedAtAnyMicroversion);
        let volume = self.volumes.get_mut(number).filter(|volume| volume.live).ok_or(404_u16)?;
        if by != Person::Admin && by != volume.owner {
            return Err(404);
        }
        if volume.status != Status::Available {
            return Err(400);
        }
        let by_this_door = any_door || (!door.legacy && door.minor >= 70);
        if volume.custodian.is_some() && (!by_this_door || no_snapshots) {
            return Err(400);
        }
        if volume.custodian.is_some() && by != volume.owner {
            return Err(403);
        }
        if !no_snapshots && !volume.snapshots_are_available() {
            return Err(400);
        }
        // While another offer of it is open its keys are the service's.
        if volume.custodian.is_some_and(|custodian| custodian != Custodian::Project(by)) {
            return Err(403);
        }
        volume.status = Status::AwaitingTransfer;
        volume.custodian = volume.custodian.map(|_donor| Custodian::Service);
        let fate = Fate::Open;
        self.offers.push(Offer { volume: number, fate, no_snapshots, named, key_known: true });
        Ok(202)
    }

    fn accept(&mut self, by: Person, place: usize, shown: Shown) -> Result<u16, Refused> {
        let number = self.offer(place).ok_or(404_u16)?;
        let Offer { volume, fate, no_snapshots, key_known, .. } = self.offers[number];
        if fate != Fate::Open {
            return Err(404);
        }
        let fits = shown == Shown::Right && key_known;
        if !fits && !self.wrongly(Mistake::AnyAuthKeyOpens) {
            return Err(400);
        }
        let given = self.volumes[volume].clone();
        if !given.live {
            return Err(404);
        }
        if self.exceeds(by, "per_volume_gigabytes", given.size_gb) {
            return Err(413);
        }
        let blind = by == Person::Z && given.kind == Kind::Private;
        if blind && !self.wrongly(Mistake::PrivateTypesAreSeen) {
            return Err(404);
        }
        let mut gains = BTreeMap::new();
        if given.owner != by {
            count(&mut gains, given.kind, &[("volumes", 1), ("gigabytes", given.size_gb)]);
        }
        let free = self.wrongly(Mistake::SnapshotsCostNothing);
        let foreign = |snapshot: &&Snapshot| snapshot.owner != by && !no_snapshots && !free;
        for _gained in given.snapshots.iter().filter(foreign) {
            count(&mut gains, given.kind, &[("snapshots", 1), ("gigabytes", given.size_gb)]);
        }
        if self.is_over(by, &gains) {
            return Err(413);
        }
        let ready = no_snapshots || given.snapshots_are_available();
        if given.status != Status::AwaitingTransfer || !ready {
            return Err(400);
        }
        let stay = no_snapshots || self.wrongly(Mistake::SnapshotsStayBehind);
        let taken = &mut self.volumes[volume];
        taken.owner = by;
        taken.status = Status::Available;
        taken.custodian = taken.custodian.map(|_service| Custodian::Project(by));
        for snapshot in taken.snapshots.iter_mut().filter(|_snapshot| !stay) {
            snapshot.owner = by;
        }
        self.offers[number].fate = Fate::Accepted(by);
        Ok(202)
    }

    fn withdraw(&mut self, by: Person, place: usize) -> Result<u16, Refused> {
        let number = self.visible(by, place)?;
        let volume = &mut self.volumes[self.offers[number].volume];
        if !volume.live {
            return Err(404);
        }
        if volume.custodian.is_some() && by != volume.owner {
            return Err(403);
        }
        if volume.status == Status::AwaitingTransfer {
            volume.status = Status::Available;
        }
        volume.custodian = volume.custodian.map(|_service| Custodian::Project(by));
        self.offers[number].fate = Fate::Withdrawn;
        Ok(202)
    }

    /// The offer, as far as somebody sees it.
    fn visible(&self, by: Person, place: usize) -> Result<usize, Refused> {
        let number = self.offer(place).ok_or(404_u16)?;
        let offer = &self.offers[number];
        let sees = by == Person::Admin
            || by == self.volumes[offer.volume].owner
            || self.wrongly(Mistake::AnybodyWithdraws);
        if offer.fate == Fate::Open && sees { Ok(number) } else { Err(404) }
    }

    fn live(&mut self, life: Life) -> Result<(), Refused> {
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

    fn exceeds(&self, by: Person, resource: &'static str, amount: i64) -> bool {
        let configured = match resource {
            "volumes" => VOLUMES,
            "snapshots" => SNAPSHOTS,
            "gigabytes" => GIGABYTES,
            _of_a_type_or_of_one_volume => -1,
        };
        let limit = self.limits.get(&(by, resource)).copied().unwrap_or(configured);
        limit >= 0 && amount > limit
    }

    fn is_over(&self, by: Person, gains: &BTreeMap<String, i64>) -> bool {
        let used = self.used(by);
        let limited = ["volumes", "gigabytes", "snapshots"];
        let of_type = ["volumes_fast", "gigabytes_fast", "snapshots_fast"];
        let types_too = !self.wrongly(Mistake::TypesHaveNoQuota);
        limited.into_iter().chain(of_type.into_iter().filter(|_one| types_too)).any(|resource| {
            let gain = gains.get(resource).copied().unwrap_or(0);
            gain > 0 && self.exceeds(by, resource, gain + used.get(resource).copied().unwrap_or(0))
        })
    }
}

impl Volume {
    fn snapshots_are_available(&self) -> bool {
        self.snapshots.iter().all(|snapshot| snapshot.status == Status::Available)
    }
}

/// Each counts for all types and for its own.
fn count(counts: &mut BTreeMap<String, i64>, kind: Kind, amounts: &[(&str, i64)]) {
    for (resource, amount) in amounts {
        *counts.entry((*resource).to_owned()).or_insert(0) += amount;
        *counts.entry(format!("{resource}_{}", kind.name())).or_insert(0) += amount;
    }
}
