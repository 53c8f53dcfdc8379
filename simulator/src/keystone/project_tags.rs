//! The tags of a project.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::call::{Answer, Call, Methods, change, no_content, ok, show};
use super::collection::{Resource as _, check};
use super::error::Refusal;
use super::projects::{Projects, TAG, TAGS};
use super::schema::{Schema, fault_in_full, list, object};
use crate::identity::{Directory, Kind, Record};
use crate::state::State as Memory;

const REPLACE: Schema = Schema { is_closed: true, ..object(&[("tags", list(&TAG))]) };

/// The methods of all tags of a project.
pub(super) fn all() -> Methods {
    show(list_tags).merge(change("PUT", replace)).merge(change("DELETE", clear))
}

/// The methods of one tag.
pub(super) fn one() -> Methods {
    show(check_tag).merge(change("PUT", add)).merge(change("DELETE", remove))
}

fn project<'a>(
    call: &Call<'_>,
    directory: &'a Directory,
    action: &str,
) -> Result<&'a Record, Refusal> {
    let id = call.param("id");
    let found = directory.find(Kind::Project, id);
    let target = found.map(|one| Projects::target(&one.id, &one.fields));
    call.allow(action, &target.unwrap_or_default())?;
    found.ok_or_else(|| Refusal::not_found(Kind::Project, id))
}

fn shown(call: &Call<'_>, tags: &Value) -> Response {
    let link = format!("{}/v3", call.simulator.urls().identity);
    ok(json!({"links": {"self": link}, "tags": tags}))
}

fn tags_of(project: &Record) -> Vec<String> {
    project.texts("tags").map(str::to_owned).collect()
}

fn set(state: &mut Memory, id: &str, tags: &[String]) {
    if let Some(project) = state.identity.directory_mut().find_mut(Kind::Project, id) {
        project.fields.insert("tags".to_owned(), json!(tags));
    }
}

fn list_tags(call: &Call<'_>, state: &Memory) -> Answer {
    let project = project(call, state.identity.directory(), "identity:list_project_tags")?;
    Ok(shown(call, &json!(tags_of(project))))
}

fn replace(call: &Call<'_>, state: &mut Memory) -> Answer {
    check(&REPLACE, &call.body)?;
    let directory = state.identity.directory();
    let id = project(call, directory, "identity:update_project_tags")?.id.clone();
    let tags = call.body.get("tags").cloned().unwrap_or_else(|| json!([]));
    fits(&TAGS, &tags)?;
    let texts = tags.as_array().into_iter().flatten().filter_map(Value::as_str);
    let texts: Vec<String> = texts.map(str::to_owned).collect();
    set(state, &id, &texts);
    Ok(shown(call, &tags))
}

fn clear(call: &Call<'_>, state: &mut Memory) -> Answer {
    let directory = state.identity.directory();
    let id = project(call, directory, "identity:delete_project_tags")?.id.clone();
    set(state, &id, &[]);
    Ok(no_content())
}

fn has(call: &Call<'_>, project: &Record) -> Result<(), Refusal> {
    let tag = call.param("tag");
    if project.texts("tags").any(|one| one == tag) {
        return Ok(());
    }
    Err(Refusal::Absent(format!("Could not find project tag: {tag}.")))
}

fn check_tag(call: &Call<'_>, state: &Memory) -> Answer {
    let project = project(call, state.identity.directory(), "identity:get_project_tag")?;
    has(call, project).map(|()| no_content())
}

fn add(call: &Call<'_>, state: &mut Memory) -> Answer {
    let directory = state.identity.directory();
    let project = project(call, directory, "identity:create_project_tag")?;
    let (id, tag, mut tags) = (project.id.clone(), call.param("tag"), tags_of(project));
    fits(&TAG, &Value::from(tag))?;
    tags.push(tag.to_owned());
    fits(&TAGS, &json!(tags))?;
    set(state, &id, &tags);
    // The address that the real one gives leaves the collection out.
    let location = call.link(&format!("{id}/tags/{tag}"));
    Ok((StatusCode::CREATED, [(LOCATION, location)]).into_response())
}

fn remove(call: &Call<'_>, state: &mut Memory) -> Answer {
    let directory = state.identity.directory();
    let project = project(call, directory, "identity:delete_project_tag")?;
    has(call, project)?;
    let (id, mut tags) = (project.id.clone(), tags_of(project));
    tags.retain(|one| one != call.param("tag"));
    set(state, &id, &tags);
    Ok(no_content())
}

fn fits(schema: &'static Schema, value: &Value) -> Result<(), Refusal> {
    fault_in_full(schema, value).map_or(Ok(()), |fault| Err(Refusal::Malformed(fault)))
}
