//! Who and what there is, by name: projects, volumes, requests, secrets.

use transfer_core::Operation;

/// Somebody who can own a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Project {
    /// The block-storage service's own project.
    Service,
    /// The donor.
    X,
    /// A recipient.
    Y,
    /// Another recipient.
    Z,
    /// An administrator's project.
    Admin,
}

impl Project {
    /// The projects that have quotas.
    pub(crate) const TENANTS: [Self; 3] = [Self::X, Self::Y, Self::Z];

    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::X => "X",
            Self::Y => "Y",
            Self::Z => "Z",
            Self::Admin => "admin",
        }
    }
}

/// One of the two volumes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Volume {
    /// The one that everybody is after.
    First,
    /// Another one of the donor's.
    Second,
}

/// A request that somebody may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    /// As reports call it.
    pub(crate) name: &'static str,
    /// What it asks for.
    pub(crate) operation: Operation,
    /// Whose token it carries.
    pub(crate) project: Project,
    /// About which volume.
    pub(crate) volume: Volume,
    /// An equal request that is granted first: of two equal ones the earlier is called the first.
    pub(crate) after: Option<usize>,
}

/// All requests that there can be.
pub(crate) const REQUESTS: [Request; 9] = [
    request("initiate by X", Operation::Initiate, Project::X, Volume::First, None),
    request("second initiate by X", Operation::Initiate, Project::X, Volume::First, Some(0)),
    request("accept by Y", Operation::Accept, Project::Y, Volume::First, None),
    request("second accept by Y", Operation::Accept, Project::Y, Volume::First, Some(2)),
    request("accept by Z", Operation::Accept, Project::Z, Volume::First, None),
    request("cancel by X", Operation::Cancel, Project::X, Volume::First, None),
    request("second cancel by X", Operation::Cancel, Project::X, Volume::First, Some(5)),
    request(
        "initiate of another volume by X",
        Operation::Initiate,
        Project::X,
        Volume::Second,
        None,
    ),
    request("cancel by a foreign admin", Operation::Cancel, Project::Admin, Volume::First, None),
];

/// How many requests there can be.
pub(crate) const SLOTS: usize = REQUESTS.len();

const fn request(
    name: &'static str,
    operation: Operation,
    project: Project,
    volume: Volume,
    after: Option<usize>,
) -> Request {
    Request { name, operation, project, volume, after }
}

/// A secret: a letter for the key that it is a copy of, or will be, its owner, and a number.
/// Numbers are used again once nobody knows the secret any more, so that equal situations look
/// equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Secret(u8);

const LETTERS: [&str; 3] = ["A", "B", "C"];
const OWNERS: [Project; 5] = [Project::Service, Project::X, Project::Y, Project::Z, Project::Admin];
/// Secrets of one letter and one owner that there can be at once.
const NUMBERS: usize = 12;
/// Keys of one hand-over.
pub(crate) const KEYS: usize = 2;

impl Secret {
    /// The key of the first volume.
    pub(crate) const A: Self = Self::numbered(0, Project::X, 0);
    /// The key of the second volume.
    pub(crate) const C: Self = Self::numbered(2, Project::X, 0);
    /// The key of its second snapshot.
    pub(crate) const B: Self = Self::numbered(1, Project::X, 0);

    const fn numbered(letter: usize, owner: Project, number: usize) -> Self {
        Self(((letter * OWNERS.len() + owner as usize) * NUMBERS + number) as u8)
    }

    /// All that there can be.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..LETTERS.len() * OWNERS.len() * NUMBERS).map(|code| Self(code as u8))
    }

    /// The key at the start that it is called after.
    pub(crate) fn original(self) -> Self {
        Self::numbered(usize::from(self.0) / NUMBERS / OWNERS.len(), Project::X, 0)
    }

    /// Those of the same letter that this project can own, lowest number first.
    pub(crate) fn alike(self, owner: Project) -> impl Iterator<Item = Self> {
        let letter = usize::from(self.0) / NUMBERS / OWNERS.len();
        (0..NUMBERS).map(move |number| Self::numbered(letter, owner, number))
    }

    /// Its id, readable.
    pub(crate) fn id(self) -> String {
        let code = usize::from(self.0);
        let letter = LETTERS[code / NUMBERS / OWNERS.len()];
        let owner = OWNERS[code / NUMBERS % OWNERS.len()].name();
        match code % NUMBERS {
            0 => format!("{letter}-{owner}"),
            more => format!("{letter}-{owner}-{}", more + 1),
        }
    }
}

/// The id of a request's hand-over.
pub(crate) fn hand_over_id(slot: usize) -> String {
    REQUESTS[slot].name.replace(' ', "-")
}

/// The id of an offer.
pub(crate) fn offer_id(offer: usize) -> String {
    format!("offer-{}", offer + 1)
}
