//! Orders for keys and for pairs of them.

use serde_json::{Value, json};

use crate::cloud::{CONTENT, Cloud, path_of};

#[tokio::test]
async fn an_order_for_a_key_is_done_when_it_is_first_looked_at() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let meta = json!({"algorithm": "AES", "bit_length": 256, "payload_content_type": CONTENT});
    let ordered = cloud.barbican("POST", "/v1/orders/").with("x-auth-token", &x);
    let ordered = ordered.json(json!({"type": "key", "meta": meta})).await;
    assert_eq!(ordered.status, 202);
    let reference = ordered.json()["order_ref"].as_str().unwrap().to_owned();
    assert_eq!(ordered.header("location"), Some(reference.as_str()));
    let order = path_of(&reference);
    let ask = |method: &str, path: &str| cloud.barbican(method, path).with("x-auth-token", &x);
    let shown = ask("GET", &order).empty().await.json();
    let secret = path_of(shown["secret_ref"].as_str().unwrap());
    assert_eq!(
        shown,
        json!({
            "created": "2026-11-24T03:55:05",
            "updated": "2026-11-24T03:55:05",
            "status": "ACTIVE",
            "sub_status": "Unknown",
            "sub_status_message": "Unknown",
            "type": "key",
            "creator_id": cloud.simulator.user_id("x"),
            "meta": {
                "algorithm": "AES",
                "bit_length": 256,
                "payload_content_type": CONTENT,
                "name": null,
                "expiration": null,
            },
            "order_ref": reference,
            "secret_ref": shown["secret_ref"],
        })
    );
    let key = ask("GET", &secret).empty().await.json();
    assert_eq!(key["secret_type"], "symmetric");
    assert_eq!(key["content_types"], json!({"default": CONTENT}));
    let payload = ask("GET", &format!("{secret}/payload")).with("accept", CONTENT).empty().await;
    assert_eq!(payload.body.len(), 32);

    assert_eq!(ask("DELETE", &order).empty().await.status, 204);
    let gone = ask("GET", &order).empty().await;
    assert_eq!((gone.status.as_u16(), gone.said().as_str()), (404, "Order not found."));
    assert_eq!(ask("GET", &secret).empty().await.status, 200);
}

#[tokio::test]
async fn an_order_for_a_pair_makes_two_secrets_and_a_container() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    for (algorithm, bits, content_type) in
        [("RSA", 1024, CONTENT), ("rsa", 2048, "text/plain"), ("dsa", 4096, CONTENT)]
    {
        let meta = json!({
            "name": "pair",
            "algorithm": algorithm,
            "bit_length": bits,
            "payload_content_type": content_type,
        });
        let order = json!({"type": "asymmetric", "meta": meta});
        let order = cloud.make(&x, "/v1/orders", order).await;
        let shown = cloud.tell(&x, "GET", &order, Value::Null).await.json();
        assert_eq!((&shown["status"], &shown["type"]), (&json!("ACTIVE"), &json!("asymmetric")));
        assert_eq!(shown.get("secret_ref"), None);
        let container = path_of(shown["container_ref"].as_str().unwrap());
        let container = cloud.tell(&x, "GET", &container, Value::Null).await.json();
        assert_eq!(container["name"], "pair");
        assert_eq!(container["type"], algorithm.to_lowercase());
        let entries = container["secret_refs"].as_array().unwrap();
        for (entry, (name, kind, label)) in entries.iter().zip([
            ("private_key", "private", "PRIVATE KEY"),
            ("public_key", "public", "PUBLIC KEY"),
        ]) {
            assert_eq!(entry["name"], name);
            let secret = path_of(entry["secret_ref"].as_str().unwrap());
            let shown = cloud.tell(&x, "GET", &secret, Value::Null).await.json();
            assert_eq!(shown["secret_type"], kind);
            assert_eq!((&shown["name"], &shown["bit_length"]), (&json!("pair"), &json!(bits)));
            assert_eq!(shown["content_types"], json!({"default": content_type}));
            let ask = cloud.barbican("GET", &format!("{secret}/payload"));
            let payload = ask.with("x-auth-token", &x).with("accept", CONTENT).empty().await;
            if algorithm == "dsa" {
                // A DER sequence as long as the rest.
                let length = u16::from_be_bytes([payload.body[2], payload.body[3]]);
                assert_eq!(payload.body[..2], [0x30, 0x82]);
                assert_eq!(payload.body.len(), usize::from(length) + 4);
            } else {
                assert!(payload.text().starts_with(&format!("-----BEGIN {label}-----\nMI")));
                assert!(
                    payload.text().ends_with(&format!("=\n-----END {label}-----\n"))
                        || payload.text().ends_with(&format!("\n-----END {label}-----\n"))
                );
            }
        }
    }
}

