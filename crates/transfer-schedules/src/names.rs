//! Names in place of ids that differ from run to run.

use std::collections::BTreeMap;
use transfer_core::invariants::{Answer, Row, RowId, VolumeView};
use transfer_core::{
    Debt, Garbage, HandOver, HandOverId, History, SecretId, TransferId, VolumeId, World,
};

/// What is called how. Ids that have no name stay as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.0.values().any(|taken| taken == name)
    }

    pub(crate) fn call(&mut self, id: &str, name: impl Into<String>) {
        self.0.entry(id.to_owned()).or_insert_with(|| name.into());
    }

    pub(crate) fn of(&self, id: &str) -> String {
        self.0.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn secret(&self, id: &SecretId) -> SecretId {
        SecretId::new(self.of(id.as_str()))
    }

    /// Names in a longer text, an id being long enough not to stand there by chance.
    fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }

    /// The same world under these names, with what has no order of its own sorted.
    pub(crate) fn world(&self, world: &World) -> World {
        let secrets = world.secrets.iter().map(|(id, view)| (self.secret(id), view.clone()));
        let mut named = World {
            service: world.service.clone(),
            volumes: world.volumes.iter().map(|view| self.volume(view)).collect(),
            secrets: secrets.collect(),
            offers: world.offers.clone(),
            hand_overs: world.hand_overs.iter().map(|one| self.hand_over(one)).collect(),
            debts: world.debts.iter().map(|debt| self.debt(debt)).collect(),
            usages: world.usages.clone(),
        };
        for offer in &mut named.offers {
            offer.id = TransferId::new(self.of(offer.id.as_str()));
            offer.volume = VolumeId::new(self.of(offer.volume.as_str()));
        }
        named.offers.sort();
        named.hand_overs.sort();
        named.debts.sort();
        named
    }

    /// The same history under these names.
    pub(crate) fn history(&self, history: &History) -> History {
        let row = |id: &RowId| self.row_id(id);
        let keys = history
            .keys
            .iter()
            .map(|(id, (secret, material))| (row(id), (self.secret(secret), material.clone())));
        let entitled = history.entitled.iter().map(|(id, projects)| (row(id), projects.clone()));
        let answers = history.answers.iter().map(|answer| Answer {
            offer: TransferId::new(self.of(answer.offer.as_str())),
            ..answer.clone()
        });
        History { keys: keys.collect(), entitled: entitled.collect(), answers: answers.collect() }
    }

    fn volume(&self, view: &VolumeView) -> VolumeView {
        VolumeView {
            row: self.row(&view.row),
            snapshots: view.snapshots.iter().map(|row| self.row(row)).collect(),
            ..view.clone()
        }
    }

    fn row(&self, row: &Row) -> Row {
        let key = row.key.as_ref().map(|key| self.secret(key));
        Row { id: self.row_id(&row.id), key, ..row.clone() }
    }

    fn row_id(&self, id: &RowId) -> RowId {
        match id {
            RowId::Volume(id) => RowId::Volume(VolumeId::new(self.of(id.as_str()))),
            RowId::Snapshot(id) => RowId::Snapshot(self.of(id.as_str()).as_str().into()),
        }
    }

    /// A hand-over is renamed as the journal writes it.
    fn hand_over(&self, hand_over: &HandOver) -> HandOver {
        let renamed = hand_over.to_journal().map(|text| self.text(&text));
        let renamed = renamed.and_then(|text| HandOver::from_journal(&text));
        renamed.unwrap_or_else(|_unreadable| hand_over.clone())
    }

    fn debt(&self, debt: &Debt) -> Debt {
        Debt {
            hand_over: HandOverId::new(self.of(debt.hand_over.as_str())),
            authority: debt.authority.clone(),
            garbage: match &debt.garbage {
                Garbage::Secret(secret) => Garbage::Secret(self.secret(secret)),
                Garbage::Shells { name } => Garbage::Shells { name: self.text(name) },
            },
        }
    }
}
