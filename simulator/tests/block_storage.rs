//! The block storage as Cinder's clients see it: bodies, statuses, roles, keys, quotas, faults.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use cinder_db::{Store, StoreConfig};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use simulator::faults::{Action, Broken, FaultyService, Rule};
use simulator::{Config, Service, Simulator};
use tower::ServiceExt as _;

const PASSWORD: &str = "secret";

struct Cloud {
    _folder: tempfile::TempDir,
    simulator: Simulator,
    store: Store,
}

struct Reply {
    status: u16,
    microversion: Option<String>,
    body: Value,
}

async fn send(service: FaultyService, request: Request<Body>) -> Result<Reply, Broken> {
    let (parts, body) = service.oneshot(request).await?.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let header = parts.headers.get("openstack-api-version");
    Ok(Reply {
        status: parts.status.as_u16(),
        microversion: header.map(|value| value.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    })
}

impl Cloud {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("cinder.sqlite").display());
        let store = Store::connect(&StoreConfig { url, max_connections: 2 }).await.unwrap();
        store.create_cinder_tables().await.unwrap();
        store.migrate().await.unwrap();
        let simulator = Simulator::new(Config::new(PASSWORD)).unwrap();
        Self { _folder: folder, simulator, store }
    }

    async fn token(&self, user: &str, project: &str) -> String {
        let domain = json!({"name": "Default"});
        let user = json!({"name": user, "domain": domain, "password": PASSWORD});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let request = Request::post("/v3/auth/tokens")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let reply = self.simulator.keystone_service().oneshot(request).await.unwrap();
        reply.headers()["x-subject-token"].to_str().unwrap().to_owned()
    }

    async fn attempt(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Reply, Broken> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-auth-token", token)
            .header("openstack-api-version", "volume 3.71")
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        send(self.simulator.block_storage_service(&self.store), request).await
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> Reply {
        self.attempt(token, method, path, body).await.unwrap()
    }

    /// The type `luks`, made as the clients make it.
    async fn encrypted_type(&self) -> String {
        let admin = self.token("admin", "admin").await;
        let body = json!({"volume_type": {"name": "luks"}}).to_string();
        let made = self.ask(&admin, "POST", "/v3/types", &body).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let id = made.body["volume_type"]["id"].as_str().unwrap().to_owned();
        let body = json!({"encryption": {
            "provider": "luks",
            "cipher": "aes-xts-plain64",
            "key_size": 256,
            "control_location": "front-end",
        }});
        let path = format!("/v3/types/{id}/encryption");
        let made = self.ask(&admin, "POST", &path, &body.to_string()).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let shown = self.ask(&admin, "GET", &path, "").await;
        assert_eq!(shown.body["cipher"], "aes-xts-plain64");
        id
    }

    async fn volume(&self, token: &str, kind: Option<&str>) -> Value {
        let body = json!({"volume": {"name": "v", "size": 1, "volume_type": kind}}).to_string();
        let made = self.ask(token, "POST", "/v3/volumes", &body).await;
        assert_eq!(made.status, 202, "{}", made.body);
        made.body["volume"].clone()
    }
}

#[tokio::test]
async fn an_encrypted_volume_has_a_key_of_its_owner_and_takes_it_along() {
    let cloud = Cloud::new().await;
    cloud.encrypted_type().await;
    let x = cloud.token("x", "donor").await;
    let volume = cloud.volume(&x, Some("luks")).await;
    assert_eq!(volume["status"], "available");
    assert_eq!(volume["encrypted"], true);
    let key = volume["encryption_key_id"].as_str().unwrap();
    let secrets = cloud.simulator.secrets();
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0].id, key);
    assert_eq!(Some(secrets[0].project.clone()), cloud.simulator.project_id("donor"));
    assert_eq!((secrets[0].algorithm.as_deref(), secrets[0].bit_length), (Some("aes"), Some(256)));

    let id = volume["id"].as_str().unwrap();
    let body = json!({"snapshot": {"name": "s", "volume_id": id}}).to_string();
    let snapshot = cloud.ask(&x, "POST", "/v3/snapshots", &body).await;
    assert_eq!(snapshot.status, 202, "{}", snapshot.body);
    let world = cloud.simulator.world(&cloud.store).await.unwrap();
    assert_eq!(world.volumes[0].snapshots[0].key, world.volumes[0].row.key);

    let path = format!("/v3/volumes/{id}");
    let kept = cloud.ask(&x, "DELETE", &path, "").await;
    assert_eq!(kept.status, 400, "a volume with snapshots stays");
    let snapshot = snapshot.body["snapshot"]["id"].as_str().unwrap();
    let path_of_snapshot = format!("/v3/snapshots/{snapshot}");
    assert_eq!(cloud.ask(&x, "DELETE", &path_of_snapshot, "").await.status, 202);
    assert_eq!(cloud.ask(&x, "DELETE", &path, "").await.status, 202);
    assert_eq!(cloud.ask(&x, "GET", &path, "").await.status, 404);
    assert_eq!(cloud.simulator.secrets(), []);
}

