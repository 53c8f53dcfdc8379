//! Which projects see a private volume type (cinder: `api/contrib/volume_type_access.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::Extension;
use http::StatusCode;
use serde_json::{Value, json};
use transfer_core::ProjectId;

use super::fault::Fault;
use super::input::{self, Id};
use super::{Asked, actions, types};

const POLICY: &str = "volume_extension:volume_type_access";
const ADD: &str = "addProjectAccess";
const REMOVE: &str = "removeProjectAccess";

pub(super) async fn list(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(&format!("{POLICY}:get_all_for_type"))?;
    let kind = types::find(&caller, &id).await?;
    if kind.is_public {
        return Err(Fault::missing("Access list not available for public volume types."));
    }
    let entry = |project: &ProjectId| json!({"volume_type_id": id, "project_id": project.as_str()});
    Ok(Json(json!({"volume_type_access": kind.projects.iter().map(entry).collect::<Value>()})))
}

pub(super) async fn act(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<StatusCode, Fault> {
    let (action, given) = actions::asked(&body, &[ADD, REMOVE])?;
    let project = input::required(&given, action, "project")?;
    caller.must_be_admin(&format!("{POLICY}:{action}"))?;
    if types::find(&caller, &id).await?.is_public {
        return Err(Fault::bad(
            "Invalid volume type: Type access modification is not applicable to public volume \
             type.",
        ));
    }
    let pair = format!("{id} / {project} combination");
    let project = ProjectId::new(project);
    if action == ADD {
        if !caller.store.grant_volume_type(&id, &project).await? {
            return Err(Fault::conflict(format!("Volume type access for {pair} already exists.")));
        }
    } else if !caller.store.revoke_volume_type(&id, &project).await? {
        return Err(Fault::missing(format!("Volume type access not found for {pair}.")));
    }
    Ok(StatusCode::ACCEPTED)
}
