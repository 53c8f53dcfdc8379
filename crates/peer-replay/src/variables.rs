//! `${name}` in a case: what an earlier reply, or the session, has given.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::body::Body;

/// A name that nothing has given a value to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown(pub(crate) String);

/// Names to values. What stays for all scripts is set once; a script adds its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text with every `${name}` replaced. `${text*N}` is the text, N times.
    pub(crate) fn fill(&self, text: &str) -> Result<String, Unknown> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            filled.push_str(before);
            filled.push_str(&self.value(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// The same for a body: in every string of JSON, and in text. Base64 is taken as it is.
    pub(crate) fn fill_body(&self, body: &Body) -> Result<Body, Unknown> {
        Ok(match body {
            Body::Json(json) => Body::Json(self.fill_json(json)?),
            Body::Text(text) => Body::Text(self.fill(text)?),
            Body::Base64(_) => body.clone(),
        })
    }

    fn fill_json(&self, json: &Value) -> Result<Value, Unknown> {
        Ok(match json {
            Value::String(text) => Value::String(self.fill(text)?),
            Value::Array(items) => {
                let items = items.iter().map(|item| self.fill_json(item));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| Ok((self.fill(name)?, self.fill_json(value)?)));
                Value::Object(members.collect::<Result<_, _>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => json.clone(),
        })
    }

    fn value(&self, name: &str) -> Result<String, Unknown> {
        if let Some((text, times)) = name.rsplit_once('*')
            && let Ok(times) = times.parse()
        {
            return Ok(text.repeat(times));
        }
        self.0.get(name).cloned().ok_or_else(|| Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_replaced_wherever_they_stand() {
        let mut variables = Variables::default();
        variables.set("secret", "5");
        let body = json!({"${secret}": ["a${secret}b", 7], "long": "${ab*3}", "open": "${secret"});
        assert_eq!(
            variables.fill_json(&body),
            Ok(json!({"5": ["a5b", 7], "long": "ababab", "open": "${secret"}))
        );
        assert_eq!(variables.fill("${order}"), Err(Unknown("order".to_owned())));
    }
}
