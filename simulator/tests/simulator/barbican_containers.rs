//! Containers.

use serde_json::{Value, json};

use crate::cloud::{Cloud, key};

const HOST: &str = "http://127.0.0.1:9311";

fn entry(name: &str, secret: &str) -> Value {
    json!({"name": name, "secret_ref": format!("{HOST}{secret}")})
}

#[tokio::test]
async fn a_container_names_secrets_and_loses_them_when_they_are_deleted() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let (one, two) = (cloud.store(&x, key("one")).await, cloud.store(&x, key("two")).await);
    let entries = json!([entry("public_key", &one), entry("private_key", &two)]);
    let pair = json!({"type": "rsa", "name": "pair", "secret_refs": entries});
    let path = cloud.make(&x, "/v1/containers", pair).await;
    let shown = json!({
        "created": "2026-11-24T03:55:05",
        "updated": "2026-11-24T03:55:05",
        "status": "ACTIVE",
        "name": "pair",
        "type": "rsa",
        "creator_id": cloud.simulator.user_id("x"),
        "secret_refs": entries,
        "consumers": [],
        "container_ref": format!("{HOST}{path}"),
    });
    assert_eq!(cloud.tell(&x, "GET", &path, Value::Null).await.json(), shown);
    let list = cloud.tell(&x, "GET", "/v1/containers", Value::Null).await.json();
    assert_eq!(list, json!({"containers": [shown], "total": 1}));

    assert_eq!(cloud.tell(&x, "DELETE", &one, Value::Null).await.status, 204);
    let left = cloud.tell(&x, "GET", &path, Value::Null).await.json();
    assert_eq!(left["secret_refs"], json!([entry("private_key", &two)]));

    assert_eq!(cloud.tell(&x, "DELETE", &path, Value::Null).await.status, 204);
    let gone = cloud.tell(&x, "DELETE", &path, Value::Null).await;
    assert_eq!((gone.status.as_u16(), gone.said().as_str()), (404, "Secrets container not found."));
    assert_eq!(cloud.tell(&x, "GET", &two, Value::Null).await.status, 200);
}

#[tokio::test]
async fn what_a_container_cannot_hold_is_refused() {
    let cloud = Cloud::new();
    let (x, y) = (cloud.own_token("x").await, cloud.own_token("y").await);
    let (one, two) = (cloud.store(&x, key("one")).await, cloud.store(&x, key("two")).await);
    let foreign = cloud.store(&y, key("foreign")).await;
    let generic = |entries: Value| json!({"type": "generic", "secret_refs": entries});
    let schema = |reason: &str, property: &str| {
        format!(
            "Provided object does not match schema 'Container': {reason}. \
             Invalid property: '{property}'"
        )
    };
    let unsupported = "Provided field value is not supported".to_owned();
    let minimum =
        "The minimum required reference names are 'public_key' and'private_key' for RSA type";
    for (body, status, said) in [
        (json!({}), 400, schema("'type' is a required property", "None")),
        (
            json!({"type": "foo"}),
            400,
            schema("'foo' is not one of ['generic', 'rsa', 'certificate']", "type"),
        ),
        (generic(json!([{}])), 400, schema("'secret_ref' is a required property", "secret_refs")),
        (
            generic(json!([entry("a", &one), entry("a", &two)])),
            400,
            schema("Duplicate reference names are not allowed", "secret_refs"),
        ),
        (
            generic(json!([entry("a", &one), entry("b", &one)])),
            400,
            schema("Duplicate secret ids are not allowed", "secret_refs"),
        ),
        (generic(json!([{"secret_ref": one}])), 400, unsupported),
        (
            json!({"type": "rsa", "secret_refs": [entry("public_key", &one)]}),
            400,
            schema(minimum, "secret_refs"),
        ),
        (
            generic(json!([entry("theirs", &foreign)])),
            404,
            "Secret provided for 'theirs' doesn't exist.".to_owned(),
        ),
    ] {
        let reply = cloud.tell(&x, "POST", "/v1/containers", body.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.said()), (status, said), "{body}");
    }
    let list = cloud.tell(&x, "GET", "/v1/containers", Value::Null).await.json();
    assert_eq!(list, json!({"containers": [], "total": 0}));
}

#[tokio::test]
async fn secrets_come_into_a_generic_container_and_go_out_of_any() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let secret = cloud.store(&x, key("one")).await;
    let generic = cloud.make(&x, "/v1/containers", json!({"type": "generic"})).await;
    let certificate = cloud.make(
        &x,
        "/v1/containers",
        json!({"type": "certificate", "secret_refs": [entry("certificate", &secret)]}),
    );
    let certificate = certificate.await;
    let conflict = "Conflict. A secret with that name and ID is already stored in this container. \
                    The same secret can exist in a container as long as the name is unique.";
    let failure = "Container Secret creation failure seen - please contact site administrator.";
    let missing = "/v1/secrets/793c3ca7-b3a7-4e2d-9083-7262207e1cfd";
    for (method, path, body, status, said) in [
        ("POST", &generic, entry("a", &secret), 201, ""),
        ("POST", &generic, entry("a", &secret), 409, conflict),
        ("POST", &generic, entry("b", &secret), 201, ""),
        ("POST", &generic, entry("c", missing), 404, "Secret provided doesn't exist."),
        ("POST", &generic, json!({"secret_ref": "foo"}), 500, failure),
        (
            "POST",
            &certificate,
            entry("private_key", &secret),
            400,
            "Only 'generic' containers can be modified.",
        ),
        ("DELETE", &generic, entry("a", &secret), 204, ""),
        ("DELETE", &generic, entry("a", &secret), 404, "Secret provided is not in the container"),
        (
            "DELETE",
            &generic,
            entry("c", missing),
            404,
            &format!("Secret 'c' with reference '{HOST}{missing}' doesn't exist."),
        ),
        ("DELETE", &certificate, entry("certificate", &secret), 204, ""),
        ("POST", &generic, entry("a", &secret), 201, ""),
    ] {
        let reply = cloud.tell(&x, method, &format!("{path}/secrets"), body.clone()).await;
        assert_eq!(reply.status, status, "{method} {body}");
        if status >= 400 {
            assert_eq!(reply.said(), said, "{method} {body}");
        }
    }
    let shown = cloud.tell(&x, "GET", &generic, Value::Null).await.json();
    assert_eq!(shown["secret_refs"], json!([entry("b", &secret), entry("a", &secret)]));
}

#[tokio::test]
async fn a_containers_consumers_are_listed_by_name() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let path = cloud.make(&x, "/v1/containers", json!({"type": "generic"})).await;
    let consumers = format!("{path}/consumers");
    for name in ["b", "a", "c", "b"] {
        let added = cloud.tell(&x, "POST", &consumers, json!({"name": name, "URL": "u"})).await;
        assert_eq!(added.status, 200);
    }
    let names = |list: Value| {
        let list = list["consumers"].as_array().unwrap().clone();
        list.into_iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let list = cloud.tell(&x, "GET", &format!("{consumers}?limit=2"), Value::Null).await.json();
    assert_eq!(list["next"], json!(format!("{HOST}{consumers}?limit=2&offset=2")));
    assert_eq!(names(list), ["a", "b"]);
    let gone = cloud.tell(&x, "DELETE", &consumers, json!({"name": "a", "URL": "u"})).await;
    assert_eq!(names(gone.json()), ["b", "c"]);
}
