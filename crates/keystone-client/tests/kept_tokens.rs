//! The service's own token is renewed in time and once; callers' tokens are remembered in bounds.

use keystone_client::{
    CacheLimits, Clock, Credentials, Keystone, ProjectRef, ServiceSession, ServiceTokens, UserRef,
    ValidateError, Validator,
};
use openstack_http::{Limits, Password, Tls, Token, Wire};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const START: OffsetDateTime = datetime!(2026-11-24 04:00 UTC);

/// A Keystone whose tokens are `own-1`, `own-2`, … and whose clock stands still until told.
#[derive(Clone, Default)]
struct World {
    seconds: Arc<AtomicI64>,
    issued: Arc<AtomicUsize>,
    validated: Arc<AtomicUsize>,
    /// Status of the next issue, 0 for success.
    issue_status: Arc<AtomicU16>,
    /// Own tokens that validations are refused with.
    revoked: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn now(&self) -> OffsetDateTime {
        START + Duration::seconds(self.seconds.load(Ordering::SeqCst))
    }

    fn clock(&self) -> Clock {
        let world = self.clone();
        Arc::new(move || world.now())
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }

    fn validated(&self) -> usize {
        self.validated.load(Ordering::SeqCst)
    }

    fn revoke(&self, token: &str) {
        self.revoked.lock().expect("a whole lock").push(token.to_owned());
    }

    /// A token document for an hour from now, or for as many seconds as a subject's name says.
    fn document(&self, user: &str, life: i64) -> Value {
        let stamp = |at: OffsetDateTime| {
            at.format(&time::format_description::well_known::Rfc3339).expect("a time")
        };
        json!({"token": {
            "user": {"domain": {"id": "default"}, "id": user, "name": user},
            "roles": [{"name": if user == "nova" { "service" } else { "member" }}],
            "issued_at": stamp(self.now()),
            "expires_at": stamp(self.now() + Duration::seconds(life)),
        }})
    }

    async fn keystone(&self) -> (MockServer, Keystone) {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(self.clone()).mount(&server).await;
        let wire = Arc::new(Wire::new(&Tls::System, Limits::default()).expect("a client"));
        let keystone = Keystone::new(&server.uri().parse().expect("a url"), wire);
        (server, keystone)
    }

    fn session(&self, keystone: &Keystone) -> Arc<ServiceSession> {
        let credentials = Credentials::Password {
            user: UserRef::Id("cinder".into()),
            password: Password::new("pa55word"),
            project: ProjectRef::Id("service".into()),
        };
        Arc::new(ServiceSession::new(keystone.clone(), credentials, self.clock()))
    }

    fn validator(&self, keystone: &Keystone, limits: CacheLimits) -> Validator {
        Validator::new(
            keystone.clone(),
            self.session(keystone),
            self.clock(),
            limits,
            ServiceTokens::default(),
        )
    }
}

fn window(request: &Request) -> bool {
    request.url.query_pairs().any(|(name, value)| name == "allow_expired" && value == "1")
}

impl Respond for World {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if request.method.as_str() == "POST" {
            let serial = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
            let status = self.issue_status.load(Ordering::SeqCst);
            if status != 0 {
                return ResponseTemplate::new(status);
            }
            let reply = ResponseTemplate::new(201).set_body_json(self.document("cinder", 3600));
            return reply.insert_header("X-Subject-Token", format!("own-{serial}"));
        }
        self.validated.fetch_add(1, Ordering::SeqCst);
        let own = request.headers["x-auth-token"].to_str().expect("a text header");
        if self.revoked.lock().expect("a whole lock").iter().any(|revoked| revoked == own) {
            return ResponseTemplate::new(401);
        }
        let subject = request.headers["x-subject-token"].to_str().expect("a text header");
        match subject.split_once(':').map(|(user, life)| (user, life.parse().expect("a number"))) {
            // As Keystone: for two days after its end, and to whoever asks for it.
            Some((_, life)) if life < 0 && !(window(request) && life > -172_800) => {
                ResponseTemplate::new(404)
            }
            Some((user, life)) => {
                ResponseTemplate::new(200).set_body_json(self.document(user, life))
            }
            None => ResponseTemplate::new(404),
        }
    }
}

