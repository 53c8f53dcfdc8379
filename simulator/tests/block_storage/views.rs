//! What is shown: lists and their pages, quotas, versions, roles.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::cloud::{Cloud, send};

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
async fn a_list_is_walked_page_by_page_in_the_order_that_is_asked_for() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    for (name, size) in [("b", 1), ("c", 2), ("a", 1)] {
        let body = json!({"volume": {"name": name, "size": size}}).to_string();
        assert_eq!(cloud.ask(&x, "POST", "/v3/volumes", &body).await.status, 202);
    }
    for (query, expected) in [
        ("sort=name:asc", "abc"),
        ("sort=name", "cba"),
        ("sort_key=name&sort_dir=asc", "abc"),
        ("sort=size:desc,name:asc", "cab"),
        ("sort=name:asc&offset=1", "bc"),
        ("limit=0", ""),
    ] {
        let reply = cloud.ask(&x, "GET", &format!("/v3/volumes?{query}"), "").await;
        assert_eq!(names(&reply.body), expected, "{query}");
    }
    let host = cloud.simulator.urls().block_storage;
    let project = cloud.simulator.project_id("donor").unwrap();
    let mut path = format!("/v3/{project}/volumes/detail?limit=2&sort=name:asc&with_count=1");
    let mut pages = Vec::new();
    for _ in 0..3 {
        let reply = cloud.ask(&x, "GET", &path, "").await;
        assert_eq!(reply.body["count"], 3, "of all pages");
        pages.push(names(&reply.body));
        let Some(next) = reply.body["volumes_links"][0]["href"].as_str() else { break };
        path = next.strip_prefix(&host).unwrap().to_owned();
    }
    assert_eq!(pages, ["ab", "c"]);
}

