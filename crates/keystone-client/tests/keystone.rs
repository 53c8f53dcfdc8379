//! What is sent to `/v3/auth/tokens`, and what its replies mean.

use keystone_client::{
    ApplicationCredential, Credentials, DomainRef, Keystone, ProjectRef, UserRef, ValidateError,
};
use openstack_http::{Failure, Limits, Password, Refusal, Tls, Token, Unknown, Wire};
use serde_json::{Value, json};
use std::sync::Arc;
use time::macros::datetime;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn keystone(reply: ResponseTemplate) -> (MockServer, Keystone) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(reply).mount(&server).await;
    let wire = Arc::new(Wire::new(&Tls::System, Limits::default()).expect("a client"));
    let keystone = Keystone::new(&server.uri().parse().expect("a url"), wire);
    (server, keystone)
}

fn document() -> Value {
    let endpoint = |interface: &str, region: &str, url: &str| {
        json!({"id": "e", "interface": interface, "region": region, "region_id": region,
               "url": url})
    };
    json!({"token": {
        "methods": ["password"],
        "audit_ids": ["1rrp50wAT_u3c6aHGumW0Q"],
        "user": {"domain": {"id": "default", "name": "Default"}, "id": "u1", "name": "x",
                 "password_expires_at": null},
        "project": {"domain": {"id": "default", "name": "Default"}, "id": "p1", "name": "donor"},
        "is_domain": false,
        "roles": [{"id": "r1", "name": "member"}, {"id": "r2", "name": "creator"}],
        "issued_at": "2026-11-24T03:55:02.000000Z",
        "expires_at": "2026-11-24T04:55:02.000000Z",
        "catalog": [
            {"id": "s1", "type": "key-manager", "name": "barbican", "endpoints": [
                endpoint("public", "RegionOne", "https://keys.test"),
                endpoint("internal", "RegionOne", "http://10.0.0.1:9311"),
                endpoint("internal", "RegionTwo", "http://10.0.0.2:9311"),
            ]},
            {"id": "s2", "type": "volumev3", "name": "cinderv3", "endpoints": [
                endpoint("public", "RegionOne", "not a url"),
                endpoint("public", "RegionOne", "http://10.0.0.1:8776/v3/p1"),
            ]},
            {"id": "s3", "type": "empty", "name": "nothing", "endpoints": []},
        ],
    }})
}

fn issued() -> ResponseTemplate {
    let reply = ResponseTemplate::new(201).insert_header("X-Subject-Token", "gAAAA-issued");
    reply.set_body_json(document())
}

fn password() -> Credentials {
    Credentials::Password {
        user: UserRef::Name { name: "x".into(), domain: DomainRef::Name("Default".into()) },
        password: Password::new("pa55word"),
        project: ProjectRef::Name { name: "donor".into(), domain: DomainRef::Id("d1".into()) },
    }
}

#[tokio::test]
async fn each_kind_of_credentials_has_its_body() {
    let named = json!({"name": "x", "domain": {"name": "Default"}});
    let cases = [
        (
            password(),
            json!({"identity": {"methods": ["password"], "password": {"user":
                    {"name": "x", "domain": {"name": "Default"}, "password": "pa55word"}}},
                "scope": {"project": {"name": "donor", "domain": {"id": "d1"}}}}),
        ),
        (
            Credentials::Password {
                user: UserRef::Id("u1".into()),
                password: Password::new("pa55word"),
                project: ProjectRef::Id("p1".into()),
            },
            json!({"identity": {"methods": ["password"], "password": {"user":
                    {"id": "u1", "password": "pa55word"}}},
                "scope": {"project": {"id": "p1"}}}),
        ),
        (
            Credentials::ApplicationCredential {
                credential: ApplicationCredential::Id("a1".into()),
                secret: Password::new("s3cret"),
            },
            json!({"identity": {"methods": ["application_credential"],
                "application_credential": {"id": "a1", "secret": "s3cret"}}}),
        ),
        (
            Credentials::ApplicationCredential {
                credential: ApplicationCredential::Name {
                    name: "backup".into(),
                    user: UserRef::Name {
                        name: "x".into(),
                        domain: DomainRef::Name("Default".into()),
                    },
                },
                secret: Password::new("s3cret"),
            },
            json!({"identity": {"methods": ["application_credential"],
                "application_credential": {"name": "backup", "user": named, "secret": "s3cret"}}}),
        ),
        (
            Credentials::Token { token: Token::new("t0ken"), project: ProjectRef::Id("p1".into()) },
            json!({"identity": {"methods": ["token"], "token": {"id": "t0ken"}},
                "scope": {"project": {"id": "p1"}}}),
        ),
    ];
    for (credentials, auth) in cases {
        let (server, keystone) = keystone(issued()).await;
        let answer = keystone.issue(&credentials).await.unwrap();
        assert_eq!(answer.token.expose(), "gAAAA-issued");
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), "/v3/auth/tokens");
        assert_eq!(requests[0].body_json::<Value>().unwrap(), json!({"auth": auth}));
        for secret in ["pa55word", "s3cret", "t0ken"] {
            assert!(!format!("{credentials:?} {answer:?}").contains(secret), "{credentials:?}");
        }
        assert!(!format!("{answer:?}").contains("gAAAA"));
    }
}

