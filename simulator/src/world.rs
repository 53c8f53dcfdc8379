//! The whole world as a checker sees it: the rows of a database and this cloud's secrets.

use cinder_db::{DbError, Store};
use transfer_core::invariants::{Material, SecretView as CoreSecret};
use transfer_core::{ProjectId, SecretId, World};

use crate::{SecretView, Simulator};
use std::collections::BTreeMap;

impl Simulator {
    /// Rows, hand-overs and debts from `store`, secrets from this cloud's Barbican. The service's
    /// project is the one named `service`.
    ///
    /// Rows and secrets are read one after the other: a moving world may be seen in between.
    ///
    /// # Errors
    /// [`DbError`] when the database does not answer.
    pub async fn world(&self, store: &Store) -> Result<World, DbError> {
        let service = ProjectId::new(self.project_id("service").unwrap_or_default());
        let rows = store.world_rows(&service).await?;
        Ok(World { secrets: self.world_secrets(), ..rows })
    }

    /// The secrets of the world alone.
    pub fn world_secrets(&self) -> BTreeMap<SecretId, CoreSecret> {
        let secrets = self.secrets().into_iter().map(|secret| {
            let view = CoreSecret {
                owner: ProjectId::new(secret.project.as_str()),
                material: material(&secret),
            };
            (SecretId::new(secret.id), view)
        });
        secrets.collect()
    }
}

/// Bytes, content type and attributes: all that a copy has to keep. Names may differ.
fn material(secret: &SecretView) -> Option<Material> {
    let fingerprint = secret.fingerprint.as_ref()?;
    Some(Material(format!(
        "{fingerprint} {} {:?} {:?} {:?} {:?}",
        secret.secret_type, secret.algorithm, secret.bit_length, secret.mode, secret.expiration
    )))
}
