//! The version of the API that a request asks for: `OpenStack-API-Version: key-manager 1.2`.
//!
//! Source: microversion_parse, which answers a version that it does not take as plain text.

use axum::response::{IntoResponse, Response};
use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const HEADER: HeaderName = HeaderName::from_static("openstack-api-version");

/// `1.n`; only `n` is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Microversion(u8);

impl Microversion {
    pub(super) const LATEST: Self = Self(2);

    /// Reads the last version that the header gives for the key manager; 1.0 without one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Unusable> {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let ours = given.rsplit(',').find_map(|entry| {
            let (service, version) = entry.trim().split_once(char::is_whitespace)?;
            service.eq_ignore_ascii_case("key-manager").then(|| version.trim())
        });
        let Some(text) = ours else { return Ok(Self(0)) };
        if text == "latest" {
            return Ok(Self::LATEST);
        }
        let unreadable = || Unusable::Unreadable(text.to_owned());
        let (major, minor) = text.split_once('.').ok_or_else(unreadable)?;
        let number = |part: &str| part.parse::<u32>().map_err(|_| unreadable());
        match (number(major)?, u8::try_from(number(minor)?)) {
            (1, Ok(minor)) if minor <= Self::LATEST.0 => Ok(Self(minor)),
            (_, Ok(_) | Err(_)) => Err(Unusable::Unknown(text.to_owned())),
        }
    }

    /// Whether the version is `1.minor` or later.
    pub(super) fn is_at_least(self, minor: u8) -> bool {
        self.0 >= minor
    }

    /// Says in a reply which version it was made in.
    pub(super) fn sign(self, headers: &mut HeaderMap) {
        if let Ok(version) = HeaderValue::from_str(&format!("key-manager 1.{}", self.0)) {
            headers.insert(HEADER, version);
            headers.insert(VARY, HeaderValue::from_static("openstack-api-version"));
        }
    }
}

/// A version that no request can have.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(
        "406 Not Acceptable\n\nThe resource could not be generated that was acceptable to your \
         browser (content of type ${{HTTP_ACCEPT}}. \n\n Invalid microversion: Unacceptable \
         version header: {0}"
    )]
    Unknown(String),
    #[error(
        "400 Bad Request\n\nThe server could not comply with the request since it is either \
         malformed or otherwise incorrect.\n\n Invalid microversion: invalid version string: \
         {0}; invalid literal for int() with base 10: '{0}'  "
    )]
    Unreadable(String),
}

impl IntoResponse for Unusable {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unknown(_) => StatusCode::NOT_ACCEPTABLE,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}
