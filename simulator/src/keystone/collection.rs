//! One collection of Keystone: list, create, show, update and delete.
//!
//! A [`Resource`] declares what its members look like, how a list is filtered and what is checked
//! beside the schema; the order of the checks is the same for all: schema, caller, policy,
//! existence, and then whatever the resource itself objects to.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Methods, change, created, no_content, ok, show};
use super::error::Refusal;
use super::policy::Target;
use super::schema::{Schema, fault_in_short};
use crate::draws::Draws;
use crate::identity::{Directory, Identity, Kind, Record, Scope, Token};
use crate::state::State as Memory;

pub(super) type Fields = Map<String, Value>;

/// The most that a list shows (keystone: `max_db_limit`).
const MAX_LIMIT: usize = 1000;

pub(super) trait Resource: 'static {
    const KIND: Kind;
    /// The key of one member, such as `project`.
    const ONE: &'static str;
    /// The key and the path of the collection, such as `projects`.
    const MANY: &'static str;
    /// Of the whole body of a POST, and of a PATCH.
    const CREATE: &'static Schema;
    const UPDATE: &'static Schema;
    /// Of the query of a list.
    const QUERY: &'static Schema;
    const FILTERS: &'static [&'static str];
    /// Verbs for which an unknown id is told before the policy is asked.
    const UNKNOWN_FIRST: &'static [&'static str] = &[];
    /// Attributes with columns of their own, where the answer to a PATCH repeats the others.
    const COLUMNS: Option<&'static [&'static str]> = None;

    /// The rule for a verb.
    fn rule(verb: &str, _: &Fields) -> String {
        format!("identity:{verb}_{}", if verb == "list" { Self::MANY } else { Self::ONE })
    }

    /// The domain that a member belongs to, of the collections that are divided by domains.
    fn home<'a>(_id: &'a str, _fields: &'a Fields) -> Option<&'a str> {
        None
    }

    fn target<'a>(id: &'a str, fields: &'a Fields) -> Target<'a> {
        Target::in_domain(Self::home(id, fields))
    }

    fn all(directory: &Directory) -> Vec<Cow<'_, Record>> {
        directory.all(Self::KIND).iter().map(Cow::Borrowed).collect()
    }

    fn find<'a>(directory: &'a Directory, id: &str) -> Option<Cow<'a, Record>> {
        directory.find(Self::KIND, id).map(Cow::Borrowed)
    }

    /// Whether a list shows a member that fits the filters.
    fn is_listed(_: &Call<'_>, _: &Record) -> bool {
        true
    }

    /// Completes and checks a new member.
    fn draft(
        call: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        given: Fields,
    ) -> Result<Record, Refusal>;

    /// Checks and makes the changes of a PATCH.
    fn amend(
        call: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        record: &mut Record,
        changes: Fields,
    ) -> Result<(), Refusal>;

    /// Makes what has to be there before the record is kept or changed.
    fn prepare(_: &mut Directory, _: &Record) {}

    fn store(directory: &mut Directory, record: Record) {
        directory.add(Self::KIND, record);
    }

    /// Whether a change ends a token.
    fn ends(_before: &Record, _after: &Record, _token: &Token) -> bool {
        false
    }

    fn check_removal(_: &Directory, _: &Record) -> Result<(), Refusal> {
        Ok(())
    }

    /// Adds what the query asks for to a member that is shown alone.
    fn extend(_: &Call<'_>, _: &Directory, _: &Record, _: &mut Fields) -> Result<(), Refusal> {
        Ok(())
    }

    /// A member as it is shown.
    fn document(call: &Call<'_>, _: &Directory, record: &Record) -> Fields {
        document(call, Self::MANY, record)
    }
}

/// The attributes, and a link to the member.
pub(super) fn document(call: &Call<'_>, many: &str, record: &Record) -> Fields {
    let mut shown = record.shown();
    let link = call.link(&format!("{many}/{}", record.id));
    shown.insert("links".to_owned(), json!({"self": link}));
    shown
}

/// The methods of the collection.
pub(super) fn collection<R: Resource>() -> Methods {
    show(list::<R>).merge(change("POST", create::<R>))
}

/// The methods of a member, whose parameter is `id`.
pub(super) fn member<R: Resource>() -> Methods {
    show(one::<R>).merge(change("PATCH", update::<R>)).merge(change("DELETE", delete::<R>))
}

