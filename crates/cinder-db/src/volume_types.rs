//! Volume types: who sees them, how they encrypt, and how the embedded block storage keeps them.

mod changes;

use crate::db::{Interruptible, Row, Txn, utc_now};
use crate::quotas::QuotaType;
use crate::volumes::{Scope, touch};
use crate::{DbError, Store, dialect};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use std::collections::BTreeMap;
use time::PrimitiveDateTime;
use transfer_core::ProjectId;

pub use changes::{EncryptionChange, VolumeTypeChange};
use changes::{existing, gone, unused};

/// How volumes of a type are encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encryption {
    /// Its own id.
    pub id: String,
    /// As `luks`.
    pub provider: String,
    /// As `aes-xts-plain64`.
    pub cipher: Option<String>,
    /// In bits.
    pub key_size: Option<i64>,
    /// `front-end` or `back-end`.
    pub control_location: Option<String>,
}

/// A volume type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeType {
    /// Its id.
    pub id: String,
    /// Its name, by which quotas know it.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// Whether every project sees it.
    pub is_public: bool,
    /// Extra specs.
    pub extra_specs: BTreeMap<String, String>,
    /// The projects that see it although it is private.
    pub projects: Vec<ProjectId>,
    /// How it encrypts, if it does.
    pub encryption: Option<Encryption>,
    /// Naive UTC.
    pub created_at: Option<PrimitiveDateTime>,
}

/// A volume type cannot be made or changed. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum VolumeTypeError {
    /// No such type.
    #[error("Volume type {0} could not be found.")]
    NotFound(String),
    /// A type of this name exists.
    #[error("Volume type with name {0} already exists.")]
    Exists(String),
    /// Volumes of the type exist.
    #[error("Target volume type is still in use: {0}.")]
    InUse(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Interruptible for VolumeTypeError {
    fn is_interruption(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_interruption())
    }
}

