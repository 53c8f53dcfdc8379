//! What can happen: the operations of a history, and how they are drawn.
//!
//! Volumes are named by their number in order of creation, offers by their place among all: open
//! ones first, newest first. So every operation keeps a meaning when others are taken out of its
//! history.

use proptest::prelude::*;
use proptest::sample::select;
use simulator::Service;

/// A user, and the project of that user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Person {
    X,
    Y,
    Z,
    Admin,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    Person(Person),
    /// Whoever owns the volume that it is about.
    Owner,
}

/// Types of volumes: the default, one with quotas of its own, one that z does not see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Default,
    Fast,
    Private,
}

/// The status of a volume or a snapshot that an administrator sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Available,
    AwaitingTransfer,
    Error,
}

/// Through which of the API's four doors, and at which microversion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Door {
    pub(crate) legacy: bool,
    pub(crate) project_in_path: bool,
    pub(crate) minor: u16,
}

/// The auth key that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shown {
    Right,
    Wrong,
    /// That of the offer made before.
    OfAnotherOffer,
}

/// One request to the API, or one turn of the world's own life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Ask(Ask),
    Live(Life),
}

/// A request to the API.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) by: By,
    pub(crate) what: What,
    pub(crate) door: Door,
    pub(crate) fault: Option<Fault>,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Offer { volume: usize, no_snapshots: Option<bool>, named: bool },
    Accept { offer: usize, shown: Shown },
    Withdraw { offer: usize },
    Show { offer: usize },
    List { all_tenants: bool },
}

/// What happens by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    MakeVolume {
        by: Person,
        kind: Kind,
        size_gb: i64,
        encrypted: bool,
    },
    DeleteVolume {
        volume: usize,
    },
    MakeSnapshot {
        volume: usize,
        own_key: bool,
    },
    DeleteSnapshot {
        volume: usize,
    },
    ResetVolume {
        volume: usize,
        status: Status,
    },
    ResetSnapshot {
        volume: usize,
        status: Status,
    },
    SetQuota {
        of: Person,
        resource: &'static str,
        limit: i64,
    },
    Pass {
        minutes: i64,
    },
    Restart,
    Recover,
    /// Somebody writes into the database or deletes a secret; never drawn.
    Sabotage(Sabotage),
}

/// What no service does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sabotage {
    /// A volume names the key of another one of its project.
    SwapKey,
    /// A snapshot alone is repointed.
    SplitKey,
    /// A key that a row names is deleted.
    DeleteKey,
    /// A project is charged for nothing.
    Charge,
    /// A volume changes its owner, and its key does not.
    Steal,
    /// An offer ends as if it had been accepted.
    EndOffer,
    /// A plain volume changes its status.
    Break,
}

/// What happens to a request of the service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum How {
    Refused {
        status: u16,
    },
    Fails,
    NeverArrives,
    LosesItsReply,
    ComesBackGarbled,
    LandsLate,
    /// The service dies before the request takes effect, or after.
    Kills {
        after: bool,
    },
}

/// The n-th request to a service that the operation makes, and what happens to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) service: Service,
    pub(crate) nth: u32,
    pub(crate) how: How,
}

impl Person {
    pub(crate) const ALL: [Self; 4] = [Self::X, Self::Y, Self::Z, Self::Admin];

    pub(crate) fn user(self) -> &'static str {
        match self {
            Self::X => "x",
            Self::Y => "y",
            Self::Z => "z",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn project(self) -> &'static str {
        match self {
            Self::X => "donor",
            Self::Y => "recipient",
            Self::Z => "third",
            Self::Admin => "admin",
        }
    }
}

impl Operation {
    /// Without its particulars.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ask(ask) => match ask.what {
                What::Offer { .. } => "offer",
                What::Accept { .. } => "accept",
                What::Withdraw { .. } => "delete",
                What::Show { .. } => "show",
                What::List { .. } => "list",
            },
            Self::Live(life) => match life {
                Life::MakeVolume { .. } => "make volume",
                Life::DeleteVolume { .. } => "delete volume",
                Life::MakeSnapshot { .. } => "make snapshot",
                Life::DeleteSnapshot { .. } => "delete snapshot",
                Life::ResetVolume { .. } => "reset volume",
                Life::ResetSnapshot { .. } => "reset snapshot",
                Life::SetQuota { .. } => "set quota",
                Life::Pass { .. } => "pass",
                Life::Restart => "restart",
                Life::Recover => "recover",
                Life::Sabotage(_) => "sabotage",
            },
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "__DEFAULT__",
            Self::Fast => "fast",
            Self::Private => "private",
        }
    }
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::AwaitingTransfer => "awaiting-transfer",
            Self::Error => "error",
        }
    }
}

