//! What users keep with a secret.

use serde_json::{Value, json};

use crate::cloud::{Cloud, key};

#[tokio::test]
async fn metadata_is_kept_under_lower_case_keys() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let secret = cloud.store(&x, key("one")).await;
    let all = format!("{secret}/metadata");
    let one = format!("{all}/use");
    let none = Value::Null;
    for (method, path, body, status, expected) in [
        ("GET", &all, none.clone(), 200, json!({"metadata": {}})),
        (
            "PUT",
            &all,
            json!({"metadata": {"Use": " disk ", "b": "2"}}),
            201,
            json!({"metadata_ref": format!("http://127.0.0.1:9311{all}")}),
        ),
        ("GET", &all, none.clone(), 200, json!({"metadata": {"use": "disk", "b": "2"}})),
        (
            "POST",
            &all,
            json!({"key": "New", "value": "n"}),
            201,
            json!({"key": "new", "value": "n"}),
        ),
        ("GET", &one, none.clone(), 200, json!({"key": "use", "value": "disk"})),
        (
            "PUT",
            &one,
            json!({"key": "USE", "value": "tape"}),
            200,
            json!({"key": "use", "value": "tape"}),
        ),
        (
            "GET",
            &all,
            none.clone(),
            200,
            json!({"metadata": {"use": "tape", "b": "2", "new": "n"}}),
        ),
    ] {
        let reply = cloud.tell(&x, method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.json(), expected, "{method} {path}");
    }
    for _time in 0..2 {
        let gone = cloud.tell(&x, "DELETE", &one, Value::Null).await;
        assert_eq!((gone.status.as_u16(), gone.body.len()), (204, 0));
    }
    let reply = cloud.tell(&x, "GET", &one, Value::Null).await;
    assert_eq!((reply.status.as_u16(), reply.said().as_str()), (404, "Secret metadata not found."));
    assert_eq!(cloud.tell(&x, "DELETE", &secret, Value::Null).await.status, 204);
    let reply = cloud.tell(&x, "GET", &all, Value::Null).await;
    assert_eq!((reply.status.as_u16(), reply.said().as_str()), (404, "Secret not found."));
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_changes_nothing() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let secret = cloud.store(&x, key("one")).await;
    let all = format!("{secret}/metadata");
    let kept = json!({"metadata": {"k": "v"}});
    assert_eq!(cloud.tell(&x, "PUT", &all, kept.clone()).await.status, 201);
    let unsafe_key = "Invalid Key. Key must be URL safe.";
    let not_text = "Invalid Metadata. Keys and Values must be Strings.";
    let schema = |name: &str, fault: &str| {
        format!("Provided object does not match schema '{name}': {fault}")
    };
    let list = schema("SecretMetadata", "[] is not of type 'object'. Invalid property: 'None'");
    let value = "'value' is a required property. Invalid property: 'value'";
    let value = schema("SecretMetadatum", value);
    let more = "Additional properties are not allowed ('o' was unexpected). \
                Invalid property: 'None'";
    let more = schema("SecretMetadatum", more);
    let known = "Conflict. Key in request is already in the secret metadata";
    let failure = "Secret metadata creation failure seen - please contact site administrator.";
    for (method, path, body, status, said) in [
        ("PUT", "", json!([]), 400, list.as_str()),
        ("PUT", "", json!({"metadata": {"a b": "x"}}), 400, unsafe_key),
        ("PUT", "", json!({"metadata": {"a": 5}}), 400, not_text),
        ("PUT", "", json!({"metadata": {"a": "x".repeat(256)}}), 500, failure),
        ("POST", "", json!({"key": "a"}), 400, &value),
        ("POST", "", json!({}), 400, &value),
        ("POST", "", json!({"key": "a", "value": "b", "o": 1}), 400, &more),
        ("POST", "", json!({"key": "a/b", "value": "x"}), 400, unsafe_key),
        ("POST", "", json!({"key": "K", "value": "x"}), 409, known),
        ("PUT", "/k", json!({"key": "k"}), 400, &value),
        ("PUT", "/a", json!({"key": "a", "value": "x"}), 404, "Secret metadata not found."),
        (
            "PUT",
            "/k",
            json!({"key": "a", "value": "x"}),
            409,
            "Key in request data does not match key in the ",
        ),
    ] {
        let reply = cloud.tell(&x, method, &format!("{all}{path}"), body.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.said().as_str()), (status, said), "{body}");
        assert_eq!(cloud.tell(&x, "GET", &all, Value::Null).await.json(), kept);
    }
    for (method, path, allow) in [
        ("DELETE", "", Some("GET, POST, PUT")),
        ("HEAD", "", Some("GET, POST, PUT")),
        ("POST", "/k", None),
        ("PATCH", "/k", None),
    ] {
        let reply = cloud.tell(&x, method, &format!("{all}{path}"), Value::Null).await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
    }
}
