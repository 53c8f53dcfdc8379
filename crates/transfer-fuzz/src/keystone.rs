//! Any replies of a Keystone to each use of its client.
//!
//! An input names the use in its first part; the others are replies. A token and an identity are
//! only what a well-formed success says, and nothing that is printed holds a token or a password.

use crate::documents::text;
use crate::failures::{Secret, check_failure, check_silence};
use crate::message::{filled, parts};
use crate::runtime::block_on;
use crate::script::{Said, Script};
use keystone_client::{
    ApplicationCredential, CacheLimits, Catalog, Clock, Credentials, DomainRef, Identity, Issued,
    Keystone, ProjectRef, ServiceSession, ServiceTokens, UserRef, ValidateError, Validator,
};
use openstack_http::{Failure, Password, Token};
use serde_json::Value;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

const OWN: &str = "gAAAAABthe-token-of-the-service";
const SUBJECT: &str = "gAAAAABthe-token-of-a-caller";
const PASSWORD: &str = "pass'word\\of-\"the\"-service";
const NOW: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

/// What each request holds, and its reply may quote.
const OWN_TOKEN: Secret = Secret { name: "service's token", text: OWN };
const SUBJECT_TOKEN: Secret = Secret { name: "caller's token", text: SUBJECT };
const OF_PASSWORD: &[Secret] = &[Secret { name: "password", text: PASSWORD }];
const OF_TOKEN: &[Secret] = &[OWN_TOKEN];
const OF_VALIDATION: &[Secret] = &[OWN_TOKEN, SUBJECT_TOKEN];
const OF_REMEMBERED: &[Secret] = &[SUBJECT_TOKEN];
const WORDS: &[(&str, &[u8])] = &[
    ("{own}", OWN.as_bytes()),
    ("{subject}", SUBJECT.as_bytes()),
    ("{password}", PASSWORD.as_bytes()),
    // as Keystone's schema errors quote it, which is itself quoted in JSON
    ("{quoted}", br#"'pass\\'word\\\\of-\"the\"-service'"#),
];
const SERVICES: &[&str] = &["key-manager", "block-storage", "volumev3"];

/// Plays the replies to the use.
pub(crate) fn check(input: &[u8]) {
    let input = filled(input, WORDS);
    let parts = parts(&input);
    let Some((call, replies)) = parts.split_first() else { return };
    let script = Arc::new(Script::read(replies));
    let keystone = Keystone::new(&"http://keystone.test".parse().unwrap(), script.clone());
    let (own, subject) = (Token::new(OWN), Token::new(SUBJECT));
    match call.trim_ascii() {
        b"validate" => {
            let outcome = block_on(keystone.validate(&own, &subject, false));
            check_validated(&outcome, &script.played());
        }
        b"validator" => {
            let session = Arc::new(ServiceSession::new(keystone.clone(), password(), clock()));
            let validator = Validator::new(
                keystone,
                session,
                clock(),
                CacheLimits::default(),
                ServiceTokens::default(),
            );
            let outcome = block_on(validator.validate(&subject, None));
            check_remembered(&outcome, &script.played());
        }
        b"session" => {
            let session = ServiceSession::new(keystone, password(), clock());
            let first = block_on(session.token());
            let said = script.played();
            check_issued(first.as_ref().map(AsRef::as_ref), &said, OF_PASSWORD);
            if let Err(failure) = block_on(session.token()) {
                check_silence(&failure, OF_PASSWORD);
            }
        }
        call => {
            if let Some((credentials, secrets)) = credentials(call) {
                let outcome = block_on(keystone.issue(&credentials));
                check_issued(outcome.as_ref(), &script.played(), secrets);
            }
        }
    }
}

fn clock() -> Clock {
    Arc::new(|| NOW)
}

fn password() -> Credentials {
    Credentials::Password {
        user: UserRef::Name { name: "cinder".to_owned(), domain: DomainRef::Id("d".to_owned()) },
        password: Password::new(PASSWORD),
        project: ProjectRef::Id("p".into()),
    }
}

fn credentials(call: &[u8]) -> Option<(Credentials, &'static [Secret])> {
    let application = || Credentials::ApplicationCredential {
        credential: ApplicationCredential::Id("a".to_owned()),
        secret: Password::new(PASSWORD),
    };
    let token =
        || Credentials::Token { token: Token::new(OWN), project: ProjectRef::Id("p".into()) };
    match call {
        b"password" => Some((password(), OF_PASSWORD)),
        b"application" => Some((application(), OF_PASSWORD)),
        b"token" => Some((token(), OF_TOKEN)),
        _ => None,
    }
}

fn check_issued(outcome: Result<&Issued, &Failure>, said: &[Said], secrets: &[Secret]) {
    match outcome {
        Ok(issued) => {
            let [reply] = said else { panic!("one issue is one exchange, not {}", said.len()) };
            let document = reply.document(201).expect("a token without a document");
            let header = reply.headers.get("x-subject-token").expect("a token without a header");
            assert_eq!(header.as_bytes(), issued.token.expose().as_bytes(), "another token");
            assert!(!header.is_empty(), "an empty token");
            check_identity(&issued.identity, &document);
            // what the service said of itself may be what the input has it say
            let token = Token::new("a-token-that-no-document-holds");
            let printed = Issued { token, identity: issued.identity.clone() };
            assert!(!format!("{printed:?}").contains("a-token-that"), "a token is printed");
        }
        Err(failure) => {
            check_silence(failure, secrets);
            check_failure(failure, said, &[201], &[]);
        }
    }
}

fn check_validated(outcome: &Result<Identity, ValidateError>, said: &[Said]) {
    match outcome {
        Ok(identity) => {
            let [reply] = said else { panic!("one validation is one exchange") };
            let document = reply.document(200).expect("an identity without a document");
            check_identity(identity, &document);
        }
        Err(error) => check_invalid(error, said),
    }
}

fn check_invalid(error: &ValidateError, said: &[Said]) {
    check_silence(error, OF_VALIDATION);
    let last = said.last().map(|said| said.status.as_u16());
    match error {
        ValidateError::InvalidToken => assert_eq!(last, Some(404), "an invalid token"),
        ValidateError::OwnTokenRefused => assert_eq!(last, Some(401), "our own token"),
        ValidateError::Unavailable(failure) => {
            let told = failure.is_refusal(404) || failure.is_refusal(401);
            assert!(!told, "{failure:?} says whose token is wrong");
            check_failure(failure, said, &[200], &[]);
        }
    }
}

/// An identity that is believed has not ended, and is of the last reply.
fn check_remembered(outcome: &Result<Arc<Identity>, ValidateError>, said: &[Said]) {
    match outcome {
        Ok(identity) => {
            let last = said.last().expect("an identity without a reply");
            check_identity(identity, &last.document(200).expect("an identity of no document"));
            assert!(identity.expires_at > NOW, "an identity outlives its token");
        }
        // it is issued a token of its own first, and asks with that then
        Err(error) if said.len() % 2 == 1 => check_silence(error, OF_PASSWORD),
        Err(error) => check_silence(error, OF_REMEMBERED),
    }
}

/// Who somebody is is what the document says.
fn check_identity(identity: &Identity, document: &Value) {
    let token = &document["token"];
    let (user, project) = (&token["user"], &token["project"]);
    assert_eq!(text(user, "id"), Some(identity.user.as_str()), "the user of {document}");
    assert_eq!(text(user, "name"), Some(identity.user_name.as_str()), "the user of {document}");
    assert_eq!(text(&user["domain"], "id"), Some(identity.user_domain.as_str()), "{document}");
    let id = identity.project.as_ref().map(|project| project.as_str());
    assert_eq!(text(project, "id"), id, "the project of {document}");
    assert_eq!(text(project, "name"), identity.project_name.as_deref(), "{document}");
    let domain = identity.project_domain.as_deref();
    assert_eq!(text(&project["domain"], "id"), domain, "the project of {document}");
    assert_eq!(text(&token["domain"], "id"), identity.domain.as_deref(), "{document}");
    assert_eq!(token["system"]["all"] == true, identity.is_system, "the system of {document}");
    assert_eq!(token["is_admin_project"] != false, identity.is_admin_project, "{document}");
    let roles = token["roles"].as_array().into_iter().flatten();
    let roles: Vec<&str> = roles.filter_map(|role| text(role, "name")).collect();
    assert_eq!(identity.roles, roles, "the roles of {document}");
    for (name, time) in [("issued_at", identity.issued_at), ("expires_at", identity.expires_at)] {
        let said = text(token, name).and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        assert_eq!(said, Some(time), "{name} of {document}");
    }
    check_catalog(&identity.catalog, &token["catalog"]);
}

/// An endpoint is one that the catalogue has for this service and interface.
fn check_catalog(catalog: &Catalog, document: &Value) {
    for (interface, region) in [("public", None), ("internal", Some("RegionOne"))] {
        let Some(url) = catalog.endpoint(SERVICES, interface, region) else { continue };
        let entries = document.as_array().into_iter().flatten();
        let wanted =
            entries.filter(|entry| text(entry, "type").is_some_and(|t| SERVICES.contains(&t)));
        let mut endpoints = wanted.filter_map(|entry| entry["endpoints"].as_array()).flatten();
        let fits = |endpoint: &Value| {
            text(endpoint, "interface") == Some(interface)
                && region.is_none_or(|region| text(endpoint, "region_id") == Some(region))
                && text(endpoint, "url").and_then(|text| text.parse().ok()) == Some(url.clone())
        };
        assert!(endpoints.any(fits), "{url} is no {interface} endpoint of {document}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objection::objection;
    use openstack_http::Refusal;
    use serde_json::json;

    fn document() -> Value {
        let domain = json!({"id": "d"});
        json!({"token": {
            "user": {"id": "u", "name": "n", "domain": domain},
            "project": {"id": "p", "name": "q", "domain": domain},
            "roles": [{"name": "member"}],
            "issued_at": "2026-01-01T00:00:00Z",
            "expires_at": "2026-01-01T01:00:00Z",
        }})
    }

    fn known() -> Identity {
        Identity {
            user: "u".into(),
            user_name: "n".to_owned(),
            user_domain: "d".to_owned(),
            project: Some("p".into()),
            project_name: Some("q".to_owned()),
            project_domain: Some("d".to_owned()),
            domain: None,
            is_system: false,
            is_admin_project: true,
            roles: vec!["member".to_owned()],
            issued_at: NOW,
            expires_at: NOW + time::Duration::HOUR,
            catalog: Catalog::default(),
        }
    }

    fn said(text: &str) -> Vec<Said> {
        Said::read(text.as_bytes()).into_iter().collect()
    }

    fn check(words: &str, check: impl FnOnce()) {
        let objection = objection(check);
        assert!(objection.contains(words), "{words}: {objection}");
    }

    #[test]
    fn a_client_that_makes_an_identity_up_is_found() {
        let good = said(&format!("200\n\n{}", document()));
        check_validated(&Ok(known()), &good);
        let later = NOW + time::Duration::DAY;
        for (words, wrong) in [
            ("the user", Identity { user: "v".into(), ..known() }),
            ("the project", Identity { project: None, ..known() }),
            ("the system", Identity { is_system: true, ..known() }),
            ("the roles", Identity { roles: vec!["admin".to_owned()], ..known() }),
            ("expires_at", Identity { expires_at: later, ..known() }),
        ] {
            check(words, || check_validated(&Ok(wrong), &good));
        }
        check("without a document", || check_validated(&Ok(known()), &said("203\n\n{}")));
        check("outlives", || {
            let ended = document().to_string().replace("01T01:00", "01T00:00");
            let identity = Identity { expires_at: NOW, ..known() };
            check_remembered(&Ok(identity.into()), &said(&format!("200\n\n{ended}")));
        });
    }

    #[test]
    fn a_client_that_makes_a_token_up_is_found() {
        let issued = Issued { token: Token::new("t"), identity: known() };
        let reply = |head: &str| said(&format!("{head}\n\n{}", document()));
        check_issued(Ok(&issued), &reply("201\nx-subject-token: t"), &[]);
        for (words, head) in [
            ("another token", "201\nx-subject-token: u"),
            ("without a header", "201"),
            ("without a document", "200\nx-subject-token: t"),
        ] {
            check(words, || check_issued(Ok(&issued), &reply(head), &[]));
        }
    }

    #[test]
    fn a_client_that_blames_the_wrong_token_is_found() {
        check("invalid token", || check_invalid(&ValidateError::InvalidToken, &said("401\n")));
        check("our own", || check_invalid(&ValidateError::OwnTokenRefused, &said("404\n")));
        let refusal = Refusal { status: 404, message: String::new() };
        let unavailable = ValidateError::Unavailable(refusal.into());
        check("whose token", || check_invalid(&unavailable, &said("404\n")));
    }

    #[test]
    fn a_client_that_repeats_a_secret_is_found() {
        let failure = |message: &str| -> Failure {
            Refusal { status: 400, message: message.to_owned() }.into()
        };
        let quoted = r#"'pass\'word\\of-"the"-service' is too long"#;
        for (secret, secrets) in [(OWN, OF_TOKEN), (PASSWORD, OF_PASSWORD), (quoted, OF_PASSWORD)] {
            check("shows in", || check_issued(Err(&failure(secret)), &said("400\n"), secrets));
        }
        for secret in [OWN, SUBJECT] {
            let error = ValidateError::Unavailable(failure(secret));
            check("shows in", || check_invalid(&error, &said("400\n")));
        }
        for (secret, said) in
            [(PASSWORD, said("400")), (SUBJECT, [said("201"), said("400")].concat())]
        {
            let outcome = Err(ValidateError::Unavailable(failure(secret)));
            check("shows in", || check_remembered(&outcome, &said));
        }
    }

    #[test]
    fn an_endpoint_that_no_catalogue_has_is_found() {
        let endpoints = json!([{"interface": "public", "region_id": null, "url": "http://a"}]);
        let entries = json!([{"type": "key-manager", "endpoints": endpoints}]);
        let catalog: Catalog = serde_json::from_value(entries.clone()).unwrap();
        check_catalog(&catalog, &entries);
        check("is no public endpoint", || check_catalog(&catalog, &json!([])));
    }
}