/// The names in a list of volumes, one after the other.
fn names(list: &Value) -> String {
    let volumes = list["volumes"].as_array().unwrap();
    volumes.iter().map(|volume| volume["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn quotas_tell_what_is_used_and_stand_against_more() {
    let cloud = Cloud::new().await;
    cloud.encrypted_type().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    cloud.volume(&x, Some("luks")).await;
    let donor = cloud.simulator.project_id("donor").unwrap();
    let recipient = cloud.simulator.project_id("recipient").unwrap();
    let path = format!("/v3/os-quota-sets/{donor}");
    let used = json!({"limit": 10, "in_use": 1, "reserved": 0});
    for token in [&x, &admin] {
        let reply = cloud.ask(token, "GET", &format!("{path}?usage=True"), "").await;
        assert_eq!(reply.body["quota_set"]["volumes"], used);
        assert_eq!(reply.body["quota_set"]["gigabytes_luks"]["in_use"], 1);
        assert_eq!(reply.body["quota_set"]["id"], donor.as_str());
    }
    for path in [path.clone(), format!("{path}/defaults")] {
        let reply = cloud.ask(&x, "GET", &path, "").await;
        assert_eq!(reply.body["quota_set"]["gigabytes"], 1000, "{path}");
    }
    let foreign = format!("/v3/os-quota-sets/{recipient}");
    assert_eq!(cloud.ask(&x, "GET", &foreign, "").await.status, 403);
    let limits = cloud.ask(&x, "GET", "/v3/limits", "").await;
    assert_eq!(limits.body["limits"]["absolute"]["maxTotalVolumes"], 10);
    assert_eq!(limits.body["limits"]["absolute"]["totalGigabytesUsed"], 1);

    let body = json!({"volume": {"size": 1000, "volume_type": "luks"}}).to_string();
    let refused = cloud.ask(&x, "POST", "/v3/volumes", &body).await;
    assert_eq!(
        refused.body["overLimit"]["message"],
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes \
         quota. Requested 1000G, quota is 1000G and 1G has been consumed."
    );
    assert_eq!(cloud.simulator.secrets().len(), 1, "the refused volume's key is given back");
}

#[tokio::test]
async fn an_administrator_sets_quotas_and_they_hold() {
    let cloud = Cloud::new().await;
    cloud.encrypted_type().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    cloud.volume(&x, Some("luks")).await;
    let donor = cloud.simulator.project_id("donor").unwrap();
    let path = format!("/v3/os-quota-sets/{donor}");
    for (set, words) in [
        (json!({}), "{} should be non-empty"),
        (json!({"cows": 1}), "Invalid input received: Bad key(s) in quota set: cows"),
        (json!({"volumes": -2}), "volumes must be >= -1"),
        (json!({"volumes": "many"}), "volumes must be an integer"),
        (json!({"gigabytes": 0}), "Current usage is 1 and the requested limit is 0."),
    ] {
        let refused = cloud.ask(&admin, "PUT", &path, &json!({"quota_set": set}).to_string()).await;
        let message = refused.body["badRequest"]["message"].as_str().unwrap();
        assert!(refused.status == 400 && message.contains(words), "{set}: {message}");
    }
    let one = json!({"quota_set": {"tenant_id": donor, "volumes": 1, "gigabytes_luks": 7}});
    assert_eq!(cloud.ask(&x, "PUT", &path, &one.to_string()).await.status, 403);
    let set = cloud.ask(&admin, "PUT", &path, &one.to_string()).await;
    assert_eq!((set.status, &set.body["quota_set"]["volumes"]), (200, &json!(1)));
    let shown = cloud.ask(&x, "GET", &path, "").await;
    assert_eq!(shown.body["quota_set"]["gigabytes_luks"], 7);
    let defaults = cloud.ask(&x, "GET", &format!("{path}/defaults"), "").await;
    assert_eq!(defaults.body["quota_set"]["volumes"], 10);
    let more = json!({"volume": {"size": 1}}).to_string();
    let refused = cloud.ask(&x, "POST", "/v3/volumes", &more).await;
    assert_eq!(refused.status, 413, "{}", refused.body);
    assert_eq!(cloud.ask(&x, "DELETE", &path, "").await.status, 403);
    assert_eq!(cloud.ask(&admin, "DELETE", &path, "").await.status, 200);
    assert_eq!(cloud.ask(&x, "POST", "/v3/volumes", &more).await.status, 202);

    let class = "/v3/os-quota-class-sets/default";
    let two = json!({"quota_class_set": {"volumes": 2}}).to_string();
    assert_eq!(cloud.ask(&admin, "PUT", class, &two).await.status, 200);
    let shown = cloud.ask(&admin, "GET", class, "").await;
    assert_eq!((&shown.body["quota_class_set"]["volumes"], shown.status), (&json!(2), 200));
    assert_eq!(shown.body["quota_class_set"]["id"], "default");
    assert_eq!(cloud.ask(&x, "POST", "/v3/volumes", &more).await.status, 413);
}

#[tokio::test]
async fn an_administrator_chooses_between_public_and_private_types() {
    let cloud = Cloud::new().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    let body = json!({"volume_type": {"name": "p", "os-volume-type-access:is_public": false}});
    let made = cloud.ask(&admin, "POST", "/v3/types", &body.to_string()).await;
    assert_eq!(made.body["volume_type"]["is_public"], false);
    for (token, query, expected) in [
        (&admin, "", "__DEFAULT__"),
        (&admin, "?is_public=true", "__DEFAULT__"),
        (&admin, "?is_public=False", "p"),
        (&admin, "?is_public=None&sort=name:asc", "__DEFAULT__ p"),
        (&x, "?is_public=None", "__DEFAULT__"),
    ] {
        let reply = cloud.ask(token, "GET", &format!("/v3/types{query}"), "").await;
        let types = reply.body["volume_types"].as_array().unwrap();
        let names: Vec<&str> = types.iter().map(|kind| kind["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
    let default = cloud.ask(&x, "GET", "/v3/types/default", "").await;
    assert_eq!(default.body["volume_type"]["name"], "__DEFAULT__");
}

#[tokio::test]
async fn what_is_shown_depends_on_the_version_the_role_and_the_path() {
    let cloud = Cloud::new().await;
    cloud.encrypted_type().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    let made = cloud.volume(&x, Some("luks")).await;
    let tenant = "os-vol-tenant-attr:tenant_id";
    assert!(made.get(tenant).is_none(), "extensions add to what is shown, not to what is made");
    let project = cloud.simulator.project_id("donor").unwrap();
    let path = format!("volumes/{}", made["id"].as_str().unwrap());
    let host = cloud.simulator.urls().block_storage;
    for (token, version, prefix, present, absent) in [
        (&x, "3.0", "/v3".to_owned(), tenant, "encryption_key_id"),
        (&x, "3.63", "/v3".to_owned(), "volume_type_id", "encryption_key_id"),
        (&x, "3.64", format!("/v3/{project}"), "encryption_key_id", "consumes_quota"),
        (&x, "3.71", "/v3".to_owned(), "consumes_quota", "cluster_name"),
        (&admin, "3.61", "/v3".to_owned(), "cluster_name", "volume_type_id"),
        (&admin, "3.0", "/v3".to_owned(), "os-vol-host-attr:host", "provider_id"),
    ] {
        let request = Request::get(format!("{prefix}/{path}"))
            .header("x-auth-token", token)
            .header("openstack-api-version", format!("volume {version}"))
            .body(Body::empty())
            .unwrap();
        let service = cloud.simulator.block_storage_service(&cloud.store);
        let shown = send(service, request).await.unwrap();
        let volume = &shown.body["volume"];
        assert!(volume.get(present).is_some(), "{version}: {volume}");
        assert!(volume.get(absent).is_none(), "{version}: {volume}");
        assert_eq!(volume["links"][0]["href"], format!("{host}{prefix}/{path}"));
    }
}

#[tokio::test]
async fn a_version_that_is_not_there_is_refused() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    for (version, status, signed) in [
        ("volume 3.72", 406, Some("volume 3.72")),
        ("volume 2.0", 406, None),
        ("volume x", 400, None),
        ("volume latest", 200, Some("volume 3.71")),
        ("compute 2.1", 200, Some("volume 3.0")),
        ("compute 2.1, volume 3.9", 200, Some("volume 3.9")),
    ] {
        let request = Request::get("/v3/volumes")
            .header("x-auth-token", &x)
            .header("openstack-api-version", version)
            .body(Body::empty())
            .unwrap();
        let service = cloud.simulator.block_storage_service(&cloud.store);
        let reply = send(service, request).await.unwrap();
        assert_eq!((reply.status, reply.microversion.as_deref()), (status, signed), "{version}");
    }
}