/// Checks the body, or the query, against a schema.
pub(super) fn check(schema: &'static Schema, given: &Fields) -> Result<(), Refusal> {
    let fault = fault_in_short(schema, &Value::Object(given.clone()));
    fault.map_or(Ok(()), |fault| Err(Refusal::Malformed(fault)))
}

pub(super) fn check_query(schema: &'static Schema, call: &Call<'_>) -> Result<(), Refusal> {
    let pairs = call.query.iter().rev();
    check(schema, &pairs.map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect())
}

/// A fresh id.
pub(super) fn fresh_id(draws: &mut Draws) -> String {
    draws.uuid().simple().to_string()
}

/// The domain that the caller's token is good for.
pub(super) fn own_domain<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    match &call.caller.as_ref()?.token.scope {
        Scope::Domain(id) => Some(id),
        Scope::Unscoped | Scope::Project(_) | Scope::System => None,
    }
}

/// The domain of a new member: as it says, or the caller's, or the default one.
pub(super) fn settle_domain(call: &Call<'_>, given: &mut Fields) {
    if given.get("domain_id").is_none_or(Value::is_null) {
        let domain = own_domain(call).unwrap_or(crate::identity::DEFAULT_DOMAIN);
        given.insert("domain_id".to_owned(), Value::from(domain));
    }
}

/// Whether a switch is on; see [`super::schema::SWITCH`].
pub(super) fn is_on(value: Option<&Value>) -> bool {
    match value {
        None => true,
        Some(Value::String(text)) => {
            !["0", "f", "false", "off", "n", "no"].contains(&text.to_lowercase().as_str())
        }
        Some(value) => value.as_bool().unwrap_or(false),
    }
}

fn list<R: Resource>(call: &Call<'_>, state: &Memory) -> Answer {
    check_query(R::QUERY, call)?;
    let filters: Fields =
        call.query.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    call.allow(&R::rule("list", &filters), &Target::in_domain(own_domain(call)))?;
    let directory = state.identity.directory();
    let records = R::all(directory).into_iter().filter(|one| {
        let home = R::home(&one.id, &one.fields);
        home.is_none() || own_domain(call).is_none_or(|own| home == Some(own))
    });
    let records = records.filter(|one| R::is_listed(call, one)).collect();
    listed(call, R::MANY, R::FILTERS, records, |one| R::document(call, directory, one))
}

/// A list of what fits the filters, in pages if the query asks for them.
pub(super) fn listed(
    call: &Call<'_>,
    many: &str,
    filters: &[&str],
    mut records: Vec<Cow<'_, Record>>,
    document: impl Fn(&Record) -> Fields,
) -> Answer {
    records.retain(|one| call.query.iter().all(|(key, value)| fits(filters, one, key, value)));
    if let Some(marker) = call.asked("marker") {
        let place = records.iter().position(|one| one.id == marker);
        let lost = || Refusal::Absent(format!("Marker {marker} could not be found."));
        records.drain(..=place.ok_or_else(lost)?);
    }
    let limit = call.asked("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.map(|limit: usize| limit.min(MAX_LIMIT));
    let is_cut = limit.is_some_and(|limit| records.len() > limit);
    records.truncate(limit.unwrap_or(records.len()));
    let next = records.last().filter(|_| is_cut).map(|last| next_page(call, &last.id));
    let shown: Vec<Value> = records.iter().map(|one| Value::Object(document(one))).collect();
    let links = json!({"next": next, "self": call.self_link(), "previous": null});
    let mut body = json!({many: shown, "links": links});
    if is_cut {
        body["truncated"] = Value::Bool(true);
    }
    Ok(ok(body))
}

fn next_page(call: &Call<'_>, last: &str) -> String {
    let mut query = call.query.clone();
    query.retain(|(key, _)| key != "marker");
    query.push(("marker".to_owned(), last.to_owned()));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{}{}?{query}", call.simulator.urls().identity, call.uri.path())
}

/// Whether a record passes one parameter of the query.
fn fits(filters: &[&str], record: &Record, key: &str, wanted: &str) -> bool {
    let (name, comparator) = key.split_once("__").unwrap_or((key, ""));
    if !filters.contains(&name) {
        return true;
    }
    let found = record.fields.get(name);
    let lower = |text: &str| text.to_lowercase();
    match (comparator, found) {
        ("", Some(Value::Bool(is))) => *is == is_on(Some(&Value::from(wanted))),
        ("", Some(Value::String(text))) => text == wanted,
        ("contains", Some(Value::String(text))) => text.contains(wanted),
        ("icontains", Some(Value::String(text))) => lower(text).contains(&lower(wanted)),
        ("startswith", Some(Value::String(text))) => text.starts_with(wanted),
        ("istartswith", Some(Value::String(text))) => lower(text).starts_with(&lower(wanted)),
        ("endswith", Some(Value::String(text))) => text.ends_with(wanted),
        ("iendswith", Some(Value::String(text))) => lower(text).ends_with(&lower(wanted)),
        ("", _) => false,
        (_, found) => found.is_some(),
    }
}

/// What the body says of the member. Keystone keeps attributes that it does not know in one of the
/// name `extra`, and so loses one that is called that.
fn given<R: Resource>(call: &Call<'_>) -> Fields {
    let mut given = call.member(R::ONE);
    given.remove("extra");
    given
}

pub(super) fn create<R: Resource>(call: &Call<'_>, state: &mut Memory) -> Answer {
    check(R::CREATE, &call.body)?;
    let given = given::<R>(call);
    call.allow(&R::rule("create", &given), &R::target("", &given))?;
    // The draws go on only when the request is granted.
    let mut draws = state.draws.clone();
    let record = R::draft(call, &state.identity, &mut draws, given)?;
    state.draws = draws;
    let shown = R::document(call, state.identity.directory(), &record);
    R::prepare(state.identity.directory_mut(), &record);
    R::store(state.identity.directory_mut(), record);
    Ok(created(json!({R::ONE: shown})))
}

/// The member that the path names, once the policy lets the caller see whether there is one.
fn sought<'a, R: Resource>(
    call: &Call<'_>,
    directory: &'a Directory,
    verb: &str,
) -> Result<Cow<'a, Record>, Refusal> {
    let id = call.param("id");
    let found = R::find(directory, id);
    let unknown = || Refusal::not_found(R::KIND, id);
    if found.is_none() && call.caller.is_some() && R::UNKNOWN_FIRST.contains(&verb) {
        return Err(unknown());
    }
    match &found {
        Some(record) => call.allow(&R::rule(verb, &record.fields), &R::target(id, &record.fields)),
        None => call.allow(&R::rule(verb, &Fields::new()), &Target::default()),
    }?;
    found.ok_or_else(unknown)
}

