//! Who is in a run: names, short ids, one colour for each project, and the order of all.

use std::borrow::Cow;
use std::collections::BTreeSet;
use transfer_core::ProjectId;
use transfer_core::invariants::{RowId, VolumeView, World};
use transfer_model::Trace;

/// Style classes of projects other than the service; a fifth project has the first one's again.
const COLOURS: [&str; 4] = ["p1", "p2", "p3", "p4"];

/// The projects of a run: callers by their names, the service last.
pub(crate) struct Cast<'a> {
    trace: &'a Trace,
    projects: Vec<&'a ProjectId>,
}

impl<'a> Cast<'a> {
    pub(crate) fn new(trace: &'a Trace) -> Self {
        let mut projects: BTreeSet<&ProjectId> = trace.names.keys().collect();
        for world in worlds(trace) {
            projects.insert(&world.service);
            projects.extend(world.secrets.values().map(|secret| &secret.owner));
            projects
                .extend(world.volumes.iter().flat_map(VolumeView::rows).map(|row| &row.project));
        }
        let mut cast = Self { trace, projects: projects.into_iter().collect() };
        let mut projects = std::mem::take(&mut cast.projects);
        projects.sort_by_key(|id| (**id == trace.start.service, cast.name(id)));
        cast.projects = projects;
        cast
    }

    /// How people call a project.
    pub(crate) fn name(&self, id: &'a ProjectId) -> Cow<'a, str> {
        match self.trace.names.get(id) {
            Some(name) => Cow::Borrowed(name),
            None => short(id.as_str()),
        }
    }

    /// The style class of a project.
    pub(crate) fn colour(&self, id: &ProjectId) -> &'static str {
        if *id == self.trace.start.service {
            return "service";
        }
        COLOURS[self.place(id) % COLOURS.len()]
    }

    /// The style class of whom people call by this name.
    pub(crate) fn colour_of_name(&self, name: &str) -> Option<&'static str> {
        let (id, _) = self.trace.names.iter().find(|(_, other)| *other == name)?;
        Some(self.colour(id))
    }

    /// The place of a project among all.
    pub(crate) fn place(&self, id: &ProjectId) -> usize {
        self.projects.iter().position(|other| *other == id).unwrap_or(self.projects.len())
    }
}

/// The world at the start and after each step.
pub(crate) fn worlds(trace: &Trace) -> impl Iterator<Item = &World> {
    std::iter::once(&trace.start).chain(trace.steps.iter().map(|step| &step.world))
}

/// A long id by its beginning; one that somebody chose for reading as it is.
pub(crate) fn short(id: &str) -> Cow<'_, str> {
    let uuid = id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if uuid { Cow::Owned(format!("{}…", &id[..8])) } else { Cow::Borrowed(id) }
}

/// A row in words, once.
pub(crate) fn row_name(row: &RowId) -> String {
    let (kind, id) = match row {
        RowId::Volume(id) => ("volume", id.as_str()),
        RowId::Snapshot(id) => ("snapshot", id.as_str()),
    };
    if id.contains(kind) { id.to_owned() } else { format!("{kind} {}", short(id)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_nobody_chose_are_shortened() {
        for (id, expected) in [
            ("A-service-2", "A-service-2"),
            ("shell 1 of accept by Y, the second", "shell 1 of accept by Y, the second"),
            ("4b5a3f9c-7d56-4ff0-90ab-0123456789ab", "4b5a3f9c…"),
            ("4b5a3f9c7d564ff090ab0123456789ab", "4b5a3f9c…"),
            ("ä4b5a3f9c7d564ff090ab0123456789a", "ä4b5a3f9c7d564ff090ab0123456789a"),
        ] {
            assert_eq!(short(id), expected);
        }
    }

    #[test]
    fn a_row_says_its_kind_once() {
        let volume = |id: &str| row_name(&RowId::Volume(id.into()));
        assert_eq!(volume("another-volume"), "another-volume");
        assert_eq!(volume("v1"), "volume v1");
        assert_eq!(row_name(&RowId::Snapshot("s1".into())), "snapshot s1");
    }
}
