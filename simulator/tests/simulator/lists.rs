//! Lists of secrets and orders.

use serde_json::{Value, json};
use time::Duration;

use crate::cloud::Cloud;

/// A cloud in which x has stored five secrets, one second after the other.
async fn stocked() -> (Cloud, String) {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    for body in [
        json!({"name": "a-one", "algorithm": "AES", "bit_length": 128, "mode": "cbc"}),
        json!({"name": "a-two", "algorithm": "AES", "bit_length": 256}),
        json!({"name": "b+one", "algorithm": "aes", "secret_type": "passphrase"}),
        json!({"name": "b_one"}),
        json!({}),
    ] {
        cloud.store(&x, body).await;
        cloud.simulator.clock().advance(Duration::seconds(1));
    }
    (cloud, x)
}

fn names(list: &Value) -> Vec<String> {
    let secrets = list["secrets"].as_array().unwrap();
    secrets.iter().map(|one| one["name"].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn secrets_are_found_by_their_attributes() {
    let (cloud, x) = stocked().await;
    for (query, expected) in [
        ("", vec!["a-one", "a-two", "b+one", "b_one", "-"]),
        ("name=a-one", vec!["a-one"]),
        ("name=A-ONE", vec![]),
        ("name=a-%25", vec!["a-one", "a-two"]),
        ("name=b_one", vec!["b+one", "b_one"]),
        ("name=b%5C_one", vec!["b_one"]),
        // Decoded twice: %2B is a blank, %252B a plus.
        ("name=b%2Bone", vec![]),
        ("name=b%252Bone", vec!["b+one"]),
        ("name=%2561-one", vec!["a-one"]),
        ("alg=AES", vec!["a-one", "a-two"]),
        ("alg=%25", vec!["a-one", "a-two", "b+one"]),
        ("mode=cbc", vec!["a-one"]),
        ("bits=256", vec!["a-two"]),
        ("bits=5", vec![]),
        ("bits=foo&limit=1", vec!["a-one"]),
        ("secret_type=passphrase", vec!["b+one"]),
        ("acl_only=true", vec![]),
        ("created=gt:2026-11-24T03:55:06", vec!["b+one", "b_one", "-"]),
        ("created=gte:2026-11-24T03:55:06,lt:2026-11-24T03:55:08", vec!["a-two", "b+one"]),
        ("created=2026-11-24T03:55:05", vec!["a-one"]),
        ("created=gt:2026,lt:2027&limit=1", vec!["a-one"]),
        ("created=2026-11-24,gt:2026-11-23", vec![]),
        ("bits=2_56", vec!["a-two"]),
        ("offset=99999999999999999999&limit=1", vec!["a-one"]),
        ("unknown=1&unknown=2&limit=1", vec!["a-one"]),
        ("sort=created:desc", vec!["-", "b_one", "b+one", "a-two", "a-one"]),
        ("sort=algorithm,bit_length:desc&limit=3", vec!["a-two", "a-one", "b+one"]),
        ("unknown=1&limit=1", vec!["a-one"]),
    ] {
        let path = format!("/v1/secrets?{query}");
        let reply = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await;
        assert_eq!(reply.status, 200, "{query}");
        assert_eq!(names(&reply.json()), expected, "{query}");
    }
}

#[tokio::test]
async fn a_secret_that_has_ended_is_in_no_list() {
    let (cloud, x) = stocked().await;
    let ending = json!({"name": "ending", "expiration": "2026-11-24T03:55:20"});
    cloud.store(&x, ending).await;
    for (seconds, expected) in [(0, 1), (60, 0)] {
        cloud.simulator.clock().advance(Duration::seconds(seconds));
        for query in ["name=ending", "expiration=gt:2020-01-01", "expiration=lt:2030"] {
            let path = format!("/v1/secrets?{query}");
            let reply = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await;
            assert_eq!(reply.json()["total"], expected, "{query} after {seconds} s");
        }
    }
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let (cloud, x) = stocked().await;
    let link = |query: &str| format!("http://127.0.0.1:9311/v1/secrets?{query}");
    for (query, shown, previous, next) in [
        ("limit=2", 2, None, Some("limit=2&offset=2")),
        ("limit=2&offset=2", 2, Some("limit=2&offset=0"), Some("limit=2&offset=4")),
        ("limit=2&offset=4", 1, Some("limit=2&offset=2"), None),
        ("limit=2&offset=1", 2, Some("limit=2&offset=0"), Some("limit=2&offset=3")),
        ("limit=0", 1, None, Some("limit=1&offset=1")),
        ("limit=-1", 1, None, Some("limit=1&offset=1")),
        ("limit=a", 5, None, None),
        ("limit=200", 5, None, None),
        ("offset=-3&limit=1", 1, None, Some("limit=1&offset=1")),
        ("offset=a&limit=1", 1, None, Some("limit=1&offset=1")),
        ("offset=99", 0, None, None),
        ("sort=created:desc&limit=1", 1, None, Some("limit=1&offset=1&sort=created%3Adesc")),
        ("name=%25&limit=1", 1, None, Some("limit=1&offset=1&name=%25")),
    ] {
        let path = format!("/v1/secrets?{query}");
        let list = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await.json();
        assert_eq!(list["secrets"].as_array().unwrap().len(), shown, "{query}");
        assert_eq!(
            list.get("previous"),
            previous.map(|query| json!(link(query))).as_ref(),
            "{query}"
        );
        assert_eq!(list.get("next"), next.map(|query| json!(link(query))).as_ref(), "{query}");
        assert_eq!(list["total"], if query.starts_with("name") { 4 } else { 5 });
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_asked_for_is_refused() {
    let (cloud, x) = stocked().await;
    let bad = "URI provided invalid query string parameters.";
    let twice = "Secret(s) retrieval failure seen - please contact site administrator.";
    for (query, status, said) in [
        ("sort=foo", 400, bad),
        ("sort=name:up", 400, bad),
        ("sort=name,name", 400, bad),
        ("created=foo", 400, bad),
        ("expiration=gt:", 400, bad),
        ("created=gt:2026-01-01,gte:2026-01-02", 400, bad),
        ("created=2026-01-01,lte:2026-01-02", 400, bad),
        ("name=a&name=b", 500, twice),
        ("limit=1&limit=2", 500, twice),
    ] {
        let path = format!("/v1/secrets?{query}");
        let reply = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await;
        assert_eq!((reply.status.as_u16(), reply.said().as_str()), (status, said), "{query}");
    }
    let ask = cloud.barbican("GET", "/v1/secrets").with("x-auth-token", &x);
    let reply = ask.with("accept", "text/plain").empty().await;
    assert_eq!(reply.json(), json!({"code": 406, "title": "Not Acceptable", "description": null}));
}

#[tokio::test]
async fn a_list_shows_what_is_the_callers_projects() {
    let (cloud, x) = stocked().await;
    let order = json!({"type": "key", "meta": {"algorithm": "AES", "bit_length": 256}});
    let ordered = cloud.barbican("POST", "/v1/orders").with("x-auth-token", &x).json(order).await;
    assert_eq!(ordered.status, 202);
    let (y, admin) = (cloud.own_token("y").await, cloud.own_token("admin").await);
    for (token, secrets, orders) in [(&x, 6, 1), (&y, 0, 0), (&admin, 0, 0)] {
        for (kind, total) in [("secrets", secrets), ("orders", orders)] {
            let path = format!("/v1/{kind}");
            let list =
                cloud.barbican("GET", &path).with("x-auth-token", token).empty().await.json();
            assert_eq!(list["total"], total);
            assert_eq!(list[kind].as_array().unwrap().len(), total);
        }
    }
}
