//! Version discovery and the microversion of a request (cinder: `api/versions.py`).

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::fault::Fault;
use crate::Simulator;

const HEADER: &str = "openstack-api-version";
const NEWEST: u16 = 71;

/// The second number of `volume 3.N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Microversion(u16);

impl Microversion {
    /// The version that a request asks for, or the refusal, and the version that it is signed
    /// with, as Cinder does where the major version fits.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, (Fault, Option<Self>)> {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let ours = given.split(',').find_map(|part| part.trim().strip_prefix("volume "));
        let Some(text) = ours.map(str::trim) else { return Ok(Self(0)) };
        if text == "latest" {
            return Ok(Self(NEWEST));
        }
        let parsed = text.split_once('.').and_then(|(major, minor)| {
            Some((major.parse::<u16>().ok()?, minor.parse::<u16>().ok()?))
        });
        match parsed {
            None => {
                let message = format!(
                    "API Version String {text} is of invalid format. Must be of format \
                     MajorNum.MinorNum."
                );
                Err((Fault::bad(message), None))
            }
            Some((3, minor)) if minor <= NEWEST => Ok(Self(minor)),
            Some((major, minor)) => Err((unsupported(text), (major == 3).then_some(Self(minor)))),
        }
    }

    pub(super) fn is_at_least(self, minor: u16) -> bool {
        self.0 >= minor
    }

    pub(super) fn sign(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&format!("volume 3.{}", self.0)) {
            headers.insert(HEADER, value);
        }
        headers.insert("vary", HeaderValue::from_static("OpenStack-API-Version"));
    }
}

fn unsupported(version: &str) -> Fault {
    Fault::new(
        StatusCode::NOT_ACCEPTABLE,
        "computeFault",
        format!(
            "Version {version} is not supported by the API. Minimum is 3.0 and maximum is 3.71."
        ),
    )
}

pub(super) async fn all(State(simulator): State<Simulator>) -> (StatusCode, Json<Value>) {
    (StatusCode::MULTIPLE_CHOICES, document(&simulator))
}

pub(super) async fn v3(State(simulator): State<Simulator>) -> Json<Value> {
    document(&simulator)
}

fn document(simulator: &Simulator) -> Json<Value> {
    Json(json!({"versions": [{
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.71",
        "min_version": "3.0",
        "updated": "2023-08-31T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": format!("{}/v3/", simulator.urls().block_storage)},
        ],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.volume+json;version=3",
        }],
    }]}))
}
