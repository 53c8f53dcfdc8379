//! The block storage as one of the two sides sees it: volumes, snapshots, types, quotas, transfers.
//!
//! A token that a service no longer takes is renewed once. What only reads, or can do no more when
//! it is done again, is tried again after an unknown outcome; whoever asks for another change has
//! to look first.

mod outage;
mod pages;

pub use outage::Outage;

use crate::clouds::CloudSettings;
use crate::journal::Party;
use http::header::HeaderName;
use http::{HeaderValue, Method, StatusCode};
use keystone_client::{Identity, Keystone, ServiceSession};
use openstack_http::{
    Exchange, Failure, Limits, Password, Refusal, Reply, Service, TlsError, Unknown, Wire,
};
pub(crate) use outage::{Waiting, Watch};
use pages::pages;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use transfer_core::{ProjectId, TransferId, VolumeId};
use url::Url;

const VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
/// The first microversion that hands encrypted volumes over.
const MICROVERSION: &str = "3.70";
/// How many rows of a list are asked for at once.
const PAGE: &str = "200";
/// How often it is tried to do what has no known outcome, and the pause before the second try. It
/// doubles: together a minute, in which a service can be restarted.
pub(crate) const TRIES: u32 = 9;
const PAUSE: Duration = Duration::from_millis(250);
/// Longest pause, whatever a service asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A volume, as far as a transfer cares.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its status.
    pub status: String,
    /// In GiB.
    pub size: u64,
    /// Whether it has a key.
    #[serde(default)]
    pub encrypted: bool,
    /// The name of its type.
    #[serde(default)]
    pub volume_type: Option<String>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Its consistency group.
    #[serde(default)]
    pub consistencygroup_id: Option<String>,
    /// Whose it is, where an administrator asks.
    #[serde(default, rename = "os-vol-tenant-attr:tenant_id")]
    pub project: Option<ProjectId>,
}

/// A snapshot, as far as a transfer cares.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its status.
    pub status: String,
    /// In GiB.
    pub size: u64,
}

/// A transfer in the donor's list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) id: TransferId,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) volume_id: VolumeId,
}

/// A limit, what is used of it and what is promised; no limit where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Quota {
    pub(crate) limit: i64,
    #[serde(default)]
    pub(crate) in_use: i64,
    #[serde(default)]
    pub(crate) reserved: i64,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Certificates of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What Keystone has said, or has not.
    #[error("Keystone")]
    Keystone(#[from] Failure),
    /// There is nothing to move from or to.
    #[error("the token has no project")]
    NoProject,
    /// There is no block storage.
    #[error("the catalogue has no {interface} block storage in {region}")]
    NoEndpoint {
        /// Of this kind.
        interface: String,
        /// In this region.
        region: String,
    },
}

/// One side's connection.
pub struct BlockStorage {
    party: Party,
    service: Service,
    /// Barbican, where the catalogue has one.
    key_manager: Option<Service>,
    session: ServiceSession,
    roles: Vec<String>,
    watch: Watch,
}

