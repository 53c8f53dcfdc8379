//! One service in a world that every request finds the same.
//!
//! The world is made anew when a request has changed it. What is drawn for it (ids, tokens, auth
//! keys) has names, which inputs use in its place.

use crate::cloud::{Cloud, Reply, answer};
use crate::runtime::block_on;
use axum::Router;
use axum::body::Body;
use cinder_db::{NewVolume, QuotaLimits, Store};
use http::Request;
use serde_json::{Value, json};
use simulator::SecretView;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;
use transfer_api::ApiConfig;
use transfer_core::invariants::World;
use transfer_core::{SecretId, VolumeId};
use transfer_engine::Engine;

/// A key of 256 bits in base64.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const STOPPING: Duration = Duration::from_secs(60);
/// The volumes: placeholder, whether encrypted, and the name of the offer that is open on it.
const VOLUMES: &[(&str, bool, Option<&str>)] = &[
    ("{plain}", false, None),
    ("{encrypted}", true, None),
    ("{offered_1}", false, Some("b")),
    ("{offered_2}", true, Some("a")),
    ("{offered_3}", false, Some("a")),
    ("{offered_4}", false, None),
];

thread_local! {
    static GROUND: RefCell<Option<Ground>> = const { RefCell::new(None) };
}

/// The service and its world.
pub(crate) struct Ground {
    cloud: Cloud,
    store: Store,
    engine: Engine,
    router: Router,
    words: Vec<(&'static str, String)>,
    /// As it was made; none while it is being made.
    before: Option<Everything>,
}

/// Everything that a request could change.
type Everything = (World, Vec<SecretView>);

/// Lets a run use the world, and makes another one for the next if the run says that it has changed
/// this one.
pub(crate) fn on_ground(run: impl FnOnce(&Ground) -> bool) {
    GROUND.with_borrow_mut(|kept| {
        let ground = kept.take().unwrap_or_else(|| block_on(Ground::new()));
        if run(&ground) {
            block_on(ground.leave());
        } else {
            *kept = Some(ground);
        }
    });
}

impl Ground {
    /// What stands for what was drawn.
    pub(crate) fn words(&self) -> Vec<(&str, &[u8])> {
        self.words.iter().map(|(word, meaning)| (*word, meaning.as_bytes())).collect()
    }

    /// What the placeholder stands for.
    pub(crate) fn word(&self, placeholder: &str) -> &str {
        let found = self.words.iter().find(|(word, _)| *word == placeholder);
        found.map(|(_, meaning)| meaning.as_str()).unwrap()
    }

    /// What nobody is told who does not know it: tokens and auth keys.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let secret = |word: &&(&str, String)| {
            word.0.starts_with("{token_") || word.0.starts_with("{auth_key_")
        };
        self.words.iter().filter(secret).map(|(_, meaning)| meaning.as_str())
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Reply {
        block_on(answer(self.router.clone(), request))
    }

    /// Whether the world is another than it was.
    pub(crate) fn has_changed(&self) -> bool {
        Some(block_on(self.everything())) != self.before
    }

    async fn new() -> Self {
        let cloud = Cloud::new().await;
        let store = cloud.store().await;
        let (engine, router) = cloud.replica(&store, quota(), ApiConfig::default());
        let mut ground = Self { cloud, store, engine, router, words: Vec::new(), before: None };
        ground.name_callers().await;
        ground.make_volumes().await;
        ground.before = Some(ground.everything().await);
        ground
    }

    async fn name_callers(&mut self) {
        for (word, project) in [("{donor}", "donor"), ("{recipient}", "recipient")] {
            self.words.push((word, self.cloud.project(project).to_string()));
        }
        for (word, user, project) in [
            ("{token_x}", "x", "donor"),
            ("{token_y}", "y", "recipient"),
            ("{token_admin}", "admin", "admin"),
            ("{token_service}", "cinder", "service"),
        ] {
            self.words.push((word, self.cloud.token(user, project).await));
        }
        let unscoped = self.cloud.issue("x", json!("unscoped")).await;
        self.words.push(("{token_unscoped}", unscoped));
        assert!(self.cloud.simulator.set_roles("z", "third", &["reader"]).unwrap());
        self.words.push(("{token_reader}", self.cloud.token("z", "third").await));
    }

    async fn make_volumes(&mut self) {
        // a service of its own, whose background work is over when it has stopped
        let (engine, router) = self.cloud.replica(&self.store, quota(), ApiConfig::default());
        let token = self.word("{token_x}").to_owned();
        for (n, (word, encrypted, offer)) in VOLUMES.iter().enumerate() {
            let key = if *encrypted { Some(self.cloud.key(&token, KEY).await) } else { None };
            let id = format!("11111111-1111-4111-8111-11111111110{n}");
            self.volume(&id, key).await;
            self.words.push((word, id.clone()));
            if word.starts_with("{offered_") {
                let transfer = offered(router.clone(), &token, &id, *offer).await;
                let text = |field: &str| transfer[field].as_str().unwrap().to_owned();
                let (id, auth_key) = OFFERS[n - 2];
                self.words.push((id, text("id")));
                self.words.push((auth_key, text("auth_key")));
            }
        }
        assert!(engine.shut_down(STOPPING).await);
    }

    async fn volume(&self, id: &str, key: Option<SecretId>) {
        let new = NewVolume {
            id: VolumeId::new(id),
            project: self.cloud.project("donor"),
            user: self.cloud.simulator.user_id("x").unwrap().as_str().into(),
            size_gb: 2,
            status: "available".to_owned(),
            name: None,
            description: None,
            volume_type: None,
            key,
            snapshot_id: None,
            source_volume_id: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
        };
        self.store.create_volume(&new, &quota()).await.unwrap();
    }

    async fn everything(&self) -> Everything {
        let mut rows = self.store.world_rows(&self.cloud.project("service")).await.unwrap();
        // a usage of nothing is as good as none
        rows.usages.retain(|_resource, used| *used != (0, 0));
        (rows, self.cloud.simulator.secrets())
    }

    async fn leave(self) {
        assert!(self.engine.shut_down(STOPPING).await);
        self.store.close().await;
    }
}

/// The placeholders of an open offer: its id and its auth key.
const OFFERS: [(&str, &str); 4] = [
    ("{offer_1}", "{auth_key_1}"),
    ("{offer_2}", "{auth_key_2}"),
    ("{offer_3}", "{auth_key_3}"),
    ("{offer_4}", "{auth_key_4}"),
];

fn quota() -> QuotaLimits {
    let unlimited = QuotaLimits { volumes: -1, gigabytes: -1, ..QuotaLimits::default() };
    QuotaLimits { use_default_quota_class: false, ..unlimited }
}

async fn offered(router: Router, token: &str, volume: &str, name: Option<&str>) -> Value {
    let mut transfer = json!({"volume_id": volume});
    if let Some(name) = name {
        transfer["name"] = json!(name);
    }
    let request = Request::post("/v3/volume-transfers")
        .header("x-auth-token", token)
        .header("openstack-api-version", "volume 3.70")
        .header("content-type", "application/json")
        .body(Body::from(json!({"transfer": transfer}).to_string()));
    let reply = answer(router, request.unwrap()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json()["transfer"].clone()
}
