//! A past that is true, and lies planted in it.

use super::untrue_answers;
use crate::record::{Answer, Asked, Listed, Record, Span};
use std::collections::BTreeMap;
use transfer_core::invariants::{OfferFate, OfferView, Row, RowId, VolumeView, World};
use transfer_core::{ProjectId, TransferId, VolumeId};
use volume_transfer::stage::Call;

const V: &str = "v";

fn asked(operation: Call, project: &str, offer: Option<&str>, span: [u64; 2]) -> Asked {
    Asked {
        operation,
        volume: V.into(),
        offer: offer.map(TransferId::new),
        project: project.into(),
        right_key: true,
        span: Span { began: span[0], ended: span[1] },
        answer: Answer::of(202, ""),
    }
}

fn answered(mut one: Asked, status: u16, words: &str) -> Asked {
    one.answer = Answer::of(status, words);
    one
}

fn unanswered(mut one: Asked) -> Asked {
    one.answer = Answer::NONE;
    one
}

fn listed(project: &str, offers: &[&str], span: [u64; 2]) -> Listed {
    Listed {
        project: project.into(),
        span: Span { began: span[0], ended: span[1] },
        offers: offers.iter().map(|offer| TransferId::new(*offer)).collect(),
    }
}

fn world(owner: &str, offers: &[(&str, OfferFate)]) -> World {
    let offers = offers.iter().map(|(id, fate)| OfferView {
        id: TransferId::new(*id),
        volume: V.into(),
        fate: fate.clone(),
    });
    World {
        service: "service".into(),
        volumes: vec![VolumeView {
            row: Row {
                id: RowId::Volume(V.into()),
                project: owner.into(),
                key: None,
                size_gb: 1,
                uses_quota: true,
            },
            status: "available".to_owned(),
            type_name: None,
            snapshots: Vec::new(),
        }],
        secrets: BTreeMap::new(),
        offers: offers.collect(),
        hand_overs: Vec::new(),
        debts: Vec::new(),
        usages: BTreeMap::new(),
    }
}

fn to(project: &str) -> OfferFate {
    OfferFate::Accepted(project.into())
}

/// x offers, takes back, offers again; y accepts, offers, and that stays open.
fn past() -> (Record, World) {
    use Call::{Accept, Cancel, Initiate};
    let asked = vec![
        asked(Initiate, "x", Some("1"), [10, 20]),
        asked(Cancel, "x", Some("1"), [30, 40]),
        asked(Initiate, "x", Some("2"), [50, 60]),
        asked(Accept, "y", Some("2"), [70, 80]),
        asked(Initiate, "y", Some("3"), [90, 100]),
    ];
    let listed = vec![
        listed("x", &["1"], [22, 28]),
        listed("x", &[], [42, 48]),
        listed("y", &["3"], [110, 120]),
    ];
    let offers = [("1", OfferFate::Cancelled), ("2", to("y")), ("3", OfferFate::Open)];
    (Record { asked, listed }, world("y", &offers))
}

fn found(change: impl FnOnce(&mut Record, &mut World)) -> Vec<String> {
    let (mut record, mut world) = past();
    change(&mut record, &mut world);
    let owners = BTreeMap::from([(VolumeId::new(V), ProjectId::new("x"))]);
    untrue_answers(&record, &owners, &world)
}

