//! A page in which every text tries to leave its place.

use check_page::Page;
use std::collections::BTreeMap;
use transfer_core::invariants::{Invariant, Material, RowId, SecretView, Violation, VolumeView};
use transfer_core::{ProjectId, SecretId};
use transfer_model::{Coverage, Lane, Step, Trace};

/// Where such a text stands.
pub(crate) const PLACES: [&str; 20] = [
    "title",
    "label",
    "value",
    "protocol",
    "scenario",
    "replay",
    "name",
    "project",
    "caller",
    "replica",
    "actor",
    "what",
    "fault",
    "violation",
    "volume",
    "secret",
    "coverage",
    "step",
    "outcome",
    "situation",
];

/// The text of a place.
pub(crate) fn text(place: &str) -> String {
    format!("</title></style>\"<script>{place}()</script>' onload=\"x\" <b class=planted>&lt; &#0;")
}

/// The page.
pub(crate) fn page() -> Page {
    let mut coverage = Coverage::default();
    coverage.step(&text("step"), &text("outcome"));
    coverage.situation(&text("situation"), 1);
    Page {
        title: text("title"),
        facts: vec![(text("label"), text("value"))],
        traces: vec![trace()],
        coverage: vec![(text("coverage"), coverage)],
    }
}

fn trace() -> Trace {
    let mut start = crate::fixture::upstream().start;
    let named = ProjectId::new("named");
    start.secrets = BTreeMap::from([
        (
            SecretId::new(text("secret")),
            SecretView {
                owner: text("project").as_str().into(),
                material: Some(Material(text("material"))),
            },
        ),
        ("other".into(), SecretView { owner: named.clone(), material: None }),
    ]);
    let VolumeView { row, .. } = &mut start.volumes[0];
    row.id = RowId::Volume(text("volume").as_str().into());
    row.key = Some(text("secret").as_str().into());
    let step = |from: Lane, to: Lane| Step {
        actor: text("actor"),
        from,
        to,
        what: text("what"),
        fault: Some(text("fault")),
        world: start.clone(),
        broken: vec![Violation { invariant: Invariant::Drains, what: text("violation") }],
    };
    let replica = Lane::Replica(text("replica"));
    let steps = vec![
        step(Lane::Caller(text("caller")), replica.clone()),
        step(replica, Lane::Secrets(text("project").as_str().into())),
    ];
    Trace {
        protocol: text("protocol"),
        scenario: text("scenario"),
        // a shell would end a quoted word here
        replay: text("replay").replace('\'', ""),
        names: BTreeMap::from([(named, text("name"))]),
        start,
        steps,
    }
}
