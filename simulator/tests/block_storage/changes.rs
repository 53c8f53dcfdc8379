//! What becomes of volumes and snapshots later: metadata, names, sizes, types, statuses, and ends.

use serde_json::{Value, json};

use crate::cloud::Cloud;

/// A volume of `x` and a snapshot of it, by their paths.
async fn a_volume_with_a_snapshot(cloud: &Cloud, x: &str) -> (String, String) {
    let volume = cloud.volume(x, None).await["id"].as_str().unwrap().to_owned();
    let body = json!({"snapshot": {"name": "s", "volume_id": volume}}).to_string();
    let made = cloud.ask(x, "POST", "/v3/snapshots", &body).await;
    let snapshot = made.body["snapshot"]["id"].as_str().unwrap();
    (format!("/v3/volumes/{volume}"), format!("/v3/snapshots/{snapshot}"))
}

#[tokio::test]
async fn metadata_is_set_shown_and_deleted_as_a_whole_and_text_by_text() {
    let cloud = Cloud::new().await;
    let (x, y) = (cloud.token("x", "donor").await, cloud.token("y", "recipient").await);
    let (volume, snapshot) = a_volume_with_a_snapshot(&cloud, &x).await;
    for (thing, kind) in [(volume, "volume"), (snapshot, "snapshot")] {
        let all = format!("{thing}/metadata");
        let (one, none) = (format!("{all}/b"), format!("{all}/none"));
        let cases: &[(&str, &str, Value, u16, Value)] = &[
            ("GET", &all, Value::Null, 200, json!({"metadata": {}})),
            ("POST", &all, json!({"metadata": {"a": "1", "b": "1"}}), 200, Value::Null),
            ("POST", &all, json!({"metadata": {"b": "2"}}), 200, Value::Null),
            ("GET", &all, Value::Null, 200, json!({"metadata": {"a": "1", "b": "2"}})),
            ("GET", &one, Value::Null, 200, json!({"meta": {"b": "2"}})),
            ("PUT", &one, json!({"meta": {"b": "3"}}), 200, json!({"meta": {"b": "3"}})),
            ("PUT", &one, json!({"meta": {"c": "3"}}), 400, Value::Null),
            ("PUT", &one, json!({"meta": {}}), 400, Value::Null),
            ("PUT", &one, json!({"meta": {"b": "3", "c": "3"}}), 400, Value::Null),
            ("POST", &all, json!({"metadata": {"d": 4}}), 400, Value::Null),
            ("POST", &all, json!({}), 400, Value::Null),
            ("GET", &none, Value::Null, 404, Value::Null),
            ("DELETE", &none, Value::Null, 404, Value::Null),
            ("PUT", &all, json!({"metadata": {"b": "4"}}), 200, json!({"metadata": {"b": "4"}})),
            ("DELETE", &one, Value::Null, 200, Value::Null),
            ("GET", &all, Value::Null, 200, json!({"metadata": {}})),
            ("PUT", &all, json!({"metadata": {"e": "5"}}), 200, Value::Null),
        ];
        for (method, path, body, status, expected) in cases {
            assert_eq!(cloud.ask(&y, method, path, &body.to_string()).await.status / 100, 4);
            let reply = cloud.ask(&x, method, path, &body.to_string()).await;
            assert_eq!(reply.status, *status, "{method} {path} {body}: {}", reply.body);
            if !expected.is_null() {
                assert_eq!(reply.body, *expected, "{method} {path} {body}");
            }
        }
        let shown = cloud.ask(&x, "GET", &thing, "").await;
        assert_eq!(shown.body[kind]["metadata"], json!({"e": "5"}));
    }
}

