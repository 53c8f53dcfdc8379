//! Microversions: which form of the API a request asks for.
//!
//! cinder: `api/openstack/wsgi.py` `set_api_version_request`, `api_version_request.py`. Differs
//! from it where it answers 500: a `volume` with no version, or more than one, is 400 here.

use crate::fault::{Fault, NOT_COMPLIANT};
use http::{HeaderMap, HeaderName, StatusCode};

/// The header that carries the microversion, of request and reply.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("openstack-api-version");

/// A supported microversion: the Y of 3.Y.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Microversion(u16);

impl Microversion {
    /// The oldest, and what a request without the header gets.
    pub(crate) const MIN: Self = Self(0);
    /// `no_snapshots` is accepted and shown.
    pub(crate) const SNAPSHOTS: Self = Self(55);
    /// The history fields are shown.
    pub(crate) const HISTORY: Self = Self(57);
    /// Lists are paged and sorted.
    pub(crate) const PAGING: Self = Self(59);
    /// Encrypted volumes can be offered.
    pub(crate) const ENCRYPTED: Self = Self(70);
    /// The newest.
    pub(crate) const MAX: Self = Self(71);

    /// As `3.Y`.
    pub(crate) fn number(self) -> String {
        format!("3.{}", self.0)
    }

    /// What the request's header asks for.
    ///
    /// # Errors
    /// [`VersionError`].
    pub(crate) fn requested(headers: &HeaderMap) -> Result<Self, VersionError> {
        let mut lines = Vec::new();
        for line in headers.get_all(HEADER) {
            lines.push(line.to_str().map_err(|_not_ascii| VersionError::NoVolume)?);
        }
        if lines.is_empty() {
            return Ok(Self::MIN);
        }
        Self::parse(&lines.join(","))
    }

    fn parse(header: &str) -> Result<Self, VersionError> {
        let volume = header.split(',').find(|service| service.contains("volume"));
        let mut words = volume.ok_or(VersionError::NoVolume)?.split_whitespace().skip(1);
        let (version, rest) = (words.next().unwrap_or_default(), words.next());
        if version == "latest" && rest.is_none() {
            return Ok(Self::MAX);
        }
        let parts = version.split_once('.').filter(|(major, minor)| {
            rest.is_none() && is_number(major) && is_number(minor) && *major != "0"
        });
        match parts {
            None => Err(VersionError::BadFormat(version.to_owned())),
            Some(("3", minor)) => match minor.parse() {
                Ok(minor) if minor <= Self::MAX.0 => Ok(Self(minor)),
                Ok(_) | Err(_) => Err(VersionError::OutOfRange(version.to_owned())),
            },
            Some(_) => Err(VersionError::OutOfRange(version.to_owned())),
        }
    }
}

/// Decimal digits without a leading zero.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.is_empty()
        && (text == "0" || !text.starts_with('0'))
}

/// Why there is no microversion to work with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum VersionError {
    /// The header is about other services.
    NoVolume,
    /// Not `latest` and not `X.Y`.
    BadFormat(String),
    /// Not between 3.0 and 3.71.
    OutOfRange(String),
}

impl From<VersionError> for Fault {
    fn from(error: VersionError) -> Self {
        match error {
            VersionError::NoVolume => Self::bad_request(NOT_COMPLIANT),
            VersionError::BadFormat(version) => Self::bad_request(format!(
                "API Version String {version} is of invalid format. Must be of format \
                 MajorNum.MinorNum."
            )),
            VersionError::OutOfRange(version) => Self::new(
                StatusCode::NOT_ACCEPTABLE,
                format!(
                    "Version {version} is not supported by the API. Minimum is {} and maximum is \
                     {}.",
                    Microversion::MIN.number(),
                    Microversion::MAX.number()
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Microversion, VersionError};

    #[test]
    fn headers_are_read_as_cinder_reads_them() {
        let bad = |version: &str| Err(VersionError::BadFormat(version.to_owned()));
        let out = |version: &str| Err(VersionError::OutOfRange(version.to_owned()));
        for (header, expected) in [
            ("volume 3.0", Ok(Microversion(0))),
            ("volume 3.71", Ok(Microversion(71))),
            ("volume latest", Ok(Microversion(71))),
            ("volume  3.60", Ok(Microversion(60))),
            ("volume\t3.4", Ok(Microversion(4))),
            ("compute 2.1, volume 3.59", Ok(Microversion(59))),
            ("volume 3.59,compute 2.1", Ok(Microversion(59))),
            ("volumev3 3.10", Ok(Microversion(10))),
            ("volume 3.71 , compute 2", Ok(Microversion(71))),
            ("volume 3.72", out("3.72")),
            ("volume 3.99999999999999999999999", out("3.99999999999999999999999")),
            ("volume 2.0", out("2.0")),
            ("volume 4.0", out("4.0")),
            ("compute 2.1,volume 3.72", out("3.72")),
            ("volume 3", bad("3")),
            ("volume 3.01", bad("3.01")),
            ("volume 0.3", bad("0.3")),
            ("volume 3.-1", bad("3.-1")),
            ("volume 3.", bad("3.")),
            ("volume .1", bad(".1")),
            ("volume 3.1.2", bad("3.1.2")),
            ("volume x.y", bad("x.y")),
            ("volume LATEST", bad("LATEST")),
            ("volume", bad("")),
            ("volume 3.5 x", bad("3.5")),
            ("volume latest x", bad("latest")),
            ("compute 2.1", Err(VersionError::NoVolume)),
            ("VOLUME 3.10", Err(VersionError::NoVolume)),
            ("", Err(VersionError::NoVolume)),
        ] {
            assert_eq!(Microversion::parse(header), expected, "{header:?}");
        }
    }
}