impl BlockStorage {
    /// Authenticates, and looks the block storage up.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(cloud: CloudSettings) -> Result<Self, ConnectError> {
        let limits =
            Limits { total: Duration::from_secs(120), body_bytes: 16 << 20, ..Limits::default() };
        let wire = Wire::new(&cloud.tls, limits)?;
        let exchange: Arc<dyn Exchange> = Arc::new(wire);
        let keystone = Keystone::new(&cloud.auth_url, Arc::clone(&exchange));
        let (region, interface) = (cloud.region.as_deref(), cloud.interface.as_str());
        let session = ServiceSession::new(
            keystone,
            cloud.credentials.clone(),
            Arc::new(OffsetDateTime::now_utc),
        );
        let issued = session.token().await?;
        let Identity { project, roles, catalog, .. } = &issued.identity;
        let Some(project) = project.clone() else {
            return Err(ConnectError::NoProject);
        };
        let types = ["block-storage", "volumev3", "block-store", "volume"];
        let endpoint = cloud.endpoint.clone();
        let endpoint = endpoint.or_else(|| catalog.endpoint(&types, interface, region));
        let Some(endpoint) = endpoint else {
            let region = region.unwrap_or("any region").to_owned();
            return Err(ConnectError::NoEndpoint { interface: interface.to_owned(), region });
        };
        let key_manager = catalog.endpoint(&["key-manager"], interface, region);
        let key_manager = key_manager.map(|url| Service::new(&url, "v1", Arc::clone(&exchange)));
        let service = Service::new(&versioned(&endpoint), "v3", exchange);
        let (roles, watch) = (roles.clone(), Watch::new(&cloud.name, |_| ()));
        let party = Party { cloud: cloud.name, project };
        Ok(Self { party, service, key_manager, roles, session, watch })
    }

    /// Somebody hears of outages.
    #[must_use]
    pub fn telling(mut self, tell: impl Fn(&Outage) + Send + Sync + 'static) -> Self {
        self.watch = Watch::new(&self.party.cloud, tell);
        self
    }

    /// Who waits for it.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Which cloud and project it is.
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// The project.
    pub fn project(&self) -> &ProjectId {
        &self.party.project
    }

    /// The roles of the user in it.
    pub(crate) fn roles(&self) -> &[String] {
        &self.roles
    }

    /// All volumes of the project.
    ///
    /// # Errors
    /// [`Failure`], after some tries.
    pub async fn volumes(&self) -> Result<Vec<Volume>, Failure> {
        self.list("volumes", |volume: &Volume| volume.id.as_str().to_owned()).await
    }

    /// All snapshots of the project.
    ///
    /// # Errors
    /// [`Failure`], after some tries.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, Failure> {
        self.list("snapshots", |snapshot: &Snapshot| snapshot.id.clone()).await
    }

    pub(crate) async fn transfers(&self) -> Result<Vec<Transfer>, Failure> {
        self.list("volume-transfers", |transfer: &Transfer| transfer.id.as_str().to_owned()).await
    }

    async fn list<T: for<'de> Deserialize<'de>>(
        &self,
        what: &'static str,
        id: impl Fn(&T) -> String,
    ) -> Result<Vec<T>, Failure> {
        #[derive(Deserialize)]
        struct Page<T> {
            #[serde(alias = "volumes", alias = "snapshots", alias = "transfers")]
            rows: Vec<T>,
        }
        pages(id, async |marker: Option<String>| {
            let mut query = vec![("limit", PAGE), ("sort_key", "id"), ("sort_dir", "asc")];
            query.extend(marker.as_deref().map(|marker| ("marker", marker)));
            let reply = self.read(&format!("/{what}/detail"), &query).await?;
            Ok(reply.json::<Page<T>>("a list")?.rows)
        })
        .await
    }

    /// A volume of the project, if there is such a one.
    pub(crate) async fn volume(&self, id: &VolumeId) -> Result<Option<Volume>, Failure> {
        #[derive(Deserialize)]
        struct Document {
            volume: Volume,
        }
        match self.read(&format!("/volumes/{id}"), &[]).await {
            Ok(reply) => Ok(Some(reply.json::<Document>("a volume")?.volume)),
            Err(failure) if failure.is_refusal(404) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The names of the types that the project can see.
    pub(crate) async fn type_names(&self) -> Result<BTreeSet<String>, Failure> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        #[derive(Deserialize)]
        struct Document {
            volume_types: Vec<Named>,
        }
        let document: Document = self.read("/types", &[]).await?.json("volume types")?;
        Ok(document.volume_types.into_iter().map(|named| named.name).collect())
    }

    /// The project's quotas by resource.
    pub(crate) async fn quotas(&self) -> Result<BTreeMap<String, Quota>, Failure> {
        let path = format!("/os-quota-sets/{}", self.project());
        let document: Value = self.read(&path, &[("usage", "true")]).await?.json("quotas")?;
        let set = document.get("quota_set").and_then(Value::as_object);
        let set = set.ok_or(Failure::unreadable("quotas"))?;
        let quota = |value: &Value| serde_json::from_value::<Quota>(value.clone()).ok();
        Ok(set.iter().filter_map(|(name, value)| Some((name.clone(), quota(value)?))).collect())
    }

    /// What comes of a look at the project's secrets: if Barbican refuses it with 403, it will let
    /// the user neither store nor read one. Nothing where the catalogue names no Barbican.
    pub(crate) async fn look_at_keys(&self) -> Result<(), Failure> {
        let Some(key_manager) = &self.key_manager else { return Ok(()) };
        let issued = self.session.token().await?;
        let look = key_manager.call(Method::GET, "/secrets").query("limit", "1");
        look.token(&issued.token).send(&[StatusCode::OK]).await.map(|_reply| ())
    }

    /// The volumes of open offers, and what each offer is called.
    ///
    /// # Errors
    /// [`Failure`], after some tries.
    pub async fn offers(&self) -> Result<BTreeMap<VolumeId, Option<String>>, Failure> {
        let offers = self.transfers().await?.into_iter();
        Ok(offers.map(|offer| (offer.volume_id, offer.name)).collect())
    }

    /// The newest microversion, if the service says.
    pub(crate) async fn newest(&self) -> Result<Option<(u32, u32)>, Failure> {
        let reply = self.retried(|| self.send_to(Method::GET, "/", &[], None)).await?;
        let document: Value = reply.json("versions")?;
        let versions = document.get("versions").and_then(Value::as_array);
        let newest = versions.into_iter().flatten().filter_map(|version| {
            let (major, minor) = version.get("version")?.as_str()?.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        Ok(newest.max())
    }

    /// Offers a volume.
    pub(crate) async fn offer(
        &self,
        volume: &VolumeId,
        name: &str,
    ) -> Result<(TransferId, Password), Failure> {
        #[derive(Deserialize)]
        struct Made {
            id: TransferId,
            auth_key: String,
        }
        #[derive(Deserialize)]
        struct Document {
            transfer: Made,
        }
        let body = json!({"transfer": {"volume_id": volume.as_str(), "name": name}});
        let reply = self.post("/volume-transfers", &body).await?;
        let Made { id, auth_key } = reply.json::<Document>("a transfer")?.transfer;
        Ok((id, Password::new(auth_key)))
    }

    /// Accepts an offer.
    pub(crate) async fn accept(
        &self,
        transfer: &TransferId,
        auth_key: &Password,
    ) -> Result<(), Failure> {
        let body = json!({"accept": {"auth_key": auth_key.expose()}});
        let path = format!("/volume-transfers/{transfer}/accept");
        self.post(&path, &body).await.map(|_reply| ())
    }

    /// Takes an offer back; one that is gone is gone, so that it can be asked for again.
    pub(crate) async fn take_back(&self, transfer: &TransferId) -> Result<(), Failure> {
        let path = format!("/volume-transfers/{transfer}");
        match self.retried(|| self.send(Method::DELETE, &path, &[], None)).await {
            Err(failure) if !failure.is_refusal(404) => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn read(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, Failure> {
        self.retried(|| self.send(Method::GET, path, query, None)).await
    }

    /// Tries again after unknown outcomes: for what changes nothing when it is done again.
    async fn retried<F: Future<Output = Result<Reply, Failure>>>(
        &self,
        send: impl Fn() -> F,
    ) -> Result<Reply, Failure> {
        let (mut tries, mut waiting) = (1, Waiting::default());
        loop {
            let outcome = send().await;
            waiting.hear(&outcome);
            match outcome {
                Err(failure @ Failure::Unknown(_)) if tries < TRIES => {
                    tracing::debug!(cloud = self.party.cloud, error = %failure, "asked again");
                    let again = pause(&failure, tries);
                    waiting.begin(&self.watch, &failure, again);
                    tokio::time::sleep(again).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        self.send_to(method, &format!("/{}{path}", self.project()), query, body).await
    }

    /// Sends a request to a path below the version.
    async fn send_to(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let mut renewed = false;
        loop {
            let issued = self.session.token().await?;
            let mut call = self.service.call(method.clone(), path).token(&issued.token);
            call = call.header(VERSION, HeaderValue::from_static("volume 3.70"));
            for (name, value) in query {
                call = call.query(name, value);
            }
            if let Some(body) = body {
                call = call.json(body);
            }
            match call.send(&[StatusCode::OK, StatusCode::ACCEPTED]).await {
                Err(Failure::Refused(Refusal { status: 401, .. })) if !renewed => {
                    self.session.invalidate(&issued.token);
                    renewed = true;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether a service of this newest microversion hands encrypted volumes over.
pub(crate) fn is_new_enough(newest: (u32, u32)) -> bool {
    let needed = MICROVERSION
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    needed.is_some_and(|needed: (u32, u32)| newest >= needed)
}

/// How long to wait before trying again.
pub(crate) fn pause(failure: &Failure, tries: u32) -> Duration {
    let doubled = PAUSE * 2_u32.saturating_pow(tries.saturating_sub(1).min(8));
    let asked = match failure {
        Failure::Unknown(Unknown::Status { retry_after, .. }) => *retry_after,
        Failure::Unknown(_) | Failure::Refused(_) => None,
    };
    asked.unwrap_or(doubled).min(LONGEST_PAUSE)
}

/// An endpoint of the catalogue up to its version: what follows is the project.
fn versioned(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let segments: Vec<&str> = endpoint.path().split('/').collect();
    if let Some(at) = segments.iter().position(|segment| *segment == "v3") {
        url.set_path(&segments[..=at].join("/"));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_ends_with_its_version() {
        for (endpoint, expected) in [
            ("http://c:8776/v3/abc", "http://c:8776/v3"),
            ("http://c/volume/v3/abc", "http://c/volume/v3"),
            ("http://c/volume/v3", "http://c/volume/v3"),
            ("http://c:8776/", "http://c:8776/"),
        ] {
            assert_eq!(versioned(&endpoint.parse().unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn a_pause_doubles_unless_the_service_says_how_long() {
        let status =
            |retry_after| Unknown::Status { status: 503, message: String::new(), retry_after };
        let ms = Duration::from_millis;
        for (unknown, tries, expected) in [
            (status(None), 1, ms(250)),
            (status(None), 3, ms(1000)),
            (status(Some(ms(2000))), 1, ms(2000)),
            (status(Some(ms(900_000))), 1, LONGEST_PAUSE),
            (status(None), 30, LONGEST_PAUSE),
        ] {
            assert_eq!(pause(&unknown.into(), tries), expected);
        }
    }

    #[test]
    fn encrypted_volumes_need_3_70() {
        for (newest, expected) in
            [((3, 70), true), ((3, 69), false), ((3, 71), true), ((4, 0), true)]
        {
            assert_eq!(is_new_enough(newest), expected);
        }
    }
}
