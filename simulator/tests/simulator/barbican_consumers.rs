//! Consumers of secrets.

use serde_json::json;

use crate::cloud::{Cloud, key};

#[tokio::test]
async fn a_secret_with_consumers_is_kept_from_clients_that_know_of_consumers() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let has_consumers =
        "Secret deletion issue seen - Secret cannot be deleted as it has consumers..";
    let bad_query = "URI provided invalid query string parameters.";
    for (version, query, status, said) in [
        ("1.2", "", 400, has_consumers),
        ("1.2", "?force=false", 400, has_consumers),
        ("1.2", "?force=maybe", 400, bad_query),
        ("1.2", "?force=True", 204, ""),
        ("1.1", "", 204, ""),
        ("1.0", "?force=maybe", 204, ""),
    ] {
        let path = cloud.store(&x, key("used")).await;
        let consumers = format!("{path}/consumers");
        let consumer = json!({"service": "cinder", "resource_type": "volume", "resource_id": "1"});
        for _ in 0..2 {
            let ask = cloud.barbican("POST", &consumers).with("x-auth-token", &x);
            let added = ask.json(consumer.clone()).await;
            assert_eq!(added.status, 200);
            assert_eq!(added.json()["consumers"], json!([consumer]));
        }
        let ask = cloud.barbican("DELETE", &format!("{path}{query}")).with("x-auth-token", &x);
        let ask = ask.with("openstack-api-version", &format!("key-manager {version}"));
        let reply = ask.empty().await;
        assert_eq!(reply.status, status, "{version} {query}");
        if status == 400 {
            assert_eq!(reply.said(), said);
        }
    }
}

#[tokio::test]
async fn consumers_come_and_go() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let path = cloud.store(&x, key("used")).await;
    let consumers = format!("{path}/consumers");
    let ask = |method: &str| cloud.barbican(method, &consumers).with("x-auth-token", &x);
    let volume = json!({"service": "cinder", "resource_type": "volume", "resource_id": "1"});
    let added = ask("POST").json(volume.clone()).await;
    let id = path.rsplit('/').next().unwrap();
    let location = format!("http://127.0.0.1:9311/v1/consumers/{id}/consumers");
    assert_eq!(added.header("location"), Some(location.as_str()));
    assert_eq!(
        ask("GET").empty().await.json(),
        json!({"total": 1, "consumers": [{
            "created": "2026-11-24T03:55:05",
            "updated": "2026-11-24T03:55:05",
            "status": "ACTIVE",
            "service": "cinder",
            "resource_type": "volume",
            "resource_id": "1",
        }]})
    );
    let shown = |version: &'static str| {
        cloud.barbican("GET", &path).with("x-auth-token", &x).with("openstack-api-version", version)
    };
    assert_eq!(shown("key-manager 1.0").empty().await.json().get("consumers"), None);
    assert_eq!(shown("key-manager 1.1").empty().await.json()["consumers"], json!([volume]));
    assert_eq!(ask("DELETE").json(volume.clone()).await.json()["consumers"], json!([]));
    let gone = ask("DELETE").json(volume).await;
    assert_eq!((gone.status.as_u16(), gone.said().as_str()), (404, "Consumer not found."));
    for (body, reason, property) in [
        (json!({}), "'service' is a required property", "None"),
        (json!({"service": ""}), "'resource_type' is a required property", "None"),
        (
            json!({"service": "a", "resource_type": 5, "resource_id": "c"}),
            "5 is not of type 'string'",
            "resource_type",
        ),
        (json!([]), "[] is not of type 'object'", "None"),
    ] {
        let reply = ask("POST").json(body).await;
        let expected = format!(
            "Provided object does not match schema 'Secret Consumer': {reason}. \
             Invalid property: '{property}'"
        );
        assert_eq!((reply.status.as_u16(), reply.said()), (400, expected));
    }
    let unknown =
        cloud.barbican("GET", &format!("{consumers}/xyz")).with("x-auth-token", &x).empty().await;
    assert_eq!(unknown.said(), "Not Found. Provided consumer id is invalid.");
}
