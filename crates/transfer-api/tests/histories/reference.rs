//! The reference: what volumes, offers and quotas are, and what becomes of them, without a service.
//!
//! It follows Cinder 29 (`transfer/api.py`, `quota.py`) and, where this service knowingly differs,
//! this service: only the owner's project can offer or take back an encrypted volume, rows that are
//! the recipient's already cost nothing, and a snapshot is given up by the project that has it.

mod life;
mod quota;

pub(crate) use quota::{GIGABYTES, SNAPSHOTS, VOLUMES};

use crate::operation::{Ask, By, Door, Kind, Operation, Person, Shown, Status, What};
use quota::count;
use std::collections::BTreeMap;

/// How long a token lives.
const TOKEN_MINUTES: i64 = 60;

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
    AdminsWithdrawEncrypted,
    OnlyWaitingIsWithdrawn,
}

impl Mistake {
    pub(crate) const ALL: [Self; 10] = [
        Self::AnyAuthKeyOpens,
        Self::EncryptedAtAnyMicroversion,
        Self::SnapshotsCostNothing,
        Self::PrivateTypesAreSeen,
        Self::AnybodyWithdraws,
        Self::SnapshotsStayBehind,
        Self::TokensLiveForever,
        Self::TypesHaveNoQuota,
        Self::AdminsWithdrawEncrypted,
        Self::OnlyWaitingIsWithdrawn,
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

    /// The status of the answer, and the world afterwards. Statuses of the world's own life are
    /// those that the block storage's API would answer.
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
        let whoever = self.wrongly(Mistake::AdminsWithdrawEncrypted);
        let only_waiting = self.wrongly(Mistake::OnlyWaitingIsWithdrawn);
        let volume = &mut self.volumes[self.offers[number].volume];
        if !volume.live {
            return Err(404);
        }
        if volume.custodian.is_some() && by != volume.owner && !whoever {
            return Err(403);
        }
        if only_waiting && volume.status != Status::AwaitingTransfer {
            return Err(400);
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
}

impl Volume {
    fn snapshots_are_available(&self) -> bool {
        self.snapshots.iter().all(|snapshot| snapshot.status == Status::Available)
    }
}
