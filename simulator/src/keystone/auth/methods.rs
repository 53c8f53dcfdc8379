//! The methods of authentication, one by one.

use serde_json::Value;

use super::request::{Asked, id_and_name};
use super::{Proof, domain, end_of};
use crate::identity::{Directory, Kind, Record, Scope};
use crate::keystone::call::{Call, fault_of, supports_access_rules};
use crate::keystone::error::Refusal;
use crate::state::State as Memory;

/// Has every method that is listed prove one and the same user. The methods are given back with
/// those that a token was made by.
pub(super) fn prove(
    call: &Call<'_>,
    state: &Memory,
    asked: &Asked,
) -> Result<(Proof, Vec<String>), Refusal> {
    let mut proven: Option<Proof> = None;
    let mut used: Vec<String> = Vec::new();
    for method in &asked.methods {
        let mut proof = match method.as_str() {
            "password" => by_password(call, state.identity.directory(), asked),
            "token" => by_token(call, state, asked),
            "application_credential" => by_credential(call, state.identity.directory(), asked),
            "mapped" => Err(Refusal::missing("identity_provider", "mapped")),
            _ => Err(Refusal::Unauthorized),
        }?;
        let inherited = proof.parent.iter().flat_map(|token| token.methods.clone());
        for method in std::iter::once(method.clone()).chain(inherited) {
            if !used.contains(&method) {
                used.push(method);
            }
        }
        if let Some(earlier) = proven.take() {
            if earlier.user_id != proof.user_id {
                return Err(Refusal::Unauthorized);
            }
            proof.parent = proof.parent.or(earlier.parent);
            let credential = earlier.application_credential_id;
            proof.application_credential_id = proof.application_credential_id.or(credential);
        }
        proven = Some(proof);
    }
    proven.map(|proof| (proof, used)).ok_or(Refusal::Unauthorized)
}

fn by_password(call: &Call<'_>, directory: &Directory, asked: &Asked) -> Result<Proof, Refusal> {
    let given = asked.of("password").and_then(|given| given.get("user"));
    let given = given.ok_or_else(|| Refusal::missing("user", "None"))?;
    let user = enabled_user(directory, given)?;
    let text = given.get("password").and_then(Value::as_str);
    let of_the_cloud = call.simulator.config().password.as_str();
    let is_right =
        user.secret.as_ref().zip(text).is_some_and(|(kept, text)| kept.is(text, of_the_cloud));
    if !is_right {
        return Err(Refusal::Unauthorized);
    }
    Ok(Proof { user_id: user.id.clone(), parent: None, application_credential_id: None })
}

/// The user that a request names: enabled, and of an enabled domain.
fn enabled_user<'a>(directory: &'a Directory, given: &Value) -> Result<&'a Record, Refusal> {
    let found = match id_and_name(Some(given)) {
        (_, Some(name)) => {
            let home = given.get("domain").ok_or_else(|| Refusal::missing("domain", "user"))?;
            directory.named(Kind::User, name, Some(&domain(directory, Some(home))?.id))
        }
        (Some(id), None) => directory.find(Kind::User, id),
        (None, None) => return Err(Refusal::missing("id or name", "user")),
    };
    found.filter(|user| directory.is_enabled(user)).ok_or(Refusal::Unauthorized)
}

fn by_token(call: &Call<'_>, state: &Memory, asked: &Asked) -> Result<Proof, Refusal> {
    let given = asked.of("token").and_then(|token| token.get("id")).and_then(Value::as_str);
    let text = given.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Refusal::Absent("No token in the request".to_owned()))?;
    let standing = state.identity.standing(text, call.now, false);
    let token = standing.map_err(|fault| fault_of(fault, text))?.token;
    if state.identity.has_access_rules(token) && !supports_access_rules(&call.headers) {
        return Err(Refusal::InvalidToken);
    }
    let wants = |kind: &str| asked.auth.pointer(&format!("/scope/{kind}")).is_some();
    let obstacle = if token.trust_id.is_some() {
        "Using trust-scoped token to create another token. Create a new trust-scoped token instead"
    } else if token.scope == Scope::System && (wants("project") || wants("domain")) {
        "Using a system-scoped token to create a project-scoped or domain-scoped token is not \
         allowed."
    } else if token.application_credential_id.is_some() {
        "Using a delegated token to create another token is not allowed."
    } else {
        let parent = Some(token.clone());
        let user_id = token.user_id.clone();
        return Ok(Proof { user_id, parent, application_credential_id: None });
    };
    Err(Refusal::Forbidden(obstacle.to_owned()))
}

/// The credential that a request names.
pub(super) fn credential<'a>(
    directory: &'a Directory,
    asked: &Asked,
) -> Result<&'a Record, Refusal> {
    let given = asked.of("application_credential");
    let (id, name) = id_and_name(given);
    if let Some(id) = id {
        let found = directory.find(Kind::ApplicationCredential, id);
        return found.ok_or_else(|| Refusal::not_found(Kind::ApplicationCredential, id));
    }
    let missing = |attribute: &str| Refusal::missing(attribute, "application credential");
    let name = name.ok_or_else(|| missing("name or ID"))?;
    let user = given.and_then(|given| given.get("user")).ok_or_else(|| missing("user"))?;
    let user_id = match id_and_name(Some(user)) {
        (Some(id), _) => id,
        (None, name) => {
            let home = user.get("domain").ok_or_else(|| Refusal::missing("domain", "user"))?;
            let home = domain(directory, Some(home))?;
            let name = name.unwrap_or_default();
            let found = directory.named(Kind::User, name, Some(&home.id));
            &found.ok_or_else(|| Refusal::not_found(Kind::User, name))?.id
        }
    };
    let mut all = directory.all(Kind::ApplicationCredential).iter();
    let own = all.find(|one| one.text("user_id") == Some(user_id) && one.name() == name);
    own.ok_or(Refusal::Unauthorized)
}

fn by_credential(call: &Call<'_>, directory: &Directory, asked: &Asked) -> Result<Proof, Refusal> {
    let credential = credential(directory, asked)?;
    let user = credential.text("user_id").and_then(|id| directory.find(Kind::User, id));
    let user = user.filter(|user| directory.is_enabled(user)).ok_or(Refusal::Unauthorized)?;
    let text = match asked.of("application_credential").and_then(|given| given.get("secret")) {
        None | Some(Value::Null) => return Err(Refusal::Unauthorized),
        Some(Value::String(text)) => text,
        Some(_) => return Err(Refusal::missing("string", "password")),
    };
    let is_right = credential.secret.as_ref().is_some_and(|kept| kept.is(text, ""));
    let is_over = end_of(directory, &credential.id).is_some_and(|end| call.now >= end);
    if !is_right || is_over {
        return Err(Refusal::Unauthorized);
    }
    let application_credential_id = Some(credential.id.clone());
    Ok(Proof { user_id: user.id.clone(), parent: None, application_credential_id })
}