#[tokio::test]
async fn the_scope_of_a_token_is_read() {
    let domain = json!({"id": "d1", "name": "Default"});
    for (scope, expected) in [
        (json!({}), (None, false, true)),
        (json!({"domain": domain}), (Some("d1"), false, true)),
        (json!({"system": {"all": true}}), (None, true, true)),
        (json!({"system": {"all": false}}), (None, false, true)),
        (json!({"system": {}, "domain": null}), (None, false, true)),
        (json!({"is_admin_project": false}), (None, false, false)),
        (json!({"is_admin_project": true}), (None, false, true)),
    ] {
        let mut document = document();
        let token = document["token"].as_object_mut().unwrap();
        token.remove("project");
        token.extend(scope.as_object().unwrap().clone());
        let reply = ResponseTemplate::new(201).insert_header("X-Subject-Token", "gAAAA-issued");
        let (_server, keystone) = keystone(reply.set_body_json(document)).await;
        let identity = keystone.issue(&password()).await.unwrap().identity;
        let read = (identity.domain.as_deref(), identity.is_system, identity.is_admin_project);
        assert_eq!(read, expected, "{scope}");
        assert_eq!(identity.project, None);
    }
}

#[tokio::test]
async fn an_identity_is_read_whole() {
    let (_server, keystone) = keystone(issued()).await;
    let identity = keystone.issue(&password()).await.unwrap().identity;
    assert_eq!((identity.user.as_str(), identity.user_name.as_str()), ("u1", "x"));
    assert_eq!(identity.user_domain, "default");
    assert_eq!(identity.project, Some("p1".into()));
    assert_eq!(identity.project_name.as_deref(), Some("donor"));
    assert_eq!(identity.project_domain.as_deref(), Some("default"));
    assert_eq!(identity.roles, ["member", "creator"]);
    assert_eq!(identity.issued_at, datetime!(2026-11-24 03:55:02 UTC));
    assert_eq!(identity.expires_at, datetime!(2026-11-24 04:55:02 UTC));
    let url = |types: &[&str], interface, region| {
        identity.catalog.endpoint(types, interface, region).map(|url| url.to_string())
    };
    let cases: [(&[&str], _, _, _); 6] = [
        (&["key-manager"], "public", None, Some("https://keys.test/")),
        (&["key-manager"], "internal", Some("RegionTwo"), Some("http://10.0.0.2:9311/")),
        (&["block-storage", "volumev3"], "public", None, Some("http://10.0.0.1:8776/v3/p1")),
        (&["empty", "key-manager"], "internal", None, Some("http://10.0.0.1:9311/")),
        (&["key-manager"], "admin", None, None),
        (&["key-manager"], "public", Some("RegionTwo"), None),
    ];
    for (types, interface, region, expected) in cases {
        assert_eq!(url(types, interface, region).as_deref(), expected, "{types:?} {interface}");
    }
}

#[tokio::test]
async fn a_token_without_project_has_none() {
    let mut unscoped = document();
    for field in ["project", "roles", "catalog"] {
        unscoped["token"].as_object_mut().unwrap().remove(field);
    }
    let (_server, keystone) = keystone(ResponseTemplate::new(200).set_body_json(unscoped)).await;
    let identity =
        keystone.validate(&Token::new("own"), &Token::new("subject"), false).await.unwrap();
    assert_eq!((identity.project, identity.project_name), (None, None));
    assert!(identity.roles.is_empty());
}

