//! Projects: a tree below each domain. A domain can be looked at as a project, too.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::call::Call;
use super::collection::{Fields, Resource, document, fresh_id, is_on, settle_domain};
use super::domains::{NOT_A_DOMAINS, PROJECT_NAME, apply, check_mutable, check_name, options};
use super::error::Refusal;
use super::policy::Target;
use super::schema::{
    ID, ID_OR_NULL, IMMUTABLE, Pattern, SWITCH, Schema, TEXT, TEXT_OR_NULL, list, object, text,
};
use crate::draws::Draws;
use crate::identity::{Directory, Identity, Kind, Record, fields};

/// How deep the tree may be below a domain (keystone: `max_project_tree_depth`).
const MAX_DEPTH: usize = 5;

pub(super) const TAG: Schema = Schema { pattern: Some(Pattern::Tag), ..text(1, 255) };
pub(super) const TAGS: Schema =
    Schema { required: Some(&[]), max_items: Some(80), is_set: true, ..list(&TAG) };
const PARENT: Schema = Schema { is_uuid: true, ..TEXT };

pub(super) struct Projects;

impl Resource for Projects {
    const KIND: Kind = Kind::Project;
    const ONE: &'static str = "project";
    const MANY: &'static str = "projects";
    const CREATE: &'static Schema = &Schema {
        is_closed: true,
        ..object(&[(
            "project",
            Schema {
                required: Some(&["name"]),
                ..object(&[
                    ("description", TEXT_OR_NULL),
                    ("domain_id", ID_OR_NULL),
                    ("enabled", SWITCH),
                    ("is_domain", SWITCH),
                    ("parent_id", ID_OR_NULL),
                    ("name", PROJECT_NAME),
                    ("tags", TAGS),
                    ("options", IMMUTABLE),
                ])
            },
        )])
    };
    const UPDATE: &'static Schema = &Schema {
        is_closed: true,
        ..object(&[(
            "project",
            object(&[
                ("description", TEXT_OR_NULL),
                ("enabled", SWITCH),
                ("name", PROJECT_NAME),
                ("options", IMMUTABLE),
                ("tags", TAGS),
            ]),
        )])
    };
    const QUERY: &'static Schema = &object(&[
        ("domain_id", ID),
        ("enabled", SWITCH),
        ("name", PROJECT_NAME),
        ("parent_id", PARENT),
        ("is_domain", SWITCH),
    ]);
    const FILTERS: &'static [&'static str] =
        &["domain_id", "enabled", "name", "parent_id", "is_domain"];
    const COLUMNS: Option<&'static [&'static str]> = Some(&[
        "name",
        "domain_id",
        "description",
        "enabled",
        "parent_id",
        "is_domain",
        "tags",
        "options",
    ]);

    fn home<'a>(_: &'a str, fields: &'a Fields) -> Option<&'a str> {
        fields.get("domain_id").and_then(Value::as_str)
    }

    fn target<'a>(id: &'a str, fields: &'a Fields) -> Target<'a> {
        Target { project_id: Some(id), ..Target::in_domain(Self::home(id, fields)) }
    }

    fn all(directory: &Directory) -> Vec<Cow<'_, Record>> {
        let projects = directory.all(Kind::Project).iter().map(Cow::Borrowed);
        projects.chain(directory.all(Kind::Domain).iter().map(as_project)).collect()
    }

    fn find<'a>(directory: &'a Directory, id: &str) -> Option<Cow<'a, Record>> {
        let project = directory.find(Kind::Project, id).map(Cow::Borrowed);
        project.or_else(|| directory.find(Kind::Domain, id).map(as_project))
    }

    fn is_listed(call: &Call<'_>, record: &Record) -> bool {
        let is_domain = record.flag("is_domain") == Some(true);
        let asks_for_kind = call.query.iter().any(|(key, _)| key == "is_domain");
        (asks_for_kind || !is_domain) && has_tags(call, record)
    }

    fn draft(
        call: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        if given.is_empty() {
            return Err(Refusal::Crash);
        }
        let id = fresh_id(draws);
        let is_domain = given.get("is_domain").is_some_and(|value| is_on(Some(value)));
        if !is_domain {
            settle_domain(call, &mut given);
        }
        if given.get("parent_id").is_none_or(Value::is_null) {
            let domain = given.get("domain_id").cloned().unwrap_or_default();
            given.insert("parent_id".to_owned(), domain);
        }
        let name = given.get("name").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let mut all = fields(json!({"description": "", "domain_id": null, "tags": []}));
        all.append(&mut given);
        let enabled = is_on(all.get("enabled"));
        let options = options(all.get("options"));
        all.append(&mut fields(json!({
            "name": name, "enabled": enabled, "is_domain": is_domain, "options": options,
        })));
        let record = Record::new(id, all);
        if is_domain {
            if record.text("parent_id").is_some() {
                let text = "only root projects are allowed to act as domains.";
                return Err(Refusal::Malformed(text.to_owned()));
            }
            check_name(identity, &name, &record.id)?;
        } else {
            check_place(identity.directory(), &record)?;
            check_unique(identity.directory(), &record)?;
        }
        Ok(record)
    }

    fn amend(
        _: &Call<'_>,
        identity: &Identity,
        _: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        let differs =
            |key: &str| changes.get(key).is_some_and(|value| Some(value) != record.fields.get(key));
        if differs("domain_id") {
            return Err(Refusal::Malformed("Cannot change Domain ID".to_owned()));
        }
        check_mutable(record, "update", Self::ONE, Some(&changes))?;
        if differs("parent_id") {
            return Err(Refusal::Denied("Update of `parent_id` is not allowed.".to_owned()));
        }
        if differs("is_domain") {
            return Err(Refusal::Malformed("Update of `is_domain` is not allowed.".to_owned()));
        }
        let (was_enabled, directory) = (record.is_enabled(), identity.directory());
        let names_itself = changes.remove("id").is_some();
        apply(record, changes);
        if was_enabled
            && !record.is_enabled()
            && subtree(directory, &record.id).any(Record::is_enabled)
        {
            return Err(Refusal::Denied(format!(
                "Cannot disable project {} since its subtree contains enabled projects.",
                record.id
            )));
        }
        let is_disabled = |one: &&Record| !one.is_enabled();
        if !was_enabled && record.is_enabled() && parents(directory, record).iter().any(is_disabled)
        {
            return Err(Refusal::Denied(format!(
                "Cannot enable project {} since it has disabled parents",
                record.id
            )));
        }
        // The real one stumbles over its message unless the body has the id for it.
        let is_unique = check_unique(directory, record);
        is_unique.map_err(|conflict| if names_itself { conflict } else { Refusal::Crash })
    }

    fn store(directory: &mut Directory, mut record: Record) {
        let is_domain = record.flag("is_domain") == Some(true);
        if is_domain {
            record.fields.retain(|key, _| !NOT_A_DOMAINS.contains(&key.as_str()));
        }
        directory.add(if is_domain { Kind::Domain } else { Kind::Project }, record);
    }

    fn check_removal(directory: &Directory, record: &Record) -> Result<(), Refusal> {
        check_mutable(record, "delete", Self::ONE, None)?;
        if subtree(directory, &record.id).next().is_some() {
            return Err(Refusal::Denied(format!(
                "Cannot delete the project {} since it is not a leaf in the hierarchy. Use the \
                 cascade option if you want to delete a whole subtree.",
                record.id
            )));
        }
        Ok(())
    }

    fn extend(
        call: &Call<'_>,
        directory: &Directory,
        record: &Record,
        shown: &mut Fields,
    ) -> Result<(), Refusal> {
        for relation in ["parents", "subtree"] {
            let asks = |form: &str| call.is_asked(&format!("{relation}_as_{form}"));
            if asks("list") && asks("ids") {
                return Err(Refusal::Malformed(format!(
                    "Cannot use {relation}_as_list and {relation}_as_ids query params at the same \
                     time."
                )));
            }
            let related = match (relation, asks("list"), asks("ids")) {
                ("parents", true, _) => own_of(call, directory, parents(directory, record)),
                ("parents", _, true) => parents_as_ids(directory, record),
                (_, true, _) => own_of(call, directory, subtree(directory, &record.id).collect()),
                (_, _, true) => subtree_as_ids(directory, &record.id),
                (_, false, false) => continue,
            };
            shown.insert(relation.to_owned(), related);
        }
        Ok(())
    }
}

