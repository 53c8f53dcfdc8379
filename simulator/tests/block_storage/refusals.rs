//! What is refused: statuses, the names of faults, and Cinder's words.

use serde_json::json;

use crate::cloud::Cloud;

#[tokio::test]
async fn bad_requests_are_refused_in_cinders_shape_and_change_nothing() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    let y = cloud.token("y", "recipient").await;
    let volume = cloud.volume(&x, None).await;
    let mine = format!("/v3/volumes/{}", volume["id"].as_str().unwrap());
    let foreign = format!("/v3/{}/volumes", cloud.simulator.project_id("recipient").unwrap());
    let long = format!("{{\"volume\": {{\"size\": 1, \"name\": \"{}\"}}}}", "n".repeat(256));
    let none = "/v3/volumes/6f48c3c2-6049-4ca1-8735-c62f9ff67266";
    let cases: &[(&str, &str, &str, &str, u16, &str)] = &[
        (&x, "POST", "/v3/volumes", "{", 400, "badRequest"),
        (&x, "POST", "/v3/volumes", "[]", 400, "badRequest"),
        (&x, "POST", "/v3/volumes", "{}", 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": 0}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": true}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": 1, "name": 7}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", &long, 400, "badRequest"),
        (&x, "POST", "/v3/volumes", r#"{"volume": {"size": 2000}}"#, 413, "overLimit"),
        (
            &x,
            "POST",
            "/v3/volumes",
            r#"{"volume": {"size": 1, "volume_type": "none"}}"#,
            404,
            "itemNotFound",
        ),
        (&x, "POST", "/v3/snapshots", r#"{"snapshot": {}}"#, 400, "badRequest"),
        (&x, "POST", "/v3/types", r#"{"volume_type": {"name": "t"}}"#, 403, "forbidden"),
        (&x, "GET", none, "", 404, "itemNotFound"),
        (&x, "DELETE", none, "", 404, "itemNotFound"),
        (&y, "GET", &mine, "", 404, "itemNotFound"),
        (&y, "DELETE", &mine, "", 404, "itemNotFound"),
        (&x, "GET", &foreign, "", 400, "badRequest"),
    ];
    let before = cloud.simulator.world(&cloud.store).await.unwrap();
    for (token, method, path, body, status, name) in cases {
        let reply = cloud.ask(token, method, path, body).await;
        assert_eq!(reply.status, *status, "{method} {path} {body}: {}", reply.body);
        assert_eq!(reply.body[*name]["code"], *status, "{method} {path} {body}");
    }
    assert_eq!(cloud.simulator.world(&cloud.store).await.unwrap(), before);
    let unknown = cloud.ask("nobody", "GET", "/v3/volumes", "").await;
    assert_eq!(unknown.status, 401);
    assert_eq!(unknown.body["error"]["title"], "Unauthorized");
}

/// The words are what Cinder 29 answers to the same requests.
async fn check(cloud: &Cloud, token: &str, method: &str, cases: &[(&str, &str, &str)]) {
    for (path, body, message) in cases {
        let reply = cloud.ask(token, method, path, body).await;
        let fault = reply.body.as_object().unwrap().values().next().unwrap();
        assert_eq!(fault["message"], *message, "{method} {path} {body}");
        assert_eq!(fault["code"], reply.status, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_in_cinders_words() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    let volume = cloud.volume(&x, None).await;
    let id = volume["id"].as_str().unwrap();
    let forced = format!(r#"{{"snapshot": {{"volume_id": "{id}", "force": false}}}}"#);
    let volumes = "/v3/volumes";
    let field = "Invalid input for field/attribute";
    let sized = |end: &str| format!("{field} size. Value: {end}");
    check(&cloud, &x, "POST", &[
        (volumes, "[]", "[] is not of type 'object'"),
        (volumes, "{}", "'volume' is a required property"),
        (
            volumes,
            r#"{"volume": {"size": 1}, "x": 1, "y": 1}"#,
            "Additional properties are not allowed ('x', 'y' were unexpected)",
        ),
        (
            volumes,
            r#"{"volume": {"bogus": 1}}"#,
            &format!(
                "{field} volume. Value: {{'bogus': 1}}. Additional properties are not allowed \
                 ('bogus' was unexpected)"
            ),
        ),
        (volumes, r#"{"volume": {"size": 0}}"#, &sized("0. 0 is less than the minimum of 1")),
        (
            volumes,
            r#"{"volume": {"size": 2147483648}}"#,
            &sized("2147483648. 2147483648 is greater than the maximum of 2147483647"),
        ),
        (volumes, r#"{"volume": {"size": "+1"}}"#, &sized("+1. '+1' does not match '^[0-9]+$'")),
        (
            volumes,
            r#"{"volume": {"size": 1.5}}"#,
            &sized("1.5. 1.5 is not of type 'integer', 'string', 'null'"),
        ),
        (
            volumes,
            r#"{"volume": {"size": 1, "availability_zone": "mars"}}"#,
            "Availability zone 'mars' is invalid.",
        ),
        (
            volumes,
            r#"{"volume": {"size": 1, "volume_type": "none"}}"#,
            "Volume type with name none could not be found.",
        ),
        (
            "/v3/snapshots",
            r#"{"snapshot": {"volume_id": "v"}}"#,
            &format!(
                "{field} volume_id. Value: v. 'v' is not valid under any of the given schemas"
            ),
        ),
        (
            "/v3/snapshots",
            &forced,
            "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward \
             compatability, however, when the 'force' flag is passed with a value evaluating to \
             True, it is silently ignored.",
        ),
    ])
    .await;
    let nothing = format!(
        "{field} volume. Value: {{}}. {{}} is not valid under any of the given \
                           schemas"
    );
    let path = format!("/v3/volumes/{id}");
    check(&cloud, &x, "PUT", &[(&path, r#"{"volume": {}}"#, &nothing)]).await;
    assert_eq!(cloud.ask(&x, "PATCH", volumes, "").await.status, 404);
}

#[tokio::test]
async fn what_an_administrator_asks_wrongly_is_refused_in_cinders_words() {
    let cloud = Cloud::new().await;
    let kind = cloud.encrypted_type().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    let volume = cloud.volume(&x, None).await;
    let action = format!("/v3/volumes/{}/action", volume["id"].as_str().unwrap());
    let encryption = format!("/v3/types/{kind}/encryption");
    check(&cloud, &admin, "POST", &[
        (
            "/v3/types",
            r#"{"volume_type": {"name": " "}}"#,
            "Invalid input for field/attribute name. Value:  . ' ' should be non-empty",
        ),
        (
            "/v3/types",
            r#"{"volume_type": {"name": "luks"}}"#,
            "Volume Type luks already exists.",
        ),
        (
            &encryption,
            r#"{"encryption": {"provider": "luks", "control_location": "back-end"}}"#,
            &format!("Volume type encryption for type {kind} already exists."),
        ),
        (
            &action,
            r#"{"os-detach": {}}"#,
            "There is no such action: os-detach. Verify the request body and Content-Type header \
             and try again.",
        ),
        (
            &action,
            r#"{"os-reset_status": {}}"#,
            "Must specify 'status', 'attach_status' or 'migration_status' for update.",
        ),
        (
            &action,
            r#"{"os-reset_status": {"status": "gone"}}"#,
            "Volume status: gone is invalid, valid statuses are: ('creating', 'available', \
             'deleting', 'error', 'error_deleting', 'error_managing', 'managing', 'attaching', \
             'in-use', 'detaching', 'maintenance', 'restoring-backup', 'error_restoring', \
             'reserved', 'awaiting-transfer', 'backing-up', 'error_backing-up', \
             'error_extending', 'downloading', 'uploading', 'retyping', 'extending').",
        ),
    ])
    .await;
    check(
        &cloud,
        &admin,
        "GET",
        &[
            ("/v3/types/luks", "", "Volume type luks could not be found."),
            ("/v3/types?is_public=maybe", "", "Invalid is_public filter [maybe]"),
        ],
    )
    .await;
    let unused = json!({"os-reset_status": {"status": "error"}}).to_string();
    let none = "/v3/volumes/6f48c3c2-6049-4ca1-8735-c62f9ff67266/action";
    assert_eq!(cloud.ask(&x, "POST", none, &unused).await.status, 404, "before the role counts");
}

#[tokio::test]
async fn a_list_that_cannot_be_made_is_refused_in_cinders_words() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    check(
        &cloud,
        &x,
        "GET",
        &[
            ("/v3/volumes?limit=-1", "", "limit param must be positive"),
            ("/v3/volumes?limit=a", "", "limit param must be an integer"),
            ("/v3/volumes?offset=a", "", "offset must be an integer"),
            ("/v3/volumes?offset=-1", "", "offset must be >= 0"),
            ("/v3/volumes?marker=v", "", "Volume v could not be found."),
            ("/v3/snapshots?marker=s", "", "Snapshot s could not be found."),
            ("/v3/volumes?sort=colour", "", "Invalid input received: Invalid sort key"),
            (
                "/v3/volumes?sort=name:up",
                "",
                "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.",
            ),
        ],
    )
    .await;
}
