//! What a client may conclude of a reply that is no success, and what it must not repeat.

use crate::script::Said;
use openstack_http::{Failure, Unknown};
use std::fmt::{Debug, Display};

/// What must not show in an error.
pub(crate) struct Secret {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// A failure says no more than the last reply allows. `refusals` are those that the client makes of
/// replies of its own accord.
pub(crate) fn check_failure(failure: &Failure, said: &[Said], expected: &[u16], refusals: &[u16]) {
    let last = said.last().map(|said| said.status.as_u16());
    match failure {
        Failure::Refused(refusal) if refusals.contains(&refusal.status) => {}
        Failure::Refused(refusal) => {
            assert_eq!(Some(refusal.status), last, "a refusal that nobody spoke: {failure:?}");
            let no =
                (400..500).contains(&refusal.status) && ![408, 425, 429].contains(&refusal.status);
            assert!(no, "{} was taken for a no", refusal.status);
        }
        Failure::Unknown(Unknown::Status { status, .. }) => {
            assert_eq!(Some(*status), last, "a status that nobody sent: {failure:?}");
            let no = (400..500).contains(status) && ![408, 425, 429].contains(status);
            assert!(!no, "the no of {status} was not understood");
            assert!(!expected.contains(status), "{status} is what was expected");
        }
        Failure::Unknown(Unknown::Unreadable(_)) => {
            assert!(last.is_some_and(|last| expected.contains(&last)), "{failure:?} of {last:?}");
        }
        Failure::Unknown(Unknown::Broken(_)) => {}
    }
}

/// Nothing that is printed holds a secret.
pub(crate) fn check_silence(error: &(impl Debug + Display), secrets: &[Secret]) {
    for printed in [error.to_string(), format!("{error:?}")] {
        check_text(&printed, secrets);
    }
}

/// As [`check_silence`], of one text.
pub(crate) fn check_text(printed: &str, secrets: &[Secret]) {
    for Secret { name, text } in secrets {
        assert!(!letters(printed).contains(&letters(text)), "the {name} shows in {printed:?}");
    }
}

/// A text without what quoting puts between its letters.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Secret, check_failure, check_silence};
    use crate::objection::objection;
    use crate::script::Said;
    use openstack_http::{Broken, Failure, Refusal, Unknown};

    fn refused(status: u16) -> Failure {
        Refusal { status, message: "no".to_owned() }.into()
    }

    fn unknown(status: u16) -> Failure {
        Unknown::Status { status, message: "?".to_owned(), retry_after: None }.into()
    }

    #[test]
    fn a_client_that_concludes_too_much_or_too_little_is_found() {
        for (status, failure, words) in [
            (503, refused(503), "was taken for a no"),
            (429, refused(429), "was taken for a no"),
            (404, refused(403), "that nobody spoke"),
            (404, unknown(404), "was not understood"),
            (500, unknown(502), "that nobody sent"),
            (200, unknown(200), "is what was expected"),
            (404, Failure::unreadable("x"), "Unreadable"),
        ] {
            let said = Said::read(status.to_string().as_bytes()).unwrap();
            let objection = objection(|| check_failure(&failure, &[said], &[200], &[]));
            assert!(objection.contains(words), "{failure:?}: {objection}");
        }
    }

    #[test]
    fn a_client_that_concludes_what_it_may_is_not() {
        let broken = || Unknown::Broken(Broken::Closed(String::new())).into();
        for (status, failure) in [
            (503, unknown(503)),
            (404, refused(404)),
            (200, Failure::unreadable("x")),
            (200, broken()),
            (200, refused(400)),
        ] {
            let said = Said::read(status.to_string().as_bytes()).unwrap();
            check_failure(&failure, &[said], &[200], &[400]);
        }
    }

    #[test]
    fn a_secret_is_found_however_it_is_quoted() {
        let secrets = [Secret { name: "token", text: "abc'd" }];
        for message in ["bad abc'd", "bad 'abc\\'d'", "a\u{7}bc'd"] {
            let failure: Failure = Refusal { status: 400, message: message.to_owned() }.into();
            let objection = objection(|| check_silence(&failure, &secrets));
            assert!(objection.contains("the token shows"), "{objection}");
        }
        check_silence(&refused(400), &secrets);
    }
}