#[tokio::test]
async fn many_callers_cause_one_renewal() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let session = world.session(&keystone);
    let tokens = futures::future::join_all((0..100).map(|_| session.token())).await;
    assert!(tokens.iter().all(|token| token.as_ref().unwrap().token.expose() == "own-1"));
    assert_eq!(world.issued(), 1);
}

#[tokio::test]
async fn many_callers_share_one_failure_and_the_next_one_tries_again() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let session = world.session(&keystone);
    world.issue_status.store(401, Ordering::SeqCst);
    let tokens = futures::future::join_all((0..100).map(|_| session.token())).await;
    assert!(tokens.iter().all(|token| token.as_ref().is_err_and(|e| e.is_refusal(401))));
    assert_eq!(world.issued(), 1);
    world.issue_status.store(0, Ordering::SeqCst);
    assert_eq!(session.token().await.unwrap().token.expose(), "own-2");
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_before_its_end() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let session = world.session(&keystone);
    for (seconds, token) in [(0, "own-1"), (3299, "own-1"), (1, "own-2"), (3000, "own-2")] {
        world.pass(seconds);
        assert_eq!(session.token().await.unwrap().token.expose(), token);
    }
}

#[tokio::test]
async fn a_failed_renewal_does_no_harm_while_the_token_is_good() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let session = world.session(&keystone);
    session.token().await.unwrap();
    world.issue_status.store(503, Ordering::SeqCst);
    world.pass(3599);
    assert_eq!(session.token().await.unwrap().token.expose(), "own-1");
    world.pass(1);
    assert!(session.token().await.is_err());
    assert_eq!(world.issued(), 3);
}

#[tokio::test]
async fn a_renewal_survives_the_caller_who_began_it() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let session = world.session(&keystone);
    {
        let mut caller = std::pin::pin!(session.token());
        assert!(futures::poll!(&mut caller).is_pending());
    }
    assert_eq!(session.token().await.unwrap().token.expose(), "own-1");
    assert_eq!(world.issued(), 1);
}

#[tokio::test]
async fn only_the_current_token_is_invalidated() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let session = world.session(&keystone);
    let first = session.token().await.unwrap();
    session.invalidate(&first.token);
    assert_eq!(session.token().await.unwrap().token.expose(), "own-2");
    session.invalidate(&first.token);
    assert_eq!(session.token().await.unwrap().token.expose(), "own-2");
    assert_eq!(world.issued(), 2);
}

#[tokio::test]
async fn an_identity_is_remembered_for_its_age_and_its_tokens_life() {
    let limits = CacheLimits { capacity: 10, max_age: std::time::Duration::from_secs(300) };
    // Subject, seconds after which it is asked for again, validations by then.
    for (subject, seconds, validations) in [
        ("x:3600", 0, 1),
        ("x:3600", 299, 1),
        ("x:3600", 300, 2),
        ("x:100", 99, 1),
        ("x:100", 100, 2),
    ] {
        let world = World::default();
        let (_server, keystone) = world.keystone().await;
        let validator = world.validator(&keystone, limits);
        for _ in 0..2 {
            let identity = validator.validate(&Token::new(subject), None).await.unwrap();
            assert_eq!(identity.user.as_str(), "x");
            world.pass(seconds);
        }
        assert_eq!(world.validated(), validations, "{subject} after {seconds} s");
    }
}

#[tokio::test]
async fn a_token_that_has_ended_is_invalid_whatever_keystone_says() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let validator = world.validator(&keystone, CacheLimits::default());
    for _ in 0..2 {
        let found = validator.validate(&Token::new("x:0"), None).await;
        assert_eq!(found.unwrap_err(), ValidateError::InvalidToken);
    }
    assert_eq!(world.validated(), 2);
}

#[tokio::test]
async fn a_refused_token_is_not_remembered() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let validator = world.validator(&keystone, CacheLimits::default());
    for _ in 0..2 {
        let found = validator.validate(&Token::new("bogus"), None).await;
        assert_eq!(found.unwrap_err(), ValidateError::InvalidToken);
    }
    assert_eq!(world.validated(), 2);
}

#[tokio::test]
async fn a_full_cache_forgets_what_would_end_first() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let limits = CacheLimits { capacity: 2, max_age: std::time::Duration::from_secs(300) };
    let validator = world.validator(&keystone, limits);
    // Subject, validations once it has been asked for.
    for (subject, validations) in [
        ("a:200", 1),
        ("b:100", 2),
        ("c:250", 3),
        ("a:200", 3),
        ("c:250", 3),
        ("b:100", 4),
        ("b:100", 4),
        ("a:200", 5),
    ] {
        validator.validate(&Token::new(subject), None).await.unwrap();
        assert_eq!(world.validated(), validations, "{subject}");
    }
}

