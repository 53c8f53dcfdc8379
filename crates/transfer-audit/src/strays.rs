//! Secrets that nothing names: empty ones that a hand-over made, and copies of keys.
//!
//! A project has secrets of many kinds, and most are nobody's business. A secret is a copy of a
//! volume's key only if it has the same bytes, and only what nothing names is read at all: so the
//! bytes of the volumes' keys are read only where there is something to compare them with.

use crate::{Audit, AuditError, Finding, Kind, Sight, Viewer};
use barbican_client::{ContentType, KeyBytes, Metadata, SecretType};
use cinder_db::{AuditedVolume, DbError};
use futures::stream::TryStreamExt as _;
use openstack_http::Failure;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use time::macros::format_description;
use transfer_core::{Garbage, ProjectId, SecretId, VolumeId};

/// How the names of shells begin.
const SHELL: &str = "volume-transfer-";

/// A secret that nothing names and that may be a copy of a key.
struct Candidate {
    secret: SecretId,
    project: ProjectId,
    bytes: [u8; 32],
}

impl Audit {
    /// What is wrong with secrets that nothing names.
    pub(crate) async fn strays(&self, unanswered: &mut u64) -> Result<Vec<Finding>, AuditError> {
        let mut found = Vec::new();
        let mut candidates = Vec::new();
        for viewer in self.viewers.all() {
            for secret in self.unnamed(viewer).await? {
                if secret.content_type.is_none() {
                    found.push(shell(viewer, &secret));
                    continue;
                }
                match self.viewers.payload(viewer, &secret.id).await {
                    Ok(bytes) => candidates.push(Candidate {
                        secret: secret.id,
                        project: viewer.project().clone(),
                        bytes: digest(&bytes),
                    }),
                    Err(Failure::Refused(_)) => {}
                    Err(Failure::Unknown(_)) => *unanswered += 1,
                }
            }
        }
        let originals = self.originals(&candidates, unanswered).await?;
        let service = self.viewers.service().project();
        for Candidate { secret, project, bytes } in candidates {
            let of = originals.get(&bytes);
            if of.is_none() && project != *service || !self.is_still_unnamed(&secret).await? {
                continue;
            }
            found.push(match of {
                Some(volume) => {
                    let what = "a copy of the volume's key that nothing names".to_owned();
                    Finding::new(Kind::StrayCopy, what).at(volume, &project).with_secret(&secret)
                }
                None => {
                    let what = "a key that nothing names, and of no volume that can be seen";
                    let finding = Finding::new(Kind::StrayKey, what.to_owned());
                    finding.in_project(&project).with_secret(&secret)
                }
            });
        }
        Ok(found)
    }

    /// The old enough secrets of a project that may be left of a hand-over, and that nothing names.
    async fn unnamed(&self, viewer: &Viewer) -> Result<Vec<Metadata>, AuditError> {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
        let before = (self.clock)() - self.options.older_than;
        let before = before.format(&format).unwrap_or_default();
        let is_service = viewer.project() == self.viewers.service().project();
        let mut found = Vec::new();
        for number in 0.. {
            let page = self.viewers.list_older(viewer, &before, number).await;
            let page = page.map_err(|failure| AuditError::List {
                viewer: viewer.name().to_owned(),
                failure,
            })?;
            let mut secrets = page.secrets;
            secrets.retain(|secret| {
                is_shell(secret)
                    || is_key(secret)
                        && (!is_service || secret.creator.as_ref() == Some(viewer.user()))
            });
            let ids: Vec<_> = secrets.iter().map(|secret| secret.id.clone()).collect();
            let named = self.store.named_among(&ids).await?;
            found.extend(secrets.into_iter().filter(|secret| !named.contains(&secret.id)));
            if page.is_last {
                break;
            }
        }
        let spoken_for = self.spoken_for().await?;
        let is_free =
            |secret: &Metadata| secret.name.as_ref().is_none_or(|n| !spoken_for.contains(n));
        found.retain(|secret| secret.content_type.is_some() || is_free(secret));
        Ok(found)
    }

    /// The names of shells that a live hand-over may still use, or that are a debt.
    async fn spoken_for(&self) -> Result<BTreeSet<String>, DbError> {
        let claims = self.store.claims().await?;
        let debts = self.store.debts().await?;
        let of_debts = debts.into_iter().filter_map(|row| match row.debt.garbage {
            Garbage::Shells { name } => Some(name),
            Garbage::Secret(_) => None,
        });
        Ok(claims.iter().map(|claim| claim.hand_over.shell_name()).chain(of_debts).collect())
    }

    async fn is_still_unnamed(&self, secret: &SecretId) -> Result<bool, DbError> {
        Ok(self.store.named_among(std::slice::from_ref(secret)).await?.is_empty())
    }

    /// The volumes whose keys the candidates are copies of, by their bytes.
    async fn originals(
        &self,
        candidates: &[Candidate],
        unanswered: &mut u64,
    ) -> Result<BTreeMap<[u8; 32], VolumeId>, DbError> {
        let wanted: BTreeSet<[u8; 32]> = candidates.iter().map(|of| of.bytes).collect();
        let mut originals = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(originals);
        }
        let visible = self.volumes().try_filter(|volume| {
            let is_visible =
                !volume.offers.is_empty() || self.viewers.of(volume.project()).is_some();
            std::future::ready(is_visible)
        });
        let mut read = std::pin::pin!(
            visible
                .map_ok(|volume| async move { Ok((self.key_digests(&volume).await, volume.id)) })
                .try_buffered(self.options.jobs.get())
        );
        while let Some((digests, volume)) = read.try_next().await? {
            for digest in digests {
                match digest {
                    Ok(digest) if wanted.contains(&digest) => {
                        originals.entry(digest).or_insert_with(|| volume.clone());
                    }
                    Ok(_) | Err(Failure::Refused(_)) => {}
                    Err(Failure::Unknown(_)) => *unanswered += 1,
                }
            }
        }
        Ok(originals)
    }

    async fn key_digests(&self, volume: &AuditedVolume) -> Vec<Result<[u8; 32], Failure>> {
        let mut digests = Vec::new();
        for (key, sight) in self.look(volume).await {
            if let Some(viewer) = self.reader(&sight) {
                digests.push(self.viewers.payload(viewer, &key).await.map(|bytes| digest(&bytes)));
            }
        }
        digests
    }

    /// Who can read a secret.
    pub(crate) fn reader(&self, sight: &Sight) -> Option<&Viewer> {
        match sight {
            Sight::There { filled: Some(true), owner: Some(owner), .. } => self.viewers.of(owner),
            Sight::There { .. } | Sight::Gone | Sight::Unanswered(_) => None,
        }
    }
}

fn shell(viewer: &Viewer, secret: &Metadata) -> Finding {
    let what = "an empty secret that a hand-over made and nothing names".to_owned();
    let finding = Finding::new(Kind::StrayShell, what).in_project(viewer.project());
    finding.with_secret(&secret.id).on_record(secret.name.as_deref().unwrap_or_default())
}

fn is_shell(secret: &Metadata) -> bool {
    secret.content_type.is_none()
        && secret.name.as_ref().is_some_and(|name| name.starts_with(SHELL))
}

/// What Cinder makes for a volume.
fn is_key(secret: &Metadata) -> bool {
    secret.content_type == Some(ContentType::OctetStream)
        && secret.attributes.secret_type == SecretType::Symmetric
}

fn digest(bytes: &KeyBytes) -> [u8; 32] {
    Sha256::digest(bytes.expose()).into()
}
