//! Any replies of a Barbican to each call of its client.
//!
//! An input names the call in its first part; the others are replies. Done is only what a
//! well-formed success says, and nothing that is printed holds the token or key bytes.

use crate::documents::{referenced, text};
use crate::failures::{Secret, check_failure, check_silence};
use crate::message::{filled, parts};
use crate::runtime::block_on;
use crate::script::{Said, Script};
use barbican_client::{
    Attributes, Barbican, ContentType, FillFailure, KeyBytes, Metadata, SecretType,
};
use http::header::CONTENT_TYPE;
use openstack_http::{Failure, Token};
use serde_json::{Value, json};
use std::sync::Arc;
use transfer_core::SecretId;

const TOKEN: &str = "gAAAAABthe-token-of-barbicans-caller";
/// The bytes of the key, of which a reply may be made: they are text, so that they can be quoted.
const KEY: &str = "these-are-32-bytes-of-key-stuff!";
const NAME: &str = "hand-over 11111111-1111-4111-8111-111111111111";
const ID: &str = "22222222-2222-4222-8222-222222222222";

/// What every call of the client knows.
const KNOWN: &[Secret] = &[Secret { name: "token", text: TOKEN }];
/// What a fill knows, and a reply with a payload.
const SECRETS: &[Secret] =
    &[Secret { name: "token", text: TOKEN }, Secret { name: "key", text: KEY }];
const WORDS: &[(&str, &[u8])] = &[
    ("{token}", TOKEN.as_bytes()),
    ("{key}", KEY.as_bytes()),
    ("{name}", NAME.as_bytes()),
    ("{id}", ID.as_bytes()),
];

/// Plays the replies to the call.
pub(crate) fn check(input: &[u8]) {
    let input = filled(input, WORDS);
    let parts = parts(&input);
    let Some((call, replies)) = parts.split_first() else { return };
    let script = Arc::new(Script::read(replies));
    let endpoint = "http://barbican.test/key-manager".parse().unwrap();
    let barbican = Barbican::new(&endpoint, script.clone());
    let (token, id) = (Token::new(TOKEN), SecretId::new(ID));
    match call.trim_ascii() {
        b"metadata" => {
            let outcome = block_on(barbican.metadata(&token, &id));
            check_metadata(&outcome, &script.played());
        }
        b"payload" => {
            let outcome = block_on(barbican.payload(&token, &id));
            check_payload(&outcome, &script.played());
        }
        b"shell" => {
            let outcome = block_on(barbican.create_shell(&token, NAME, &attributes()));
            check_shell(&outcome, &script.played());
        }
        b"fill" => {
            let key = KeyBytes::new(KEY.into());
            let outcome = block_on(barbican.fill(&token, &id, ContentType::OctetStream, &key));
            check_fill(&outcome, &script.played());
        }
        b"delete" => {
            let outcome = block_on(barbican.delete(&token, &id));
            check_delete(&outcome, &script.played());
        }
        b"list" => {
            let outcome = block_on(barbican.list_by_name(&token, NAME));
            check_list(&outcome, &script.played());
        }
        _ => {}
    }
}

fn attributes() -> Attributes {
    Attributes {
        secret_type: SecretType::Symmetric,
        algorithm: Some("aes".to_owned()),
        bit_length: Some(256),
        mode: None,
        expiration: None,
    }
}

fn check_metadata(outcome: &Result<Metadata, Failure>, said: &[Said]) {
    match outcome {
        Ok(metadata) => {
            let document = the_only(said).document(200).expect("metadata without a document");
            check_secret(metadata, &document);
        }
        Err(failure) => check_failed(failure, said, &[200]),
    }
}