#[tokio::test]
async fn a_cache_of_no_capacity_remembers_nobody() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let limits = CacheLimits { capacity: 0, ..CacheLimits::default() };
    let validator = world.validator(&keystone, limits);
    for _ in 0..2 {
        validator.validate(&Token::new("x:3600"), None).await.unwrap();
    }
    assert_eq!(world.validated(), 2);
}

#[tokio::test]
async fn the_services_own_token_is_renewed_once_when_refused() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let validator = world.validator(&keystone, CacheLimits::default());
    world.revoke("own-1");
    let identity = validator.validate(&Token::new("x:3600"), None).await.unwrap();
    assert_eq!(identity.user.as_str(), "x");
    assert_eq!((world.issued(), world.validated()), (2, 2));
    world.revoke("own-2");
    world.revoke("own-3");
    let found = validator.validate(&Token::new("y:3600"), None).await;
    assert_eq!(found.unwrap_err(), ValidateError::OwnTokenRefused);
    assert_eq!((world.issued(), world.validated()), (3, 4));
}

#[tokio::test]
async fn no_own_token_means_unavailable_not_invalid() {
    let world = World::default();
    let (_server, keystone) = world.keystone().await;
    let validator = world.validator(&keystone, CacheLimits::default());
    world.issue_status.store(401, Ordering::SeqCst);
    let found = validator.validate(&Token::new("x:3600"), None).await.unwrap_err();
    assert!(matches!(&found, ValidateError::Unavailable(e) if e.is_refusal(401)), "{found}");
    assert_eq!(world.validated(), 0);
}

#[tokio::test]
async fn a_service_with_the_role_vouches_for_a_token_that_has_ended() {
    for (subject, beside, roles_required, is_valid) in [
        ("x:3600", None, true, true),
        ("x:-10", None, true, false),
        ("x:3600", Some("nova:3600"), true, true),
        ("x:-10", Some("nova:3600"), true, true),
        ("x:-10", Some("nova:3600"), false, true),
        // longer ago than Keystone tells of
        ("x:-180000", Some("nova:3600"), true, false),
        // beside it stands whoever has no such role: refused, or believed as if alone
        ("x:3600", Some("y:3600"), true, false),
        ("x:-10", Some("y:3600"), true, false),
        ("x:3600", Some("y:3600"), false, true),
        ("x:-10", Some("y:3600"), false, false),
        // nobody vouches for the service
        ("x:3600", Some("nova:-10"), true, false),
        ("x:3600", Some("nova:-10"), false, false),
        ("x:3600", Some("bogus"), false, false),
    ] {
        let world = World::default();
        let (_server, keystone) = world.keystone().await;
        let session = world.session(&keystone);
        let tokens = ServiceTokens { roles_required, ..ServiceTokens::default() };
        let limits = CacheLimits::default();
        let validator = Validator::new(keystone, session, world.clock(), limits, tokens);
        let (subject, beside) = (Token::new(subject), beside.map(Token::new));
        let found = validator.validate(&subject, beside.as_ref()).await;
        let case = format!("{} {roles_required} {beside:?}", subject.expose());
        assert_eq!(found.is_ok(), is_valid, "{case}");
        if subject.expose().starts_with("x:-") {
            let alone = validator.validate(&subject, None).await;
            assert_eq!(alone.unwrap_err(), ValidateError::InvalidToken, "remembered: {case}");
        }
    }
}

#[tokio::test]
async fn the_role_of_services_is_the_one_that_is_configured() {
    for (roles, is_valid) in
        [(&["member", "other"][..], false), (&["other", "service"], true), (&[], false)]
    {
        let world = World::default();
        let (_server, keystone) = world.keystone().await;
        let session = world.session(&keystone);
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let tokens = ServiceTokens { roles, roles_required: true };
        let limits = CacheLimits::default();
        let validator = Validator::new(keystone, session, world.clock(), limits, tokens);
        let found = validator.validate(&Token::new("x:3600"), Some(&Token::new("nova:3600"))).await;
        assert_eq!(found.is_ok(), is_valid);
    }
}