#[tokio::test]
async fn an_odd_reply_to_issue_is_unknown() {
    let header = ("X-Subject-Token", "gAAAA-issued");
    let without = |field: &str| {
        let mut document = document();
        document["token"].as_object_mut().unwrap().remove(field);
        document
    };
    let mut no_time = document();
    no_time["token"]["expires_at"] = json!("tomorrow");
    let mut wrong_type = document();
    wrong_type["token"]["roles"] = json!("member");
    let created = || ResponseTemplate::new(201).insert_header(header.0, header.1);
    let token = "an issued token without x-subject-token";
    let content = "a keystone token document";
    let cases = [
        (ResponseTemplate::new(201).set_body_json(document()), token),
        (ResponseTemplate::new(201).insert_header(header.0, ""), token),
        (created(), content),
        (created().set_body_json(json!({})), content),
        (created().set_body_json(without("user")), content),
        (created().set_body_json(without("issued_at")), content),
        (created().set_body_json(no_time), content),
        (created().set_body_json(wrong_type), content),
        (created().set_body_raw("<html></html>", "text/html"), content),
    ];
    for (reply, what) in cases {
        let (_server, keystone) = keystone(reply).await;
        assert_eq!(keystone.issue(&password()).await.err(), Some(Failure::unreadable(what)));
    }
    let (_server, keystone) = keystone(ResponseTemplate::new(200)).await;
    let unexpected = Unknown::Status { status: 200, message: "ok".into(), retry_after: None };
    assert_eq!(keystone.issue(&password()).await.err(), Some(Failure::Unknown(unexpected)));
}

#[tokio::test]
async fn a_password_that_keystone_quotes_is_not_passed_on() {
    let body = json!({"error": {"code": 400, "message": "'pa55word' is not of type 'x'"}});
    let (_server, keystone) = keystone(ResponseTemplate::new(400).set_body_json(body)).await;
    let refusal = Refusal { status: 400, message: "bad request".into() };
    assert_eq!(keystone.issue(&password()).await.err(), Some(Failure::Refused(refusal)));
}

#[tokio::test]
async fn a_validation_says_who_was_refused() {
    let error = |message: &str| json!({"error": {"code": 0, "message": message, "title": "t"}});
    let reply = |status: u16| ResponseTemplate::new(status);
    let message = "The request you have made requires authentication.".to_owned();
    let forbidden = Refusal { status: 403, message: "not authorized".into() };
    let limited = Unknown::Status {
        status: 429,
        message: "too many requests".into(),
        retry_after: Some(std::time::Duration::from_secs(3)),
    };
    let unavailable =
        Unknown::Status { status: 503, message: "service unavailable".into(), retry_after: None };
    let cases = [
        (
            reply(404).set_body_json(error("Could not recognize Fernet token")),
            ValidateError::InvalidToken,
        ),
        (reply(401).set_body_json(error(&message)), ValidateError::OwnTokenRefused),
        (
            reply(403).set_body_json(error("not authorized")),
            ValidateError::Unavailable(forbidden.into()),
        ),
        (reply(429).insert_header("Retry-After", "3"), ValidateError::Unavailable(limited.into())),
        (
            reply(503).set_body_raw("<html></html>", "text/html"),
            ValidateError::Unavailable(unavailable.into()),
        ),
        (reply(200), ValidateError::Unavailable(Failure::unreadable("a keystone token document"))),
    ];
    for (reply, expected) in cases {
        let (server, keystone) = keystone(reply).await;
        let (own, subject) = (Token::new("own-t0ken"), Token::new("subject-t0ken"));
        let found = keystone.validate(&own, &subject, false).await.unwrap_err();
        assert_eq!(found, expected);
        assert!(!format!("{found} {found:?}").contains("t0ken"));
        let request = &server.received_requests().await.unwrap()[0];
        assert_eq!(request.headers["x-auth-token"], "own-t0ken");
        assert_eq!(request.headers["x-subject-token"], "subject-t0ken");
        assert_eq!(request.url.path(), "/v3/auth/tokens");
        assert!(request.url.query_pairs().any(|(name, _)| name == "nocatalog"));
    }
}
