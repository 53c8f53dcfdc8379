//! Volume types that are changed: their attributes, extra specs, encryption, and who sees them.

use serde_json::{Value, json};

use crate::cloud::Cloud;

struct Types {
    cloud: Cloud,
    admin: String,
    x: String,
    id: String,
}

impl Types {
    /// A private type without encryption.
    async fn new() -> Self {
        let cloud = Cloud::new().await;
        let (admin, x) = (cloud.token("admin", "admin").await, cloud.token("x", "donor").await);
        let body = json!({"volume_type": {
            "name": "t", "os-volume-type-access:is_public": false,
            "extra_specs": {"vendor": "v", "multiattach": "<is> False"},
        }});
        let made = cloud.ask(&admin, "POST", "/v3/types", &body.to_string()).await;
        let id = made.body["volume_type"]["id"].as_str().unwrap().to_owned();
        Self { cloud, admin, x, id }
    }

    /// What an administrator is answered below the type.
    async fn ask(&self, method: &str, below: &str, body: &Value) -> (u16, Value) {
        self.ask_as(&self.admin, method, below, body).await
    }

    async fn ask_as(&self, who: &str, method: &str, below: &str, body: &Value) -> (u16, Value) {
        let path = format!("/v3/types/{}{below}", self.id);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.cloud.ask(who, method, &path, &body).await;
        (reply.status, reply.body)
    }

    /// Each of these requests is refused with that status and words that have these in them.
    async fn refuses(&self, all: &[(&str, &str, Value, u16, &str)]) {
        for (method, below, body, status, words) in all {
            let (found, reply) = self.ask(method, below, body).await;
            let members = reply.as_object().unwrap_or_else(|| panic!("{method} {below}: {found}"));
            let message = members.values().next().unwrap()["message"].as_str().unwrap();
            assert_eq!(found, *status, "{method} {below} {body}: {message}");
            assert!(message.contains(words), "{method} {below} {body}: {message}");
        }
    }
}

