//! A `clouds.yaml` for the developer stack (openstacksdk's format).

use crate::ready::write_whole;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Cloud name, user name and project name of each; all in the domain Default.
pub const CLOUDS: [(&str, &str, &str); 5] = [
    ("admin", "admin", "admin"),
    ("donor", "x", "donor"),
    ("recipient", "y", "recipient"),
    ("third", "z", "third"),
    ("service", "cinder", "service"),
];

/// Writes one cloud for each user.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, identity: &str, region: &str, password: &str) -> anyhow::Result<()> {
    let clouds: Map<String, Value> = CLOUDS
        .into_iter()
        .map(|(cloud, user, project)| {
            let settings = json!({
                "auth": {
                    "auth_url": format!("{identity}/v3"),
                    "username": user,
                    "password": password,
                    "project_name": project,
                    "user_domain_name": "Default",
                    "project_domain_name": "Default",
                },
                "region_name": region,
                "identity_api_version": "3",
                "volume_api_version": "3",
            });
            (cloud.to_owned(), settings)
        })
        .collect();
    let text = serde_yaml_ng::to_string(&json!({ "clouds": clouds }))?;
    write_whole(path, &text)
}
