//! The version of the API that a request asks for: `OpenStack-API-Version: key-manager 1.2`.
//!
//! Source: microversion_parse.

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::page::number;
use super::webob::Notice;

const HEADER: HeaderName = HeaderName::from_static("openstack-api-version");

/// `1.n`; only `n` is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Microversion(u8);

impl Microversion {
    pub(super) const LATEST: Self = Self(2);

    /// Reads the last version that the header gives for the key manager; 1.0 without one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Notice> {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let ours = given.rsplit(',').find_map(|entry| {
            let (service, version) = entry.trim().split_once(char::is_whitespace)?;
            service.eq_ignore_ascii_case("key-manager").then(|| version.trim())
        });
        let Some(text) = ours else { return Ok(Self(0)) };
        if text == "latest" {
            return Ok(Self::LATEST);
        }
        match parse(text).map_err(|why| {
            Notice::bad_request(format!(
                "Invalid microversion: invalid version string: {text}; {why}"
            ))
        })? {
            (1, minor @ 0..=2) => Ok(Self(minor)),
            (_, _) => {
                let detail = format!("Invalid microversion: Unacceptable version header: {text}");
                Err(Notice::not_acceptable(headers, detail))
            }
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

/// Two numbers, or what Python says instead; a number that no version has is as good as another.
fn parse(text: &str) -> Result<(u8, u8), String> {
    let read = |part: &str| {
        let number = number(part)
            .ok_or_else(|| format!("invalid literal for int() with base 10: '{part}'"))?;
        Ok::<u8, String>(u8::try_from(number).unwrap_or(u8::MAX))
    };
    let Some((major, minor)) = text.split_once('.') else {
        read(text)?;
        return Err("Version.__new__() missing 1 required positional argument: 'minor'".to_owned());
    };
    Ok((read(major)?, read(minor)?))
}