#[tokio::test]
async fn volumes_are_found_by_what_they_are() {
    let cloud = Cloud::new().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    let donor = cloud.simulator.project_id("donor").unwrap();
    for (name, size, metadata) in [("a", 1, json!({"k": "1"})), ("b", 2, json!({"k": "2"}))] {
        let volume = json!({"name": name, "size": size, "metadata": metadata});
        let body = json!({ "volume": volume }).to_string();
        assert_eq!(cloud.ask(&x, "POST", "/v3/volumes", &body).await.status, 202);
    }
    for (query, expected) in [
        ("", &["b", "a"][..]),
        ("name=a", &["a"]),
        ("display_name=b", &["b"]),
        ("bootable=false", &["b", "a"]),
        ("bootable=true", &[]),
        ("availability_zone=nova", &["b", "a"]),
        ("availability_zone=mars", &[]),
        ("metadata=%7B%27k%27%3A+%272%27%7D", &["b"]),
        ("metadata=%7B%27k%27%3A+%273%27%7D", &[]),
    ] {
        let listed = cloud.ask(&x, "GET", &format!("/v3/volumes?{query}"), "").await;
        let volumes = listed.body["volumes"].as_array().unwrap();
        let names: Vec<_> = volumes.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
    let everybody = "/v3/volumes?all_tenants=1&project_id=";
    for (project, count) in [(donor.as_str(), 2), ("another", 0)] {
        let listed = cloud.ask(&admin, "GET", &format!("{everybody}{project}"), "").await;
        assert_eq!(listed.body["volumes"].as_array().unwrap().len(), count, "{project}");
    }
    let summary = cloud.ask(&x, "GET", "/v3/volumes/summary", "").await.body;
    let expected = json!({"total_count": 2, "total_size": 3, "metadata": {"k": ["1", "2"]}});
    assert_eq!(summary, json!({"volume-summary": expected}));
    let zones = cloud.ask(&x, "GET", "/v3/os-availability-zone", "").await.body;
    assert_eq!(zones["availabilityZoneInfo"][0]["zoneName"], "nova");
    // upstream has no such path, where Keystone and Barbican have
    assert_eq!(cloud.ask(&x, "GET", "/v3/volumes/", "").await.status, 404);
}

#[tokio::test]
async fn a_snapshot_is_renamed() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    let (_, snapshot) = a_volume_with_a_snapshot(&cloud, &x).await;
    for (body, status) in [
        (json!({"snapshot": {"name": "t", "description": "d"}}), 200),
        (json!({"snapshot": {}}), 400),
        (json!({"snapshot": {"size": 1}}), 400),
    ] {
        let reply = cloud.ask(&x, "PUT", &snapshot, &body.to_string()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
    }
    let shown = cloud.ask(&x, "GET", &snapshot, "").await.body["snapshot"].clone();
    assert_eq!((&shown["name"], &shown["description"]), (&json!("t"), &json!("d")));
}

#[tokio::test]
async fn actions_are_carried_out_or_refused() {
    let cloud = Cloud::new().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    cloud.encrypted_type().await;
    let body = json!({"volume_type": {"name": "plain"}}).to_string();
    assert_eq!(cloud.ask(&admin, "POST", "/v3/types", &body).await.status, 200);
    let (volume, snapshot) = a_volume_with_a_snapshot(&cloud, &x).await;
    let (on_volume, on_snapshot) = (format!("{volume}/action"), format!("{snapshot}/action"));
    let nowhere = "/v3/volumes/6f48c3c2-6049-4ca1-8735-c62f9ff67266/action";
    let status =
        |status: &str| json!({"os-update_snapshot_status": {"status": status, "progress": "80%"}});
    for (token, path, body, expected) in [
        (&x, nowhere, json!({"os-extend": {"new_size": 2}}), 404),
        (&x, &on_volume, json!({"os-extend": {"new_size": 1}}), 400),
        (&x, &on_volume, json!({"os-extend": {"new_size": null}}), 400),
        (&x, &on_volume, json!({"os-extend": {"new_size": 5000}}), 413),
        (&x, &on_volume, json!({"os-extend": {"new_size": 2}}), 202),
        (&x, &on_volume, json!({"os-retype": {"new_type": "none"}}), 404),
        (&x, &on_volume, json!({"os-retype": {"new_type": "luks"}}), 400),
        (&x, &on_volume, json!({"os-retype": {}}), 400),
        (&x, &on_volume, json!({"os-retype": {"new_type": "plain"}}), 202),
        (&x, &on_volume, json!({"os-explode": {}}), 400),
        (&x, &on_volume, json!({"os-force_delete": {}}), 403),
        (&x, &on_snapshot, status("available"), 400),
        (&admin, &on_snapshot, json!({"os-reset_status": {"status": "creating"}}), 202),
        (&x, &on_snapshot, status("deleting"), 400),
        (&x, &on_snapshot, status("creating"), 202),
        (&x, &on_snapshot, json!({"os-force_delete": {}}), 403),
        // a snapshot is still there, and the volume stays what it was
        (&admin, &on_volume, json!({"os-force_delete": {}}), 400),
        (&x, &on_volume, json!({"os-extend": {"new_size": 3}}), 202),
        (&admin, &on_snapshot, json!({"os-force_delete": {}}), 202),
        (&admin, &on_volume, json!({"os-reset_status": {"status": "in-use"}}), 202),
        (&admin, &on_volume, json!({"os-force_delete": {}}), 202),
        (&admin, &on_volume, json!({"os-force_delete": {}}), 404),
    ] {
        let reply = cloud.ask(token, "POST", path, &body.to_string()).await;
        assert_eq!(reply.status, expected, "{path} {body}: {}", reply.body);
        if body.get("os-update_snapshot_status").is_some() {
            let shown = cloud.ask(&x, "GET", &snapshot, "").await.body;
            let progress = &shown["snapshot"]["os-extended-snapshot-attributes:progress"];
            assert_eq!(*progress, if expected == 202 { "80%" } else { "100%" });
        }
        if let (Some(size), 202) = (body.pointer("/os-extend/new_size"), expected) {
            let shown = cloud.ask(&x, "GET", &volume, "").await;
            assert_eq!(shown.body["volume"]["size"], *size);
        }
    }
}

#[tokio::test]
async fn a_volume_takes_its_snapshots_along_where_that_is_asked_for() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    let (volume, snapshot) = a_volume_with_a_snapshot(&cloud, &x).await;
    assert_eq!(cloud.ask(&x, "DELETE", &volume, "").await.status, 400);
    let cascade = format!("{volume}?cascade=true");
    assert_eq!(cloud.ask(&x, "DELETE", &cascade, "").await.status, 202);
    for path in [volume, snapshot] {
        assert_eq!(cloud.ask(&x, "GET", &path, "").await.status, 404, "{path}");
    }
}