impl How {
    /// Without its particulars.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Fails => "failed with 503",
            Self::NeverArrives => "lost",
            Self::LosesItsReply => "done, its reply lost",
            Self::ComesBackGarbled => "done, its reply garbled",
            Self::LandsLate => "given up and landing late",
            Self::Kills { .. } => "killing the service",
        }
    }
}

/// A history of up to this many operations.
pub(crate) fn history(longest: usize) -> impl Strategy<Value = Vec<Operation>> {
    let ask = (what(), door(), proptest::option::weighted(0.4, fault()))
        .prop_map(|((by, what), door, fault)| Operation::Ask(Ask { by, what, door, fault }));
    let operation = prop_oneof![4 => ask, 1 => life().prop_map(Operation::Live)];
    proptest::collection::vec(operation, 1..=longest)
}

fn what() -> impl Strategy<Value = (By, What)> {
    let anybody = || select(&Person::ALL[..]).prop_map(By::Person);
    let by = || prop_oneof![5 => Just(By::Owner), 1 => anybody()];
    let offer = || prop_oneof![8 => Just(0), 1 => Just(1), 1 => 2..5_usize];
    let volume = prop_oneof![3 => 1..4_usize, 2 => 0..7_usize];
    let shown = prop_oneof![
        7 => Just(Shown::Right),
        1 => Just(Shown::Wrong),
        1 => Just(Shown::OfAnotherOffer),
    ];
    let no_snapshots = prop_oneof![10 => Just(None), 1 => Just(Some(false)), 1 => Just(Some(true))];
    let offering = (volume, no_snapshots, any::<bool>())
        .prop_map(|(volume, no_snapshots, named)| What::Offer { volume, no_snapshots, named });
    prop_oneof![
        16 => (by(), offering),
        10 => (
            anybody(),
            (offer(), shown).prop_map(|(offer, shown)| What::Accept { offer, shown }),
        ),
        2 => (by(), offer().prop_map(|offer| What::Withdraw { offer })),
        2 => (anybody(), offer().prop_map(|offer| What::Withdraw { offer })),
        1 => (by(), offer().prop_map(|offer| What::Show { offer })),
        1 => (anybody(), any::<bool>().prop_map(|all_tenants| What::List { all_tenants })),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    let person = || select(&Person::ALL[..]);
    let volume = || 0..7_usize;
    let status = select(&[Status::Available, Status::AwaitingTransfer, Status::Error][..]);
    let of_snapshot = select(&[Status::Available, Status::Error][..]);
    prop_oneof![
        2 => (person(), kind(), 1..4_i64, any::<bool>()).prop_map(
            |(by, kind, size_gb, encrypted)| Life::MakeVolume { by, kind, size_gb, encrypted },
        ),
        1 => volume().prop_map(|volume| Life::DeleteVolume { volume }),
        3 => (volume(), any::<bool>())
            .prop_map(|(volume, own_key)| Life::MakeSnapshot { volume, own_key }),
        1 => volume().prop_map(|volume| Life::DeleteSnapshot { volume }),
        3 => (1..4_usize, status).prop_map(|(volume, status)| Life::ResetVolume { volume, status }),
        1 => (volume(), of_snapshot)
            .prop_map(|(volume, status)| Life::ResetSnapshot { volume, status }),
        2 => (person(), resource(), -1..6_i64)
            .prop_map(|(of, resource, limit)| Life::SetQuota { of, resource, limit }),
        1 => select(&[4, 58, 61][..]).prop_map(|minutes| Life::Pass { minutes }),
        1 => Just(Life::Restart),
        1 => Just(Life::Recover),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    select(&[Kind::Default, Kind::Fast, Kind::Private][..])
}

fn resource() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "volumes",
            "gigabytes",
            "snapshots",
            "volumes_fast",
            "gigabytes_fast",
            "snapshots_fast",
            "per_volume_gigabytes",
        ][..],
    )
}

fn door() -> impl Strategy<Value = Door> {
    let legacy = prop_oneof![7 => Just(false), 1 => Just(true)];
    let minor = prop_oneof![6 => Just(70), 1 => Just(55), 1 => Just(0)];
    (legacy, any::<bool>(), minor).prop_map(|(legacy, project_in_path, minor)| Door {
        legacy,
        project_in_path,
        minor,
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    let how = select(
        &[
            How::Refused { status: 401 },
            How::Refused { status: 403 },
            How::Fails,
            How::NeverArrives,
            How::LosesItsReply,
            How::ComesBackGarbled,
            How::LandsLate,
            How::Kills { after: false },
            How::Kills { after: true },
        ][..],
    );
    let barbican = (1..10_u32).prop_map(|nth| (Service::Barbican, nth));
    let keystone = (1..3_u32).prop_map(|nth| (Service::Keystone, nth));
    (prop_oneof![7 => barbican, 1 => keystone], how).prop_map(|((service, nth), how)| Fault {
        service,
        nth,
        how,
    })
}
