//! Regions, services and endpoints: what an endpoint needs to be there.

use serde_json::{Value, json};

use crate::cloud::{Cloud, Reply};

async fn tell(cloud: &Cloud, token: &str, method: &str, path: &str, body: Value) -> Reply {
    cloud.keystone(method, path).with("x-auth-token", token).json(body).await
}

#[tokio::test]
async fn an_endpoint_names_a_region_by_its_id_or_makes_it_by_its_old_name() {
    let cloud = Cloud::new();
    let admin = cloud.token("admin", "admin").await;
    let service = json!({"service": {"type": "own"}});
    let made = tell(&cloud, &admin, "POST", "/v3/services", service).await;
    let service = made.json()["service"]["id"].clone();
    let body = |place: Value| {
        let mut endpoint = json!({"interface": "public", "url": "http://x", "service_id": service});
        endpoint.as_object_mut().unwrap().append(&mut place.as_object().unwrap().clone());
        json!({"endpoint": endpoint})
    };
    let made = tell(&cloud, &admin, "POST", "/v3/endpoints", body(json!({}))).await;
    let first = made.json()["endpoint"]["id"].as_str().unwrap().to_owned();
    let patch = format!("/v3/endpoints/{first}");
    for (method, path, status) in [("POST", "/v3/endpoints", 201), ("PATCH", patch.as_str(), 200)] {
        let unknown = body(json!({"region_id": method, "region": "other"}));
        let refused = tell(&cloud, &admin, method, path, unknown).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        let accepted = tell(&cloud, &admin, method, path, body(json!({"region": method}))).await;
        assert_eq!(accepted.status, status, "{}", accepted.text());
        assert_eq!(accepted.json()["endpoint"]["region_id"], method);
        let region = tell(&cloud, &admin, "GET", &format!("/v3/regions/{method}"), json!({})).await;
        assert_eq!(region.status, 200, "{}", region.text());
    }
}
