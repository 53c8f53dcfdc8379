//! Access lists, and what they are good for.

use serde_json::{Value, json};

use crate::cloud::{CONTENT, Cloud, key};

const SHOWN: &str = "2026-11-24T03:55:05";

/// A secret and a container of x.
async fn holders(cloud: &Cloud, x: &str) -> [String; 2] {
    let container = cloud.make(x, "/v1/containers", json!({"type": "generic"})).await;
    [cloud.store(x, key("one")).await, container]
}

#[tokio::test]
async fn a_list_is_replaced_merged_and_deleted() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let open = json!({"project-access": true});
    let list = |access: bool, users: &[&str]| {
        let (created, updated) = (SHOWN, SHOWN);
        json!({
            "project-access": access, "users": users, "created": created, "updated": updated,
        })
    };
    for holder in holders(&cloud, &x).await {
        let acl = format!("{holder}/acl");
        let reference = json!({"acl_ref": format!("http://127.0.0.1:9311{acl}")});
        for (method, given, expected) in [
            ("PATCH", json!({"read": {}}), open.clone()),
            ("PUT", json!({"read": {"users": ["a", "b", "a"]}}), list(true, &["a", "b"])),
            ("PATCH", json!({"read": {"project-access": false}}), list(false, &["a", "b"])),
            ("PATCH", json!({"read": {"users": ["c"]}}), list(false, &["c"])),
            ("PATCH", json!({}), list(false, &["c"])),
            ("PUT", json!({"read": {"users": []}}), list(true, &[])),
            ("PUT", json!({"read": {"project-access": false}}), list(false, &[])),
            ("PUT", json!({"read": {}}), open.clone()),
            ("PATCH", json!({"read": {"users": ["d"]}}), list(true, &["d"])),
            ("PUT", json!({}), open.clone()),
        ] {
            let reply = cloud.tell(&x, method, &acl, given.clone()).await;
            assert_eq!((reply.status.as_u16(), reply.json()), (200, reference.clone()), "{given}");
            let shown = cloud.tell(&x, "GET", &acl, Value::Null).await.json();
            assert_eq!(shown, json!({"read": expected}), "{method} {given}");
        }
        for _time in 0..2 {
            let reply = cloud.tell(&x, "DELETE", &acl, Value::Null).await;
            assert_eq!((reply.status.as_u16(), reply.json()), (200, Value::Null));
        }
    }
}

#[tokio::test]
async fn what_is_no_list_is_refused() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let long = "a".repeat(256);
    for holder in holders(&cloud, &x).await {
        for (given, reason, property) in [
            (json!([]), "[] is not of type 'object'", "None"),
            (json!({"read": 5}), "5 is not of type 'object'", "read"),
            (json!({"read": {"users": "u"}}), "'u' is not of type 'array'", "read"),
            (json!({"read": {"users": [5]}}), "5 is not of type 'string'", "read"),
            (json!({"read": {"users": [long]}}), &format!("'{long}' is too long"), "read"),
            (json!({"read": {"project-access": 1}}), "1 is not of type 'boolean'", "read"),
            (
                json!({"read": {"b": 1, "a": 2}}),
                "Additional properties are not allowed ('a', 'b' were unexpected)",
                "read",
            ),
            (
                json!({"write": {}}),
                "Additional properties are not allowed ('write' was unexpected)",
                "None",
            ),
        ] {
            let reply = cloud.tell(&x, "PUT", &format!("{holder}/acl"), given.clone()).await;
            let said = format!(
                "Provided object does not match schema 'ACL': {reason}. \
                 Invalid property: '{property}'"
            );
            assert_eq!((reply.status.as_u16(), reply.said()), (400, said), "{given}");
        }
    }
}

#[tokio::test]
async fn a_private_secret_is_its_creators_and_whoever_is_named_may_read_it() {
    let cloud = Cloud::new();
    assert!(cloud.simulator.set_roles("z", "donor", &["member"]).unwrap());
    let (x, y) = (cloud.own_token("x").await, cloud.own_token("y").await);
    let neighbour = cloud.token("z", "donor").await;
    let secret = cloud.store(&x, key("shared")).await;
    let private =
        json!({"read": {"project-access": false, "users": [cloud.simulator.user_id("y")]}});
    assert_eq!(cloud.tell(&x, "PUT", &format!("{secret}/acl"), private).await.status, 200);
    for (token, reads, writes) in [(&x, true, true), (&neighbour, false, false), (&y, true, false)]
    {
        for (method, path, allowed) in [
            ("GET", "", reads),
            ("GET", "/metadata", reads),
            ("GET", "/consumers", reads),
            ("GET", "/acl", writes),
            ("PUT", "/metadata", writes),
            ("PATCH", "/acl", writes),
        ] {
            let reply = cloud.tell(token, method, &format!("{secret}{path}"), Value::Null).await;
            assert_eq!(reply.status != 403, allowed, "{method} {path}: {}", reply.status);
        }
        let payload = cloud.barbican("GET", &format!("{secret}/payload"));
        let payload = payload.with("x-auth-token", token).with("accept", CONTENT).empty().await;
        assert_eq!(payload.status, if reads { 200 } else { 403 });
        let shared = cloud.tell(token, "GET", "/v1/secrets?acl_only=TRUE", Value::Null).await;
        assert_eq!(shared.json()["total"], if *token == y { 1 } else { 0 });
    }
    // With the list goes what it allowed, and with the secret the list.
    assert_eq!(cloud.tell(&x, "DELETE", &format!("{secret}/acl"), Value::Null).await.status, 200);
    assert_eq!(cloud.tell(&y, "GET", &secret, Value::Null).await.status, 403);
    assert_eq!(cloud.tell(&neighbour, "GET", &secret, Value::Null).await.status, 200);
    let again = json!({"read": {"users": [cloud.simulator.user_id("y")]}});
    assert_eq!(cloud.tell(&x, "PUT", &format!("{secret}/acl"), again).await.status, 200);
    assert_eq!(cloud.tell(&x, "DELETE", &secret, Value::Null).await.status, 204);
    let shared = cloud.tell(&y, "GET", "/v1/secrets?acl_only=true", Value::Null).await;
    assert_eq!(shared.json()["total"], 0);
}
