//! How a history reads: a line for each operation.

use crate::operation::{Ask, By, Door, Fault, How, Life, Operation, Shown, What};
use std::fmt;

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person) => f.write_str(person.user()),
            Self::Owner => f.write_str("its owner"),
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collection = if self.legacy { "os-volume-transfer" } else { "volume-transfers" };
        let project = if self.project_in_path { "{project_id}/" } else { "" };
        write!(f, "at 3.{} by {project}{collection}", self.minor)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Right => "its auth key",
            Self::Wrong => "a wrong auth key",
            Self::OfAnotherOffer => "the auth key of another offer",
        })
    }
}

struct Offer(usize);

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("the newest open offer"),
            1 => f.write_str("the second newest offer"),
            place => write!(f, "the offer in place {place}"),
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(ask) => fmt::Display::fmt(ask, f),
            Self::Live(life) => fmt::Display::fmt(life, f),
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, what, door, fault } = self;
        match what {
            What::Offer { volume, no_snapshots, named } => {
                write!(f, "{by} offers v{volume} {door}")?;
                if let Some(no_snapshots) = no_snapshots {
                    write!(f, ", no_snapshots {no_snapshots}")?;
                }
                f.write_str(if *named { ", with a name" } else { "" })?;
            }
            What::Accept { offer, shown } => {
                write!(f, "{by} accepts {} with {shown} {door}", Offer(*offer))?;
            }
            What::Withdraw { offer } => write!(f, "{by} deletes {} {door}", Offer(*offer))?,
            What::Show { offer } => write!(f, "{by} looks at {} {door}", Offer(*offer))?,
            What::List { all_tenants } => {
                let whose = if *all_tenants { "all offers" } else { "the offers" };
                write!(f, "{by} lists {whose} {door}")?;
            }
        }
        fault.map_or(Ok(()), |fault| write!(f, "; {fault}"))
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeVolume { by, kind, size_gb, encrypted } => {
                let how = if *encrypted { "an encrypted" } else { "a plain" };
                write!(f, "{} makes {how} volume of {size_gb}G, {kind:?}", by.user())
            }
            Self::DeleteVolume { volume } => write!(f, "v{volume} is deleted"),
            Self::MakeSnapshot { volume, own_key } => {
                let key = if *own_key { ", with a key of its own" } else { "" };
                write!(f, "a snapshot of v{volume} is made{key}")
            }
            Self::DeleteSnapshot { volume } => write!(f, "a snapshot of v{volume} is deleted"),
            Self::ResetVolume { volume, status } => write!(f, "v{volume} is reset to {status:?}"),
            Self::ResetSnapshot { volume, status } => {
                write!(f, "a snapshot of v{volume} is reset to {status:?}")
            }
            Self::SetQuota { of, resource, limit } => {
                write!(f, "{} may have {limit} {resource}", of.project())
            }
            Self::Pass { minutes } => write!(f, "{minutes} minutes pass"),
            Self::Restart => f.write_str("the service restarts"),
            Self::Recover => f.write_str("the service recovers"),
            Self::Sabotage(sabotage) => write!(f, "sabotage: {sabotage:?}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, nth, how } = self;
        write!(f, "{service:?} request {nth} {}", how.name())?;
        match how {
            How::Refused { status } => write!(f, " with {status}"),
            How::Kills { after: true } => f.write_str(" when done"),
            How::Kills { after: false } => f.write_str(" on arrival"),
            How::Fails
            | How::NeverArrives
            | How::LosesItsReply
            | How::ComesBackGarbled
            | How::LandsLate => Ok(()),
        }
    }
}