/// What is known of a secret is what its document says.
fn check_secret(metadata: &Metadata, document: &Value) {
    let Metadata { id, name, attributes, content_type, status, creator } = metadata;
    assert_eq!(referenced(&document["secret_ref"]), Some(id.as_str()), "the id of {document}");
    assert_eq!(text(document, "name"), name.as_deref(), "the name of {document}");
    assert_eq!(text(document, "status"), Some(status.as_str()), "the status of {document}");
    let creator = creator.as_ref().map(|creator| creator.as_str());
    assert_eq!(text(document, "creator_id"), creator, "the creator of {document}");
    for (name, value) in json!(attributes).as_object().into_iter().flatten() {
        assert_eq!(document.get(name), Some(value), "the {name} of {document}");
    }
    let said = document["content_types"]["default"].as_str().map(str::to_ascii_lowercase);
    let media_type = content_type.map(|known| match known {
        ContentType::OctetStream => "application/octet-stream",
        ContentType::TextPlain => "text/plain",
        ContentType::Pkcs8 => "application/pkcs8",
    });
    let same = match (&said, media_type) {
        (Some(said), Some(media_type)) => said.trim().starts_with(media_type),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(same, "{content_type:?} of {document}");
}

fn check_payload(outcome: &Result<KeyBytes, Failure>, said: &[Said]) {
    match outcome {
        Ok(key) => {
            let reply = the_only(said);
            assert_eq!(reply.status, 200, "key bytes of an error");
            let media_type = reply.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
            let media_type = media_type.unwrap_or_default().trim_ascii().to_ascii_lowercase();
            let octets = media_type.starts_with(b"application/octet-stream");
            assert!(octets, "key bytes of another content type");
            assert!(!key.expose().is_empty(), "a key of no bytes");
            assert!(reply.body == key.expose(), "other bytes than those that came");
        }
        Err(failure) => check_failed(failure, said, &[200]),
    }
}

fn check_shell(outcome: &Result<SecretId, Failure>, said: &[Said]) {
    match outcome {
        Ok(id) => {
            let document = the_only(said).document(201).expect("a shell without a document");
            assert_eq!(referenced(&document["secret_ref"]), Some(id.as_str()), "{document}");
        }
        Err(failure) => check_failed(failure, said, &[201]),
    }
}

fn check_fill(outcome: &Result<(), FillFailure>, said: &[Said]) {
    match outcome {
        Ok(()) => assert_eq!(the_only(said).status, 204, "filled by another reply"),
        Err(FillFailure::AlreadyFilled) => assert_eq!(the_only(said).status, 409, "already filled"),
        Err(failure @ FillFailure::Failed(inner)) => {
            check_silence(failure, SECRETS);
            check_failed(inner, said, &[204]);
            assert!(!inner.is_refusal(409), "a conflict is a payload that is there already");
        }
    }
}

fn check_delete(outcome: &Result<(), Failure>, said: &[Said]) {
    match outcome {
        Ok(()) => {
            let last = said.last().expect("deleted without a reply");
            let gone = last.document(404).is_some_and(|document| {
                document["code"] == 404 && document["description"].is_string()
            });
            assert!(gone || last.status == 204, "{} was taken for deleted", last.status);
            let looked = said.iter().position(|reply| reply.status == 406);
            let consumers = looked.and_then(|at| said.get(at + 1)?.document(200));
            let none = consumers.is_none_or(|document| document["consumers"] == json!([]));
            assert!(none, "a secret with consumers was deleted");
        }
        Err(failure) => {
            check_silence(failure, KNOWN);
            // with 400 the client itself refuses to delete what has consumers, at which it looks
            // after a first reply of 406
            let looks: &[u16] = if said.len() == 2 { &[200, 404] } else { &[204, 404] };
            check_failure(failure, said, looks, &[400]);
        }
    }
}

fn check_list(outcome: &Result<Vec<Metadata>, Failure>, said: &[Said]) {
    match outcome {
        Ok(found) => {
            let pages =
                said.iter().map(|page| page.document(200).expect("a page without document"));
            let pages: Vec<Value> = pages.collect();
            let secrets = pages.iter().filter_map(|page| page["secrets"].as_array()).flatten();
            let named: Vec<&Value> =
                secrets.filter(|secret| text(secret, "name") == Some(NAME)).collect();
            assert_eq!(found.len(), named.len(), "another number of secrets than was listed");
            found.iter().zip(named).for_each(|(metadata, named)| check_secret(metadata, named));
            let last = pages.last().expect("a list without a page");
            let ends = last["next"].is_null() || last["secrets"] == json!([]);
            assert!(ends, "a list that goes on was taken for whole");
        }
        Err(failure) => check_failed(failure, said, &[200]),
    }
}

fn check_failed(failure: &Failure, said: &[Said], expected: &[u16]) {
    let success = said.iter().any(|reply| expected.contains(&reply.status.as_u16()));
    check_silence(failure, if success { SECRETS } else { KNOWN });
    check_failure(failure, said, expected, &[]);
}

/// The reply to a call of one exchange.
fn the_only(said: &[Said]) -> &Said {
    assert_eq!(said.len(), 1, "one call is one exchange");
    said.first().expect("done without a reply")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objection::objection;

    fn said(text: &str) -> Vec<Said> {
        let input = filled(text.as_bytes(), WORDS);
        parts(&input).into_iter().filter_map(Said::read).collect()
    }

    fn refused(status: u16, message: &str) -> Failure {
        openstack_http::Refusal { status, message: message.to_owned() }.into()
    }

    fn check(words: &str, check: impl FnOnce()) {
        let objection = objection(check);
        assert!(objection.contains(words), "{words}: {objection}");
    }

    #[test]
    fn a_client_that_makes_metadata_up_is_found() {
        let document = r#"{"secret_ref": "x/{id}", "name": "n", "status": "ACTIVE",
            "secret_type": "symmetric", "algorithm": "aes", "bit_length": 256,
            "content_types": {"default": "text/plain"}}"#;
        let known = || Metadata {
            id: ID.into(),
            name: Some("n".to_owned()),
            attributes: attributes(),
            content_type: Some(ContentType::TextPlain),
            status: "ACTIVE".to_owned(),
            creator: None,
        };
        let good = said(&format!("200\n\n{document}"));
        check_metadata(&Ok(known()), &good);
        check("without a document", || check_metadata(&Ok(known()), &said("200\n\n{")));
        check("without a document", || {
            check_metadata(&Ok(known()), &said(&format!("202\n\n{document}")));
        });
        let other = SecretId::from("33333333-2222-4222-8222-222222222222");
        let des = Attributes { algorithm: Some("des".to_owned()), ..attributes() };
        for (words, wrong) in [
            ("the id", Metadata { id: other, ..known() }),
            ("the name", Metadata { name: None, ..known() }),
            ("the status", Metadata { status: "PENDING".to_owned(), ..known() }),
            ("the creator", Metadata { creator: Some("u".into()), ..known() }),
            ("the algorithm", Metadata { attributes: des, ..known() }),
            ("None of", Metadata { content_type: None, ..known() }),
        ] {
            check(words, || check_metadata(&Ok(wrong), &good));
        }
    }

    #[test]
    fn a_client_that_takes_anything_for_key_bytes_is_found() {
        let octets = "200\ncontent-type: application/octet-stream\n\n{key}";
        let key = |bytes: &str| Ok(KeyBytes::new(bytes.into()));
        check_payload(&key(KEY), &said(octets));
        for (words, bytes, reply) in [
            ("other bytes", "other", octets),
            ("no bytes", "", "200\ncontent-type: application/octet-stream\n\n"),
            ("another content type", KEY, "200\ncontent-type: text/html\n\n{key}"),
            ("of an error", KEY, "404\n\n{key}"),
            ("one exchange", KEY, "500\n%%\n500\n"),
        ] {
            check(words, || check_payload(&key(bytes), &said(reply)));
        }
    }

    #[test]
    fn a_client_that_takes_anything_for_done_is_found() {
        check("other reply", || check_fill(&Ok(()), &said("200\n")));
        check("already filled", || check_fill(&Err(FillFailure::AlreadyFilled), &said("403\n")));
        check("is a payload", || check_fill(&Err(refused(409, "").into()), &said("409\n")));
        check("without a document", || check_shell(&Ok(ID.into()), &said("201\n\nx")));
        check("taken for deleted", || check_delete(&Ok(()), &said("404\n\n<html>")));
        check("taken for deleted", || check_delete(&Ok(()), &said("202\n")));
        let forced = "406\n%%\n200\n\n{\"consumers\": [{}]}\n%%\n204\n";
        check("with consumers", || check_delete(&Ok(()), &said(forced)));
    }

    #[test]
    fn a_client_that_does_not_read_a_list_to_its_end_is_found() {
        let more = "200\n\n{\"secrets\": [{}], \"next\": \"x\"}";
        check("goes on", || check_list(&Ok(vec![]), &said(more)));
        let named = "200\n\n{\"secrets\": [{\"name\": \"{name}\"}]}";
        check("another number", || check_list(&Ok(vec![]), &said(named)));
        check("without a page", || check_list(&Ok(vec![]), &[]));
    }

    #[test]
    fn a_client_that_repeats_a_secret_is_found() {
        let failure = |secret: &str| refused(400, &format!("bad {secret}"));
        check("token shows", || check_shell(&Err(failure(TOKEN)), &said("400\n")));
        check("token shows", || check_delete(&Err(failure(TOKEN)), &said("400\n")));
        check("token shows", || check_fill(&Err(failure(TOKEN).into()), &said("400\n")));
        check("key shows", || check_fill(&Err(failure(KEY).into()), &said("400\n")));
        check("key shows", || check_payload(&Err(failure(KEY)), &said("200\n\n{key}")));
    }
}