#[tokio::test]
async fn a_volume_on_offer_cannot_be_deleted() {
    let cloud = Cloud::new().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    let volume = cloud.volume(&x, None).await;
    let path = format!("/v3/volumes/{}", volume["id"].as_str().unwrap());
    let reset = json!({"os-reset_status": {"status": "awaiting-transfer"}}).to_string();
    let action = format!("{path}/action");
    assert_eq!(cloud.ask(&x, "POST", &action, &reset).await.status, 403);
    assert_eq!(cloud.ask(&admin, "POST", &action, &reset).await.status, 202);
    let refused = cloud.ask(&x, "DELETE", &path, "").await;
    assert_eq!(refused.status, 400);
    let message = refused.body["badRequest"]["message"].as_str().unwrap();
    assert!(message.contains("awaiting a transfer"), "{message}");
}

#[tokio::test]
async fn bad_requests_are_refused_in_cinders_shape_and_change_nothing() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    let y = cloud.token("y", "recipient").await;
    let volume = cloud.volume(&x, None).await;
    let mine = format!("/v3/volumes/{}", volume["id"].as_str().unwrap());
    let foreign = format!("/v3/{}/volumes", cloud.simulator.project_id("recipient").unwrap());
    let long = format!("{{\"volume\": {{\"size\": 1, \"name\": \"{}\"}}}}", "n".repeat(256));
    let none = "/v3/volumes/6f48c3c2-6049-4ca1-8735-c62f9ff67266";
    let cases: &[(&str, &str, &str, &str, u16, &str)] = &[
        (&x, "POST", "/v3/volumes", "{", 400, "badRequest"),
        (&x, "POST", "/v3/volumes", "[]", 400, "badRequest"),
        (&x, "POST", "/v3/volumes", "{}", 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": 0}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": true}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": 1, "name": 7}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", &long, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": 2000}}"#, 413, "overLimit"),
        (
            &x,
            "POST",
            "/v3/volumes",
            r#"{"volume": {"size": 1, "volume_type": "none"}}"#,
            404,
            "itemNotFound",
        ),
        (&x, "POST", "/v3/snapshots", r#"{"snapshot": {}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/types", r#"{"volume_type": {"name": "t"}}"#, 403, "forbidden"),
        (&x, "GET", none, "", 404, "itemNotFound"),
        (&x, "DELETE", none, "", 404, "itemNotFound"),
        (&y, "GET", &mine, "", 404, "itemNotFound"),
        (&y, "DELETE", &mine, "", 404, "itemNotFound"),
        (&x, "GET", &foreign, "", 400, "badRequest"),
        (&x, "PATCH", "/v3/volumes", "", 405, "badMethod"),
    ];
    let before = cloud.simulator.world(&cloud.store).await.unwrap();
    for (token, method, path, body, status, name) in cases {
        let reply = cloud.ask(token, method, path, body).await;
        assert_eq!(reply.status, *status, "{method} {path} {body}: {}", reply.body);
        assert_eq!(reply.body[*name]["code"], *status, "{method} {path} {body}");
    }
    assert_eq!(cloud.simulator.world(&cloud.store).await.unwrap(), before);
    let unknown = cloud.ask("nobody", "GET", "/v3/volumes", "").await;
    assert_eq!(unknown.status, 401);
    assert_eq!(unknown.body["error"]["title"], "Unauthorized");
}

#[tokio::test]
async fn a_user_who_may_not_store_keys_gets_no_encrypted_volume() {
    let cloud = Cloud::new().await;
    cloud.encrypted_type().await;
    assert!(cloud.simulator.set_roles("x", "donor", &["reader"]).unwrap());
    let x = cloud.token("x", "donor").await;
    let body = json!({"volume": {"size": 1, "volume_type": "luks"}}).to_string();
    let refused = cloud.ask(&x, "POST", "/v3/volumes", &body).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(cloud.simulator.secrets(), []);
}

#[tokio::test]
async fn lists_are_of_the_own_project_and_every_reply_tells_its_version() {
    let cloud = Cloud::new().await;
    let (x, y) = (cloud.token("x", "donor").await, cloud.token("y", "recipient").await);
    let admin = cloud.token("admin", "admin").await;
    cloud.volume(&x, None).await;
    for (token, path, count) in [
        (&x, "/v3/volumes", 1),
        (&x, "/v3/volumes/detail?name=v", 1),
        (&x, "/v3/volumes/detail?name=other", 0),
        (&y, "/v3/volumes", 0),
        (&y, "/v3/volumes?all_tenants=1", 0),
        (&admin, "/v3/volumes", 0),
        (&admin, "/v3/volumes?all_tenants=1", 1),
    ] {
        let reply = cloud.ask(token, "GET", path, "").await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.microversion.as_deref(), Some("volume 3.71"), "{path}");
        assert_eq!(reply.body["volumes"].as_array().unwrap().len(), count, "{path}");
    }
}

#[tokio::test]
async fn faults_reach_the_block_storage_too() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    let faults = cloud.simulator.faults();
    let fail = Action::Answer { status: 503, retry_after: None };
    faults.add(Rule::on(Service::BlockStorage, fail).template("/v3/volumes"));
    faults.add(Rule::on(Service::BlockStorage, Action::DropAfter).method("POST"));
    let reply = cloud.ask(&x, "GET", "/v3/volumes", "").await;
    assert_eq!((reply.status, &reply.body["serviceUnavailable"]["code"]), (503, &json!(503)));
    let body = json!({"volume": {"size": 1}}).to_string();
    assert!(cloud.attempt(&x, "POST", "/v3/volumes", &body).await.is_err());
    let world = cloud.simulator.world(&cloud.store).await.unwrap();
    assert_eq!(world.volumes.len(), 1, "the effect took place, the reply was lost");
}