#[test]
fn honest_answers_are_believed() {
    use Call::{Accept, Cancel, Initiate};
    let believed = |change: fn(&mut Record, &mut World)| {
        let found = found(change);
        assert!(found.is_empty(), "{found:#?}");
    };
    believed(|_, _| {});
    // in doubt, and it happened; later than the client waited
    believed(|record, _| record.asked[3] = unanswered(record.asked[3].clone()));
    believed(|record, _| {
        let in_doubt = asked(Initiate, "x", None, [41, 45]);
        record.asked[2] = unanswered(in_doubt);
    });
    // refused, each for its reason
    let refusals = [
        (asked(Initiate, "z", None, [1, 2]), 404),
        (asked(Initiate, "x", None, [22, 25]), 400),
        (asked(Initiate, "x", None, [15, 17]), 400),
        (asked(Accept, "z", Some("2"), [75, 85]), 400),
        (asked(Accept, "z", Some("2"), [85, 95]), 404),
        (asked(Cancel, "y", Some("2"), [62, 65]), 404),
        (asked(Cancel, "x", Some("1"), [41, 45]), 404),
        (asked(Initiate, "x", None, [81, 85]), 404),
        (asked(Accept, "z", Some("2"), [62, 65]), 503),
    ];
    for (one, status) in refusals {
        let shown = format!("{one:?}, {status}");
        let words = "Nothing has changed";
        let found = found(|record, _| record.asked.push(answered(one, status, words)));
        assert!(found.is_empty(), "{shown}: {found:#?}");
    }
    // a list may be of any moment of its span
    believed(|record, _| record.listed.push(listed("x", &["1"], [35, 45])));
    believed(|record, _| record.listed.push(listed("x", &[], [35, 45])));
}

#[test]
fn each_lie_is_noticed() {
    use Call::{Accept, Cancel, Initiate};
    let noticed = |words: &str, change: &dyn Fn(&mut Record, &mut World)| {
        let found = found(change);
        assert!(found.iter().any(|what| what.contains(words)), "{words}: {found:#?}");
    };
    let more =
        |one: Asked| move |record: &mut Record, _: &mut World| record.asked.push(one.clone());
    // success without effect
    noticed("nothing came of it", &more(asked(Accept, "z", Some("2"), [70, 81])));
    noticed("nothing came of it", &more(asked(Accept, "y", Some("2"), [70, 81])));
    noticed("nothing came of it", &more(asked(Cancel, "x", Some("1"), [30, 41])));
    noticed("nothing came of it", &more(asked(Initiate, "y", Some("4"), [101, 102])));
    noticed("nothing came of it", &|record, _| record.asked[3].right_key = false);
    // effect after a refusal
    noticed("all who asked for that were refused", &|record, _| {
        record.asked[3] = answered(record.asked[3].clone(), 400, "");
    });
    noticed("all who asked for that were refused", &|record, _| {
        record.asked[1] = answered(record.asked[1].clone(), 503, "Nothing has changed");
    });
    noticed("all who asked for one were refused", &|record, _| {
        record.asked[2].offer = None;
        record.asked[2] = answered(record.asked[2].clone(), 503, "Nothing has changed");
    });
    // refusals without a reason, and answers that nobody expects
    for (one, status) in [
        (asked(Initiate, "y", None, [85, 87]), 400),
        (asked(Initiate, "y", None, [85, 87]), 404),
        (asked(Accept, "z", Some("2"), [62, 65]), 404),
        (asked(Accept, "z", Some("2"), [62, 65]), 400),
        (asked(Cancel, "x", Some("2"), [62, 65]), 404),
        (asked(Cancel, "x", Some("2"), [62, 65]), 409),
        (asked(Accept, "z", Some("2"), [62, 65]), 413),
    ] {
        noticed("there was no reason", &more(answered(one, status, "")));
    }
    let erred = answered(asked(Accept, "z", Some("2"), [62, 65]), 500, "");
    noticed("nobody should be told that", &more(erred));
    // an order of events that cannot be
    noticed("no order of events", &|record, _| record.asked[1].span = Span { began: 5, ended: 8 });
    noticed("open beside a later one", &|_, world| world.offers[0].fate = OfferFate::Open);
    noticed("went to y", &|_, world| world.volumes[0].row.project = "z".into());
    // lists of another time, or of other people's offers
    for list in [
        listed("x", &["1"], [42, 48]),
        listed("x", &["2"], [42, 48]),
        listed("y", &["2"], [62, 68]),
    ] {
        noticed("at another time", &|record, _| record.listed.push(list.clone()));
    }
    noticed("was kept from x", &|record, _| record.listed.push(listed("x", &[], [22, 28])));
    noticed("never was", &|record, _| record.listed.push(listed("x", &["9"], [22, 28])));
}
