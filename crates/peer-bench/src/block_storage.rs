//! Hand-overs through the public API, whosever it is.

use crate::ground::{Login, Logins, Storage};
use crate::wire::{Parts, Wire};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const HEADERS: &[(&str, &str)] =
    &[("content-type", "application/json"), ("openstack-api-version", "volume 3.70")];

/// A volume, whose it is, and its offer if there is one.
pub(crate) struct Volume {
    id: String,
    is_donors: bool,
    offer: Option<Offer>,
}

#[derive(Deserialize)]
struct Offer {
    id: String,
    auth_key: String,
}

impl Volume {
    pub(crate) fn of_donor(id: &str) -> Self {
        Self { id: id.to_owned(), is_donors: true, offer: None }
    }

    fn owner<'a>(&self, logins: &'a Logins) -> &'a Login {
        if self.is_donors { &logins.donor } else { &logins.recipient }
    }

    fn other<'a>(&self, logins: &'a Logins) -> &'a Login {
        if self.is_donors { &logins.recipient } else { &logins.donor }
    }
}

/// A block storage API, each request to the next of its replicas.
#[derive(Clone)]
pub(crate) struct BlockStorage {
    wire: Wire,
    urls: Arc<[String]>,
    next: Arc<AtomicUsize>,
    logins: Logins,
}

impl BlockStorage {
    pub(crate) fn new(wire: Wire, logins: Logins, storage: &Storage) -> Self {
        let urls = storage.replicas.iter().map(|replica| replica.url.clone()).collect();
        Self { wire, urls, next: Arc::default(), logins }
    }

    pub(crate) async fn initiate(&self, volume: &mut Volume) -> Result<()> {
        #[derive(Deserialize)]
        struct Made {
            transfer: Offer,
        }
        let body = json!({"transfer": {"volume_id": volume.id}}).to_string();
        let reply = self.send(Method::POST, volume.owner(&self.logins), "", body).await?;
        volume.offer = Some(reply.json::<Made>()?.transfer);
        Ok(())
    }

    pub(crate) async fn accept(&self, volume: &mut Volume) -> Result<()> {
        if let Some(Offer { id, auth_key }) = volume.offer.take() {
            let body = json!({"accept": {"auth_key": auth_key}}).to_string();
            let path = format!("/{id}/accept");
            self.send(Method::POST, volume.other(&self.logins), &path, body).await?;
            volume.is_donors = !volume.is_donors;
        }
        Ok(())
    }

    pub(crate) async fn cancel(&self, volume: &mut Volume) -> Result<()> {
        if let Some(offer) = volume.offer.take() {
            let path = format!("/{}", offer.id);
            self.send(Method::DELETE, volume.owner(&self.logins), &path, String::new()).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        login: &Login,
        path: &str,
        body: String,
    ) -> Result<crate::wire::Reply> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.urls.len().max(1);
        let storage = self.urls.get(turn).context("no replica")?;
        let url = format!("{storage}/v3/{}/volume-transfers{path}", login.project);
        let parts = Parts { token: &login.token, headers: HEADERS, body: Bytes::from(body) };
        self.wire.send(method, &url, StatusCode::ACCEPTED, parts).await
    }
}