/// Of these projects, those that the caller has a role on.
fn own_of(call: &Call<'_>, directory: &Directory, all: Vec<&Record>) -> Value {
    let user_id = call.caller.as_ref().map(|caller| caller.bearer.user.id.as_str());
    let own = directory.reachable(user_id.unwrap_or_default(), Kind::Project);
    let shown = all.into_iter().filter(|one| own.iter().any(|known| known.id == one.id));
    shown.map(|one| json!({"project": document(call, Projects::MANY, one)})).collect()
}

fn parents_as_ids(directory: &Directory, record: &Record) -> Value {
    let chain = parents(directory, record).into_iter().rev();
    chain.fold(Value::Null, |below, parent| json!({&parent.id: below}))
}

/// A domain as a project that acts as one.
fn as_project(domain: &Record) -> Cow<'_, Record> {
    let mut record = domain.clone();
    record.fields.append(&mut fields(json!({
        "domain_id": null, "parent_id": null, "is_domain": true,
    })));
    Cow::Owned(record)
}

fn has_tags(call: &Call<'_>, record: &Record) -> bool {
    let has = |tag: &str| record.texts("tags").any(|one| one == tag);
    let fits = |name: &str, passes: &dyn Fn(Vec<&str>) -> bool| {
        call.asked(name).is_none_or(|tags| passes(tags.split(',').collect()))
    };
    fits("tags", &|tags| tags.into_iter().all(has))
        && fits("tags-any", &|tags| tags.into_iter().any(has))
        && fits("not-tags", &|tags| !tags.into_iter().all(has))
        && fits("not-tags-any", &|tags| !tags.into_iter().any(has))
}

