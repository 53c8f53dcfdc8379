//! Changes of volume types that exist: their own attributes, their extra specs, their encryption.
//!
//! Follows cinder: `db/api.py` `_type_update`, `volume_type_extra_specs_update_or_create` and
//! `volume_type_encryption_update`. What decides how volumes are made is not changed under those
//! that have the type.

use std::collections::BTreeMap;

use sea_query::{Expr, ExprTrait, Query};

use super::{VolumeType, VolumeTypeError, find, live_types};
use crate::db::{Txn, utc_now};
use crate::volumes::{Scope, live_volumes, touch};
use crate::{DbError, Store, dialect};

/// What becomes of a type; what is `None` stays.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct VolumeTypeChange {
    /// The name, which the quotas of the type have with it.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// Whether every project sees it.
    pub is_public: Option<bool>,
}

/// What becomes of a type's encryption; what is `None` stays.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct EncryptionChange {
    /// As `luks`.
    pub provider: Option<String>,
    /// As `aes-xts-plain64`, or none any more.
    pub cipher: Option<Option<String>>,
    /// In bits, or none any more.
    pub key_size: Option<Option<i64>>,
    /// `front-end` or `back-end`.
    pub control_location: Option<String>,
}

impl Store {
    /// Changes the attributes of a type.
    ///
    /// # Errors
    /// [`VolumeTypeError::NotFound`], [`VolumeTypeError::Exists`] when another type has the name.
    pub async fn update_volume_type(
        &self,
        type_id: &str,
        change: &VolumeTypeChange,
    ) -> Result<(), VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let found = existing(&mut txn, type_id).await?;
                let mut update = touch("volume_types");
                if let Some(name) = &change.name {
                    let mut same_name = live_types(&Scope::All);
                    same_name
                        .and_where(Expr::col("name").eq(name.as_str()))
                        .and_where(Expr::col("id").ne(type_id));
                    if txn.any(&same_name).await? {
                        return Err(VolumeTypeError::Exists(name.clone()));
                    }
                    rename_quotas(&mut txn, &found.name, name).await?;
                    update.value("name", name.as_str());
                }
                if let Some(description) = &change.description {
                    update.value("description", description.as_str());
                }
                if let Some(is_public) = change.is_public {
                    update.value("is_public", is_public);
                }
                update.and_where(Expr::col("id").eq(type_id));
                txn.execute(&update).await?;
                Ok(txn.commit().await?)
            })
            .await
    }

    /// Sets extra specs of a type; those that are not named stay.
    ///
    /// # Errors
    /// [`VolumeTypeError::InUse`], [`VolumeTypeError::NotFound`].
    pub async fn set_extra_specs(
        &self,
        type_id: &str,
        specs: &BTreeMap<String, Option<String>>,
    ) -> Result<(), VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let found = unused(&mut txn, type_id).await?;
                for (key, value) in specs {
                    if found.extra_specs.contains_key(key) {
                        let update = touch("volume_type_extra_specs")
                            .value("value", value.clone())
                            .and_where(Expr::col("volume_type_id").eq(type_id))
                            .and_where(Expr::col("key").eq(key.as_str()))
                            .and_where(Expr::col("deleted").eq(false))
                            .take();
                        txn.execute(&update).await?;
                    } else {
                        super::specify(&mut txn, type_id, key, value.clone()).await?;
                    }
                }
                Ok(txn.commit().await?)
            })
            .await
    }

    /// Takes an extra spec from a type; false when it has none of that key.
    ///
    /// # Errors
    /// [`VolumeTypeError::InUse`], [`VolumeTypeError::NotFound`].
    pub async fn delete_extra_spec(
        &self,
        type_id: &str,
        key: &str,
    ) -> Result<bool, VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                if !unused(&mut txn, type_id).await?.extra_specs.contains_key(key) {
                    return Ok(false);
                }
                let update = gone("volume_type_extra_specs", type_id)
                    .and_where(Expr::col("key").eq(key))
                    .take();
                txn.execute(&update).await?;
                txn.commit().await?;
                Ok(true)
            })
            .await
    }

    /// Changes how a type encrypts the volumes that are made from now on; false when it does not.
    ///
    /// # Errors
    /// [`VolumeTypeError::InUse`], [`VolumeTypeError::NotFound`].
    pub async fn update_encryption(
        &self,
        type_id: &str,
        change: &EncryptionChange,
    ) -> Result<bool, VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                if unused(&mut txn, type_id).await?.encryption.is_none() {
                    return Ok(false);
                }
                let mut update = touch("encryption");
                for (column, value) in
                    [("provider", &change.provider), ("control_location", &change.control_location)]
                {
                    if let Some(value) = value {
                        update.value(column, value.as_str());
                    }
                }
                if let Some(cipher) = &change.cipher {
                    update.value("cipher", cipher.clone());
                }
                if let Some(key_size) = change.key_size {
                    update.value("key_size", key_size);
                }
                update
                    .and_where(Expr::col("volume_type_id").eq(type_id))
                    .and_where(Expr::col("deleted").eq(false));
                txn.execute(&update).await?;
                txn.commit().await?;
                Ok(true)
            })
            .await
    }

    /// Lets a type encrypt no more; false when it does not.
    ///
    /// # Errors
    /// [`VolumeTypeError::InUse`], [`VolumeTypeError::NotFound`].
    pub async fn delete_encryption(&self, type_id: &str) -> Result<bool, VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                if unused(&mut txn, type_id).await?.encryption.is_none() {
                    return Ok(false);
                }
                txn.execute(&gone("encryption", type_id)).await?;
                txn.commit().await?;
                Ok(true)
            })
            .await
    }
}

/// The live type of that id.
pub(super) async fn existing(txn: &mut Txn, type_id: &str) -> Result<VolumeType, VolumeTypeError> {
    let found = find(txn, &Scope::All, type_id).await?.filter(|found| found.id == type_id);
    found.ok_or_else(|| VolumeTypeError::NotFound(type_id.to_owned()))
}

/// The same, and that no volume has it.
pub(super) async fn unused(txn: &mut Txn, type_id: &str) -> Result<VolumeType, VolumeTypeError> {
    let found = existing(txn, type_id).await?;
    let mut used = live_volumes(&Scope::All);
    used.and_where(Expr::col("volume_type_id").eq(type_id)).limit(1);
    if txn.any(&used).await? {
        return Err(VolumeTypeError::InUse(type_id.to_owned()));
    }
    Ok(found)
}

/// Marks what a type has in a table as deleted.
pub(super) fn gone(table: &'static str, type_id: &str) -> sea_query::UpdateStatement {
    touch(table)
        .value("deleted", true)
        .value("deleted_at", dialect::datetime(utc_now()))
        .and_where(Expr::col("volume_type_id").eq(type_id))
        .and_where(Expr::col("deleted").eq(false))
        .take()
}

/// Limits and usage are known by the name of the type (cinder: `quota.py` update_quota_resource).
async fn rename_quotas(txn: &mut Txn, old: &str, new: &str) -> Result<(), DbError> {
    for table in ["quotas", "quota_classes", "quota_usages"] {
        for kind in ["volumes", "gigabytes", "snapshots"] {
            let update = Query::update()
                .table(table)
                .value("resource", format!("{kind}_{new}"))
                .and_where(Expr::col("resource").eq(format!("{kind}_{old}")))
                .and_where(Expr::col("deleted").eq(false))
                .take();
            txn.execute(&update).await?;
        }
    }
    Ok(())
}