#[tokio::test]
async fn orders_are_found_by_their_meta_data_and_come_in_pages() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    for name in ["one", "two", "three"] {
        let meta = json!({"name": name, "algorithm": "AES", "bit_length": 256});
        cloud.make(&x, "/v1/orders", json!({"type": "key", "meta": meta})).await;
    }
    for (query, total, names) in [
        ("", 3, vec!["one", "two", "three"]),
        ("meta=two", 1, vec!["two"]),
        ("meta=t%25", 2, vec!["two", "three"]),
        ("meta=TWO", 0, vec![]),
        ("meta=AES&limit=1&offset=1", 3, vec!["two"]),
        ("meta=one&meta=two", 0, vec![]),
        ("limit=x&offset=x", 3, vec!["one", "two", "three"]),
        ("offset=3", 3, vec![]),
    ] {
        let list = cloud.tell(&x, "GET", &format!("/v1/orders?{query}"), Value::Null).await.json();
        let found = list["orders"].as_array().unwrap();
        let found: Vec<_> = found.iter().map(|one| one["meta"]["name"].clone()).collect();
        assert_eq!(
            (&list["total"], found),
            (&json!(total), names.iter().map(|n| json!(n)).collect()),
            "{query}"
        );
    }
    let twice = cloud.tell(&x, "GET", "/v1/orders?limit=1&limit=2", Value::Null).await;
    let said = "Order(s) retrieval failure seen - please contact site administrator.";
    assert_eq!((twice.status.as_u16(), twice.said().as_str()), (500, said));
}

#[tokio::test]
async fn an_order_that_cannot_be_met_ends_in_error() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let unsupported = "Process TypeOrder issue seen - Secret generate supported plugin not found..";
    let failure = "Process TypeOrder failure seen - please contact site administrator.";
    let other = "Process TypeOrder issue seen - Requested algorithm is not supported.";
    let key = |algorithm, bits| json!({"algorithm": algorithm, "bit_length": bits});
    let locked = json!({"algorithm": "RSA", "bit_length": 1024, "passphrase": "open"});
    for (kind, meta, status, reason) in [
        ("key", key("FOO", 256), "400", unsupported),
        ("key", key("3DES", 192), "400", unsupported),
        ("key", key("RSA", 1024), "400", other),
        ("key", key("AES", 8), "500", failure),
        ("key", key("AES", 1024), "500", failure),
        ("asymmetric", key("FOO", 256), "400", unsupported),
        ("asymmetric", key("AES", 256), "400", other),
        ("asymmetric", key("EC", 256), "400", other),
        ("asymmetric", key("RSA", 512), "500", failure),
        // This one a real service can meet.
        ("asymmetric", locked, "500", failure),
    ] {
        let body = json!({"type": kind, "meta": meta});
        let ordered =
            cloud.barbican("POST", "/v1/orders").with("x-auth-token", &x).json(body).await;
        assert_eq!(ordered.status, 202);
        let order = path_of(ordered.json()["order_ref"].as_str().unwrap());
        let shown = cloud.barbican("GET", &order).with("x-auth-token", &x).empty().await.json();
        assert_eq!(shown["status"], "ERROR");
        assert_eq!(shown["error_status_code"], status);
        assert_eq!(shown["error_reason"], reason);
        assert_eq!(shown.get("secret_ref"), None);
    }
    assert!(cloud.simulator.secrets().is_empty());
}

#[tokio::test]
async fn an_order_that_does_not_fit_the_schema_is_refused() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let nested = "Secret' within 'Order";
    for (body, schema, reason, property) in [
        (json!({"type": "key"}), "Order", "'meta' is a required property", "meta"),
        (json!({"meta": {}}), "Order", "'type' is a required property", "type"),
        (
            json!({"type": "foo", "meta": {}}),
            "Order",
            "'foo' is not one of ['key', 'asymmetric']",
            "type",
        ),
        (
            json!({"type": "key", "meta": {}}),
            "Order",
            "'algorithm' is required field for key type order",
            "meta",
        ),
        (
            json!({"type": "key", "meta": {"algorithm": "AES"}}),
            "Order",
            "'bit_length' is required field for key type order",
            "meta",
        ),
        (
            json!({"type": "key", "meta": {"algorithm": "AES", "bit_length": 0}}),
            nested,
            "0 is less than the minimum of 1",
            "bit_length",
        ),
        (
            json!({"type": "key", "meta": {"algorithm": "AES", "bit_length": 256, "payload": "x"}}),
            nested,
            "If 'payload' is supplied, 'payload_content_type' must also be supplied.",
            "payload_content_type",
        ),
        (json!({"type": "key", "meta": 5}), "Order", "5 is not of type 'object'", "meta"),
        (json!([]), "Order", "[] is not of type 'object'", "None"),
    ] {
        let reply =
            cloud.barbican("POST", "/v1/orders").with("x-auth-token", &x).json(body.clone()).await;
        let expected = format!(
            "Provided object does not match schema '{schema}': {reason}. \
             Invalid property: '{property}'"
        );
        assert_eq!((reply.status.as_u16(), reply.said()), (400, expected), "{body}");
    }
    let odd = json!({"type": "key", "meta": {"algorithm": "AES", "bit_length": 7}});
    let reply = cloud.barbican("POST", "/v1/orders").with("x-auth-token", &x).json(odd).await;
    assert_eq!(
        (reply.status.as_u16(), reply.said().as_str()),
        (400, "Provided field value is not supported")
    );
    let reply = cloud.barbican("PUT", "/v1/orders").with("x-auth-token", &x).empty().await;
    assert_eq!(
        (reply.status.as_u16(), reply.said().as_str()),
        (405, "Order update is not supported.")
    );
}
