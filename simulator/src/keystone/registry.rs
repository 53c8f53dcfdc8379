//! Regions, services and endpoints.

use serde_json::{Value, json};

use super::call::{Answer, Call, Methods, change};
use super::catalog;
use super::collection::{Fields, Resource, create, document, fresh_id};
use super::error::Refusal;
use super::schema::{
    ANY, BOOLEAN, Choice, Pattern, Schema, TEXT, TEXT_OR_NULL, choice, object, text,
};
use crate::draws::Draws;
use crate::identity::{Directory, Identity, Kind, Record, fields};
use crate::state::State as Memory;

const DESCRIPTION: Schema = Schema { max_length: Some(255), ..TEXT_OR_NULL };
const REGION_ID: Schema = Schema { kinds: &["string", "null"], ..text(1, 255) };

pub(super) struct Regions;

impl Resource for Regions {
    const KIND: Kind = Kind::Region;
    const ONE: &'static str = "region";
    const MANY: &'static str = "regions";
    const CREATE: &'static Schema = &Schema {
        required: Some(&["region"]),
        ..object(&[(
            "region",
            object(&[
                ("description", DESCRIPTION),
                ("id", Schema { min_length: Some(0), ..REGION_ID }),
                ("parent_region_id", REGION_ID),
            ]),
        )])
    };
    const UPDATE: &'static Schema = &Schema {
        required: Some(&["region"]),
        is_closed: true,
        ..object(&[(
            "region",
            Schema {
                min_properties: Some(1),
                ..object(&[
                    ("description", DESCRIPTION),
                    ("id", REGION_ID),
                    ("parent_region_id", REGION_ID),
                ])
            },
        )])
    };
    const QUERY: &'static Schema =
        &Schema { is_closed: true, ..object(&[("parent_region_id", REGION_ID)]) };
    const FILTERS: &'static [&'static str] = &["parent_region_id"];

    fn draft(
        call: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        let asked = call.param("id");
        let id = given.remove("id").and_then(|id| id.as_str().map(str::to_owned));
        let id = match id.filter(|id| !id.is_empty()) {
            Some(id) if !asked.is_empty() && id != asked => {
                return Err(Refusal::Malformed(format!(
                    "Conflicting region IDs specified: \"{asked}\" != \"{id}\""
                )));
            }
            Some(id) => id,
            None if !asked.is_empty() => asked.to_owned(),
            None => fresh_id(draws),
        };
        if identity.directory().find(Self::KIND, &id).is_some() {
            let details = format!("Duplicate ID, {id}.");
            return Err(Refusal::Conflict { kind: "region", details });
        }
        let mut all = fields(json!({"description": "", "parent_region_id": null}));
        all.append(&mut given);
        describe(&mut all);
        let record = Record::new(id, all);
        check_parent(identity.directory(), &record)?;
        Ok(record)
    }

    fn amend(
        _: &Call<'_>,
        identity: &Identity,
        _: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        changes.remove("id");
        record.fields.append(&mut changes);
        describe(&mut record.fields);
        check_parent(identity.directory(), record)
    }

    fn check_removal(directory: &Directory, record: &Record) -> Result<(), Refusal> {
        let mut ids = vec![record.id.as_str()];
        let mut next = 0;
        while let Some(id) = ids.get(next).copied() {
            next += 1;
            ids.extend(directory.of(Self::KIND, "parent_region_id", id).map(|one| one.id.as_str()));
        }
        let has_endpoints =
            |id: &&str| directory.of(Kind::Endpoint, "region_id", id).next().is_some();
        if ids.iter().any(has_endpoints) {
            return Err(Refusal::Denied(format!(
                "Unable to delete region {} because it or its child regions have associated \
                 endpoints.",
                record.id
            )));
        }
        Ok(())
    }
}

/// The method that makes a region of a given id.
pub(super) fn region_at() -> Methods {
    change("PUT", |call, state: &mut Memory| -> Answer { create::<Regions>(call, state) })
}

/// A description is never null.
fn describe(region: &mut Fields) {
    if region.get("description").is_some_and(Value::is_null) {
        region.insert("description".to_owned(), json!(""));
    }
}

fn check_parent(directory: &Directory, record: &Record) -> Result<(), Refusal> {
    let Some(parent) = record.text("parent_region_id") else { return Ok(()) };
    let find = |id: &str| directory.find(Kind::Region, id);
    let found = find(parent).ok_or_else(|| Refusal::not_found(Kind::Region, parent))?;
    let up = |one: &&Record| find(one.text("parent_region_id")?);
    let mut chain = std::iter::successors(Some(found), up);
    if chain.any(|one| one.id == record.id) {
        return Err(Refusal::Malformed(format!(
            "The specified parent region {} would create a circular region hierarchy.",
            record.id
        )));
    }
    Ok(())
}

const SERVICE: Schema =
    object(&[("enabled", BOOLEAN), ("type", text(1, 255)), ("name", text(1, 255))]);

pub(super) struct Services;