fn one<R: Resource>(call: &Call<'_>, state: &Memory) -> Answer {
    let directory = state.identity.directory();
    let record = sought::<R>(call, directory, "get")?;
    let mut shown = R::document(call, directory, &record);
    R::extend(call, directory, &record, &mut shown)?;
    Ok(ok(json!({R::ONE: shown})))
}

fn update<R: Resource>(call: &Call<'_>, state: &mut Memory) -> Answer {
    check(R::UPDATE, &call.body)?;
    let changes = given::<R>(call);
    let found = sought::<R>(call, state.identity.directory(), "update");
    let is_other = |id: &Value| !id.is_null() && id.as_str() != Some(call.param("id"));
    match found {
        Err(refusal @ (Refusal::Unauthorized | Refusal::Forbidden(_))) => return Err(refusal),
        Ok(_) | Err(_) if changes.get("id").is_some_and(is_other) => {
            return Err(Refusal::Malformed("Cannot change ID".to_owned()));
        }
        Ok(_) | Err(_) => {}
    }
    let before = found?.into_owned();
    let (mut after, mut draws) = (before.clone(), state.draws.clone());
    R::amend(call, &state.identity, &mut draws, &mut after, changes)?;
    state.draws = draws;
    let mut shown = R::document(call, state.identity.directory(), &after);
    if let Some(columns) = R::COLUMNS {
        let extra = after.fields.iter().filter(|(key, _)| !columns.contains(&key.as_str()));
        let extra: Fields = extra.map(|(key, value)| (key.clone(), value.clone())).collect();
        shown.insert("extra".to_owned(), Value::Object(extra));
    }
    R::prepare(state.identity.directory_mut(), &after);
    if let Some(record) = state.identity.directory_mut().find_mut(R::KIND, &before.id) {
        record.clone_from(&after);
    }
    state.identity.revoke_where(|token| R::ends(&before, &after, token));
    Ok(ok(json!({R::ONE: shown})))
}

pub(super) fn delete<R: Resource>(call: &Call<'_>, state: &mut Memory) -> Answer {
    let directory = state.identity.directory();
    let record = sought::<R>(call, directory, "delete")?;
    R::check_removal(directory, &record)?;
    let id = record.id.clone();
    state.identity.delete(R::KIND, &id);
    Ok(no_content())
}
