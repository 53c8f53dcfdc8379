//! Version documents and microversions.

use serde_json::json;

use crate::cloud::Cloud;

#[tokio::test]
async fn keystone_lists_its_version_without_a_token() {
    let cloud = Cloud::new();
    let list = cloud.keystone("GET", "/").empty().await;
    assert_eq!(list.status, 300);
    assert_eq!(list.header("location"), Some("http://127.0.0.1:5000/v3/"));
    let document = cloud.keystone("GET", "/v3").empty().await;
    assert_eq!(document.status, 200);
    assert_eq!(document.json()["version"], list.json()["versions"]["values"][0]);
    assert_eq!(
        document.json(),
        json!({"version": {
            "id": "v3.14",
            "status": "stable",
            "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": "http://127.0.0.1:5000/v3/"}],
            "media-types": [{
                "base": "application/json",
                "type": "application/vnd.openstack.identity-v3+json",
            }],
        }})
    );
}

#[tokio::test]
async fn barbican_shows_its_microversions_to_who_asks_in_one() {
    let cloud = Cloud::new();
    let links = json!([
        {"rel": "self", "href": "http://127.0.0.1:9311/v1/"},
        {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
    ]);
    let old = json!({"versions": {"values": [{
        "id": "v1",
        "status": "stable",
        "links": links,
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.key-manager-v1+json",
        }],
    }]}});
    let new = json!({"versions": [{
        "id": "v1", "status": "CURRENT", "min_version": "1.0", "max_version": "1.2", "links": links,
    }]});
    for (given, version, expected) in [
        ("", "key-manager 1.0", &old),
        ("key-manager 1.0", "key-manager 1.0", &old),
        ("key-manager 1.1", "key-manager 1.1", &new),
        ("key-manager 1.2", "key-manager 1.2", &new),
        ("key-manager latest", "key-manager 1.2", &new),
        ("volume 3.70, key-manager 1.1", "key-manager 1.1", &new),
        ("volume 3.0", "key-manager 1.0", &old),
        ("key-manager", "key-manager 1.0", &old),
        ("1.2", "key-manager 1.0", &old),
    ] {
        let ask = cloud.barbican("GET", "/").with("openstack-api-version", given);
        let reply = ask.empty().await;
        assert_eq!(reply.status, 300, "{given}");
        assert_eq!(reply.header("openstack-api-version"), Some(version), "{given}");
        assert_eq!(reply.header("vary"), Some("openstack-api-version"), "{given}");
        assert_eq!(reply.json(), *expected, "{given}");
    }
}

#[tokio::test]
async fn a_microversion_that_does_not_exist_is_refused_as_text() {
    let cloud = Cloud::new();
    for (given, status, end) in [
        ("key-manager 1.3", 406, "Invalid microversion: Unacceptable version header: 1.3"),
        ("key-manager 2.0", 406, "Invalid microversion: Unacceptable version header: 2.0"),
        (
            "key-manager x",
            400,
            "invalid version string: x; invalid literal for int() with base 10: 'x'  ",
        ),
    ] {
        let reply = cloud.barbican("GET", "/").with("openstack-api-version", given).empty().await;
        assert_eq!(reply.status, status, "{given}");
        assert!(reply.text().ends_with(end), "{given}: {}", reply.text());
        assert_eq!(reply.header("openstack-api-version"), None);
    }
}

#[tokio::test]
async fn barbicans_version_document_needs_a_token() {
    let cloud = Cloud::new();
    assert_eq!(cloud.barbican("GET", "/v1").empty().await.status, 401);
    let token = cloud.own_token("x").await;
    let reply = cloud.barbican("GET", "/v1/").with("x-auth-token", &token).empty().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["version"]["status"], "stable");
}

#[tokio::test]
async fn what_is_not_there_is_worded_by_each_service_in_its_own_way() {
    let cloud = Cloud::new();
    let token = cloud.own_token("x").await;
    let page = cloud.keystone("GET", "/v3/nothing").empty().await;
    assert_eq!(page.status, 404);
    assert!(page.text().starts_with("<!doctype html>"));
    let page = cloud.barbican("GET", "/nothing").empty().await;
    assert_eq!(
        (page.status.as_u16(), page.text()),
        (404, "404 Not Found\n\nThe resource could not be found.\n\n   ")
    );
    assert_eq!(cloud.barbican("GET", "/v1/nothing").empty().await.status, 401);
    let page = cloud.barbican("GET", "/v1/nothing").with("x-auth-token", &token).empty().await;
    assert_eq!(page.status, 404);
    assert_eq!(page.json(), json!({"code": 404, "title": "Not Found", "description": ""}));
}