impl Resource for Services {
    const KIND: Kind = Kind::Service;
    const ONE: &'static str = "service";
    const MANY: &'static str = "services";
    const CREATE: &'static Schema =
        &object(&[("service", Schema { required: Some(&["type"]), ..SERVICE })]);
    const UPDATE: &'static Schema = &Schema {
        required: Some(&["service"]),
        ..object(&[("service", Schema { min_properties: Some(1), ..SERVICE })])
    };
    const QUERY: &'static Schema = &ANY;
    const FILTERS: &'static [&'static str] = &["type", "name"];

    fn draft(
        _: &Call<'_>,
        _: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        if given.is_empty() {
            return Err(Refusal::Crash);
        }
        let mut all = fields(json!({"enabled": true, "name": ""}));
        all.append(&mut given);
        Ok(Record::new(fresh_id(draws), all))
    }

    fn amend(
        _: &Call<'_>,
        _: &Identity,
        _: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        changes.remove("id");
        record.fields.append(&mut changes);
        Ok(())
    }
}

const INTERFACE: Schema =
    choice(&[Choice::Text("admin"), Choice::Text("internal"), Choice::Text("public")]);
const URL: Schema = Schema { pattern: Some(Pattern::Url), ..text(0, 225) };
const ENDPOINT: Schema = object(&[
    ("enabled", BOOLEAN),
    ("interface", INTERFACE),
    ("region_id", TEXT_OR_NULL),
    ("region", TEXT_OR_NULL),
    ("service_id", TEXT),
    ("url", URL),
    ("name", TEXT),
    ("description", TEXT_OR_NULL),
]);

pub(super) struct Endpoints;

impl Resource for Endpoints {
    const KIND: Kind = Kind::Endpoint;
    const ONE: &'static str = "endpoint";
    const MANY: &'static str = "endpoints";
    const CREATE: &'static Schema = &Schema {
        is_closed: true,
        ..object(&[(
            "endpoint",
            Schema { required: Some(&["interface", "service_id", "url"]), ..ENDPOINT },
        )])
    };
    const UPDATE: &'static Schema = &Schema {
        required: Some(&["endpoint"]),
        is_closed: true,
        ..object(&[("endpoint", Schema { min_properties: Some(1), ..ENDPOINT })])
    };
    const QUERY: &'static Schema =
        &object(&[("interface", INTERFACE), ("region_id", TEXT_OR_NULL), ("service_id", TEXT)]);
    const FILTERS: &'static [&'static str] = &["interface", "service_id", "region_id"];

    fn draft(
        _: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        let Some(url) = given.get("url").and_then(Value::as_str) else {
            return Err(Refusal::Malformed("'NoneType' object is not subscriptable".to_owned()));
        };
        if !catalog::is_template(url) {
            let text = format!("Cannot create an endpoint with an invalid URL: {url}.");
            return Err(Refusal::Malformed(text));
        }
        check_place(identity.directory(), &given)?;
        let mut all = fields(json!({"enabled": true}));
        all.append(&mut given);
        settle_region(&mut all);
        Ok(Record::new(fresh_id(draws), all))
    }

    fn amend(
        _: &Call<'_>,
        identity: &Identity,
        _: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        changes.remove("id");
        check_place(identity.directory(), &changes)?;
        settle_region(&mut changes);
        if changes.get("region_id").is_some_and(Value::is_null) {
            changes.retain(|key, _| key != "region" && key != "region_id");
        }
        record.fields.append(&mut changes);
        Ok(())
    }

    /// A region that is named in the old way is made when there is none.
    fn prepare(directory: &mut Directory, record: &Record) {
        let region = record.text("region_id").map(str::to_owned);
        if let Some(id) = region.filter(|id| directory.find(Kind::Region, id).is_none()) {
            let shown = fields(json!({"description": "", "parent_region_id": null}));
            directory.add(Kind::Region, Record::new(id, shown));
        }
    }

    fn document(call: &Call<'_>, _: &Directory, record: &Record) -> Fields {
        let mut shown = document(call, Self::MANY, record);
        let url = catalog::located(call.simulator, record.text("url").unwrap_or_default());
        shown.insert("url".to_owned(), Value::from(url));
        shown
    }
}

/// The region by its id and by its old name.
fn settle_region(endpoint: &mut Fields) {
    let text = |key: &str| endpoint.get(key).and_then(Value::as_str);
    let region = json!(text("region_id").or_else(|| text("region")));
    endpoint.insert("region_id".to_owned(), region.clone());
    endpoint.insert("region".to_owned(), region);
}

/// What an endpoint names by id exists.
fn check_place(directory: &Directory, endpoint: &Fields) -> Result<(), Refusal> {
    let is_unknown = |kind, key: &str| {
        let id = endpoint.get(key).and_then(Value::as_str);
        id.is_some_and(|id| directory.find(kind, id).is_none())
    };
    if is_unknown(Kind::Service, "service_id") {
        return Err(Refusal::missing("endpoint service_id", "service table"));
    }
    if is_unknown(Kind::Region, "region_id") {
        return Err(Refusal::missing("endpoint region_id", "region table"));
    }
    Ok(())
}