/// The parent, its parent and so on, up to the domain.
fn parents<'a>(directory: &'a Directory, record: &Record) -> Vec<&'a Record> {
    let up = |id: Option<&str>| {
        let id = id?;
        directory.find(Kind::Project, id).or_else(|| directory.find(Kind::Domain, id))
    };
    let first = up(record.text("parent_id"));
    std::iter::successors(first, |one| up(one.text("parent_id"))).collect()
}

fn subtree<'a>(directory: &'a Directory, id: &'a str) -> impl Iterator<Item = &'a Record> {
    let all = directory.all(Kind::Project).iter();
    all.filter(move |one| parents(directory, one).iter().any(|parent| parent.id == id))
}

fn subtree_as_ids(directory: &Directory, id: &str) -> Value {
    let children: Fields = directory
        .of(Kind::Project, "parent_id", id)
        .map(|one| (one.id.clone(), subtree_as_ids(directory, &one.id)))
        .collect();
    if children.is_empty() { Value::Null } else { Value::Object(children) }
}

/// Checks that a project stands below an enabled parent of its domain.
fn check_place(directory: &Directory, record: &Record) -> Result<(), Refusal> {
    let absent = |kind, id: &str| Refusal::Malformed(Refusal::not_found(kind, id).to_string());
    let domain = record.domain_id().unwrap_or_default();
    directory.find(Kind::Domain, domain).ok_or_else(|| absent(Kind::Domain, domain))?;
    let parent = record.text("parent_id").unwrap_or_default();
    let above = parents(directory, record);
    let Some(direct) = above.first() else { return Err(absent(Kind::Project, parent)) };
    if directory.find(Kind::Domain, parent).is_some() {
        if parent != domain {
            return Err(Refusal::Malformed(format!(
                "Cannot create project, the parent ({parent}) is acting as a domain, but this \
                 project's domain id ({domain}) does not match the parent's id."
            )));
        }
    } else if direct.domain_id() != Some(domain) {
        return Err(Refusal::Malformed(format!(
            "Cannot create project, since it specifies its domain_id {domain}, but specifies a \
             parent in a different domain ({}).",
            direct.domain_id().unwrap_or_default()
        )));
    }
    if let Some(disabled) = above.iter().find(|one| !one.is_enabled()) {
        return Err(Refusal::Malformed(format!(
            "cannot create a project in a branch containing a disabled project: {}",
            disabled.id
        )));
    }
    if above.len() > MAX_DEPTH {
        let text = format!("Max hierarchy depth reached for {parent} branch.");
        return Err(Refusal::Denied(text));
    }
    Ok(())
}

fn check_unique(directory: &Directory, record: &Record) -> Result<(), Refusal> {
    let taken = directory.named(Kind::Project, record.name(), record.domain_id());
    if taken.is_none_or(|one| one.id == record.id) {
        return Ok(());
    }
    let details = format!(
        "it is not permitted to have two projects with either the same name or same id in the \
         same domain: name is {}, project id {}",
        record.name(),
        record.id
    );
    Err(Refusal::Conflict { kind: "project", details })
}