impl Store {
    /// Creates a type as given, with its extra specs, access list and encryption. `created_at` is
    /// ignored.
    ///
    /// # Errors
    /// [`VolumeTypeError`].
    pub async fn create_volume_type(&self, new: &VolumeType) -> Result<(), VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let mut same_name = live_types(&Scope::All);
                same_name.and_where(Expr::col("name").eq(new.name.as_str()));
                if txn.any(&same_name).await? {
                    return Err(VolumeTypeError::Exists(new.name.clone()));
                }
                let insert = Query::insert()
                    .into_table("volume_types")
                    .columns(["created_at", "deleted", "id", "name", "is_public", "description"])
                    .values_panic([
                        dialect::datetime(utc_now()).into(),
                        false.into(),
                        new.id.as_str().into(),
                        new.name.as_str().into(),
                        new.is_public.into(),
                        new.description.clone().into(),
                    ])
                    .take();
                txn.execute(&insert).await?;
                for (key, value) in &new.extra_specs {
                    specify(&mut txn, &new.id, key, Some(value.clone())).await?;
                }
                for project in &new.projects {
                    grant(&mut txn, &new.id, project).await?;
                }
                if let Some(encryption) = &new.encryption {
                    encrypt(&mut txn, &new.id, encryption).await?;
                }
                Ok(txn.commit().await?)
            })
            .await
    }

    /// Lets an existing type encrypt the volumes that are made from now on.
    ///
    /// # Errors
    /// [`VolumeTypeError::NotFound`], [`VolumeTypeError::InUse`], [`VolumeTypeError::Exists`] when
    /// it encrypts already.
    pub async fn create_encryption(
        &self,
        type_id: &str,
        encryption: &Encryption,
    ) -> Result<(), VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let found = unused(&mut txn, type_id).await?;
                if found.encryption.is_some() {
                    return Err(VolumeTypeError::Exists(found.name));
                }
                encrypt(&mut txn, type_id, encryption).await?;
                Ok(txn.commit().await?)
            })
            .await
    }

    /// Lets a project see a private type; false when it sees it already.
    ///
    /// # Errors
    /// [`VolumeTypeError::NotFound`].
    pub async fn grant_volume_type(
        &self,
        type_id: &str,
        project: &ProjectId,
    ) -> Result<bool, VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                if existing(&mut txn, type_id).await?.projects.contains(project) {
                    return Ok(false);
                }
                grant(&mut txn, type_id, project).await?;
                txn.commit().await?;
                Ok(true)
            })
            .await
    }

    /// Takes a project's access to a private type away; false when it has none.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn revoke_volume_type(
        &self,
        type_id: &str,
        project: &ProjectId,
    ) -> Result<bool, DbError> {
        self.db
            .uninterrupted(|| async {
                let update = touch("volume_type_projects")
                    .value("deleted_at", dialect::datetime(utc_now()))
                    // Cinder marks this table's rows with their own id.
                    .value("deleted", Expr::col("id"))
                    .and_where(Expr::col("volume_type_id").eq(type_id))
                    .and_where(Expr::col("project_id").eq(project.as_str()))
                    .and_where(Expr::col("deleted").eq(0))
                    .take();
                let mut txn = self.db.write().await?;
                let taken = txn.execute(&update).await? > 0;
                txn.commit().await?;
                Ok(taken)
            })
            .await
    }

    /// Deletes a type that no volume has.
    ///
    /// # Errors
    /// [`VolumeTypeError`].
    pub async fn delete_volume_type(&self, type_id: &str) -> Result<(), VolumeTypeError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                unused(&mut txn, type_id).await?;
                let update = touch("volume_types")
                    .value("deleted", true)
                    .value("deleted_at", dialect::datetime(utc_now()))
                    .and_where(Expr::col("id").eq(type_id))
                    .take();
                txn.execute(&update).await?;
                for table in ["volume_type_extra_specs", "encryption"] {
                    txn.execute(&gone(table, type_id)).await?;
                }
                Ok(txn.commit().await?)
            })
            .await
    }

    /// A live type by id or name, if the scope shows it.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn volume_type(
        &self,
        scope: &Scope,
        id_or_name: &str,
    ) -> Result<Option<VolumeType>, DbError> {
        find(&mut self.db.read().await?, scope, id_or_name).await
    }

    /// The live types that the scope shows, newest first.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn volume_types(&self, scope: &Scope) -> Result<Vec<VolumeType>, DbError> {
        let mut txn = self.db.read().await?;
        let mut select = live_types(scope);
        select.order_by("created_at", Order::Desc).order_by("id", Order::Desc);
        let rows = txn.all(&select).await?;
        let mut types = Vec::new();
        for row in &rows {
            types.push(complete(&mut txn, row).await?);
        }
        Ok(types)
    }
}

/// What quotas need of a type, deleted or not, if the scope shows it (cinder: `db/api.py`
/// `volume_type_get` with `inactive`).
pub(crate) async fn quota_type(
    txn: &mut Txn,
    scope: &Scope,
    id: &str,
) -> Result<Option<QuotaType>, DbError> {
    let mut select = types(scope);
    select.and_where(Expr::col("id").eq(id));
    let Some(row) = txn.first(&select).await? else { return Ok(None) };
    Ok(Some(QuotaType { id: row.text("id")?, name: row.text("name")? }))
}

pub(crate) async fn find(
    txn: &mut Txn,
    scope: &Scope,
    id_or_name: &str,
) -> Result<Option<VolumeType>, DbError> {
    let mut select = live_types(scope);
    let by_id = Expr::col("id").eq(id_or_name);
    select.and_where(by_id.or(Expr::col("name").eq(id_or_name)));
    match txn.first(&select).await? {
        Some(row) => complete(txn, &row).await.map(Some),
        None => Ok(None),
    }
}

