//! Who may do what with whose secret: Barbican's new default policy.

use serde_json::json;

use crate::cloud::{CONTENT, Cloud, key};

/// The operations on one secret: a name, the method, what is appended to the path, the operation in
/// Barbican's texts, and the status of success.
const OPERATIONS: &[(&str, &str, &str, &str, u16)] = &[
    ("metadata", "GET", "", "Secret retrieval", 200),
    ("payload", "GET", "/payload", "Secret payload retrieval", 200),
    ("fill", "PUT", "", "Secret update", 409),
    ("consumers", "GET", "/consumers", "SecretConsumers(s) retrieval", 200),
    ("consume", "POST", "/consumers", "SecretConsumer creation", 200),
    ("release", "DELETE", "/consumers", "SecretConsumer deletion", 200),
    ("delete", "DELETE", "", "Secret deletion", 204),
];

#[tokio::test]
async fn a_secret_belongs_to_the_members_of_its_project_and_an_admin_sees_or_deletes_it() {
    let cloud = Cloud::new();
    // On the donor project: another member, an administrator, a mere reader.
    for (user, roles) in [("y", ["member"]), ("admin", ["admin"]), ("z", ["reader"])] {
        assert!(cloud.simulator.set_roles(user, "donor", &roles).unwrap());
    }
    let x = cloud.own_token("x").await;
    for (user, project, allowed) in [
        (
            "x",
            "donor",
            vec!["metadata", "payload", "fill", "consumers", "consume", "release", "delete"],
        ),
        (
            "y",
            "donor",
            vec!["metadata", "payload", "fill", "consumers", "consume", "release", "delete"],
        ),
        (
            "admin",
            "donor",
            vec!["metadata", "payload", "fill", "consumers", "consume", "release", "delete"],
        ),
        ("z", "donor", vec![]),
        ("y", "recipient", vec![]),
        ("admin", "admin", vec!["metadata", "delete"]),
        ("cinder", "service", vec!["metadata", "delete"]),
    ] {
        let token = cloud.token(user, project).await;
        let secret = cloud.store(&x, key("one")).await;
        let volume = json!({"service": "cinder", "resource_type": "volume", "resource_id": "1"});
        for (name, method, rest, operation, success) in OPERATIONS {
            let ask =
                cloud.barbican(method, &format!("{secret}{rest}")).with("x-auth-token", &token);
            let reply = match *name {
                "payload" => ask.with("accept", CONTENT).empty().await,
                "fill" => ask.with("content-type", CONTENT).body("x").await,
                "consume" | "release" => ask.json(volume.clone()).await,
                _ => ask.empty().await,
            };
            let what = format!("{user} of {project}: {name}");
            if allowed.contains(name) {
                assert_eq!(reply.status, *success, "{what}");
            } else {
                assert_eq!(reply.status, 403, "{what}");
                let said = format!(
                    "{operation} attempt not allowed - please review your user/project privileges"
                );
                assert_eq!(
                    reply.json(),
                    json!({"code": 403, "title": "Forbidden", "description": said})
                );
            }
        }
    }
}

#[tokio::test]
async fn a_reader_may_neither_store_nor_list_nor_order() {
    let cloud = Cloud::new();
    assert!(cloud.simulator.set_roles("z", "donor", &["reader", "creator"]).unwrap());
    let z = cloud.token("z", "donor").await;
    for (method, path, operation) in [
        ("POST", "/v1/secrets", "Secret creation"),
        ("GET", "/v1/secrets", "Secret(s) retrieval"),
        ("POST", "/v1/orders", "Order creation"),
        ("GET", "/v1/orders", "Order(s) retrieval"),
    ] {
        let reply = cloud.barbican(method, path).with("x-auth-token", &z).json(json!({})).await;
        assert_eq!(reply.status, 403, "{method} {path}");
        let said =
            format!("{operation} attempt not allowed - please review your user/project privileges");
        assert_eq!(reply.said(), said);
    }
}

#[tokio::test]
async fn a_missing_secret_is_missing_for_everybody() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let stored = cloud.store(&x, key("one")).await;
    let id = stored.rsplit('/').next().unwrap();
    let invalid = "Not Found. Provided secret id is invalid.";
    for user in ["x", "y", "admin"] {
        let token = cloud.own_token(user).await;
        for (id, said) in [
            ("793c3ca7-b3a7-4e2d-9083-7262207e1cfd", "Secret not found."),
            ("xyz", invalid),
            (id.to_uppercase().as_str(), invalid),
            (id.replace('-', "").as_str(), invalid),
            ("00000000-0000-0000-0000-000000000000", invalid),
            ("12345678-1234-1234-8234-123456789012", invalid),
        ] {
            for (method, rest) in [("GET", ""), ("GET", "/payload"), ("PUT", ""), ("DELETE", "")] {
                let path = format!("/v1/secrets/{id}{rest}");
                let reply =
                    cloud.barbican(method, &path).with("x-auth-token", &token).empty().await;
                assert_eq!((reply.status.as_u16(), reply.said().as_str()), (404, said), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn another_projects_order_is_missing() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let order = json!({"type": "key", "meta": {"algorithm": "AES", "bit_length": 256}});
    let ordered = cloud.barbican("POST", "/v1/orders").with("x-auth-token", &x).json(order).await;
    let path = crate::cloud::path_of(ordered.json()["order_ref"].as_str().unwrap());
    for user in ["y", "admin", "cinder"] {
        let token = cloud.own_token(user).await;
        for method in ["GET", "DELETE"] {
            let reply = cloud.barbican(method, &path).with("x-auth-token", &token).empty().await;
            assert_eq!((reply.status.as_u16(), reply.said().as_str()), (404, "Order not found."));
        }
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_a_token() {
    let cloud = Cloud::new();
    for token in [None, Some("bad")] {
        for (method, path) in
            [("GET", "/v1/secrets/xyz"), ("POST", "/v1/secrets"), ("GET", "/v1/x")]
        {
            let ask = cloud.barbican(method, path);
            let ask = match token {
                Some(token) => ask.with("x-auth-token", token),
                None => ask,
            };
            let reply = ask.empty().await;
            assert_eq!(reply.status, 401);
            let challenge = "Keystone uri=\"http://127.0.0.1:5000/v3\"";
            assert_eq!(reply.header("www-authenticate"), Some(challenge));
            assert_eq!(reply.header("openstack-api-version"), None);
            assert_eq!(
                reply.json(),
                json!({"error": {
                    "code": 401,
                    "title": "Unauthorized",
                    "message": "The request you have made requires authentication.",
                }})
            );
        }
    }
}
