//! Orders for keys.

use serde_json::json;

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
async fn an_order_that_cannot_be_met_ends_in_error() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let unsupported = "Process TypeOrder issue seen - Secret generate supported plugin not found..";
    let failure = "Process TypeOrder failure seen - please contact site administrator.";
    for (algorithm, bits, status, reason) in [
        ("FOO", 256, "400", unsupported),
        ("AES", 8, "500", failure),
        ("AES", 1024, "500", failure),
    ] {
        let body = json!({"type": "key", "meta": {"algorithm": algorithm, "bit_length": bits}});
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