/// A project sees public types and those that it has been given access to.
fn types(scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select.columns(["id", "name", "description", "is_public", "created_at"]).from("volume_types");
    if let Scope::Project(project) = scope {
        let granted = Query::select()
            .expr(Expr::val(1))
            .from("volume_type_projects")
            .and_where(
                Expr::col(("volume_type_projects", "volume_type_id"))
                    .equals(("volume_types", "id")),
            )
            .and_where(Expr::col(("volume_type_projects", "project_id")).eq(project.as_str()))
            .and_where(Expr::col(("volume_type_projects", "deleted")).eq(0))
            .take();
        select.and_where(Expr::col("is_public").eq(true).or(Expr::exists(granted)));
    }
    select.take()
}

fn live_types(scope: &Scope) -> SelectStatement {
    types(scope).and_where(Expr::col("deleted").eq(false)).take()
}

async fn complete(txn: &mut Txn, row: &Row) -> Result<VolumeType, DbError> {
    let id = row.text("id")?;
    let mut extra_specs = BTreeMap::new();
    let specs = of_type("volume_type_extra_specs", &["key", "value"], &id, false.into());
    for spec in txn.all(&specs).await? {
        extra_specs.insert(spec.text("key")?, spec.opt_text("value")?.unwrap_or_default());
    }
    let access = of_type("volume_type_projects", &["project_id"], &id, 0.into());
    let projects = txn.all(&access).await?;
    let columns = ["encryption_id", "provider", "cipher", "key_size", "control_location"];
    let encryption = txn.first(&of_type("encryption", &columns, &id, false.into())).await?;
    Ok(VolumeType {
        name: row.text("name")?,
        description: row.opt_text("description")?,
        is_public: row.bool("is_public")?,
        extra_specs,
        projects: projects
            .iter()
            .map(|row| row.text("project_id").map(ProjectId::new))
            .collect::<Result<_, _>>()?,
        encryption: encryption.map(|row| Encryption::read(&row)).transpose()?,
        created_at: row.datetime("created_at")?,
        id,
    })
}

fn of_type(
    table: &'static str,
    columns: &[&'static str],
    type_id: &str,
    not_deleted: sea_query::Value,
) -> SelectStatement {
    Query::select()
        .columns(columns.iter().copied())
        .from(table)
        .and_where(Expr::col("volume_type_id").eq(type_id))
        .and_where(Expr::col("deleted").eq(Expr::val(not_deleted)))
        .take()
}

/// Gives a type an extra spec that it has not.
async fn specify(
    txn: &mut Txn,
    type_id: &str,
    key: &str,
    value: Option<String>,
) -> Result<(), DbError> {
    let insert = Query::insert()
        .into_table("volume_type_extra_specs")
        .columns(["created_at", "deleted", "volume_type_id", "key", "value"])
        .values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            type_id.into(),
            key.into(),
            value.into(),
        ])
        .take();
    txn.execute(&insert).await.map(|_rows| ())
}

async fn grant(txn: &mut Txn, type_id: &str, project: &ProjectId) -> Result<(), DbError> {
    let insert = Query::insert()
        .into_table("volume_type_projects")
        .columns(["created_at", "deleted", "volume_type_id", "project_id"])
        .values_panic([
            dialect::datetime(utc_now()).into(),
            0.into(),
            type_id.into(),
            project.as_str().into(),
        ])
        .take();
    txn.execute(&insert).await.map(|_rows| ())
}

async fn encrypt(txn: &mut Txn, type_id: &str, encryption: &Encryption) -> Result<(), DbError> {
    let insert = Query::insert()
        .into_table("encryption")
        .columns([
            "created_at",
            "deleted",
            "encryption_id",
            "volume_type_id",
            "provider",
            "cipher",
            "key_size",
            "control_location",
        ])
        .values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            encryption.id.as_str().into(),
            type_id.into(),
            encryption.provider.as_str().into(),
            encryption.cipher.clone().into(),
            encryption.key_size.into(),
            encryption.control_location.clone().into(),
        ])
        .take();
    txn.execute(&insert).await.map(|_rows| ())
}

impl Encryption {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.text("encryption_id")?,
            provider: row.opt_text("provider")?.unwrap_or_default(),
            cipher: row.opt_text("cipher")?,
            key_size: row.opt_int("key_size")?,
            control_location: row.opt_text("control_location")?,
        })
    }
}
