//! Quotas: what a project may have.

use serde_json::{Value, json};
use time::Duration;

use crate::cloud::{Cloud, key};

/// Limits x's project.
async fn limit(cloud: &Cloud, limits: Value) {
    let admin = cloud.own_token("admin").await;
    let path = format!("/v1/project-quotas/{}", cloud.simulator.project_id("donor").unwrap());
    let reply = cloud.tell(&admin, "PUT", &path, json!({"project_quotas": limits})).await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn nobody_gets_more_than_the_project_may_have() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let ending = json!({"expiration": "2026-11-24T03:55:06"});
    let secret = cloud.store(&x, ending).await;
    let (volume, disk) = (
        json!({"service": "cinder", "resource_type": "volume", "resource_id": "1"}),
        json!({"service": "cinder", "resource_type": "volume", "resource_id": "2"}),
    );
    let order = json!({"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}});
    limit(&cloud, json!({"secrets": 2, "orders": 1, "containers": 1, "consumers": 1})).await;
    let consumers = format!("{secret}/consumers");
    for (operation, path, body, allowed) in [
        ("SecretConsumer creation", consumers.as_str(), volume.clone(), true),
        ("SecretConsumer creation", &consumers, disk, false),
        // An order is not asked how many secrets there are.
        ("Order creation", "/v1/orders", order.clone(), true),
        ("Order creation", "/v1/orders", order, false),
        ("Secret creation", "/v1/secrets", key("one"), false),
        ("Container creation", "/v1/containers", json!({"type": "generic"}), true),
        ("Container creation", "/v1/containers", json!({"type": "generic"}), false),
    ] {
        let reply = cloud.tell(&x, "POST", path, body).await;
        assert_eq!(reply.status.is_success(), allowed, "{path}: {}", reply.text());
        if !allowed {
            let said = format!(
                "{operation} issue seen - Creation not allowed because a quota has been reached."
            );
            assert_eq!((reply.status.as_u16(), reply.said()), (403, said));
        }
    }
    // What is gone or has ended counts no more.
    assert_eq!(cloud.tell(&x, "DELETE", &consumers, volume.clone()).await.status, 200);
    assert_eq!(cloud.tell(&x, "POST", &consumers, volume).await.status, 200);
    cloud.simulator.clock().advance(Duration::seconds(1));
    cloud.store(&x, key("one")).await;
    assert_eq!(cloud.tell(&x, "POST", "/v1/secrets", key("two")).await.status, 403);
    limit(&cloud, json!({"secrets": -1})).await;
    cloud.store(&x, key("two")).await;
    limit(&cloud, json!({"secrets": 0})).await;
    assert_eq!(cloud.tell(&x, "POST", "/v1/secrets", key("three")).await.status, 403);
}

#[tokio::test]
async fn quotas_are_set_read_listed_and_forgotten() {
    let cloud = Cloud::new();
    let admin = cloud.own_token("admin").await;
    let ask = async |method: &str, path: &str, body: Value| {
        let reply = cloud.tell(&admin, method, &format!("/v1/{path}"), body).await;
        (reply.status.as_u16(), if reply.body.is_empty() { Value::Null } else { reply.json() })
    };
    let limits = |secrets: Value, orders: Value| {
        json!({"secrets": secrets, "orders": orders, "containers": null, "consumers": null,
            "cas": null})
    };
    let set = |limits: Value| json!({"project_quotas": limits});
    let missing =
        json!({"code": 404, "title": "Not Found", "description": "Project quotas not found."});
    let empty = json!({"project_quotas": [], "total": 0});
    assert_eq!(ask("GET", "project-quotas", Value::Null).await, (200, empty.clone()));
    assert_eq!(ask("GET", "project-quotas/b", Value::Null).await, (404, missing.clone()));
    for (project, given) in [("b", json!({"secrets": 5})), ("a", json!({"orders": 7.0}))] {
        let path = format!("project-quotas/{project}");
        assert_eq!(ask("PUT", &path, set(given)).await, (204, Value::Null));
    }
    assert_eq!(ask("PUT", "project-quotas/b", set(json!({"orders": 1}))).await.0, 204);
    let shown = set(limits(json!(5), json!(1)));
    assert_eq!(ask("GET", "project-quotas/b", Value::Null).await, (200, shown));
    let link = "http://127.0.0.1:9311/v1/project_quotas?limit=1&offset=0";
    let second = json!({
        "previous": link,
        "project_quotas": [{"project_id": "a", "project_quotas": limits(Value::Null, json!(7))}],
        "total": 2,
    });
    let page = ask("GET", "project-quotas?limit=1&offset=1", Value::Null).await;
    assert_eq!(page, (200, second));
    for project in ["a", "b"] {
        let path = format!("project-quotas/{project}");
        assert_eq!(ask("DELETE", &path, Value::Null).await, (204, Value::Null));
        assert_eq!(ask("DELETE", &path, Value::Null).await, (404, missing.clone()));
    }
    assert_eq!(ask("GET", "project-quotas", Value::Null).await, (200, empty));
}
