//! Any request to the service.
//!
//! An input is a text as of HTTP: method and target, headers, a body. What a request of a caller
//! needs to know stands in it in braces, `{token_x}` or `{offer_1}` for two.

use crate::ground::on_ground;
use crate::message::{Message, filled};
use crate::replies::{Exchanged, check_exchanged};

/// Sends the request.
pub(crate) fn check(input: &[u8]) {
    on_ground(|ground| {
        let message = Message::read(&filled(input, &ground.words()));
        let Some(request) = message.request() else { return false };
        let method = request.method().clone();
        let reply = ground.send(request);
        let changed = ground.has_changed();
        let secrets = ground.secrets().filter(|secret| !tells(&message, secret)).collect();
        check_exchanged(&Exchanged { method: &method, reply: &reply, changed, secrets });
        changed
    });
}

/// Whether the request says it where a reply may quote it.
fn tells(message: &Message, secret: &str) -> bool {
    let mut headers = message.headers.clone();
    headers.remove("x-auth-token");
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    message.first.contains(secret)
        || holds(&message.body)
        || headers.values().any(|value| holds(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{on_ground, tells};
    use crate::ground::Ground;
    use crate::message::{Message, filled};

    fn read(ground: &Ground, text: &str) -> Message {
        Message::read(&filled(text.as_bytes(), &ground.words()))
    }

    #[test]
    fn what_a_request_changes_is_seen_and_the_next_finds_the_world_as_it_was() {
        let offer = "POST /v3/volume-transfers\nx-auth-token: {token_x}\n\
                     content-type: application/json\n\n\
                     {\"transfer\": {\"volume_id\": \"{plain}\"}}";
        for _ in 0..2 {
            on_ground(|ground| {
                assert!(!ground.has_changed());
                let reply = ground.send(read(ground, offer).request().unwrap());
                assert_eq!(reply.status, 202, "{reply:?}");
                assert!(ground.has_changed());
                true
            });
        }
    }

    #[test]
    fn a_reply_may_quote_what_the_caller_has_told() {
        on_ground(|ground| {
            let token = ground.word("{token_x}");
            for (text, told) in [
                ("GET /\nx-auth-token: {token_x}\n\n", false),
                ("GET /{token_x}\n\n", true),
                ("GET /\nhost: {token_x}\n\n", true),
                ("GET /\n\n{token_x}", true),
            ] {
                assert_eq!(tells(&read(ground, text), token), told, "{text}");
            }
            false
        });
    }
}
