//! The service catalogue: what the registry says to a token.

use serde_json::{Value, json};

use super::call::{Answer, Call, ok};
use super::error::Refusal;
use super::policy::Target;
use crate::Simulator;
use crate::identity::{BLOCK_STORAGE_URL, Directory, IDENTITY_URL, KEY_MANAGER_URL, Kind, Record};
use crate::state::State as Memory;

/// What a URL may leave open (keystone: common/utils.py `WHITELISTED_PROPERTIES`).
const OPEN: &[&str] = &[
    "tenant_id",
    "project_id",
    "user_id",
    "public_bind_host",
    "admin_bind_host",
    "compute_host",
    "admin_port",
    "public_port",
    "public_endpoint",
    "admin_endpoint",
];

pub(super) fn show(call: &Call<'_>, state: &Memory) -> Answer {
    let caller = call.allow("identity:get_auth_catalog", &Target::default())?;
    let project = caller.bearer.project.as_ref().ok_or(Refusal::OutOfScope)?;
    let user_id = caller.bearer.user.id.as_str();
    let catalog = of(call.simulator, state.identity.directory(), user_id, Some(&project.id));
    let link = call.link("auth/catalog");
    Ok(ok(json!({"catalog": catalog, "links": {"self": link}})))
}

/// The catalogue of a token; without a project, only the endpoints whose URL needs none.
pub(super) fn of(
    simulator: &Simulator,
    directory: &Directory,
    user_id: &str,
    project_id: Option<&str>,
) -> Value {
    let fill = |name: &str| match name {
        "tenant_id" | "project_id" => project_id.map(str::to_owned),
        "user_id" => Some(user_id.to_owned()),
        _ => None,
    };
    let services = directory.all(Kind::Service).iter().filter(|service| service.is_enabled());
    let entries = services.map(|service| {
        let endpoints = directory.of(Kind::Endpoint, "service_id", &service.id);
        let endpoints = endpoints.filter(|one| one.is_enabled()).filter_map(|one| {
            let url = located(simulator, one.text("url")?);
            Some(entry(one, &filled(&url, fill)?))
        });
        let name = service.text("name").unwrap_or_default();
        json!({
            "endpoints": endpoints.collect::<Vec<_>>(),
            "id": service.id,
            "type": service.text("type"),
            "name": name,
        })
    });
    entries.collect()
}

fn entry(endpoint: &Record, url: &str) -> Value {
    let mut shown = endpoint.shown();
    shown.retain(|key, _| key != "service_id" && key != "enabled");
    shown.insert("url".to_owned(), Value::from(url));
    Value::Object(shown)
}

/// A seeded URL with the address where the service is now.
pub(super) fn located(simulator: &Simulator, url: &str) -> String {
    let urls = simulator.urls();
    let places = [
        (IDENTITY_URL, urls.identity),
        (KEY_MANAGER_URL, urls.key_manager),
        (BLOCK_STORAGE_URL, urls.block_storage),
    ];
    let found =
        places.iter().find_map(|(prefix, at)| Some(format!("{at}{}", url.strip_prefix(prefix)?)));
    found.unwrap_or_else(|| url.to_owned())
}

/// Whether a URL leaves open only what Keystone can fill in.
pub(super) fn is_template(url: &str) -> bool {
    filled(url, |name| OPEN.contains(&name).then(String::new)).is_some()
}

/// Python's `%` with names, where `$(` is as good as `%(`.
fn filled(url: &str, fill: impl Fn(&str) -> Option<String>) -> Option<String> {
    let url = url.replace("$(", "%(");
    let mut pieces = url.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    while let Some(piece) = pieces.next() {
        if piece.is_empty() {
            // A doubled sign stands for itself.
            text.push('%');
            text.push_str(pieces.next()?);
            continue;
        }
        let (name, rest) = piece.strip_prefix('(')?.split_once(')')?;
        text.push_str(&fill(name)?);
        text.push_str(rest.strip_prefix('s')?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{filled, is_template};

    #[test]
    fn a_url_is_filled_in_as_python_does() {
        for (url, expected) in [
            ("http://a", Some("http://a")),
            ("http://a/$(project_id)s/b", Some("http://a/7/b")),
            ("http://a/%(project_id)s", Some("http://a/7")),
            ("http://a/%%", Some("http://a/%")),
            ("http://a/$project_id", Some("http://a/$project_id")),
            ("http://a/%", None),
            ("http://a/%20", None),
            ("http://a/$(project_id)", None),
            ("http://a/$(project_id)d", None),
            ("http://a/$(other)s", None),
        ] {
            let fill = |name: &str| (name == "project_id").then(|| "7".to_owned());
            assert_eq!(filled(url, fill).as_deref(), expected, "{url}");
            assert_eq!(is_template(url), expected.is_some(), "{url}");
        }
    }
}