#[tokio::test]
async fn attributes_are_changed_and_quotas_go_with_the_name() {
    let types = Types::new().await;
    let admin = types.cloud.simulator.project_id("admin").unwrap();
    let quotas = format!("/v3/os-quota-sets/{admin}");
    let limit = json!({"quota_set": {"volumes_t": 5}}).to_string();
    assert_eq!(types.cloud.ask(&types.admin, "PUT", &quotas, &limit).await.status, 200);
    let change = |change: Value| json!({"volume_type": change});
    let given = change(json!({"name": "u", "description": "d", "is_public": true}));
    let (status, reply) = types.ask("PUT", "", &given).await;
    let shown = json!({
        "id": types.id, "name": "u", "description": "d", "is_public": true,
        "extra_specs": {"vendor": "v", "multiattach": "<is> False"},
    });
    assert_eq!((status, &reply["volume_type"]), (200, &shown));
    let (_, reply) = types.ask("PUT", "", &change(json!({"description": ""}))).await;
    assert_eq!(
        (&reply["volume_type"]["name"], &reply["volume_type"]["description"]),
        (&json!("u"), &json!(""))
    );
    let set = types.cloud.ask(&types.admin, "GET", &quotas, "").await;
    assert_eq!(set.body["quota_set"]["volumes_u"], 5);
    assert_eq!(set.body["quota_set"].get("volumes_t"), None);
    types
        .refuses(&[
            ("PUT", "", change(json!({})), 400, "Specify volume type name, description, is_public"),
            ("PUT", "", change(json!({"name": ""})), 400, "'' should be non-empty"),
            ("PUT", "", change(json!({"name": " "})), 400, "Volume type name can not be empty."),
            ("PUT", "", change(json!({"is_public": "maybe"})), 400, "'maybe' is not one of [True"),
            ("PUT", "", change(json!({"colour": "red"})), 400, "('colour' was unexpected)"),
            ("PUT", "", change(json!({"name": "__DEFAULT__"})), 409, "__DEFAULT__ already exists."),
            ("PUT", "x", change(json!({"name": "a"})), 404, "could not be found."),
        ])
        .await;
    let (status, _) = types.ask_as(&types.x, "PUT", "", &given).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn extra_specs_come_and_go_and_most_are_for_administrators() {
    let types = Types::new().await;
    let specs = |specs: Value| json!({"extra_specs": specs});
    let given = specs(json!({"vendor": "w", "a:b": "1"}));
    assert_eq!(types.ask("POST", "/extra_specs", &given).await, (200, given));
    let one = json!({"a:b": "2"});
    assert_eq!(types.ask("PUT", "/extra_specs/a:b", &one).await, (200, one.clone()));
    assert_eq!(types.ask("GET", "/extra_specs/a:b", &Value::Null).await, (200, one));
    let all = specs(json!({"vendor": "w", "a:b": "2", "multiattach": "<is> False"}));
    assert_eq!(types.ask("GET", "/extra_specs", &Value::Null).await, (200, all));
    assert_eq!(types.ask("DELETE", "/extra_specs/a:b", &Value::Null).await.0, 202);
    types
        .refuses(&[
            ("GET", "/extra_specs/a:b", Value::Null, 404, "has no extra specs with key a:b."),
            ("DELETE", "/extra_specs/a:b", Value::Null, 404, "has no extra specs with key a:b."),
            ("POST", "/extra_specs", Value::Null, 400, "Malformed request body"),
            ("POST", "/extra_specs", json!([]), 400, "[] is not of type 'object'"),
            ("POST", "/extra_specs", specs(json!(["a"])), 400, "['a'] is not of type 'object'"),
            (
                "POST",
                "/extra_specs",
                specs(json!({"a b": "c"})),
                400,
                "'a b' does not match any of the",
            ),
            (
                "POST",
                "/extra_specs",
                specs(json!({"a": 1})),
                400,
                "1 is not of type 'string', 'null'",
            ),
            (
                "POST",
                "/extra_specs",
                specs(json!({"cacheable": "<is> True", "multiattach": "<is> True"})),
                400,
                "cacheable cannot be set with multiattach.",
            ),
            ("PUT", "/extra_specs/a", json!({}), 400, "{} should be non-empty"),
            ("PUT", "/extra_specs/a", json!({"a": "1", "b": "2"}), 400, "has too many properties"),
            ("PUT", "/extra_specs/a", json!({"b": "2"}), 400, "Request body and URI mismatch"),
            ("PUT", "x/extra_specs/a", json!({"a": "2"}), 404, "could not be found."),
        ])
        .await;
    let donor = types.cloud.simulator.project_id("donor").unwrap();
    let access = json!({"addProjectAccess": {"project": donor}});
    assert_eq!(types.ask("POST", "/action", &access).await.0, 202);
    let (_, seen) = types.ask_as(&types.x, "GET", "/extra_specs", &Value::Null).await;
    assert_eq!(seen, specs(json!({"multiattach": "<is> False"})));
    let refused = types.ask_as(&types.x, "POST", "/extra_specs", &specs(json!({}))).await;
    assert_eq!(refused.0, 403);
}

#[tokio::test]
async fn encryption_is_changed_and_taken_away() {
    let types = Types::new().await;
    let of = |encryption: Value| json!({"encryption": encryption});
    let luks = of(json!({"provider": "luks", "control_location": "front-end", "key_size": "256"}));
    let (status, made) = types.ask("POST", "/encryption", &luks).await;
    assert_eq!((status, &made["encryption"]["key_size"]), (200, &json!(256)));
    assert_eq!(made["encryption"]["volume_type_id"], types.id);
    assert_eq!(made["encryption"].get("cipher"), None, "only what was given");
    let change = of(json!({"cipher": "aes-xts-plain64", "key_size": 128}));
    assert_eq!(types.ask("PUT", "/encryption/any", &change).await, (200, change));
    let (_, cipher) = types.ask("GET", "/encryption/cipher", &Value::Null).await;
    assert_eq!(cipher, json!({"cipher": "aes-xts-plain64"}));
    let (_, all) = types.ask("GET", "/encryption", &Value::Null).await;
    assert_eq!((&all["provider"], &all["key_size"]), (&json!("luks"), &json!(128)));
    types
        .refuses(&[
            ("POST", "/encryption", luks, 400, "already exists."),
            ("GET", "/encryption/colour", Value::Null, 404, "does not exist."),
            (
                "PUT",
                "/encryption/any",
                of(json!({"control_location": "moon"})),
                400,
                "is not one of",
            ),
            ("PUT", "/encryption/any", of(json!({"key_size": "x"})), 400, "does not match"),
        ])
        .await;
    assert_eq!(types.ask("DELETE", "/encryption/any", &Value::Null).await.0, 202);
    assert_eq!(types.ask("GET", "/encryption", &Value::Null).await, (200, json!({})));
    types
        .refuses(&[
            ("DELETE", "/encryption/any", Value::Null, 404, "does not exist."),
            ("PUT", "/encryption/any", of(json!({})), 404, "does not exist."),
        ])
        .await;
}

#[tokio::test]
async fn what_decides_about_volumes_is_not_changed_under_them() {
    let types = Types::new().await;
    let public = json!({"volume_type": {"is_public": true}});
    assert_eq!(types.ask("PUT", "", &public).await.0, 200);
    types.cloud.volume(&types.x, Some("t")).await;
    let luks = json!({"encryption": {"provider": "luks", "control_location": "front-end"}});
    types
        .refuses(&[
            (
                "POST",
                "/extra_specs",
                json!({"extra_specs": {"a": "b"}}),
                400,
                "is currently in use.",
            ),
            ("PUT", "/extra_specs/a", json!({"a": "b"}), 400, "is currently in use."),
            ("DELETE", "/extra_specs/vendor", Value::Null, 400, "is currently in use."),
            (
                "POST",
                "/encryption",
                luks.clone(),
                400,
                "Cannot create encryption specs. Volume type in",
            ),
            (
                "PUT",
                "/encryption/any",
                luks,
                400,
                "Cannot update encryption specs. Volume type in use.",
            ),
            (
                "DELETE",
                "/encryption/any",
                Value::Null,
                400,
                "Cannot delete encryption specs. Volume",
            ),
            ("DELETE", "", Value::Null, 400, "Target volume type is still in use."),
        ])
        .await;
    let renamed = json!({"volume_type": {"name": "u"}});
    assert_eq!(types.ask("PUT", "", &renamed).await.0, 200, "its name may change");
}

#[tokio::test]
async fn projects_are_let_see_a_private_type_and_kept_from_it() {
    let types = Types::new().await;
    let donor = types.cloud.simulator.project_id("donor").unwrap();
    let act = |action: &str| json!({action: {"project": donor}});
    let wanted = json!({"volume": {"size": 1, "volume_type": types.id}}).to_string();
    let volume = async || types.cloud.ask(&types.x, "POST", "/v3/volumes", &wanted).await.status;
    assert_eq!(volume().await, 404);
    assert_eq!(types.ask("POST", "/action", &act("addProjectAccess")).await.0, 202);
    let list = json!({"volume_type_access": [{"volume_type_id": types.id, "project_id": donor}]});
    assert_eq!(types.ask("GET", "/os-volume-type-access", &Value::Null).await, (200, list));
    assert_eq!(volume().await, 202);
    types
        .refuses(&[
            ("POST", "/action", act("addProjectAccess"), 409, "combination already exists."),
            ("POST", "/action", act("lend"), 400, "There is no such action: lend."),
        ])
        .await;
    assert_eq!(types.ask("POST", "/action", &act("removeProjectAccess")).await.0, 202);
    let (status, _) = types.ask_as(&types.x, "GET", "", &Value::Null).await;
    assert_eq!(status, 404);
    types.refuses(&[("POST", "/action", act("removeProjectAccess"), 404, "not found for")]).await;
    let public = json!({"volume_type": {"is_public": true}});
    assert_eq!(types.ask("PUT", "", &public).await.0, 200);
    types
        .refuses(&[
            (
                "POST",
                "/action",
                act("addProjectAccess"),
                400,
                "not applicable to public volume type.",
            ),
            ("GET", "/os-volume-type-access", Value::Null, 404, "not available for public"),
        ])
        .await;
}
